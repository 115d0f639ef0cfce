//! "Did you mean …?" for a source that is not there.

use std::path::{Path, PathBuf};

use layer::{FileKind, Root};

use super::filter::Filter;

/// A path of `root` that `path` differs from by the spelling of one name, if there is one.
pub(super) fn similar(root: &Root, filter: &Filter, path: &Path) -> Option<String> {
    let mut dir = PathBuf::new();
    let mut names = path.iter();
    let missing = names.find(|name| {
        let known = root.stat(&dir.join(name)).ok().flatten().is_some();
        if known {
            dir.push(name);
        }
        !known
    })?;
    let siblings = root.read_dir(&dir).ok()?;
    let siblings: Vec<_> = siblings.iter().filter_map(|name| name.to_str()).collect();
    let mut found = dir.join(containerfile::closest(missing.to_str()?, siblings)?);
    found.extend(names);
    let kind = root.stat(&found).ok().flatten()?.kind;
    let found = filter.allows(&found, kind == FileKind::Directory).then_some(found)?;
    found.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use containerfile::Source;

    use super::*;

    #[test]
    fn one_name_may_be_misspelt() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["src/main.rs", "src/lib.rs", "package.json", "hidden.txt"] {
            fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            fs::write(dir.path().join(path), "").unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        let filter = Filter::parse(&Source::new(".dockerignore", "hidden.txt")).unwrap();
        for (path, expected) in [
            ("pakcage.json", Some("package.json")),
            ("Package.json", Some("package.json")),
            ("scr/main.rs", Some("src/main.rs")),
            ("src/mian.rs", Some("src/main.rs")),
            ("scr/mian.rs", None),
            ("hiden.txt", None),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(similar(&root, &filter, Path::new(path)).as_deref(), expected, "{path}");
        }
    }
}

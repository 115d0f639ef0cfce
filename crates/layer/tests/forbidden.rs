//! What a layer must not hold is found wherever in the layer it is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layer::{Changeset, Compression, Error, Forbidden, Index, PackOptions, Packed, Root, Timestamps, pack};

fn options(strings: &[&str]) -> PackOptions {
    let strings = strings.iter().map(|string| (format!("the {string}"), string.as_bytes().to_vec()));
    let forbidden = Some(Arc::new(Forbidden::new(strings)));
    PackOptions { compression: Compression::None, timestamps: Timestamps::Keep, threads: 1, forbidden }
}

fn written(dir: &Path, changes: Option<&Changeset>, options: &PackOptions) -> Result<Packed, Error> {
    let root = Root::open(dir).unwrap();
    let everything = Changeset::everything(&root).unwrap();
    pack(&root, changes.unwrap_or(&everything), options, std::io::sink())
}

/// Path, part and name of what was found in a tree.
fn found(text: &str) -> Option<(PathBuf, &'static str, String)> {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), text);
    match written(dir.path(), None, &options(&["hunter2", "hunter22"])) {
        Ok(_) => None,
        Err(Error::Forbidden { path, part, what }) => Some((path, part, what)),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn every_part_of_an_entry_is_searched() {
    for (text, path, part) in [
        ("file a data=my-hunter2!", "a", "content"),
        ("file b\nfile my-hunter2", "my-hunter2", "name"),
        ("dir hunter2", "hunter2", "name"),
        ("link l to=/run/hunter2", "l", "link target"),
        ("file f xattr:user.token=hunter2", "f", "extended attributes"),
        ("dir d xattr:user.hunter2=", "d", "extended attributes"),
        ("hole h size=3000000 data=hunter2", "h", "content"),
    ] {
        assert_eq!(found(text), Some((path.into(), part, "the hunter2".to_owned())), "{text}");
    }
    assert_eq!(found("file hunter data=hunter-2\nlink l to=hunter"), None);
}

#[test]
fn a_string_between_two_reads_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&["hunter2"]);
    for before in (128 * 1024 - 8)..(128 * 1024 + 2) {
        let content = [vec![b'a'; before], b"hunter2".to_vec(), vec![b'b'; 200_000]].concat();
        fs::write(dir.path().join("file"), content).unwrap();
        assert!(matches!(written(dir.path(), None, &options), Err(Error::Forbidden { .. })), "{before}");
    }
}

#[test]
fn strings_of_two_files_do_not_make_one() {
    assert_eq!(found("file a data=hunt\nfile b data=er2"), None);
}

#[test]
fn a_whiteout_is_searched_for_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hunter2");
    fs::write(&file, "").unwrap();
    let root = Root::open(dir.path()).unwrap();
    let index = Index::scan(&root).unwrap();
    fs::remove_file(&file).unwrap();
    let (changes, _) = index.changes(&root).unwrap();
    let error = written(dir.path(), Some(&changes), &options(&["hunter2"])).unwrap_err();
    assert!(matches!(error, Error::Forbidden { part: "name", .. }), "{error}");
}

#[test]
fn a_search_changes_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), "file a data=hunter\nhole h size=3000000 data=middle\nlink l to=a");
    let plain = PackOptions { forbidden: None, ..options(&[]) };
    let searched = written(dir.path(), None, &options(&["hunter2"])).unwrap();
    assert_eq!(searched, written(dir.path(), None, &plain).unwrap());
}

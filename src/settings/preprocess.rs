//! Preprocesses a Containerfile that is called `.in`: finds its flags and reads the files that it includes.
//!
//! Includes come out of the build context and out of the directory that the Containerfile stands in, and lead out of
//! neither.

use std::path::Path;

use containerfile::{CppFlags, Source};

use super::containerfile::{Beside, Context};
use super::{Environment, Error};

/// The flags of `BUILDAH_CPPFLAGS`, then those of `--cpp-flag`.
pub(super) fn flags(flags: &[String], environment: &Environment) -> Result<CppFlags, Error> {
    let variable = environment.text("BUILDAH_CPPFLAGS").unwrap_or_default();
    Ok(CppFlags::parse(variable.split_whitespace().chain(flags.iter().map(String::as_str)))?)
}

/// What `source` means, which stands where `beside` says.
pub(super) fn run(
    source: Source,
    beside: &Beside,
    context: Option<&Context>,
    flags: &CppFlags,
) -> Result<Source, Error> {
    let place = Place::of(beside, context)?;
    let roots = [place.outside.as_ref(), context];
    let mut read = |path: &str| {
        for root in roots.into_iter().flatten() {
            let bytes = root.read(Path::new(path)).map_err(|error| why(&error))?;
            if let Some(bytes) = bytes {
                let name = root.shown(Path::new(path));
                return Ok(Some(Source::from_bytes(name.to_string_lossy(), &bytes)));
            }
        }
        Ok(None)
    };
    containerfile::preprocess(source, &place.dir, flags, &mut read).map_err(Error::Preprocess)
}

/// Where a Containerfile stands.
struct Place {
    /// Its directory in the context; empty if that is the context, or somewhere else.
    dir: String,
    /// Its directory, if that is somewhere else.
    outside: Option<Context>,
}

impl Place {
    fn of(beside: &Beside, context: Option<&Context>) -> Result<Self, Error> {
        let dir = match beside {
            Beside::Nothing => Path::new(""),
            Beside::InContext(path) => path.parent().unwrap_or(path),
            Beside::File(path) => {
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
                return match inside(dir, context) {
                    Some(dir) => Ok(Self { dir, outside: None }),
                    None => Ok(Self { dir: String::new(), outside: Some(Context::open(dir)?) }),
                };
            }
        };
        Ok(Self { dir: dir.to_string_lossy().into_owned(), outside: None })
    }
}

/// The path of `dir` inside the context, if it is there.
fn inside(dir: &Path, context: Option<&Context>) -> Option<String> {
    let context = context?.dir().canonicalize().ok()?;
    let dir = dir.canonicalize().ok()?;
    Some(dir.strip_prefix(context).ok()?.to_str()?.to_owned())
}

/// An error with its causes as one line.
fn why(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::containerfile::{Named, Remote, find};

    fn build(dir: &Path, file: &str, flags: &[&str]) -> Result<String, Error> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let named = Named {
            containerfiles: vec![file.into()],
            flags: super::flags(&flags, &Environment::of(&[("BUILDAH_CPPFLAGS", "-DA=1 -DB")]))?,
            ..Named::default()
        };
        let context = Context::open(&dir.join("ctx")).unwrap();
        let found = find(Some(&context), &named, &Remote::new(), &mut std::io::empty())?;
        Ok(found.containerfile.text().to_owned())
    }

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn includes_are_found_beside_the_file_and_in_the_context() {
        let dir = tree(&[
            ("ctx/a/b/x.in", "#include \"beside\"\n#include \"top\"\n#include \"../up\"\nA B C\n"),
            ("ctx/a/b/beside", "beside\n"),
            ("ctx/top", "top\n"),
            ("ctx/a/up", "up\n"),
            ("out/y.in", "#include \"near\"\n#include \"top\"\n"),
            ("out/near", "near\n"),
        ]);
        let absolute = dir.path().join("ctx/a/b/x.in");
        for file in ["a/b/x.in", absolute.to_str().unwrap()] {
            let text = build(dir.path(), file, &["-DB=2", "-DC"]).unwrap();
            assert_eq!(text, "beside\ntop\nup\n1 2 1\n", "{file}");
        }
        let outside = dir.path().join("out/y.in");
        assert_eq!(build(dir.path(), outside.to_str().unwrap(), &[]).unwrap(), "near\ntop\n");
    }

    #[test]
    fn no_include_leads_out_of_the_context() {
        let dir = tree(&[
            ("secret", "password"),
            ("ctx/x.in", "#include \"link\"\n"),
            ("ctx/y.in", "#include \"../secret\"\n"),
        ]);
        std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("ctx/link")).unwrap();
        for file in ["x.in", "y.in"] {
            let Err(Error::Preprocess(failed)) = build(dir.path(), file, &[]) else { panic!("{file}") };
            assert!(!format!("{failed:?}").contains("password"), "{file}");
        }
    }

    #[test]
    fn a_flag_without_a_meaning_is_refused() {
        let error = build(Path::new("/"), "x.in", &["-Wall"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid preprocessor flag `-Wall`: known are -D, -U, -I and -iquote");
        assert_eq!(error.exit_code(), 2);
    }
}

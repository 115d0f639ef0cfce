//! `--secret`: which values secret mounts show, in BuildKit's and buildah's spelling.
//!
//! No message of this file holds a value, or text that may be one: who forgets `id=` has typed the secret itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use containerfile::{Span, Word, closest, csv_fields};
use engine::Secret;

use super::{Environment, Error};

const KEYS: [&str; 5] = ["id", "src", "source", "env", "type"];

/// The secrets by id, and what the user should know about them.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    pub values: BTreeMap<String, Secret>,
    pub notes: Vec<String>,
}

/// Reads all of the flag's uses; of those with the same id the last one counts.
pub(crate) fn read_all(specs: &[String], environment: &Environment) -> Result<Secrets, Error> {
    let mut secrets = Secrets::default();
    for spec in specs {
        let Spec { id, origin } = Spec::parse(spec, environment)?;
        let value = match origin {
            Origin::File(path) => read(&id, &path)?,
            Origin::Variable(name) => match environment.raw(&name) {
                Some(value) => value.as_bytes().to_vec(),
                // As with BuildKit: a pipeline may have a secret on some branches only.
                None => {
                    secrets.notes.push(format!(
                        "the secret `{id}` is empty: the environment variable `{name}` is not set"
                    ));
                    Vec::new()
                }
            },
        };
        let secret = Secret::new(value).ok_or_else(|| Error::SecretTooLarge { id: id.clone() })?;
        secrets.values.insert(id, secret);
    }
    Ok(secrets)
}

#[derive(Debug, PartialEq, Eq)]
struct Spec {
    id: String,
    origin: Origin,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    File(PathBuf),
    Variable(String),
}

impl Spec {
    /// `id=ID[,src=FILE|,env=NAME][,type=file|env]`.
    fn parse(text: &str, environment: &Environment) -> Result<Self, Error> {
        let bad = |why: String| Error::BadSecret { why };
        let (mut id, mut src, mut env, mut kind) = (None, None, None, None);
        let fields = csv_fields(&Word::new(text, Span::new(0, text.len())));
        for field in fields.map_err(|diagnostic| bad(diagnostic.message))? {
            let (key, value) = field.text().split_once('=').ok_or_else(|| {
                bad("a field is not KEY=VALUE; it is not shown, as it may be the secret".to_owned())
            })?;
            let value = Some(value.to_owned()).filter(|value| !value.is_empty());
            match key.to_lowercase().as_str() {
                "id" => id = value,
                "src" | "source" => src = value,
                "env" => env = value,
                "type" => kind = value,
                other => return Err(bad(unknown_key(other))),
            }
        }
        let id = id.ok_or_else(|| bad("it has no id".to_owned()))?;
        let origin = match (kind.as_deref(), src, env) {
            (_, Some(_), Some(_)) => return Err(bad(format!("`{id}` has both a file and a variable"))),
            (Some("file"), None, Some(_)) => {
                return Err(bad(format!("`{id}` is of type file, and has a variable")));
            }
            (Some("env"), name, None) | (None | Some("env"), None, name @ Some(_)) => {
                Origin::Variable(name.unwrap_or_else(|| id.clone()))
            }
            (None | Some("file"), Some(path), None) => Origin::File(path.into()),
            (None, None, None) if environment.raw(&id).is_some() => Origin::Variable(id.clone()),
            (None | Some("file"), None, None) => Origin::File(PathBuf::from(&id)),
            (Some(_), ..) => return Err(bad(format!("the type of `{id}` is neither file nor env"))),
        };
        Ok(Self { id, origin })
    }
}

fn unknown_key(key: &str) -> String {
    match closest(key, KEYS) {
        Some(close) => format!("there is no key `{key}`; did you mean `{close}`?"),
        None => format!("there is no key `{key}`; known are {}", KEYS.join(", ")),
    }
}

/// Reads one byte more than allowed at most, also of a pipe.
fn read(id: &str, path: &Path) -> Result<Vec<u8>, Error> {
    let read = || -> io::Result<Vec<u8>> {
        let mut value = Vec::new();
        File::open(path)?.take(Secret::MAX_SIZE as u64 + 1).read_to_end(&mut value)?;
        Ok(value)
    };
    read().map_err(|source| Error::SecretFile { id: id.to_owned(), path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spec, Error> {
        Spec::parse(text, &Environment::of(&[("TOKEN", "hunter2"), ("EMPTY", "")]))
    }

    #[test]
    fn a_secret_is_a_file_or_a_variable() {
        let file = |path: &str| Origin::File(path.into());
        let variable = |name: &str| Origin::Variable(name.to_owned());
        for (text, origin) in [
            ("id=a,src=/f", file("/f")),
            ("id=a,source=f", file("f")),
            ("SRC=f,ID=a,type=file", file("f")),
            (r#"id=a,"src=x,y""#, file("x,y")),
            ("id=a,src=x=y", file("x=y")),
            ("id=a", file("a")),
            ("id=a,src=", file("a")),
            ("id=TOKEN", variable("TOKEN")),
            ("id=EMPTY", variable("EMPTY")),
            ("id=TOKEN,type=file", file("TOKEN")),
            ("id=a,env=B", variable("B")),
            ("id=a,env=B,type=env", variable("B")),
            ("id=a,src=B,type=env", variable("B")),
            ("id=a,type=env", variable("a")),
        ] {
            assert_eq!(parse(text).unwrap().origin, origin, "{text}");
        }
    }

    #[test]
    fn a_wrong_secret_says_what_is_wrong_but_not_what_it_is() {
        for (text, why) in [
            ("hunter2", "a field is not KEY=VALUE; it is not shown, as it may be the secret"),
            ("src=hunter2", "it has no id"),
            ("id=", "it has no id"),
            ("id=a,scr=hunter2", "there is no key `scr`; did you mean `src`?"),
            ("id=a,value=hunter2", "there is no key `value`; known are id, src, source, env, type"),
            ("id=a,src=hunter2,env=hunter2", "`a` has both a file and a variable"),
            ("id=a,type=file,env=hunter2", "`a` is of type file, and has a variable"),
            ("id=a,type=hunter2", "the type of `a` is neither file nor env"),
            ("id=a,\"src=hunter2", "the quote `\"` is never closed"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid --secret: {why}"));
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn values_are_read_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"two\nlines\xff\n").unwrap();
        let environment = Environment::of(&[("TOKEN", "hunter2"), ("EMPTY", "")]);
        let read = |specs: &[&str]| {
            let specs: Vec<_> = specs.iter().map(|spec| (*spec).to_owned()).collect();
            read_all(&specs, &environment)
        };
        let file = format!("id=file,src={}", path.display());
        let Secrets { values, notes } =
            read(&["id=TOKEN", "id=EMPTY", "id=none,env=NONE", "id=file,env=EMPTY", &file]).unwrap();
        let values: Vec<_> = values.iter().map(|(id, value)| (id.as_str(), value.bytes())).collect();
        let expected: [(&str, &[u8]); 4] =
            [("EMPTY", b""), ("TOKEN", b"hunter2"), ("file", b"two\nlines\xff\n"), ("none", b"")];
        assert_eq!(values, expected);
        assert_eq!(notes, ["the secret `none` is empty: the environment variable `NONE` is not set"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_with_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let read = |spec: String| read_all(&[spec], &Environment::of(&[])).unwrap_err();
        let missing = dir.path().join("none");
        let error = read(format!("id=a,src={}", missing.display()));
        assert_eq!(error.to_string(), format!("cannot read the secret `a` from `{}`", missing.display()));
        assert_eq!(
            error.hint().unwrap(),
            "say where it is: `--secret id=a,src=FILE` or `--secret id=a,env=NAME`"
        );
        assert!(matches!(read(format!("id=a,src={}", dir.path().display())), Error::SecretFile { .. }));
        let large = dir.path().join("large");
        File::create(&large).unwrap().set_len(Secret::MAX_SIZE as u64 + 1).unwrap();
        let error = read(format!("id=a,src={}", large.display()));
        assert_eq!(error.to_string(), "the secret `a` is larger than 512000 bytes");
    }
}

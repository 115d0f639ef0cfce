//! `NAME=VALUE` flags: build arguments, labels, annotations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Environment, Error, containerfile};

/// Values of ARGs by name.
#[derive(Debug, Default)]
pub(crate) struct BuildArguments(pub BTreeMap<String, String>);

impl BuildArguments {
    /// Those of the files, then those of the flags, which win; among equals the last one wins.
    ///
    /// A name alone stands for the environment variable, and for nothing if that is not set. An empty flag, which the
    /// default of a Tekton parameter gives, is passed over.
    pub(crate) fn read(
        files: &[PathBuf],
        flags: &[String],
        environment: &Environment,
    ) -> Result<Self, Error> {
        let mut arguments = Self::default();
        for file in files {
            let text = String::from_utf8(containerfile::read(file)?)
                .map_err(|_| Error::NotText { path: file.clone() })?;
            for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                arguments.add("--build-arg-file", line, environment)?;
            }
        }
        for flag in flags {
            arguments.add("--build-arg", flag, environment)?;
        }
        Ok(arguments)
    }

    fn add(&mut self, flag: &'static str, text: &str, environment: &Environment) -> Result<(), Error> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, environment.exact(text)),
        };
        match value {
            _ if text.is_empty() => {}
            _ if name.is_empty() => {
                // The value is not shown: people give secrets in this way.
                return Err(Error::BadValue {
                    flag,
                    text: "=…".to_owned(),
                    why: "it has no name".to_owned(),
                });
            }
            Some(value) => {
                self.0.insert(name.to_owned(), value.to_owned());
            }
            None => {
                self.0.remove(name);
            }
        }
        Ok(())
    }
}

/// `NAME=VALUE` in the order given; a name alone has the value of the environment variable, and is passed over if that
/// is not set.
pub(crate) fn variables(
    flag: &'static str,
    texts: &[String],
    environment: &Environment,
) -> Result<Vec<(String, String)>, Error> {
    let is_set = |text: &&String| text.contains('=') || environment.exact(text).is_some();
    let with_value = |text: &String| match environment.exact(text) {
        Some(value) if !text.contains('=') => format!("{text}={value}"),
        _ => text.clone(),
    };
    pairs(flag, &texts.iter().filter(is_set).map(with_value).collect::<Vec<_>>())
}

/// Keys and values in the order given; a key alone has an empty value.
pub(crate) fn pairs(flag: &'static str, texts: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if key.is_empty() {
            let why = "it has no key".to_owned();
            return Err(Error::BadValue { flag, text: text.clone(), why });
        }
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[PathBuf], flags: &[&str]) -> Result<Vec<String>, Error> {
        let environment = Environment::of(&[("SET", "from env"), ("EMPTY", "")]);
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let arguments = BuildArguments::read(files, &flags, &environment)?;
        Ok(arguments.0.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn a_build_argument_without_a_value_is_that_of_the_environment() {
        for (flags, expected) in [
            (&["A=1", "B=x=y", "C="] as &[&str], &["A=1", "B=x=y", "C="] as &[&str]),
            (&["A=1", "A=2"], &["A=2"]),
            (&["SET", "EMPTY", "UNSET"], &["EMPTY=", "SET=from env"]),
            (&["UNSET=1", "UNSET"], &[]),
            (&[""], &[]),
        ] {
            assert_eq!(read(&[], flags).unwrap(), expected, "{flags:?}");
        }
        assert_eq!(read(&[], &["=x"]).unwrap_err().to_string(), "invalid --build-arg `=…`: it has no name");
    }

    #[test]
    fn flags_beat_files_of_build_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("args");
        std::fs::write(&file, "# comment\n\nA=file\nB= with blanks \nSET\n").unwrap();
        assert_eq!(read(&[file], &["A=flag"]).unwrap(), ["A=flag", "B= with blanks ", "SET=from env"]);
    }

    #[test]
    fn pairs_keep_their_order() {
        let texts = ["b=1".to_owned(), "a".to_owned()];
        assert_eq!(
            pairs("--label", &texts).unwrap(),
            [("b".into(), "1".into()), ("a".into(), String::new())]
        );
        assert!(pairs("--label", &["=x".to_owned()]).is_err());
    }
}

//! What the process was started with, read once: variables, user id, clock.
//!
//! The only reader of the environment and of the clock; everything else is told.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A copy of the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
    /// The user that the program runs as.
    pub uid: u32,
    /// Seconds since 1970 at the start of the program.
    pub now: i64,
    /// Whether a person may look at standard error, on a terminal that can move its cursor.
    pub terminal: bool,
}

impl Environment {
    /// Reads the environment of this process. Variables whose name is not UTF-8 are none of ours.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of environment and clock")]
    pub(crate) fn read() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let variables: BTreeMap<_, _> = variables.collect();
        let is_dumb = variables.get("TERM").is_none_or(|term| term == "dumb");
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            variables,
            uid: rustix::process::getuid().as_raw(),
            // A clock before 1970 is as wrong as it can be; 1970 is what an image then says.
            now: now.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
            terminal: std::io::stderr().is_terminal() && !is_dumb,
        }
    }

    /// An environment for a test.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        Self { variables: variables.collect(), uid: 1000, now: 1_700_000_000, terminal: false }
    }

    /// The value of a variable that is set to something; one that is not UTF-8 is as good as not set.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// The value of the first of these variables that is set to something.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }

    /// The value of a variable, which may be empty.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str()
    }

    /// The value of a variable as it is.
    pub(crate) fn raw(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// The path in a variable that is set to something.
    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(Path::new)
    }

    /// A directory of the XDG base directory specification: that of the variable, else `below_home`.
    pub(crate) fn xdg(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        // The specification: a relative path is invalid and to be ignored.
        let given = self.path(name).filter(|path| path.is_absolute()).map(Path::to_owned);
        given.or_else(|| Some(self.path("HOME")?.join(below_home)))
    }
}

/// The moment that is `age` ago; the beginning of 1970 if that would be before it.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of environment and clock")]
pub(super) fn ago(age: Duration) -> SystemTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + since.saturating_sub(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set_but_for_exact_readers() {
        let environment = Environment::of(&[("A", ""), ("B", "b")]);
        assert_eq!((environment.text("A"), environment.exact("A")), (None, Some("")));
        assert_eq!(environment.first(&["A", "B"]), Some("b"));
        assert_eq!(environment.exact("C"), None);
    }

    #[test]
    fn xdg_directories_fall_back_to_home() {
        for (variables, expected) in [
            (&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")] as &[_], Some("/x")),
            (&[("XDG_DATA_HOME", "x"), ("HOME", "/h")], Some("/h/.local/share")),
            (&[("HOME", "/h")], Some("/h/.local/share")),
            (&[], None),
        ] {
            let found = Environment::of(variables).xdg("XDG_DATA_HOME", ".local/share");
            assert_eq!(found.as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }
}

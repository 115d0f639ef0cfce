//! The directory under which everything lies that builder keeps.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use tempfile::TempDir;

use super::{Environment, Error};

/// Where the store is.
#[derive(Debug)]
pub(crate) enum StateDir {
    /// A directory that stays.
    Kept(PathBuf),
    /// A directory that is removed with this value, for want of a place to keep one.
    Temporary(TempDir),
}

impl StateDir {
    /// The one the user asks for (`--root`, `$BUILDER_ROOT`), else one below home, else a fresh one in `$TMPDIR`.
    pub(crate) fn settle(root: Option<&Path>, environment: &Environment) -> Result<Self, Error> {
        if let Some(asked) = root.or(environment.path("BUILDER_ROOT")) {
            create(asked)?;
            return std::path::absolute(asked).map(Self::Kept).map_err(|source| no_store(asked, source));
        }
        let below_home = environment.xdg("XDG_DATA_HOME", ".local/share").map(|data| data.join("builder"));
        match below_home.filter(|dir| create(dir).is_ok() && is_writable(dir)) {
            Some(dir) => Ok(Self::Kept(dir)),
            None => temporary(environment.path("TMPDIR").unwrap_or(Path::new("/tmp"))),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

fn create(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|source| no_store(dir, source))
}

fn is_writable(dir: &Path) -> bool {
    access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

fn temporary(parent: &Path) -> Result<StateDir, Error> {
    let dir = tempfile::Builder::new().prefix("builder-").tempdir_in(parent);
    dir.map(StateDir::Temporary).map_err(|source| no_store(parent, source))
}

fn no_store(path: &Path, source: std::io::Error) -> Error {
    Error::NoStore { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_beats_the_variable_and_both_beat_home() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (home, variable) = (at("home"), at("variable"));
        let environment = Environment::of(&[
            ("HOME", home.to_str().unwrap()),
            ("BUILDER_ROOT", variable.to_str().unwrap()),
        ]);
        let settle =
            |root: Option<&Path>, environment| StateDir::settle(root, environment).unwrap().path().to_owned();
        assert_eq!(settle(Some(&at("flag")), &environment), at("flag"));
        assert_eq!(settle(None, &environment), variable);
        let environment = Environment::of(&[("HOME", home.to_str().unwrap())]);
        assert_eq!(settle(None, &environment), home.join(".local/share/builder"));
        assert!(home.join(".local/share/builder").is_dir());
    }

    #[test]
    fn without_a_usable_home_the_store_is_temporary() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let home = dir.path().join("file/home");
        let environment =
            Environment::of(&[("HOME", home.to_str().unwrap()), ("TMPDIR", dir.path().to_str().unwrap())]);
        let state = StateDir::settle(None, &environment).unwrap();
        let path = state.path().to_owned();
        assert!(matches!(state, StateDir::Temporary(_)) && path.starts_with(dir.path()) && path.is_dir());
        drop(state);
        assert!(!path.exists());
    }

    #[test]
    fn a_root_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = StateDir::settle(Some(&file.join("root")), &Environment::default()).unwrap_err();
        assert!(error.to_string().starts_with("cannot create the store in `"), "{error}");
    }
}

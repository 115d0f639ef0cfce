//! A stage while it is built: the image config so far, its variables, its layers.

use oci::{ImageConfig, Platform};

use crate::scope::Scope;
use crate::snapshot::Layer;

/// Docker's default, which images without a PATH of their own get (Dockerfile reference, "ENV").
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the instructions so far have made.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The config of the image that ends here; its history has no times yet.
    pub(crate) config: ImageConfig,
    /// The variables.
    pub(crate) scope: Scope,
    /// The layers, bottom first.
    pub(crate) layers: Vec<Layer>,
    /// Whether this stage has set CMD, which then survives an ENTRYPOINT.
    pub(crate) has_cmd: bool,
}

impl State {
    /// The start of a `FROM scratch`.
    pub(crate) fn scratch(platform: &Platform) -> Self {
        let mut config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..ImageConfig::default()
        };
        "/".clone_into(&mut config.config.working_dir);
        Self::new(config, Vec::new())
    }

    /// The start of a stage on an image.
    pub(crate) fn image(config: &ImageConfig, layers: Vec<Layer>) -> Self {
        let mut config = config.clone();
        config.config.on_build.clear();
        // What Docker notes about the container an image was committed from is not about this image.
        for key in ["container", "container_config", "docker_version", "id", "parent"] {
            config.other.remove(key);
        }
        if config.history.iter().filter(|entry| !entry.empty_layer).count() != layers.len() {
            config.history = layers.iter().map(|_| oci::History::default()).collect();
        }
        Self::new(config, layers)
    }

    /// The start of a stage on another one.
    pub(crate) fn stage(parent: &Self) -> Self {
        let mut state = Self { has_cmd: false, ..parent.clone() };
        state.config.config.on_build.clear();
        state
    }

    fn new(config: ImageConfig, layers: Vec<Layer>) -> Self {
        let scope = Scope::of_image(&config.config.env);
        let mut state = Self { config, scope, layers, has_cmd: false };
        if state.scope.get("PATH").is_none() {
            state.set_env("PATH", PATH);
        }
        state
    }

    /// Sets a variable of the image, in its old place if it has one.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.scope.set(name, value.to_owned());
        let entry = format!("{name}={value}");
        let is_same = |known: &&mut String| known.split('=').next() == Some(name);
        match self.config.config.env.iter_mut().find(is_same) {
            Some(known) => *known = entry,
            None => self.config.config.env.push(entry),
        }
    }

    /// The shell of shell-form instructions.
    pub(crate) fn shell(&self) -> Vec<String> {
        let default = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        self.config.config.shell.clone().filter(|shell| !shell.is_empty()).unwrap_or_else(default)
    }

    /// The working directory; `/` if none was set.
    pub(crate) fn working_dir(&self) -> &str {
        let dir = &self.config.config.working_dir;
        if dir.is_empty() { "/" } else { dir }
    }

    /// Takes `text` as the working directory: an absolute path as it is written, a relative one joined to the one before,
    /// as BuildKit's `NormalizeWorkdir` does.
    pub(crate) fn set_working_dir(&mut self, text: &str) {
        let dir = if text.starts_with('/') {
            text.to_owned()
        } else {
            clean(&format!("{}/{text}", self.working_dir()))
        };
        self.config.config.working_dir = dir;
    }

    /// The working directory of a process: absolute, without `.`, `..` and a slash at its end.
    pub(crate) fn cwd(&self) -> String {
        clean(&format!("/{}", self.working_dir()))
    }

    /// `path` as seen from the working directory: absolute, without `.` and `..`; a slash at its end stays.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let joined =
            if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.working_dir()) };
        let is_dir = path.is_empty() || path.ends_with('/') || path == "." || path.ends_with("/.");
        let clean = clean(&joined);
        if is_dir && clean != "/" { clean + "/" } else { clean }
    }
}

/// Removes `.`, `..` and doubled slashes from an absolute path, by its text alone.
fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_to_the_working_directory() {
        let mut state = State::scratch(&Platform::host());
        "/srv/app/".clone_into(&mut state.config.config.working_dir);
        for (path, expected) in [
            ("x", "/srv/app/x"),
            ("x/", "/srv/app/x/"),
            (".", "/srv/app/"),
            ("", "/srv/app/"),
            ("..", "/srv"),
            ("../../../..", "/"),
            ("/a//b/./c", "/a/b/c"),
            ("/a/.", "/a/"),
            ("/", "/"),
        ] {
            assert_eq!(state.absolute(path), expected, "{path}");
        }
    }

    #[test]
    fn a_working_directory_is_kept_as_written_if_it_is_absolute() {
        for (before, text, expected, cwd) in [
            ("/", "/a/", "/a/", "/a"),
            ("/", "/w/./y/../z", "/w/./y/../z", "/w/z"),
            ("/a/", "b/", "/a/b", "/a/b"),
            ("/a/b", "..", "/a", "/a"),
            ("/a/b/", "", "/a/b", "/a/b"),
            ("", "x", "/x", "/x"),
        ] {
            let mut state = State::scratch(&Platform::host());
            before.clone_into(&mut state.config.config.working_dir);
            state.set_working_dir(text);
            assert_eq!((state.working_dir(), state.cwd().as_str()), (expected, cwd), "{before} {text}");
        }
    }

    #[test]
    fn a_changed_variable_keeps_its_place() {
        let mut state = State::scratch(&Platform::host());
        state.set_env("A", "1");
        state.set_env("B", "2");
        state.set_env("A", "3");
        assert_eq!(state.config.config.env[1..], ["A=3", "B=2"]);
    }
}

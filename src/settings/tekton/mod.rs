//! The step of the `buildah-ns` task: its parameters, workspaces and results, read from the environment.
//!
//! Says what the task's shell scripts say, in their order, by the same means: the parameters become the words of a
//! command line, which is read and settled as any other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use engine::{Volume, VolumeAccess, VolumeLimits};
use oci::Reference;

use super::{BuildSettings, Environment, Error, PushSettings, build, transfer, words};
use crate::args::{BuildArgs, GlobalArgs, PushArgs, TektonArgs};
use crate::results::{Content, ResultFile};

/// The step.
#[derive(Debug)]
pub(crate) struct TektonSettings {
    /// Where the store is, and how steps are kept.
    pub global: GlobalArgs,
    /// The build.
    pub build: BuildSettings,
    /// The push, unless `SKIP_PUSH` is true.
    pub push: Option<PushSettings>,
    /// Where the image is pushed to.
    pub image: Reference,
    /// The task's results.
    pub results: Vec<ResultFile>,
    /// What the user should know, and, if `VERBOSE` is true, what was settled.
    pub notes: Vec<String>,
}

/// Settles the step. Where to find the store may be told by `global`; all else is told by the environment.
pub(crate) fn settle(
    args: &TektonArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<TektonSettings, Error> {
    let task = Task { environment };
    let source = task.source()?;
    let image = environment.text("PARAMS_IMAGE").ok_or(Error::NoVariable { name: "PARAMS_IMAGE" })?;
    let (reference, results) = (image.parse::<Reference>()?, task.results(image)?);
    let containerfile = task.containerfile(&source)?;
    let context = task.context(&source)?;
    let config = task.docker_config()?;
    let words = task.build_words(global, &args.build_args, containerfile.as_deref(), &reference, &context)?;
    let (global, build_args) =
        BuildArgs::from_words(words).map_err(|error| Error::usage("BUILD_EXTRA_ARGS", &error))?;
    let push = task.push(image, config.clone(), environment)?;
    let mut build = build::settle(&build_args, config, environment)?;
    build.options.volumes.extend(task.entitlement()?);
    Ok(TektonSettings {
        build,
        global,
        push,
        image: reference,
        results,
        notes: task.notes(containerfile.as_deref(), &context, image),
    })
}

/// The environment, with the task's meaning.
struct Task<'a> {
    environment: &'a Environment,
}

/// The workspace with the sources.
struct SourceDir {
    dir: PathBuf,
    root: layer::Root,
}

impl SourceDir {
    /// The path of what `path` means inside the workspace, where no link leads out of it.
    fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        let inside = self.root.resolve(path).map_err(|source| Error::Context { source })?;
        // Joining an empty path would leave a slash at the end.
        let inside = inside.strip_prefix("/").unwrap_or(&inside);
        Ok(if inside.as_os_str().is_empty() { self.dir.clone() } else { self.dir.join(inside) })
    }

    fn has_file(&self, path: &Path) -> Result<bool, Error> {
        let metadata = self.root.stat(path).map_err(|source| Error::Context { source })?;
        Ok(metadata.is_some_and(|metadata| metadata.kind == layer::FileKind::File))
    }
}

impl Task<'_> {
    fn is_true(&self, name: &str) -> bool {
        self.environment.text(name) == Some("true")
    }

    /// The first of these parameters that is set: the task's own, then the name that its documentation has.
    fn param(&self, names: &[&str]) -> Option<&str> {
        self.environment.first(names)
    }

    fn source(&self) -> Result<SourceDir, Error> {
        let name = "WORKSPACES_SOURCE_BOUND";
        if self.environment.text(name).ok_or(Error::NoVariable { name })? != "true" {
            return Err(Error::NotBound { name: "source" });
        }
        let name = "WORKSPACES_SOURCE_PATH";
        let dir = self.environment.path(name).ok_or(Error::NoVariable { name })?.to_owned();
        let root = layer::Root::open(&dir).map_err(|source| Error::Context { source })?;
        Ok(SourceDir { dir, root })
    }

    /// The root of the workspace comes before the context; an absolute path is below them too. `None` if no name is
    /// given, so that the usual ones are looked for.
    fn containerfile(&self, source: &SourceDir) -> Result<Option<PathBuf>, Error> {
        if let Some(full) = self.environment.path("DOCKERFILE_FULL") {
            return Ok(Some(full.to_owned()));
        }
        let Some(name) = self.param(&["PARAMS_DOCKERFILE", "PARAMS_CONTAINERFILE_PATH"]) else {
            return Ok(None);
        };
        let name = Path::new(name.trim_start_matches('/'));
        let candidates = [name.to_owned(), Path::new(self.context_param()).join(name)];
        for candidate in &candidates {
            if source.has_file(candidate)? {
                return source.resolve(candidate).map(Some);
            }
        }
        Err(Error::NoContainerfile { tried: candidates.map(|candidate| source.dir.join(candidate)).into() })
    }

    fn context_param(&self) -> &str {
        self.param(&["PARAMS_CONTEXT", "PARAMS_SUBDIRECTORY"]).unwrap_or(".")
    }

    /// Relative to the workspace, which is the working directory of the task's step.
    fn context(&self, source: &SourceDir) -> Result<PathBuf, Error> {
        let context = Path::new(self.context_param());
        if context.is_absolute() { Ok(context.to_owned()) } else { source.resolve(context) }
    }

    /// The credentials of the workspace are read where they are: no copy of them is left in a home directory.
    fn docker_config(&self) -> Result<Option<PathBuf>, Error> {
        if !self.is_true("WORKSPACES_DOCKERCONFIG_BOUND") {
            return Ok(None);
        }
        let name = "WORKSPACES_DOCKERCONFIG_PATH";
        let dir = self.environment.path(name).ok_or(Error::NoVariable { name })?;
        let files = ["config.json", ".dockerconfigjson"].map(|file| dir.join(file));
        let found = files.into_iter().find(|file| file.is_file());
        found.map(Some).ok_or_else(|| Error::NoDockerConfig { path: dir.to_owned() })
    }

    /// Certificates of a subscription, where programs of the image look for them.
    fn entitlement(&self) -> Result<Option<Volume>, Error> {
        if !self.is_true("WORKSPACES_RHEL_ENTITLEMENT_BOUND") {
            return Ok(None);
        }
        let name = "WORKSPACES_RHEL_ENTITLEMENT_PATH";
        let source = self.environment.path(name).ok_or(Error::NoVariable { name })?.to_owned();
        Ok(Some(Volume {
            source,
            target: "/etc/pki/entitlement".into(),
            access: VolumeAccess::ReadOnly,
            limits: VolumeLimits::default(),
        }))
    }

    fn tls_verify(&self) -> String {
        format!("--tls-verify={}", self.environment.text("PARAMS_TLS_VERIFY").unwrap_or("true"))
    }

    fn extra(&self, parameter: &str, variable: &'static str) -> Result<Vec<String>, Error> {
        words::split(variable, self.environment.exact(parameter).unwrap_or_default())
    }

    /// As the task writes them: what is extra stands before the rest.
    fn build_words(
        &self,
        global: &GlobalArgs,
        build_args: &[String],
        containerfile: Option<&Path>,
        image: &Reference,
        context: &Path,
    ) -> Result<Vec<OsString>, Error> {
        let with = |flag: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            let mut word = OsString::from(flag);
            word.push(value);
            word
        };
        let mut line = vec![self.tls_verify().into()];
        line.extend(global.root.as_ref().map(|root| with("--root=", root)));
        line.extend(
            self.extra("PARAMS_BUILD_EXTRA_ARGS", "BUILD_EXTRA_ARGS")?.into_iter().map(OsString::from),
        );
        line.extend(build_args.iter().map(|argument| with("--build-arg=", argument)));
        line.extend(containerfile.map(|file| with("--file=", &file)));
        line.push(with("--tag=", &image.to_string()));
        line.push("--".into());
        line.push(context.into());
        Ok(line)
    }

    fn push(
        &self,
        image: &str,
        config: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Option<PushSettings>, Error> {
        let mut words = vec![self.tls_verify()];
        words.extend(self.extra("PARAMS_PUSH_EXTRA_ARGS", "PUSH_EXTRA_ARGS")?);
        let args =
            PushArgs::from_words(words, image).map_err(|error| Error::usage("PUSH_EXTRA_ARGS", &error))?;
        if args.destination.is_some() {
            let why = "it is no flag, and the task itself says what is pushed".to_owned();
            return Err(Error::BadValue { flag: "PUSH_EXTRA_ARGS", text: args.image, why });
        }
        let settings = transfer::push(&args, config, environment)?;
        Ok((!self.is_true("PARAMS_SKIP_PUSH")).then_some(settings))
    }

    /// The image's name is told as it was given, tag included.
    fn results(&self, image: &str) -> Result<Vec<ResultFile>, Error> {
        let file = |name: &'static str, content| -> Result<ResultFile, Error> {
            let path = self.environment.path(name).ok_or(Error::NoVariable { name })?;
            Ok(ResultFile { path: path.to_owned(), content })
        };
        Ok(vec![
            file("RESULTS_IMAGE_URL_PATH", Content::Text(image.to_owned()))?,
            file("RESULTS_IMAGE_DIGEST_PATH", Content::Digest)?,
        ])
    }

    fn notes(&self, containerfile: Option<&Path>, context: &Path, image: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(format) = self.environment.text("PARAMS_FORMAT").filter(|format| *format != "oci") {
            notes.push(format!(
                "FORMAT={format} has no effect, as in the buildah task: images are of the format oci"
            ));
        }
        if self.is_true("PARAMS_VERBOSE") {
            notes.extend(containerfile.map(|file| format!("Containerfile: {}", file.display())));
            notes.push(format!("context: {}", context.display()));
            notes.push(format!("image: {image}"));
        }
        notes
    }
}

#[cfg(test)]
mod tests;

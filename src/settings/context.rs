//! What is built: from the context argument and the names of files to the files themselves.
//!
//! A directory of the machine is read at once, so that a misspelt name fails before any work. What lies elsewhere is
//! read when the engine has fetched it; a Containerfile by its URL with it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{BuildOptions, Engine, Fetched, Files, Location};

use super::containerfile::{self, Context, Named, Remote};
use super::{Environment, Error, preprocess};
use crate::args::BuildArgs;
use crate::error::Error as CommandError;

/// Where the files of a build are.
#[derive(Debug)]
pub(crate) struct FileSettings {
    context: Place,
    sub_path: Option<PathBuf>,
    named: Named,
}

#[derive(Debug)]
enum Place {
    Stdin,
    Directory(PathBuf),
    File(PathBuf),
    Url(String),
}

impl FileSettings {
    /// Settles where things are; reads nothing yet.
    pub(super) fn settle(args: &BuildArgs, environment: &Environment) -> Result<Self, Error> {
        let context = place(&args.context)?;
        let from_stdin = args.file.iter().filter(|file| containerfile::is_stdin(file)).count();
        if from_stdin + usize::from(matches!(context, Place::Stdin)) > 1 {
            return Err(Error::StdinTwice);
        }
        let named = Named {
            containerfiles: args.file.clone(),
            ignorefile: args.ignorefile.clone(),
            flags: preprocess::flags(&args.cpp_flag, environment)?,
        };
        let elsewhere = args.file.iter().filter(|file| containerfile::is_url(file)).count();
        if elsewhere > named.urls().count() {
            let what = "a Containerfile by a URL of another kind than http and https".to_owned();
            return Err(Error::Unsupported { what });
        }
        Ok(Self { context, sub_path: args.context_sub_path.clone(), named })
    }

    /// The files, if all of them are in directories of this machine. `stdin` is read if the Containerfile is there.
    pub(crate) fn local(&self, stdin: &mut dyn Read) -> Result<Option<Files>, Error> {
        match &self.context {
            Place::Directory(dir) if self.named.urls().next().is_none() => {
                self.files(&Context::open(dir)?, &Remote::new(), stdin).map(Some)
            }
            Place::Directory(_) | Place::Stdin | Place::File(_) | Place::Url(_) => Ok(None),
        }
    }

    /// The files, wherever they are.
    pub(crate) fn fetch(
        &self,
        engine: &Engine,
        options: &BuildOptions,
        stdin: &mut dyn Read,
    ) -> Result<Files, CommandError> {
        let location = match &self.context {
            Place::Directory(dir) => Location::Directory(dir.clone()),
            Place::File(file) => Location::File(file.clone()),
            Place::Url(url) => Location::Url(url.clone()),
            Place::Stdin => Location::Stream(stdin, "standard input"),
        };
        let context = match engine.fetch(location, options)? {
            Fetched::Own(dir) => Context::open(&dir)?,
            Fetched::Unpacked(dir) => Context::fetched(&dir)?,
            Fetched::Containerfile(_) if !self.named.containerfiles.is_empty() => {
                return Err(Error::TwoContainerfiles.into());
            }
            Fetched::Containerfile(text) => {
                return Ok(Files { containerfile: Arc::new(text), context: None, ignore: None });
            }
        };
        let mut remote = Remote::new();
        for url in self.named.urls() {
            remote.insert(url.to_owned(), engine.fetch_containerfile(url, options)?);
        }
        Ok(self.files(&context, &remote, stdin)?)
    }

    fn files(&self, context: &Context, remote: &Remote, stdin: &mut dyn Read) -> Result<Files, Error> {
        let below = self.sub_path.as_ref().map(|path| context.below(path)).transpose()?;
        let context = below.as_ref().unwrap_or(context);
        let found = containerfile::find(Some(context), &self.named, remote, stdin)?;
        Ok(Files {
            containerfile: Arc::new(found.containerfile),
            context: Some(context.dir().to_owned()),
            ignore: found.ignore,
        })
    }
}

/// What the context argument means; `dir://`, `tar://` and `tar://stdin` are kaniko's spellings.
fn place(argument: &Path) -> Result<Place, Error> {
    let text = argument.to_string_lossy();
    if matches!(&*text, "-" | "tar://stdin") {
        return Ok(Place::Stdin);
    }
    if Location::is_elsewhere(&text, argument.exists()) {
        return Ok(Place::Url(text.into_owned()));
    }
    let path = ["dir://", "tar://"].into_iter().find_map(|scheme| text.strip_prefix(scheme));
    let path = path.map_or(argument, Path::new);
    let bad = |what| Error::BadContext { path: path.to_owned(), what };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Place::Directory(path.to_owned())),
        Ok(metadata) if metadata.is_file() => Ok(Place::File(path.to_owned())),
        Ok(_) => Err(bad("neither a directory nor a file")),
        Err(_) if containerfile::is_url(path) => Err(bad("a URL of a kind that is not known")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(bad("not there")),
        Err(source) => Err(Error::Io { operation: "read", path: path.to_owned(), source }),
    }
}

//! Where a build context is, and getting it: a directory is used in place, everything else is fetched and unpacked into
//! the work directory of the store.
//!
//! Nothing that is fetched is believed: archives are unpacked inside of a fresh directory, with the limits of `layer`.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use containerfile::Source;
use layer::{Adjust, Root, UnpackOptions};

use crate::error::{Cause, Error};
use crate::remote::{Downloaded, Remote, file_url};
use crate::{BuildOptions, Engine, Shared};

/// Where a build context is.
pub enum Location<'a> {
    /// A directory.
    Directory(PathBuf),
    /// A file: an archive of any compression, or a Containerfile that needs no context.
    File(PathBuf),
    /// The URL of such a file or of a git repository.
    Url(String),
    /// What a file would hold, to be read once, with the name that messages call it by.
    Stream(&'a mut dyn Read, &'static str),
}

/// A context that can be read.
#[derive(Debug)]
pub enum Fetched {
    /// A directory of the user's.
    Own(PathBuf),
    /// A directory that was made from what was fetched, and lives as long as the engine.
    Unpacked(PathBuf),
    /// A Containerfile without a context.
    Containerfile(Source),
}

impl std::fmt::Debug for Location<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => formatter.debug_tuple("Directory").field(path).finish(),
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Url(_) => formatter.debug_tuple("Url").finish_non_exhaustive(),
            Self::Stream(_, name) => formatter.debug_tuple("Stream").field(name).finish(),
        }
    }
}

impl Location<'_> {
    /// Whether `text` names something that is not on this machine. What could be a path as well does so only if there
    /// is no such path, `is_path`.
    pub fn is_elsewhere(text: &str, is_path: bool) -> bool {
        match Remote::parse_context(text) {
            Ok(Some(Remote::Repository(url))) => !(url.could_be_path && is_path),
            Ok(remote) => remote.is_some(),
            Err(_) => true,
        }
    }
}

impl Engine {
    /// Gets a build context. `options` may hold the secrets that its server wants to see.
    pub fn fetch(&self, location: Location<'_>, options: &BuildOptions) -> Result<Fetched, Error> {
        self.shared.fetch_context(location, options)
    }

    /// Gets a Containerfile by its URL on http or https. `options` may hold the secrets that its server wants to see.
    ///
    /// Fails for what is no text, or larger than [`Source::MAX_SIZE`].
    pub fn fetch_containerfile(&self, url: &str, options: &BuildOptions) -> Result<Source, Error> {
        self.shared.download_containerfile(&file_url(url)?, &options.secrets)
    }
}

impl Shared {
    pub(super) fn fetch_context(
        &self,
        location: Location<'_>,
        options: &BuildOptions,
    ) -> Result<Fetched, Error> {
        match location {
            Location::Directory(path) => Ok(Fetched::Own(path)),
            Location::File(path) => {
                let file = File::open(&path).map_err(|source| Cause::Io {
                    action: "open",
                    path: path.clone(),
                    source,
                })?;
                self.archive_or_text(file, &path.to_string_lossy())
            }
            Location::Url(text) => {
                let Some(remote) = Remote::parse_context(&text)? else {
                    let (what, why) = ("build context", "it is no URL".to_owned());
                    return Err(Cause::InvalidArgument { what, text, why }.into());
                };
                match &remote {
                    Remote::File(url) => {
                        let Downloaded { dir, name } = self.download(url, None, &options.secrets)?;
                        self.archive_or_text(open(&dir.join(name))?, &remote.shown())
                    }
                    Remote::Repository(url) => Ok(Fetched::Unpacked(self.check_out_context(url, options)?)),
                }
            }
            Location::Stream(reader, name) => self.archive_or_text(self.spool_context(reader, name)?, name),
        }
    }

    /// A file with the bytes of `reader`, which may have to be read more than once.
    fn spool_context(&self, reader: &mut dyn Read, name: &str) -> Result<File, Error> {
        let path = self.new_dir("context")?.join("archive");
        let failed = |action, source| Error::from(Cause::Io { action, path: name.into(), source });
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|source| failed("keep", source))?;
        io::copy(reader, &mut file).map_err(|source| failed("read", source))?;
        Ok(file)
    }

    fn archive_or_text(&self, mut file: File, name: &str) -> Result<Fetched, Error> {
        let failed = |source| Cause::Layer { action: format!("unpack the build context `{name}`"), source };
        if layer::probe_archive(&mut file).map_err(failed)?.is_some() {
            let dir = self.new_dir("context")?;
            let root = Root::open(&dir).map_err(failed)?;
            let (_, tar) = layer::decode(file).map_err(failed)?;
            layer::unpack(tar, &root, Path::new(""), &own(&dir)?).map_err(failed)?;
            return Ok(Fetched::Unpacked(dir));
        }
        let io = |source| Cause::Io { action: "read", path: name.into(), source };
        file.rewind().map_err(io)?;
        let mut bytes = Vec::new();
        file.take(Source::MAX_SIZE).read_to_end(&mut bytes).map_err(io)?;
        if bytes.contains(&0) || bytes.len() as u64 == Source::MAX_SIZE {
            return Err(Cause::NoArchive { name: name.to_owned() }.into());
        }
        Ok(Fetched::Containerfile(Source::from_bytes(name, &bytes)))
    }
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|source| Cause::Io { action: "open", path: path.to_owned(), source }.into())
}

/// Owners in the archive of a context mean nothing, and may not exist here: everything is ours.
fn own(dir: &Path) -> Result<UnpackOptions<'static>, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(dir).map_err(|source| Cause::Io {
        action: "look at",
        path: dir.to_owned(),
        source,
    })?;
    let adjust = Adjust { owner: Some((metadata.uid(), metadata.gid())), mode: None };
    Ok(UnpackOptions { adjust, ..UnpackOptions::default() })
}

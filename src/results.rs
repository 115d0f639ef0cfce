//! Files that tell scripts and pipelines of an image: all of them after everything has succeeded, or none.
//!
//! Knows nothing of how the image came to be. That a file can be written is found out before the work begins, and a
//! file of an earlier run does not survive to be taken for that of a failed one.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use oci::{Descriptor, Digest, Reference};
use serde_json::json;
use tempfile::NamedTempFile;

/// A file that tells something of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultFile {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub content: Content,
}

/// What a result file tells; none of it ends in a newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// The digest of the config, which other tools call the image id.
    ImageId,
    /// The digest of the manifest.
    Digest,
    /// BuildKit's metadata as JSON: digests, the manifest's descriptor, names.
    Metadata,
    /// This text.
    Text(String),
}

/// What there is to tell.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The manifest.
    pub manifest: Descriptor,
    /// The digest of the config.
    pub config: Digest,
    /// The names that the image has got.
    pub names: Vec<Reference>,
}

/// A result file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the result file `{}`", .path.display())]
pub(crate) struct Error {
    /// The file.
    pub path: PathBuf,
    /// The kernel's answer.
    pub source: io::Error,
}

impl Error {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let is_missing = self.source.kind() == io::ErrorKind::NotFound;
        is_missing.then(|| "make its directory first".to_owned())
    }
}

/// Result files that can be written, and are not yet.
#[derive(Debug)]
pub(crate) struct Results(Vec<(ResultFile, Target)>);

#[derive(Debug)]
enum Target {
    /// A file that takes this name when it is complete.
    Renamed(NamedTempFile, PathBuf),
    /// Something that is no regular file, such as `/dev/stdout`, or is mounted, such as `/dev/termination-log`, or lies
    /// where no file can be made.
    InPlace(File),
}

impl Results {
    /// Makes sure that `files` can be written, and removes those of an earlier run.
    pub(crate) fn prepare(files: &[ResultFile]) -> Result<Self, Error> {
        let prepared = files.iter().map(|file| {
            let target =
                Target::open(&file.path).map_err(|source| Error { path: file.path.clone(), source })?;
            Ok((file.clone(), target))
        });
        prepared.collect::<Result<_, _>>().map(Self)
    }

    /// Writes them all, then gives each its name.
    pub(crate) fn write(mut self, outcome: &Outcome) -> Result<(), Error> {
        for (file, target) in &mut self.0 {
            let failed = |source| Error { path: file.path.clone(), source };
            target.file().write_all(&file.content.render(outcome)).map_err(failed)?;
        }
        self.0.into_iter().try_for_each(|(_, target)| target.finish())
    }
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                return File::options().write(true).open(path).map(Self::InPlace);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // A link is followed: what it names is replaced, not the link.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // What is said of a temporary file would tell nobody that the directory is missing.
        fs::metadata(dir)?;
        let mode = Permissions::from_mode(0o666);
        match tempfile::Builder::new().prefix(".builder-").permissions(mode).tempfile_in(dir) {
            Ok(file) => match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Self::in_place(path),
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(Self::Renamed(file, path.clone())),
            },
            // A file that was made for us in a directory that is not ours.
            Err(error) if is_forbidden(&error) && path.exists() => Self::in_place(path),
            Err(error) => Err(error),
        }
    }

    fn in_place(path: &Path) -> io::Result<Self> {
        File::options().write(true).truncate(true).open(path).map(Self::InPlace)
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::Renamed(file, _) => file.as_file_mut(),
            Self::InPlace(file) => file,
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Renamed(file, path) => {
                file.persist(&path).map(drop).map_err(|error| Error { path, source: error.error })
            }
            Self::InPlace(_) => Ok(()),
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl Content {
    fn render(&self, outcome: &Outcome) -> Vec<u8> {
        match self {
            Self::ImageId => outcome.config.to_string().into_bytes(),
            Self::Digest => outcome.manifest.digest.to_string().into_bytes(),
            Self::Metadata => metadata(outcome),
            Self::Text(text) => text.clone().into_bytes(),
        }
    }
}

fn metadata(outcome: &Outcome) -> Vec<u8> {
    let names: Vec<_> = outcome.names.iter().map(Reference::to_string).collect();
    let mut metadata = json!({
        "containerimage.config.digest": outcome.config,
        "containerimage.descriptor": outcome.manifest,
        "containerimage.digest": outcome.manifest.digest,
    });
    if !names.is_empty() {
        metadata["image.name"] = names.join(",").into();
    }
    oci::to_json(&metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            manifest: Descriptor::of(oci::MediaType::OCI_MANIFEST, b"manifest"),
            config: Digest::of(b"config"),
            names: vec!["q.io/app:1".parse().unwrap(), "q.io/app:2".parse().unwrap()],
        }
    }

    fn file(path: PathBuf, content: Content) -> ResultFile {
        ResultFile { path, content }
    }

    #[test]
    fn results_are_digests_without_a_newline() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let files = [
            file(at("id"), Content::ImageId),
            file(at("digest"), Content::Digest),
            file(at("url"), Content::Text("q.io/app:1".to_owned())),
            file(at("metadata"), Content::Metadata),
        ];
        let results = Results::prepare(&files).unwrap();
        assert!(!at("id").exists(), "nothing is told before the end");
        results.write(&outcome()).unwrap();
        let read = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(read("id"), Digest::of(b"config").to_string());
        assert_eq!(read("digest"), Digest::of(b"manifest").to_string());
        assert_eq!(read("url"), "q.io/app:1");
        let metadata: serde_json::Value = serde_json::from_str(&read("metadata")).unwrap();
        assert_eq!(metadata["image.name"], "q.io/app:1,q.io/app:2");
        assert_eq!(metadata["containerimage.descriptor"]["size"], 8);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), files.len(), "no temporary file is left");
        assert_eq!(fs::metadata(at("id")).unwrap().permissions().mode() & 0o600, 0o600);
    }

    #[test]
    fn a_failure_leaves_neither_new_nor_old_results() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        fs::write(&path, "of an earlier run").unwrap();
        drop(Results::prepare(&[file(path, Content::ImageId)]).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_found_out_before_the_work() {
        let error = Results::prepare(&[file("/no/such/dir/id".into(), Content::ImageId)]).unwrap_err();
        assert_eq!(error.to_string(), "cannot write the result file `/no/such/dir/id`");
    }

    #[test]
    fn a_link_is_followed_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real) = (dir.path().join("link"), dir.path().join("real"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Results::prepare(&[file(link.clone(), Content::ImageId)]).unwrap().write(&outcome()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), Digest::of(b"config").to_string());
    }

    #[test]
    fn a_device_is_written_to_in_place() {
        let results = Results::prepare(&[file("/dev/null".into(), Content::Digest)]).unwrap();
        results.write(&outcome()).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}

//! COPY and ADD: which entries a source names ([`selection`]), and where they go ([`placement`]).
//!
//! The rules are BuildKit's: the content of a directory is copied, not the directory; a link at the top of a source is
//! followed and deeper ones are kept; links in the destination are followed inside the root.

mod filter;
mod parents;
mod pick;
mod placement;
mod selection;
mod similar;

use std::path::PathBuf;

use containerfile::Chmod;
use layer::Root;
use oci::{Digest, Digester};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

pub(crate) use filter::Filter;
pub(crate) use placement::place;
pub(crate) use selection::{Match, find_one, select};

use crate::error::{Cause, Error, Place};
use crate::input::Group;
use crate::plan::Origin;
use crate::remote::{Checksum, Remote};
use crate::users;
use selection::below_top;

/// What a COPY or ADD does.
#[derive(Debug)]
pub(crate) struct CopyOp {
    /// `COPY` or `ADD`.
    pub(crate) instruction: &'static str,
    /// Where from.
    pub(crate) from: Origin,
    /// Paths and patterns, and for ADD what is elsewhere.
    pub(crate) sources: Vec<Source>,
    /// Files that stand in the Containerfile: names and contents.
    pub(crate) heredocs: Vec<(String, String)>,
    /// An absolute path; a slash at its end makes it a directory.
    pub(crate) destination: String,
    /// Where the destination is written.
    pub(crate) place: Place,
    /// `--chown`.
    pub(crate) owner: Option<Owner>,
    /// `--chmod`.
    pub(crate) chmod: Option<Chmod>,
    /// `--exclude`: what is not copied of the sources.
    pub(crate) excludes: Filter,
    /// `--parents`: whether the directories above a source are copied as well.
    pub(crate) parents: bool,
    /// `--link`: whether the files make a layer that does not depend on those below it.
    pub(crate) link: bool,
    /// Whether archives are unpacked: those of paths, and those that are fetched.
    pub(crate) unpack: (bool, bool),
    /// `--checksum`: what a file that is fetched must be.
    pub(crate) checksum: Option<Checksum>,
}

/// One source.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path or pattern.
    pub(crate) path: String,
    /// What it names if it is no path.
    pub(crate) remote: Option<Remote>,
    /// Where it is written.
    pub(crate) place: Place,
}

/// `--chown`.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Names or numbers: `user[:group]`.
    pub(crate) text: String,
    /// Where it is written.
    pub(crate) place: Place,
}

impl Owner {
    /// The ids that it means in `root`.
    pub(crate) fn ids(&self, root: &Root) -> Result<(u32, u32), Error> {
        users::owner(root, &self.text).map_err(|error| error.at(self.place.clone()))
    }
}

impl CopyOp {
    /// Copies all of `from`, which FROM names at `place`.
    pub(crate) fn everything(from: Origin, place: &Place) -> Self {
        Self {
            instruction: "FROM",
            from,
            sources: vec![Source { path: "/".to_owned(), remote: None, place: place.clone() }],
            heredocs: Vec::new(),
            destination: "/".to_owned(),
            place: place.clone(),
            owner: None,
            chmod: None,
            excludes: Filter::all(),
            parents: false,
            link: false,
            unpack: (false, false),
            checksum: None,
        }
    }
}

/// The digest of everything that is copied, as the cache key needs it: what an image would keep of it but times.
pub(crate) fn content(groups: &[Group], op: &CopyOp) -> Result<Digest, Error> {
    let mut digester = Digester::new();
    let mut field = |bytes: &[u8]| {
        digester.update(&(bytes.len() as u64).to_be_bytes());
        digester.update(bytes);
    };
    for Group { reading, matches, unpack } in groups {
        field(&[u8::from(*unpack)]);
        let Some(root) = reading.root() else { continue };
        // Owners count where they are kept.
        let with_owner = op.owner.is_none() && reading.keeps_owners();
        for found in matches {
            field(found.kind.name().as_bytes());
            field(found.name.as_encoded_bytes());
            let fingerprint =
                |entry: &PathBuf| root.fingerprint(&below_top(&found.source, entry), with_owner);
            let digests: Result<Vec<_>, _> = found.entries.par_iter().map(fingerprint).collect();
            let digests = digests
                .map_err(|source| Cause::Layer { action: "read what is to be copied".into(), source })?;
            for (entry, digest) in found.entries.iter().zip(digests) {
                field(entry.as_os_str().as_encoded_bytes());
                field(digest.as_bytes());
            }
        }
    }
    for (name, text) in &op.heredocs {
        field(name.as_bytes());
        field(text.as_bytes());
    }
    Ok(digester.finish())
}

//! A table of the files in an archive that is read here and there, and not from its start to its end: one that holds
//! an image.
//!
//! Names are believed no more than in a layer: they are only ever compared with names that somebody looks for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::{Entry, Kind, Limits, Reader, Segment};
use crate::Error;
use crate::metadata::FileKind;

/// How much is listed: the largest archives of images have some thousand files, and a table must fit into memory.
const LIMITS: Limits = Limits { entries: 16 * 1024, bytes: 256 * 1024 * 1024 * 1024 };
/// No honest name is behind more links.
const LINKS: usize = 8;

/// Where the content of a file lies in an uncompressed archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its first byte, counted from the start of the archive.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// The files of an uncompressed archive by their names.
#[derive(Debug, Default)]
pub struct Listing(BTreeMap<PathBuf, Member>);

#[derive(Debug)]
enum Member {
    File(Extent),
    /// Another name in the archive.
    Link(PathBuf),
}

impl Listing {
    /// Reads the archive to its end. Of several entries with one name the last one counts; directories, devices and
    /// sparse files are left out, and so is what has no name inside of the archive (`../x`).
    ///
    /// Fails if the archive is malformed, or has more than 16384 entries.
    pub fn read(archive: impl Read) -> Result<Self, Error> {
        let mut reader = Reader::new(archive, LIMITS);
        let mut members = BTreeMap::new();
        while let Some(entry) = reader.next()? {
            let offset = reader.position();
            let segments = reader.take_segments();
            let Some(name) = clean(&entry.path) else { continue };
            match member(&entry, offset, &segments) {
                Some(member) => members.insert(name, member),
                None => members.remove(&name),
            };
        }
        Ok(Self(members))
    }

    /// Where the content of the file `name` lies; links are followed inside of the archive.
    pub fn find(&self, name: impl AsRef<Path>) -> Option<Extent> {
        let mut name = clean(name.as_ref())?;
        for _ in 0..LINKS {
            match self.0.get(&name)? {
                Member::File(extent) => return Some(*extent),
                Member::Link(target) => name.clone_from(target),
            }
        }
        None
    }
}

fn member(entry: &Entry, offset: u64, segments: &[Segment]) -> Option<Member> {
    let node = match &entry.kind {
        Kind::HardLink(target) => return clean(target).map(Member::Link),
        Kind::Node(node) => node,
    };
    match node.kind {
        FileKind::File => {
            let size = node.size;
            let is_whole = match segments {
                [] => size == 0,
                [segment] => *segment == Segment { offset: 0, length: size },
                _ => false,
            };
            is_whole.then_some(Member::File(Extent { offset, size }))
        }
        FileKind::Symlink => {
            let dir = entry.path.parent().unwrap_or(Path::new(""));
            clean(&dir.join(&node.target)).map(Member::Link)
        }
        _ => None,
    }
}

/// `path` from the root of the archive, by its text alone; `None` if it leads out, or to the root itself.
fn clean(path: &Path) -> Option<PathBuf> {
    let mut names: Vec<OsString> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => drop(names.pop()?),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    (!names.is_empty()).then(|| names.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of these members: a file's content, or the target of a link.
    fn archive(members: &[(&str, Result<&str, &str>)]) -> Vec<u8> {
        let mut archive = ::tar::Builder::new(Vec::new());
        for (name, member) in members {
            let mut header = ::tar::Header::new_gnu();
            header.set_mode(0o644);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            let content = member.unwrap_or_default().as_bytes();
            if let Err(target) = member {
                header.set_entry_type(::tar::EntryType::Symlink);
                header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append(&header, content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn content(archive: &[u8], name: &str) -> Option<String> {
        let extent = Listing::read(archive).unwrap().find(name)?;
        let (start, size) = (usize::try_from(extent.offset).unwrap(), usize::try_from(extent.size).unwrap());
        Some(String::from_utf8(archive[start..start + size].to_vec()).unwrap())
    }

    #[test]
    fn files_are_found_by_their_names() {
        let long = "x".repeat(2000);
        let archive = archive(&[
            ("./a", Ok("first")),
            ("dir/b", Ok(&long)),
            ("empty", Ok("")),
            ("/a", Ok("last")),
            ("../out", Ok("out")),
            ("dir/link", Err("../a")),
            ("up", Err("../a")),
            ("loop", Err("loop")),
        ]);
        for (name, expected) in [
            ("a", Some("last")),
            ("/a", Some("last")),
            ("dir/../a", Some("last")),
            ("dir/b", Some(long.as_str())),
            ("empty", Some("")),
            ("dir/link", Some("last")),
            ("up", None),
            ("out", None),
            ("../out", None),
            ("loop", None),
            ("dir", None),
            ("", None),
            ("none", None),
        ] {
            assert_eq!(content(&archive, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn names_behind_extended_headers_have_the_right_place() {
        let mut archive = ::tar::Builder::new(Vec::new());
        let name = format!("blobs/{}", "d/".repeat(200));
        for (name, content) in [(format!("{name}a"), "one"), (format!("{name}b"), "two")] {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let archive = archive.into_inner().unwrap();
        assert_eq!(content(&archive, &format!("{name}b")).as_deref(), Some("two"));
    }

    #[test]
    fn a_table_has_its_limit() {
        let members = vec![("a", Ok("")); 16 * 1024 + 1];
        assert!(matches!(
            Listing::read(archive(&members).as_slice()),
            Err(Error::TooManyEntries { limit: 16384 })
        ));
        assert!(Listing::read(&[b'x'; 1024][..]).is_err());
    }
}

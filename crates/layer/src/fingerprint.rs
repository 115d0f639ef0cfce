//! The identity of an entry's content, for whoever asks whether two entries would make the same image.

use std::path::Path;

use oci::{Digest, Digester};

use crate::Error;
use crate::content::Content;
use crate::error::Context;
use crate::metadata::{FileKind, Timestamp};
use crate::node::{Opened, set_time};
use crate::root::{READ_DIR, Root};

impl Root {
    /// A digest of everything that an image keeps of the entry at the canonical `path` but its time: kind, mode,
    /// extended attributes, link target or device numbers, content, and owner and group `with_owner`.
    pub fn fingerprint(&self, path: &Path, with_owner: bool) -> Result<Digest, Error> {
        let metadata = self.lstat_exact(path)?.ok_or_else(|| Error::Changed { path: path.to_owned() })?;
        let Opened { node, metadata, file } = match metadata.kind {
            FileKind::Socket => return Ok(Digest::of(b"socket")),
            _ => Opened::read(self, path, &metadata)?,
        };
        let mut digester = Digester::new();
        let mut field = |bytes: &[u8]| {
            digester.update(&(bytes.len() as u64).to_be_bytes());
            digester.update(bytes);
        };
        field(node.kind.name().as_bytes());
        field(&node.attributes.mode.to_be_bytes());
        if with_owner {
            field(&node.attributes.uid.to_be_bytes());
            field(&node.attributes.gid.to_be_bytes());
        }
        field(node.target.as_os_str().as_encoded_bytes());
        field(&node.device.major.to_be_bytes());
        field(&node.device.minor.to_be_bytes());
        for (name, value) in &node.attributes.xattrs {
            field(name.as_encoded_bytes());
            field(value);
        }
        if let Some(file) = &file {
            field(Content { file, metadata: &metadata, path }.digest()?.as_bytes());
        }
        Ok(digester.finish())
    }

    /// Sets the mtime of the directory at `path`; links are followed.
    pub fn set_mtime(&self, path: &Path, mtime: Timestamp) -> Result<(), Error> {
        let canonical = self.resolve(path)?;
        let dir = self.open_exact(&canonical, READ_DIR).context("open the directory", path)?;
        set_time(&dir, mtime, path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_but_time_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let file = dir.path().join("f");
        let print = || root.fingerprint(Path::new("f"), true).unwrap();
        fs::write(&file, "a").unwrap();
        let first = print();
        fs::write(&file, "b").unwrap();
        assert_ne!(print(), first);
        fs::write(&file, "a").unwrap();
        assert_eq!(print(), first);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(print(), first);
        fs::remove_file(&file).unwrap();
        symlink("a", &file).unwrap();
        let link = print();
        fs::remove_file(&file).unwrap();
        symlink("b", &file).unwrap();
        assert_ne!(print(), link);
    }

    #[test]
    fn the_owner_counts_if_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        fs::write(dir.path().join("f"), "a").unwrap();
        let print = |with_owner| root.fingerprint(Path::new("f"), with_owner).unwrap();
        let before = (print(true), print(false));
        std::os::unix::fs::chown(dir.path().join("f"), Some(1000), None).unwrap();
        assert_ne!(print(true), before.0);
        assert_eq!(print(false), before.1);
    }
}

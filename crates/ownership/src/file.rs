//! The table as a file: one line of JSON for each entry, by inode number, written atomically.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::{Record, Table};

/// The table cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} the ownership table `{}`", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl Table {
    /// Reads the table at `path`; a file that is not there is an empty table.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error { action: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(failed)?,
        };
        let entry = |line: std::io::Result<String>| Ok(serde_json::from_str::<(u64, Record)>(&line?)?);
        let records = BufReader::new(file).lines().map(entry).collect::<std::io::Result<_>>();
        Ok(Self { records: records.map_err(failed)? })
    }

    /// Writes the table to `path` in one piece; the same table gives the same bytes.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        self.write(path).map_err(|source| Error { action: "write", path: path.to_owned(), source })
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(dir)?);
        for entry in &self.records {
            serde_json::to_writer(&mut file, &entry)?;
            file.write_all(b"\n")?;
        }
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, DeviceKind, Kind, Xattrs};

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        assert!(Table::load(&path).unwrap().is_empty());
        let mut table = Table::default();
        let device = Some(Device { kind: DeviceKind::Block, major: 7, minor: 4_000 });
        let xattrs = Xattrs::from([(b"trusted.\xff".to_vec(), b"\0\xfe".to_vec())]);
        table.set(u64::MAX, Kind::File, Record { uid: u32::MAX - 1, gid: 5, mode: 0o640, device, xattrs });
        table.set(7, Kind::Directory, Record { uid: 1, gid: 2, mode: 0o3711, ..Record::default() });
        table.save(&path).unwrap();
        assert_eq!(Table::load(&path).unwrap(), table);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        std::fs::write(&path, "[1,{\"uid\":0}]\n").unwrap();
        let error = Table::load(&path).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the ownership table `/"), "{error}");
    }
}

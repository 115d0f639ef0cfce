//! Archives as files: whole under their name, or not there.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::files::{self, Durability};

/// Lets `write` make the file `dest`, which appears, or changes, only when all of it is written.
///
/// A symbolic link is followed. What exists and is no regular file (a fifo, `/dev/stdout`) is written to directly.
pub fn to_file(dest: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
    let dest = fs::canonicalize(dest).unwrap_or_else(|_| dest.to_owned());
    if dest.exists() && !dest.is_file() {
        let file = OpenOptions::new().write(true).open(&dest);
        let mut file = file.map_err(|source| Error::io("write", &dest, source))?;
        return write(&mut file).map_err(|error| at(&dest, error));
    }
    let mut temporary = files::create_temporary(&parent(&dest))?;
    let mut out = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    write(&mut out).map_err(|error| at(&dest, error))?;
    out.flush().map_err(|source| Error::io("write", &dest, source))?;
    drop(out);
    files::persist(temporary, &dest, Durability::Lazy)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The failure of a stream, told as that of the file it was.
fn at(path: &Path, error: Error) -> Error {
    match error {
        Error::Output { source } => Error::io("write", path, source),
        other => other,
    }
}

//! What the program prints: a line for each call, `theme: call = result`.
//!
//! A result is the value or the name of the errno, with what can be seen of what came out, and never anything that
//! differs between two runs or two file systems: no inode number, process id, time of day, or size of a directory.

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{FileType, OFlags, Stat, Statx, fcntl_getfl, fstat, major, minor};
use rustix::io::{FdFlags, fcntl_getfd};

static THEME: OnceLock<String> = OnceLock::new();

thread_local! {
    /// Who makes the calls of this thread, if it is not root as the program began.
    static ACTOR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes a call and prints it as it stands in the source, or by the name before the `=>`; the value if it succeeded.
macro_rules! tell {
    ($name:literal => $call:expr) => {
        $crate::program::report::line(&format!($name), $call)
    };
    ($call:expr) => {
        $crate::program::report::line(stringify!($call), $call)
    };
}
pub(crate) use tell;

/// Says of which theme all lines of this process are.
pub(crate) fn begin(theme: &str) {
    THEME.set(theme.to_owned()).expect("a process has one theme");
}

/// Says who makes the calls of this thread from now on.
pub(crate) fn acting_as(actor: &str) {
    ACTOR.set(format!(" as {actor}"));
}

/// Prints a line; use [`tell`].
pub(crate) fn line<T: Seen, E: Failure>(call: &str, result: Result<T, E>) -> Option<T> {
    let seen = match &result {
        Ok(value) => value.seen(),
        Err(error) => error.name(),
    };
    let call: Vec<_> = call.split_whitespace().collect();
    let theme = THEME.get().map_or("", String::as_str);
    let line = ACTOR.with_borrow(|actor| format!("{theme}{actor}: {} = {seen}\n", call.join(" ")));
    io::stdout().write_all(line.as_bytes()).expect("writing a line");
    result.ok()
}

/// An error of one of the crates that make calls.
pub(crate) trait Failure {
    /// The errno by its name.
    fn name(&self) -> String;
}

impl Failure for io::Error {
    fn name(&self) -> String {
        let name = |code| format!("{:?}", nix::errno::Errno::from_raw(code));
        self.raw_os_error().map_or_else(|| format!("{:?}", self.kind()), name)
    }
}

impl Failure for rustix::io::Errno {
    fn name(&self) -> String {
        io::Error::from(*self).name()
    }
}

impl Failure for nix::errno::Errno {
    fn name(&self) -> String {
        format!("{self:?}")
    }
}

/// What can be seen of the result of a call.
pub(crate) trait Seen {
    fn seen(&self) -> String;
}

impl Seen for () {
    fn seen(&self) -> String {
        "ok".to_owned()
    }
}

impl<T: Seen> Seen for Vec<T> {
    fn seen(&self) -> String {
        let each: Vec<_> = self.iter().map(Seen::seen).collect();
        format!("[{}]", each.join(", "))
    }
}

impl<T: Seen> Seen for Option<T> {
    fn seen(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Seen::seen)
    }
}

/// Types that print as themselves.
macro_rules! shown {
    ($($type:ty),*) => {
        $(impl Seen for $type {
            fn seen(&self) -> String {
                self.to_string()
            }
        })*
    };
}
shown!(bool, i32, u32, u64, usize, String, &str);

/// Types that print as text in quotes, with escapes for all that is not printable.
macro_rules! quoted {
    ($($type:ty: $bytes:expr),*) => {
        $(impl Seen for $type {
            fn seen(&self) -> String {
                let bytes: fn(&Self) -> &[u8] = $bytes;
                format!("\"{}\"", bytes(self).escape_ascii())
            }
        })*
    };
}
quoted!(
    CString: |text| text.to_bytes(),
    &CStr: |text| text.to_bytes(),
    OsString: |text| text.as_bytes(),
    PathBuf: |path| path.as_os_str().as_bytes(),
    &OsStr: |text| text.as_bytes()
);

impl Seen for OwnedFd {
    fn seen(&self) -> String {
        descriptor(self).unwrap_or_else(|error| error.name())
    }
}

impl Seen for Stat {
    fn seen(&self) -> String {
        attributes(&Attributes {
            mode: self.st_mode,
            owner: (self.st_uid, self.st_gid),
            links: self.st_nlink,
            size: self.st_size.cast_unsigned(),
            device: (major(self.st_rdev), minor(self.st_rdev)),
        })
    }
}

impl Seen for Statx {
    fn seen(&self) -> String {
        attributes(&Attributes {
            mode: self.stx_mode.into(),
            owner: (self.stx_uid, self.stx_gid),
            links: self.stx_nlink.into(),
            size: self.stx_size,
            device: (self.stx_rdev_major, self.stx_rdev_minor),
        })
    }
}

struct Attributes {
    mode: u32,
    owner: (u32, u32),
    links: u64,
    size: u64,
    device: (u32, u32),
}

/// File systems count the links and sizes of directories as they like.
fn attributes(file: &Attributes) -> String {
    let kind = FileType::from_raw_mode(file.mode);
    let text = format!("{} {:04o} {}", kind_name(kind), file.mode & 0o7777, pair(file.owner));
    match kind {
        FileType::Directory => text,
        FileType::RegularFile | FileType::Symlink => {
            format!("{text} links {} size {}", file.links, file.size)
        }
        FileType::CharacterDevice | FileType::BlockDevice => {
            format!("{text} links {} device {}", file.links, pair(file.device))
        }
        _ => format!("{text} links {}", file.links),
    }
}

fn pair((first, second): (impl Display, impl Display)) -> String {
    format!("{first}:{second}")
}

/// A type of file in a word.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "char",
        FileType::BlockDevice => "block",
        FileType::Unknown => "unknown",
    }
}

/// What a descriptor leads to and how it was opened.
fn descriptor(fd: impl AsFd) -> rustix::io::Result<String> {
    let mut words = vec![kind_name(FileType::from_raw_mode(fstat(&fd)?.st_mode))];
    let flags = fcntl_getfl(&fd)?;
    words.push(match flags & OFlags::ACCMODE {
        _ if flags.contains(OFlags::PATH) => "path",
        OFlags::RDWR => "read-write",
        OFlags::WRONLY => "write",
        _ => "read",
    });
    let kept = [
        (OFlags::APPEND, "append"),
        (OFlags::NONBLOCK, "nonblock"),
        (OFlags::SYNC, "sync"),
        (OFlags::NOATIME, "noatime"),
        (OFlags::TMPFILE, "tmpfile"),
    ];
    words.extend(kept.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, word)| word));
    words.extend(fcntl_getfd(&fd)?.contains(FdFlags::CLOEXEC).then_some("cloexec"));
    Ok(words.join(" "))
}

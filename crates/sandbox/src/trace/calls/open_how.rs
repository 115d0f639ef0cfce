//! The structure by which openat2(2) says how a file is to be opened: it is strict where open(2) is not.

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::open::Request;
use super::{Call, Result};

/// The flags that go with `O_PATH` (open(2)).
const OF_HANDLES: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// All flags of open(2) but `O_PATH`.
const OF_FILES: OFlags = OFlags::ACCMODE
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOCTTY)
    .union(OFlags::TRUNC)
    .union(OFlags::APPEND)
    .union(OFlags::NONBLOCK)
    .union(OFlags::SYNC)
    .union(OFlags::DSYNC)
    .union(OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned()))
    .union(OFlags::DIRECT)
    .union(OFlags::LARGEFILE)
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOATIME)
    .union(OFlags::CLOEXEC)
    .union(OFlags::TMPFILE);

impl Call<'_> {
    /// openat2(2): of its restrictions those that can be said in terms of a lookup.
    pub(super) fn open_how(&self) -> Result<Request> {
        const KNOWN: u64 = libc::RESOLVE_NO_SYMLINKS
            | libc::RESOLVE_NO_MAGICLINKS
            | libc::RESOLVE_NO_XDEV
            | libc::RESOLVE_IN_ROOT
            | libc::RESOLVE_BENEATH
            | libc::RESOLVE_CACHED;
        let size = self.args[3];
        match size {
            0..24 => return Err(Errno::INVAL),
            24..=4096 => {}
            _ => return Err(Errno::TOOBIG),
        }
        let [flags, mode, resolve] = self.memory.words(self.args[2])?;
        let mut rest = vec![0; usize::try_from(size - 24).unwrap_or(0)];
        self.memory.read(self.args[2] + 24, &mut rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Errno::TOOBIG);
        }
        let both = libc::RESOLVE_IN_ROOT | libc::RESOLVE_BENEATH;
        if resolve & !KNOWN != 0 || resolve & both == both {
            return Err(Errno::INVAL);
        }
        if resolve & libc::RESOLVE_CACHED != 0 {
            return Err(Errno::AGAIN);
        }
        let flags = u32::try_from(flags).ok().map(OFlags::from_bits_retain).ok_or(Errno::INVAL)?;
        let known = if flags.contains(OFlags::PATH) { OF_HANDLES } else { OF_FILES };
        if !known.contains(flags) {
            return Err(Errno::INVAL);
        }
        let mode = u32::try_from(mode).ok().filter(|mode| mode & !0o7777 == 0).ok_or(Errno::INVAL)?;
        if mode != 0 && !flags.intersects(OFlags::CREATE | OFlags::TMPFILE) {
            return Err(Errno::INVAL);
        }
        Ok(Request { flags, mode, resolve })
    }
}

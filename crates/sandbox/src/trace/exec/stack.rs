//! The first thing on a program's stack: arguments, environment and the auxiliary vector (getauxval(3)), told what is
//! true inside.

use rustix::io::Errno;

use super::load::Loaded;
use crate::trace::memory::{Memory, word};

/// Whom the program is told that it is.
pub(super) struct Ids {
    /// uid, euid, gid, egid.
    pub(super) ids: [u32; 4],
    pub(super) is_secure: bool,
}

/// Where things are now.
pub(super) struct Written {
    /// The stack pointer.
    pub(super) pointer: u64,
    /// The name of the thread, at most 15 bytes and a NUL (prctl(2), `PR_SET_NAME`).
    pub(super) short_name: u64,
    /// The auxiliary vector, and its size in bytes.
    pub(super) vector: u64,
    pub(super) vector_size: usize,
}

/// The longest name of a thread.
const SHORT_NAME: usize = 15;

/// Nobody has so many arguments that their pointers and the environment's are more than this.
const LIMIT: usize = 16 << 20;

const CHUNK: usize = 2048;

/// Moves all of it down, to make room for the name of the program, and corrects it.
pub(super) fn rewrite(
    memory: Memory,
    pointer: u64,
    loaded: Option<Loaded>,
    [name, short]: [&[u8]; 2],
    ids: &Ids,
) -> Result<Written, Errno> {
    let (mut block, vector) = read(memory, pointer)?;
    let short = &short[..short.len().min(SHORT_NAME)];
    let mut room = [name, b"\0", short, b"\0"].concat();
    room.resize(room.len().next_multiple_of(16), 0);
    let end = pointer + block.len() as u64;
    let name_at = end - room.len() as u64;
    correct(&mut block[vector..], loaded, name_at, ids);
    let vector_size = block.len() - vector;
    let pointer = pointer - room.len() as u64;
    block.extend_from_slice(&room);
    memory.write(pointer, &block)?;
    let short_name = name_at + name.len() as u64 + 1;
    Ok(Written { pointer, short_name, vector: pointer + vector as u64, vector_size })
}

/// The whole block, and where in it the auxiliary vector begins.
fn read(memory: Memory, pointer: u64) -> Result<(Vec<u8>, usize), Errno> {
    let mut block = Vec::new();
    let mut at = |index: usize| -> Result<u64, Errno> {
        while block.len() / 8 <= index {
            if block.len() >= LIMIT {
                return Err(Errno::TOOBIG);
            }
            let begin = block.len();
            block.resize(begin + CHUNK, 0);
            // The top of the stack holds strings, so there is more than the block.
            if memory.read(pointer + begin as u64, &mut block[begin..]).is_err() {
                block.truncate(begin + 8);
                memory.read(pointer + begin as u64, &mut block[begin..])?;
            }
        }
        Ok(word(&block, index))
    };
    let arguments = usize::try_from(at(0)?).map_err(|_| Errno::TOOBIG)?;
    let mut index = arguments.checked_add(2).ok_or(Errno::TOOBIG)?;
    while at(index)? != 0 {
        index += 1;
    }
    let vector = index + 1;
    index = vector;
    while at(index)? != libc::AT_NULL {
        index += 2;
    }
    block.truncate((index + 2) * 8);
    Ok((block, vector * 8))
}

fn correct(vector: &mut [u8], loaded: Option<Loaded>, name: u64, ids: &Ids) {
    let [uid, euid, gid, egid] = ids.ids.map(u64::from);
    let entry =
        vector.chunks_exact(16).find(|pair| word(pair, 0) == libc::AT_ENTRY).map(|pair| word(pair, 1));
    for pair in vector.chunks_exact_mut(16) {
        let value = match (word(pair, 0), loaded) {
            (libc::AT_UID, _) => uid,
            (libc::AT_EUID, _) => euid,
            (libc::AT_GID, _) => gid,
            (libc::AT_EGID, _) => egid,
            (libc::AT_SECURE, _) => ids.is_secure.into(),
            (libc::AT_EXECFN, _) => name,
            (libc::AT_PHDR, Some(loaded)) => loaded.table,
            (libc::AT_PHNUM, Some(loaded)) => loaded.segment_count,
            (libc::AT_ENTRY, Some(loaded)) => loaded.entry,
            (libc::AT_BASE, Some(loaded)) => entry.unwrap_or(0).wrapping_sub(loaded.loader_entry),
            _ => continue,
        };
        pair[8..].copy_from_slice(&value.to_ne_bytes());
    }
}

//! Shared memory, semaphores and message queues by key (sysvipc(7)): those of the step, as in an IPC namespace of its own.
//!
//! In the kernel there is only the pod's namespace, in which all that has the builder's id is one owner's. So nothing of
//! a step has a key there: the keys are here, and only what the step made it may use, by whatever number. It ends with
//! the step.
#![expect(unsafe_code, reason = "raw system calls; each block says why it is sound")]

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::kernel::last;

/// What there is for processes to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// shmget(2).
    Memory,
    /// semget(2).
    Semaphores,
    /// msgget(2).
    Queue,
}

/// What a step made of these.
#[derive(Debug, Default)]
pub(super) struct Ipc(Mutex<Made>);

#[derive(Debug, Default)]
struct Made {
    ids: BTreeSet<(Kind, i32)>,
    keys: BTreeMap<(Kind, i32), i32>,
}

impl Ipc {
    /// The id of what has `key`, which is made if `flags` ask for it; of so many bytes or semaphores.
    pub(super) fn id(&self, kind: Kind, key: i32, size: u64, flags: i32) -> Result<i32, Errno> {
        let mut made = self.made();
        let known = made.keys.get(&(kind, key)).copied().filter(|_| key != libc::IPC_PRIVATE);
        if let Some(id) = known
            && let Some(held) = size_of(kind, id)
        {
            return match flags & libc::IPC_CREAT != 0 && flags & libc::IPC_EXCL != 0 {
                true => Err(Errno::EXIST),
                false if size > held => Err(Errno::INVAL),
                false => Ok(id),
            };
        }
        if key != libc::IPC_PRIVATE && flags & libc::IPC_CREAT == 0 {
            return Err(Errno::NOENT);
        }
        let id = make(kind, size, flags)?;
        made.ids.insert((kind, id));
        made.keys.insert((kind, key), id);
        Ok(id)
    }

    /// Whether the step made what has this id.
    pub(super) fn has(&self, kind: Kind, id: i32) -> bool {
        self.made().ids.contains(&(kind, id))
    }

    /// Removes all of it.
    pub(super) fn end(&self) {
        for (kind, id) in mem::take(&mut *self.made()).ids {
            remove(kind, id);
        }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(kind: Kind, size: u64, flags: i32) -> Result<i32, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::INVAL)?;
    // SAFETY: these calls take no pointers.
    let id = unsafe {
        match kind {
            Kind::Memory => libc::shmget(libc::IPC_PRIVATE, size, flags),
            Kind::Semaphores => {
                libc::semget(libc::IPC_PRIVATE, i32::try_from(size).map_err(|_| Errno::INVAL)?, flags)
            }
            Kind::Queue => libc::msgget(libc::IPC_PRIVATE, flags),
        }
    };
    if id < 0 { Err(last()) } else { Ok(id) }
}

/// How many bytes or semaphores something has; none if it was removed.
fn size_of(kind: Kind, id: i32) -> Option<u64> {
    /// Removed, but still attached somewhere (shmctl(2)).
    const SHM_DEST: u16 = 0o1000;
    // SAFETY: in all three structures zero is valid, and each is the one that the kernel fills in for its call.
    let (answer, size) = unsafe {
        match kind {
            Kind::Memory => {
                let mut stat: libc::shmid_ds = mem::zeroed();
                let answer = libc::shmctl(id, libc::IPC_STAT, &raw mut stat);
                let is_gone = stat.shm_perm.mode & SHM_DEST != 0;
                (if is_gone { return None } else { answer }, stat.shm_segsz as u64)
            }
            Kind::Semaphores => {
                let mut stat: libc::semid_ds = mem::zeroed();
                (libc::semctl(id, 0, libc::IPC_STAT, &raw mut stat), stat.sem_nsems)
            }
            Kind::Queue => {
                let mut stat: libc::msqid_ds = mem::zeroed();
                (libc::msgctl(id, libc::IPC_STAT, &raw mut stat), 0)
            }
        }
    };
    match answer {
        // It is there, and so private that nobody may ask.
        -1 if last() == Errno::ACCESS => Some(u64::MAX),
        -1 => None,
        _ => Some(size),
    }
}

fn remove(kind: Kind, id: i32) {
    // What the step removed itself is not there any more.
    // SAFETY: to remove something no structure is needed.
    unsafe {
        match kind {
            Kind::Memory => libc::shmctl(id, libc::IPC_RMID, null_mut()),
            Kind::Semaphores => libc::semctl(id, 0, libc::IPC_RMID),
            Kind::Queue => libc::msgctl(id, libc::IPC_RMID, null_mut()),
        }
    };
}

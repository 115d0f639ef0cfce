//! Calls for shared memory, semaphores and message queues (sysvipc(7)).

use rustix::io::Errno;

use super::{Answer, Call, Result};
use crate::trace::ipc::Kind;

impl Call<'_> {
    pub(super) fn shared(&self) -> Result {
        match self.number {
            libc::SYS_shmget => self.shared_id(Kind::Memory, self.args[1], self.int(2)),
            libc::SYS_semget => self.shared_id(Kind::Semaphores, self.uint(1).into(), self.int(2)),
            libc::SYS_msgget => self.shared_id(Kind::Queue, 0, self.int(1)),
            libc::SYS_shmat | libc::SYS_shmctl => self.use_shared(Kind::Memory),
            libc::SYS_msgsnd | libc::SYS_msgrcv | libc::SYS_msgctl => self.use_shared(Kind::Queue),
            libc::SYS_semop | libc::SYS_semtimedop | libc::SYS_semctl => self.use_shared(Kind::Semaphores),
            _ => self.identity(),
        }
    }

    fn shared_id(&self, kind: Kind, size: u64, flags: i32) -> Result {
        let id = self.supervisor.ipc.id(kind, self.int(0), size, flags)?;
        Ok(Answer::Value(id.into()))
    }

    /// The id is in a register, where nobody exchanges it; the kernel does the rest.
    fn use_shared(&self, kind: Kind) -> Result {
        if self.supervisor.ipc.has(kind, self.int(0)) { Ok(Answer::Proceed) } else { Err(Errno::INVAL) }
    }
}

//! Who a process is: getuid(2), setuid(2), setgroups(2), capset(2) and their like.

use rustix::io::Errno;

use super::{Answer, Call, DONE, Result};
use crate::capabilities::CapabilitySet;
use crate::trace::credentials::{Credentials, GROUPS_MAX};

/// capget(2): versions of the structure, by how many words a set has.
const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

impl Call<'_> {
    pub(super) fn identity(&self) -> Result {
        let who = self.credentials();
        match self.number {
            libc::SYS_getuid => value(who.uid),
            libc::SYS_geteuid => value(who.euid),
            libc::SYS_getgid => value(who.gid),
            libc::SYS_getegid => value(who.egid),
            libc::SYS_getresuid => self.tell([who.uid, who.euid, who.suid]),
            libc::SYS_getresgid => self.tell([who.gid, who.egid, who.sgid]),
            libc::SYS_getgroups => self.getgroups(),
            libc::SYS_setgroups => self.setgroups(),
            libc::SYS_setuid => self.change(|who| who.setuid(self.uint(0))),
            libc::SYS_setgid => self.change(|who| who.setgid(self.uint(0))),
            libc::SYS_setreuid => self.change(|who| who.setreuid(self.uint(0), self.uint(1))),
            libc::SYS_setregid => self.change(|who| who.setregid(self.uint(0), self.uint(1))),
            libc::SYS_setresuid => self.change(|who| who.setresuid(self.uint(0), self.uint(1), self.uint(2))),
            libc::SYS_setresgid => self.change(|who| who.setresgid(self.uint(0), self.uint(1), self.uint(2))),
            libc::SYS_setfsuid => self.change_to(|who| Ok(who.setfsuid(self.uint(0)).into())),
            libc::SYS_setfsgid => self.change_to(|who| Ok(who.setfsgid(self.uint(0)).into())),
            libc::SYS_prctl => {
                let [_, args @ .., _] = self.args;
                self.change_to(|who| who.prctl(self.uint(0), args))
            }
            libc::SYS_capget => self.capget(),
            libc::SYS_capset => self.capset(),
            _ => Err(Errno::NOSYS),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Credentials) -> Result<()>) -> Result {
        self.change_to(|who| change(who).map(|()| 0))
    }

    fn change_to(&self, change: impl FnOnce(&mut Credentials) -> Result<i64>) -> Result {
        let mut who = self.credentials().clone();
        let value = change(&mut who)?;
        who.hide_what_was_known_to(self.credentials());
        if who != *self.credentials() {
            self.supervisor.tasks.set_credentials(self.task.tid, who);
        }
        Ok(Answer::Value(value))
    }

    fn tell(&self, ids: [u32; 3]) -> Result {
        for (argument, id) in ids.into_iter().enumerate() {
            self.write(argument, &id.to_ne_bytes())?;
        }
        DONE
    }

    fn getgroups(&self) -> Result {
        let groups = &self.credentials().groups;
        let room = usize::try_from(self.int(0)).map_err(|_| Errno::INVAL)?;
        if room > 0 {
            if room < groups.len() {
                return Err(Errno::INVAL);
            }
            let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
            self.write(1, &bytes)?;
        }
        Ok(Answer::Value(i64::try_from(groups.len()).unwrap_or(0)))
    }

    fn setgroups(&self) -> Result {
        let count = usize::try_from(self.int(0)).ok().filter(|count| *count <= GROUPS_MAX);
        let mut bytes = vec![0; count.ok_or(Errno::INVAL)? * 4];
        if !bytes.is_empty() {
            self.memory.read(self.args[1], &mut bytes)?;
        }
        self.change(|who| who.setgroups(words(&bytes)))
    }

    /// The version and the process that the header of capget(2) and capset(2) names, and how many words a set has.
    fn capability_header(&self) -> Result<(i32, usize)> {
        let mut header = [0; 8];
        self.memory.read(self.args[0], &mut header)?;
        let [version, pid] = words(&header)[..] else { return Err(Errno::FAULT) };
        match version {
            VERSION_1 => Ok((pid.cast_signed(), 1)),
            VERSION_2 | VERSION_3 => Ok((pid.cast_signed(), 2)),
            _ => {
                self.write(0, &VERSION_3.to_ne_bytes())?;
                // capget(2): asking for the version is no mistake if there is nowhere to put an answer.
                Err(Errno::INVAL)
            }
        }
    }

    fn capget(&self) -> Result {
        let (pid, count) = match self.capability_header() {
            Err(Errno::INVAL) if self.args[1] == 0 => return DONE,
            header => header?,
        };
        if self.args[1] == 0 {
            return DONE;
        }
        let other = match pid {
            0 => None,
            ..0 => return Err(Errno::INVAL),
            pid => Some(self.supervisor.tasks.task(pid).ok_or(Errno::SRCH)?),
        };
        let who = other.as_ref().map_or(self.credentials(), |task| &task.credentials);
        let known = CapabilitySet::ALL.bits();
        let mut bytes = Vec::new();
        for index in 0..count {
            for set in [who.effective, who.permitted, who.inheritable] {
                let half = (set & known) >> (32 * index) & u64::from(u32::MAX);
                bytes.extend_from_slice(&u32::try_from(half).unwrap_or(0).to_ne_bytes());
            }
        }
        self.write(1, &bytes)?;
        DONE
    }

    fn capset(&self) -> Result {
        let (pid, count) = self.capability_header()?;
        if pid != 0 && pid != self.task.tid {
            return Err(Errno::PERM);
        }
        let mut bytes = vec![0; count * 12];
        self.memory.read(self.args[1], &mut bytes)?;
        let words = words(&bytes);
        let set = |position: usize| {
            let low = words.get(position).copied().unwrap_or(0);
            let high = words.get(position + 3).copied().unwrap_or(0);
            (u64::from(high) << 32 | u64::from(low)) & CapabilitySet::ALL.bits()
        };
        self.change(|who| who.capset(set(0), set(1), set(2)))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of the answers")]
fn value(id: u32) -> Result {
    Ok(Answer::Value(id.into()))
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_ne_bytes).collect()
}

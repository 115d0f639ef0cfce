//! The threads of a step, and what each of them believes of itself: where it is, who it is, what it runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::credentials::Credentials;
use super::place::Place;

/// Root directory, working directory and umask: what clone(2) shares with `CLONE_FS`.
#[derive(Clone, Debug)]
pub(super) struct Directories {
    pub(super) root: Arc<Place>,
    pub(super) cwd: Arc<Place>,
    pub(super) umask: u32,
}

/// A thread at the moment of a system call.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) tid: i32,
    /// Its process.
    pub(super) tgid: i32,
    pub(super) directories: Directories,
    pub(super) credentials: Arc<Credentials>,
    /// What `/proc/self/exe` is.
    pub(super) program: Arc<Place>,
}

#[derive(Debug)]
struct Record {
    tgid: i32,
    directories: Arc<Mutex<Directories>>,
    credentials: Arc<Credentials>,
    program: Arc<Place>,
    /// Files that the thread is to be given when it asks, in turn.
    offers: VecDeque<(OwnedFd, bool)>,
}

/// All threads of a step.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// By thread id.
    threads: Mutex<BTreeMap<i32, Record>>,
    /// The command's.
    first: OnceLock<i32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// The first thread of a step.
    pub(super) fn begin(&self, tid: i32, directories: Directories, credentials: Credentials) {
        let program = Arc::clone(&directories.root);
        let directories = Arc::new(Mutex::new(directories));
        let record = Record {
            tgid: tid,
            directories,
            credentials: Arc::new(credentials),
            program,
            offers: VecDeque::new(),
        };
        lock(&self.threads).insert(tid, record);
        let _ = self.first.set(tid);
    }

    /// The process that stands for process 1, which every pid namespace has.
    pub(super) fn first(&self) -> Option<i32> {
        self.first.get().copied()
    }

    /// A thread or process that `parent` made.
    pub(super) fn fork(&self, parent: i32, child: i32, is_thread: bool, shares_directories: bool) {
        let mut tasks = lock(&self.threads);
        let Some(from) = tasks.get(&parent) else { return };
        let directories = if shares_directories {
            Arc::clone(&from.directories)
        } else {
            Arc::new(Mutex::new(lock(&from.directories).clone()))
        };
        let record = Record {
            tgid: if is_thread { from.tgid } else { child },
            directories,
            credentials: Arc::clone(&from.credentials),
            program: Arc::clone(&from.program),
            offers: VecDeque::new(),
        };
        tasks.insert(child, record);
    }

    pub(super) fn end(&self, tid: i32) {
        lock(&self.threads).remove(&tid);
    }

    /// A process executed a program: it now has one thread, `tgid`, which was `former` before.
    pub(super) fn execute(&self, former: i32, tgid: i32, program: Place, credentials: Credentials) {
        let mut tasks = lock(&self.threads);
        let Some(mut record) = tasks.remove(&former) else { return };
        tasks.retain(|_, other| other.tgid != tgid);
        let directories = lock(&record.directories).clone();
        record.directories = Arc::new(Mutex::new(directories));
        record.program = Arc::new(program);
        record.credentials = Arc::new(credentials);
        tasks.insert(tgid, record);
    }

    pub(super) fn task(&self, tid: i32) -> Option<Task> {
        let tasks = lock(&self.threads);
        let record = tasks.get(&tid)?;
        let directories = lock(&record.directories).clone();
        Some(Task {
            tid,
            tgid: record.tgid,
            directories,
            credentials: Arc::clone(&record.credentials),
            program: Arc::clone(&record.program),
        })
    }

    /// Whether there is such a thread or process in the step.
    pub(super) fn contains(&self, id: i32) -> bool {
        let tasks = lock(&self.threads);
        tasks.contains_key(&id) || tasks.values().any(|record| record.tgid == id)
    }

    /// The processes of the step.
    pub(super) fn processes(&self) -> BTreeSet<i32> {
        lock(&self.threads).values().map(|record| record.tgid).collect()
    }

    /// The threads of the step.
    pub(super) fn threads(&self) -> Vec<i32> {
        lock(&self.threads).keys().copied().collect()
    }

    pub(super) fn set_credentials(&self, tid: i32, credentials: Credentials) {
        if let Some(record) = lock(&self.threads).get_mut(&tid) {
            record.credentials = Arc::new(credentials);
        }
    }

    /// Changes what the thread shares with others.
    pub(super) fn change_directories<T>(
        &self,
        tid: i32,
        change: impl FnOnce(&mut Directories) -> T,
    ) -> Option<T> {
        let tasks = lock(&self.threads);
        let record = tasks.get(&tid)?;
        let mut directories = lock(&record.directories);
        Some(change(&mut directories))
    }

    /// The directories are shared with nobody from now on (unshare(2), `CLONE_FS`).
    pub(super) fn separate_directories(&self, tid: i32) {
        if let Some(record) = lock(&self.threads).get_mut(&tid) {
            let own = lock(&record.directories).clone();
            record.directories = Arc::new(Mutex::new(own));
        }
    }

    /// Has a file ready for when the thread asks for it; and whether it is to be closed by the next execve(2).
    pub(super) fn offer(&self, tid: i32, file: OwnedFd, close_on_exec: bool) {
        if let Some(record) = lock(&self.threads).get_mut(&tid) {
            record.offers.push_back((file, close_on_exec));
        }
    }

    pub(super) fn take_offer(&self, tid: i32) -> Option<(OwnedFd, bool)> {
        lock(&self.threads).get_mut(&tid)?.offers.pop_front()
    }
}

//! Sockets by which steps talk to the builder: one in the file system, each connection answered on a thread of its own.
//! Knows nothing of what is said on them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::cancellation::Cancellation;
use crate::errno::Errno;
use crate::error::{Attempt, Error};
use crate::mounts::{open_path, proc_path};
use crate::process::retry;

/// A step that opens more at a time finds the others closed.
const CONNECTIONS: usize = 32;

/// Answers one connection until it ends.
pub type Handler = Arc<dyn Fn(UnixStream) + Send + Sync>;

/// A socket that is answered until this is dropped.
#[derive(Debug)]
pub struct SocketServer {
    stop: Cancellation,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl SocketServer {
    /// Makes the socket `name` in the directory `dir` of ours, with this owner and mode, and begins to answer.
    pub fn start(
        dir: &Path,
        name: &str,
        (uid, gid, mode): (u32, u32, u32),
        handler: Handler,
    ) -> Result<Self, Error> {
        let path = dir.join(name);
        let doing = || format!("make the socket `{}`", path.display());
        let io = |call, result: std::io::Result<()>| result.map_err(Errno::from).attempt(call, doing);
        // unix(7): a path may have 107 bytes, and a store may lie deep.
        let directory = open_path(dir)?;
        let listener = UnixListener::bind(Path::new(&proc_path(&directory)).join(name))
            .map_err(Errno::from)
            .attempt("bind", doing)?;
        io("chown", chown(&path, Some(uid), Some(gid)))?;
        io("chmod", std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)))?;
        io("ioctl", listener.set_nonblocking(true))?;
        let stop = Cancellation::new()?;
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("socket".to_owned())
            .spawn(move || accept_all(&listener, &stopped, &handler))
            .map_err(Errno::from)
            .attempt("clone", doing)?;
        Ok(Self { stop, thread: Some(thread), path })
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // It does not panic, and nobody would be told if it did.
            drop(thread.join());
        }
        drop(std::fs::remove_file(&self.path));
    }
}

/// Connects to the socket of another process; reads and writes on it end after `patience`.
pub fn connect_socket(path: &Path, patience: Duration) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

fn accept_all(listener: &UnixListener, stop: &Cancellation, handler: &Handler) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let event = stop.event();
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::from_borrowed_fd(event, PollFlags::IN)];
        if retry(|| poll(&mut fds, None)).is_err() || !fds[1].revents().is_empty() {
            return;
        }
        let Ok((stream, _)) = listener.accept() else { continue };
        if stream.set_nonblocking(false).is_err() || open.load(Ordering::Relaxed) >= CONNECTIONS {
            continue;
        }
        let guard = Counted::new(&open);
        let handler = Arc::clone(handler);
        // A connection that no thread can be had for is closed.
        drop(std::thread::Builder::new().name("connection".to_owned()).spawn(move || {
            let _counted = guard;
            handler(stream);
        }));
    }
}

/// Counts while it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_socket_is_answered_while_its_server_lives() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let handler: Handler = Arc::new(|mut stream: UnixStream| {
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() {
                stream.write_all(&[byte[0] + 1]).unwrap();
            }
        });
        let ids = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let server = SocketServer::start(&deep, "s", (ids.0, ids.1, 0o600), handler).unwrap();
        let path = server.path().to_owned();
        let short = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &short).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for _ in 0..100 {
            let mut stream = connect_socket(&short, Duration::from_secs(10)).unwrap();
            stream.write_all(b"a").unwrap();
            let mut answer = [0];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"b");
        }
        drop(server);
        assert!(!path.exists());
        assert!(connect_socket(&short, Duration::from_secs(10)).is_err());
    }
}

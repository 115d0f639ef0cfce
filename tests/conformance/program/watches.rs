//! `inotify`: what can be watched, and that events come.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags as W};

use super::actors::as_user;
use super::calls::{chmod, mkdir};
use super::report::tell;

pub(crate) fn run() {
    fs::write("file", "hello").unwrap();
    mkdir("dir", 0o755).unwrap();
    for (target, link) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    what_can_be_watched();
    events();
    permissions();
}

fn what_can_be_watched() {
    let Some(watcher) = tell!(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)) else { return };
    let add = |path: &str, flags| inotify::add_watch(&watcher, path, flags);
    for path in
        ["file", "dir", "link", "to-dir", "to-dir/", "dangling", "loop", "missing", "", "file/", "/", "."]
    {
        tell!("add_watch({path:?})" => add(path, W::MODIFY));
        tell!("add_watch({path:?}, DONT_FOLLOW)" => add(path, W::MODIFY | W::DONT_FOLLOW));
        tell!("add_watch({path:?}, ONLYDIR)" => add(path, W::MODIFY | W::ONLYDIR));
    }
    tell!(add("file", W::MODIFY | W::MASK_CREATE));
    tell!(add("file", W::empty()));
    tell!(add("file", W::MODIFY | W::MASK_CREATE | W::MASK_ADD));
    tell!(inotify::remove_watch(&watcher, 1));
    tell!(inotify::remove_watch(&watcher, 1));
    tell!(inotify::remove_watch(&watcher, 99));
    tell!(inotify::add_watch(fs::File::open("file").unwrap(), "file", W::MODIFY));
}

fn pending(watcher: &OwnedFd) -> rustix::io::Result<String> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(watcher, &mut buffer);
    let mut text = Vec::new();
    loop {
        let event = match reader.next() {
            Err(rustix::io::Errno::AGAIN) => return Ok(text.join("; ")),
            event => event?,
        };
        let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
        let ReadFlags { .. } = event.events();
        text.push(format!("{:x} {}", event.events().bits(), name.unwrap_or_default()));
    }
}

fn events() {
    let Some(watcher) = tell!(inotify::init(CreateFlags::NONBLOCK)) else { return };
    tell!(pending(&watcher));
    inotify::add_watch(&watcher, "to-dir", W::CREATE | W::DELETE | W::MOVE | W::ATTRIB | W::CLOSE_WRITE).ok();
    tell!(fs::write("dir/a", "content"));
    tell!(pending(&watcher));
    tell!(fs::rename("dir/a", "dir/b"));
    tell!(pending(&watcher));
    tell!(chmod("dir/b", 0o600));
    tell!(pending(&watcher));
    tell!(mkdir("dir/sub", 0o755));
    tell!(fs::remove_file("dir/b"));
    tell!(fs::remove_dir("dir/sub"));
    tell!(pending(&watcher));
}

fn permissions() {
    fs::write("secret", "").unwrap();
    chmod("secret", 0o600).unwrap();
    as_user(1000, 1000, &[], || {
        let Some(watcher) = tell!(inotify::init(CreateFlags::NONBLOCK)) else { return };
        tell!(inotify::add_watch(&watcher, "secret", W::MODIFY));
        tell!(inotify::add_watch(&watcher, "dir", W::MODIFY));
    });
}

//! Sockets of the file system: their names, and who is at the other end.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, getsockname, listen, socket};

use super::actors::as_user;
use super::calls::{chmod, chown, lstat, mkdir, umask};
use super::report::tell;

const HOME: &str = "/t/sockets";

pub(crate) fn run() {
    fs::write("file", "").unwrap();
    mkdir("dir", 0o755).unwrap();
    for (target, link) in [("socket", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(target, link).unwrap();
    }
    binding();
    connecting();
    long_names();
    abstract_names();
    datagrams();
    peers();
    permissions();
}

fn stream() -> std::os::fd::OwnedFd {
    socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap()
}

/// Binds a new socket and tells the name that it has then.
fn bound(path: &str) -> rustix::io::Result<String> {
    let socket = stream();
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    name_of(&socket)
}

fn name_of(socket: impl AsFd) -> rustix::io::Result<String> {
    let address = SocketAddrUnix::try_from(getsockname(socket)?)?;
    Ok(address.path_bytes().unwrap_or_default().escape_ascii().to_string())
}

fn binding() {
    for mask in [0o022, 0o077] {
        umask(mask).unwrap();
        let name = format!("mask-{mask:o}");
        tell!("bound({name:?})" => bound(&name));
        tell!("lstat({name:?})" => lstat(&name));
    }
    umask(0o022).unwrap();
    let names =
        ["relative", "/t/sockets/absolute", "dir/below", "to-dir/linked", "./dotted", "../sockets/up"];
    let wrong = ["relative", "file", "dangling", "loop", "missing/x", "file/x", "x/", "dir", "/", "."];
    for path in names.into_iter().chain(wrong) {
        tell!("bound({path:?})" => bound(path));
        tell!("lstat({path:?})" => lstat(path).map(|stat| stat.st_mode & 0o170_000));
    }
    let twice = stream();
    bind(&twice, &SocketAddrUnix::new("first").unwrap()).unwrap();
    tell!(bind(&twice, &SocketAddrUnix::new("second").unwrap()));
    tell!(name_of(stream()));
}

fn connecting() {
    let listener = UnixListener::bind("socket").unwrap();
    let to = |path: &str| UnixStream::connect(path).map(|_| ());
    let paths = ["socket", "/t/sockets/socket", "link", "./dir/../socket", "../sockets/socket"];
    let wrong =
        ["relative", "file", "dir", "dangling", "loop", "missing", "socket/", "socket/x", "/dev/null"];
    for path in paths.into_iter().chain(wrong) {
        tell!("connect({path:?})" => to(path));
    }
    let client = UnixStream::connect("link").unwrap();
    let path_of = |address: std::os::unix::net::SocketAddr| address.as_pathname().map(ToOwned::to_owned);
    tell!("peer of the client" => client.peer_addr().map(path_of));
    tell!("name of the client" => client.local_addr().map(path_of));
    tell!("name of the listener" => listener.local_addr().map(path_of));
    std::env::set_current_dir("dir").unwrap();
    tell!(to("../socket"));
    tell!(to("socket"));
    std::env::set_current_dir(HOME).unwrap();
    tell!(fs::rename("socket", "renamed"));
    tell!(to("renamed"));
    tell!(fs::hard_link("renamed", "linked"));
    tell!(to("linked"));
    tell!("peer of one connected by another name" => UnixStream::connect("linked").unwrap().peer_addr().map(path_of));
    fs::remove_file("renamed").unwrap();
    tell!(to("renamed"));
    tell!("peer of one whose name is gone" => UnixStream::connect("linked").unwrap().peer_addr().map(path_of));
    drop(listener);
    tell!(to("linked"));
}

/// The kernel takes 108 bytes with the name; what a step sees as short may be long outside.
fn long_names() {
    for length in [90, 106, 107] {
        let name = "n".repeat(length - "dir/".len());
        let path = format!("dir/{name}");
        tell!("bound({length} bytes)" => bound(&path).map(|name| name.len()));
        tell!("lstat({length} bytes)" => lstat(&path).map(|stat| stat.st_mode & 0o170_000));
        let socket = stream();
        let address = SocketAddrUnix::new(format!("dir/m{}", &name[1..]).as_str()).unwrap();
        tell!("bind({length} bytes)" => bind(&socket, &address));
        tell!("listen" => listen(&socket, 1));
        tell!("connect({length} bytes)" => connect(stream(), &address));
    }
}

fn abstract_names() {
    let address = SocketAddrUnix::new_abstract_name(b"/t/sockets/conformance\0x").unwrap();
    let socket = stream();
    tell!("connect(abstract)" => connect(stream(), &address));
    tell!("bind(abstract)" => bind(&socket, &address));
    tell!("bind(abstract) again" => bind(stream(), &address));
    tell!("listen" => listen(&socket, 1));
    tell!("connect(abstract)" => connect(stream(), &address));
    let name = SocketAddrUnix::try_from(getsockname(&socket).unwrap()).unwrap();
    tell!("getsockname" => Ok::<_, rustix::io::Errno>(name.abstract_name().unwrap().escape_ascii().to_string()));
    drop(socket);
    tell!("connect(abstract)" => connect(stream(), &address));
    tell!("connect(unnamed)" => connect(stream(), &SocketAddrUnix::new_unnamed()));
}

fn datagrams() {
    let receiver = UnixDatagram::bind("mailbox").unwrap();
    let sender = UnixDatagram::bind("dir/sender").unwrap();
    let anonymous = UnixDatagram::unbound().unwrap();
    let mut buffer = [0; 16];
    for path in ["mailbox", "/t/sockets/mailbox", "dir/../mailbox", "missing", "file", "linked"] {
        tell!("send_to({path:?})" => sender.send_to(b"letter", path));
    }
    let from = |(length, address): (usize, std::os::unix::net::SocketAddr)| {
        format!("{length} from {:?}", address.as_pathname())
    };
    tell!(receiver.recv_from(&mut buffer).map(from));
    tell!(anonymous.send_to(b"secret", "mailbox"));
    tell!(receiver.recv_from(&mut buffer).map(from));
    tell!(receiver.recv_from(&mut buffer).map(from));
    tell!(receiver.recv_from(&mut buffer).map(from));
    tell!(anonymous.connect("mailbox"));
    tell!(anonymous.send(b"x"));
    tell!("connect(stream to datagram)" => UnixStream::connect("mailbox").map(|_| ()));
    tell!("connect(datagram to stream)" => anonymous.connect("relative"));
}

/// Who connected, as `SO_PEERCRED` says it.
fn peers() {
    let peer = |socket: &UnixStream| {
        socket_peercred(socket).map(|peer| format!("{}:{}", peer.uid.as_raw(), peer.gid.as_raw()))
    };
    let listener = UnixListener::bind("peers").unwrap();
    chmod("peers", 0o777).unwrap();
    let client = UnixStream::connect("peers").unwrap();
    let (server, _) = listener.accept().unwrap();
    tell!(peer(&client));
    tell!(peer(&server));
    as_user(1000, 1001, &[], || {
        let client = UnixStream::connect("peers").unwrap();
        let (server, _) = listener.accept().unwrap();
        tell!(peer(&client));
        tell!(peer(&server));
        let (left, _right) = UnixStream::pair().unwrap();
        tell!(peer(&left));
    });
    let (left, _right) = UnixStream::pair().unwrap();
    tell!(peer(&left));
}

fn permissions() {
    let _listeners = ["open", "shut"].map(|name| UnixListener::bind(name).unwrap());
    chmod("open", 0o722).unwrap();
    chmod("shut", 0o755).unwrap();
    mkdir("own", 0o755).unwrap();
    chown("own", Some(1000), Some(1000)).unwrap();
    as_user(1000, 1000, &[], || {
        tell!(UnixStream::connect("open").map(|_| ()));
        tell!(UnixStream::connect("shut").map(|_| ()));
        tell!(bound("theirs"));
        tell!(bound("own/mine"));
        tell!(lstat("own/mine"));
    });
}

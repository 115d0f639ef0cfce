//! Who is at the other end of a socket: a program that runs in a step and asks, and the tests that run it there.
#![expect(unsafe_code, reason = "no crate asks for the groups of a peer")]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{PassCred, PeerCredentials};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials,
    getsockopt, recvmsg, sendmsg, setsockopt, socketpair,
};
use rustix::process::{Gid, Uid};

use crate::Test;
use crate::attacker::attack;
use crate::setting::{Setting, Who, success};

pub(crate) const TESTS: &[Test] = &[(
    "peers_have_the_identity_of_the_step",
    &[Who::Root, Who::Pod, Who::Subordinate, Who::Traced],
    peers_have_the_identity,
)];

fn peers_have_the_identity(setting: &Setting) {
    let told = success(&attack(setting, &["peers"]));
    let expected = "peer 0:0 []
        said Ok(\"7:8\")
        peer 1000:1001 [5, 6]
        said Err(EPERM)
        said Ok(\"1000:1001\")
        unsaid Ok(\"1000:1001\")";
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

/// Tells who the peers are, as root and as somebody else.
pub(crate) fn tell() {
    let pair = pair();
    println!("peer {}", peer(&pair.0));
    setsockopt(&pair.1, PassCred, &true).unwrap();
    println!("said {:?}", send(&pair, Some((7, 8))));
    let groups = [5, 6].map(Gid::from_raw);
    rustix::thread::set_thread_groups(&groups).unwrap();
    let (uid, gid) = (Uid::from_raw(1000), Gid::from_raw(1001));
    rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
    rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
    println!("peer {}", peer(&self::pair().0));
    println!("said {:?}", send(&pair, Some((0, 0))));
    println!("said {:?}", send(&pair, Some((1000, 1001))));
    println!("unsaid {:?}", send(&pair, None));
}

type Pair = (OwnedFd, OwnedFd);

fn pair() -> Pair {
    socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::empty()).unwrap()
}

fn peer(socket: &OwnedFd) -> String {
    let peer = getsockopt(socket, PeerCredentials).unwrap();
    assert_eq!(peer.pid().unsigned_abs(), std::process::id());
    let mut groups = [0_u32; 16];
    let mut length = libc::socklen_t::try_from(size_of_val(&groups)).unwrap();
    let (fd, option) = (socket.as_raw_fd(), libc::SO_PEERGROUPS);
    // SAFETY: the kernel writes at most as many bytes as it is told, all of an array that outlives the call.
    let answer = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, option, groups.as_mut_ptr().cast(), &raw mut length)
    };
    assert_eq!(answer, 0);
    let count = usize::try_from(length).unwrap() / size_of::<u32>();
    format!("{}:{} {:?}", peer.uid(), peer.gid(), &groups[..count])
}

/// Who is said, or not, to have sent a message.
fn send((from, to): &Pair, who: Option<(u32, u32)>) -> Result<String, Errno> {
    let credentials = who.map(|(uid, gid)| {
        let pid = rustix::process::getpid().as_raw_pid();
        UnixCredentials::from(libc::ucred { pid, uid, gid })
    });
    let control: Vec<_> = credentials.iter().map(ControlMessage::ScmCredentials).collect();
    sendmsg::<()>(from.as_raw_fd(), &[IoSlice::new(b"x")], &control, MsgFlags::empty(), None)?;
    let (mut byte, mut room) = ([0], nix::cmsg_space!(UnixCredentials));
    let mut parts = [IoSliceMut::new(&mut byte)];
    let received = recvmsg::<()>(to.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::empty())?;
    let Some(ControlMessageOwned::ScmCredentials(who)) = received.cmsgs()?.next() else {
        return Ok("nobody".to_owned());
    };
    assert_eq!(who.pid().unsigned_abs(), std::process::id());
    Ok(format!("{}:{}", who.uid(), who.gid()))
}

//! Which system calls of a step are stopped, and for whom: a seccomp filter (seccomp(2)), made from one table.
//!
//! Whatever is not in the table is carried out by the kernel without us: reading, writing, memory, signals of one's own.
//! A call that is newer than the table is answered with `ENOSYS`, as it may take a path.

use libc::{c_long, sock_filter};

use super::board;

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The supervisor answers it.
    Answer,
    /// The tracer changes its arguments.
    Rewrite,
    /// The tracer answers it, at a signal. Of several filters the strictest answer counts, and this is stricter than the
    /// errno that a pod's filter may have for it.
    Trap,
    /// It fails with this errno.
    Fail(i32),
    /// The kernel carries it out.
    Allow,
}

use Action::{Allow, Answer, Fail, Rewrite, Trap};

/// When an entry of the table is meant.
#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    /// The low half of an argument is one of these.
    Is(u32, &'static [u32]),
    /// The second byte of an argument is one of these.
    IsOfType(u32, &'static [u32]),
    /// The low half of an argument has one of these bits.
    Has(u32, u32),
    /// An argument is not zero.
    Given(u32),
    /// An argument is an address on [the board](board), or before it.
    OnBoard(u32),
    /// All of it.
    All(&'static [Self]),
}

use When::{All, Always, Given, Has, Is, IsOfType, OnBoard};

/// The last system call that this table was made for (`listxattrat` and its like are the newest that it names).
const NEWEST: u32 = 471;

/// Namespaces that clone(2) can make, and the flag by which a child would escape its tracer.
const CLONE_DENIED: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_UNTRACED)
    .cast_unsigned();

/// Options of prctl(2) that concern the identity, or would hide the process from its supervisor.
const PRCTL: &[u32] = &[
    libc::PR_GET_DUMPABLE.cast_unsigned(),
    libc::PR_SET_DUMPABLE.cast_unsigned(),
    libc::PR_GET_KEEPCAPS.cast_unsigned(),
    libc::PR_SET_KEEPCAPS.cast_unsigned(),
    libc::PR_CAPBSET_READ.cast_unsigned(),
    libc::PR_CAPBSET_DROP.cast_unsigned(),
    libc::PR_GET_SECUREBITS.cast_unsigned(),
    libc::PR_SET_SECUREBITS.cast_unsigned(),
    libc::PR_CAP_AMBIENT.cast_unsigned(),
    libc::PR_GET_NO_NEW_PRIVS.cast_unsigned(),
    libc::PR_SET_NO_NEW_PRIVS.cast_unsigned(),
    libc::PR_SET_SECCOMP.cast_unsigned(),
];

/// A handle cannot be put into a process, which has to open it itself.
const O_PATH: u32 = libc::O_PATH.cast_unsigned();

/// Options of sockets that tell who is at the other end (unix(7)).
const PEER: &[u32] = &[libc::SO_PEERCRED.cast_unsigned(), libc::SO_PEERGROUPS.cast_unsigned()];

/// mmap(2), mremap(2), shmat(2): what is there is replaced.
const MAP_FIXED: u32 = libc::MAP_FIXED.cast_unsigned();
const MREMAP_FIXED: u32 = libc::MREMAP_FIXED.cast_unsigned();
const SHM_REMAP: u32 = libc::SHM_REMAP.cast_unsigned();

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

/// Who is sent a signal of the caller's choice when something happens to an open file (fcntl(2), `F_SETOWN`). All but the
/// first take the process from memory, where it could be exchanged after we looked.
const F_SETOWN: u32 = 8;
const F_SETOWN_EX: u32 = 15;
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;

/// The types of ioctls that file systems have (`ioctl(2)`). Most of them change a file by the right of its owner, however
/// it was opened: also one of a mount that can only be read, as to the kernel there is no such mount.
const OF_FILE_SYSTEMS: &[u32] = &[b'f' as u32, b'v' as u32, b'X' as u32, 0x94];
/// Those that only tell something, or need a file that is open for writing: `FS_IOC_GETFLAGS`, `FS_IOC_FIEMAP`,
/// `FS_IOC_GETVERSION`, `FS_IOC_FSGETXATTR`, `FICLONE`, `FICLONERANGE` and `FIDEDUPERANGE`.
const HARMLESS: &[u32] =
    &[0x8008_6601, 0xc020_660b, 0x8008_7601, 0x801c_581f, 0x4004_9409, 0x4020_940d, 0xc018_9436];

/// Handles of processes that are no descendants, as an agent's socket has one at its other end (unix(7)).
const SOL_SOCKET: u32 = libc::SOL_SOCKET.cast_unsigned();
const SO_PASSPIDFD: u32 = 76;
const SO_PEERPIDFD: u32 = 77;
const NOPROTOOPT: Action = Fail(libc::ENOPROTOOPT);

/// The audit log of the machine, which a user namespace does not have either. Without it programs such as sudo are silent;
/// a socket that leads there would have them complain that root may not write.
const AUDIT: When =
    All(&[Is(0, &[libc::AF_NETLINK.cast_unsigned()]), Is(2, &[libc::NETLINK_AUDIT.cast_unsigned()])]);

/// Calls that libc has no number for.
const FCHMODAT2: c_long = 452;
const MAP_SHADOW_STACK: c_long = 453;
const STATMOUNT: c_long = 457;
const LISTMOUNT: c_long = 458;
const SETXATTRAT: c_long = 463;
const GETXATTRAT: c_long = 464;
const LISTXATTRAT: c_long = 465;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_GETATTR: c_long = 468;
const FILE_SETATTR: c_long = 469;

const PERM: Action = Fail(libc::EPERM);
const NOSYS: Action = Fail(libc::ENOSYS);
const INVAL: Action = Fail(libc::EINVAL);

/// The table. The first entry that is meant counts.
#[rustfmt::skip]
const TABLE: &[(c_long, When, Action)] = &[
    // Memory: the board stays. First, as nothing is called so often.
    (libc::SYS_mmap, All(&[Has(3, MAP_FIXED), OnBoard(0)]), PERM), (libc::SYS_munmap, OnBoard(0), INVAL),
    (libc::SYS_mremap, OnBoard(0), INVAL), (libc::SYS_mremap, All(&[Has(3, MREMAP_FIXED), OnBoard(4)]), INVAL),
    (libc::SYS_madvise, OnBoard(0), INVAL), (libc::SYS_brk, All(&[Given(0), OnBoard(0)]), INVAL),
    (libc::SYS_shmat, All(&[Has(2, SHM_REMAP), OnBoard(1)]), INVAL), (libc::SYS_remap_file_pages, Always, NOSYS),

    // Paths.
    (libc::SYS_open, Has(1, O_PATH), Rewrite), (libc::SYS_openat, Has(2, O_PATH), Rewrite),
    (libc::SYS_open, Always, Answer), (libc::SYS_openat, Always, Answer), (libc::SYS_openat2, Always, Rewrite),
    (libc::SYS_creat, Always, Answer),
    (libc::SYS_stat, Always, Answer), (libc::SYS_lstat, Always, Answer), (libc::SYS_fstat, Always, Answer),
    (libc::SYS_newfstatat, Always, Answer), (libc::SYS_statx, Always, Answer),
    (libc::SYS_access, Always, Answer), (libc::SYS_faccessat, Always, Answer), (libc::SYS_faccessat2, Always, Answer),
    (libc::SYS_readlink, Always, Answer), (libc::SYS_readlinkat, Always, Answer),
    (libc::SYS_mkdir, Always, Answer), (libc::SYS_mkdirat, Always, Answer),
    (libc::SYS_mknod, Always, Answer), (libc::SYS_mknodat, Always, Answer),
    (libc::SYS_rmdir, Always, Answer), (libc::SYS_unlink, Always, Answer), (libc::SYS_unlinkat, Always, Answer),
    (libc::SYS_rename, Always, Answer), (libc::SYS_renameat, Always, Answer), (libc::SYS_renameat2, Always, Answer),
    (libc::SYS_link, Always, Answer), (libc::SYS_linkat, Always, Answer),
    (libc::SYS_symlink, Always, Answer), (libc::SYS_symlinkat, Always, Answer),
    (libc::SYS_chmod, Always, Answer), (libc::SYS_fchmod, Always, Answer), (libc::SYS_fchmodat, Always, Answer),
    (FCHMODAT2, Always, Answer),
    (libc::SYS_chown, Always, Answer), (libc::SYS_lchown, Always, Answer), (libc::SYS_fchown, Always, Answer),
    (libc::SYS_fchownat, Always, Answer),
    (libc::SYS_utime, Always, Answer), (libc::SYS_utimes, Always, Answer), (libc::SYS_futimesat, Always, Answer),
    (libc::SYS_utimensat, Always, Answer),
    (libc::SYS_truncate, Always, Answer), (libc::SYS_statfs, Always, Answer),
    (libc::SYS_chdir, Always, Answer), (libc::SYS_fchdir, Always, Answer), (libc::SYS_getcwd, Always, Answer),
    (libc::SYS_chroot, Always, Trap), (libc::SYS_umask, Always, Answer),
    (libc::SYS_setxattr, Always, Answer), (libc::SYS_lsetxattr, Always, Answer), (libc::SYS_fsetxattr, Always, Answer),
    (libc::SYS_getxattr, Always, Answer), (libc::SYS_lgetxattr, Always, Answer), (libc::SYS_fgetxattr, Always, Answer),
    (libc::SYS_listxattr, Always, Answer), (libc::SYS_llistxattr, Always, Answer),
    (libc::SYS_flistxattr, Always, Answer),
    (libc::SYS_removexattr, Always, Answer), (libc::SYS_lremovexattr, Always, Answer),
    (libc::SYS_fremovexattr, Always, Answer),
    (SETXATTRAT, Always, NOSYS), (GETXATTRAT, Always, NOSYS), (LISTXATTRAT, Always, NOSYS),
    (REMOVEXATTRAT, Always, NOSYS), (FILE_GETATTR, Always, NOSYS), (FILE_SETATTR, Always, NOSYS),
    (libc::SYS_inotify_add_watch, Always, Rewrite),
    (libc::SYS_execve, Always, Rewrite), (libc::SYS_execveat, Always, Rewrite),
    (libc::SYS_bind, Always, Rewrite), (libc::SYS_connect, Always, Rewrite), (libc::SYS_sendto, Given(4), Rewrite),
    (libc::SYS_sendmsg, Always, Rewrite), (libc::SYS_sendmmsg, Always, Rewrite),
    (libc::SYS_getsockname, Always, Rewrite), (libc::SYS_getpeername, Always, Rewrite),
    (libc::SYS_accept, Given(1), Rewrite), (libc::SYS_accept4, Given(1), Rewrite), (libc::SYS_recvfrom, Given(4), Rewrite),
    (libc::SYS_getsockopt, All(&[Is(1, &[SOL_SOCKET]), Is(2, PEER)]), Rewrite),
    (libc::SYS_listen, Always, Answer), (libc::SYS_socketpair, Always, Answer),
    (libc::SYS_name_to_handle_at, Always, Fail(libc::EOPNOTSUPP)), (libc::SYS_open_by_handle_at, Always, PERM),
    (libc::SYS_fanotify_init, Always, PERM), (libc::SYS_fanotify_mark, Always, PERM),
    (libc::SYS_acct, Always, PERM), (libc::SYS_swapon, Always, PERM), (libc::SYS_swapoff, Always, PERM),
    (libc::SYS_quotactl, Always, PERM), (libc::SYS_quotactl_fd, Always, PERM), (libc::SYS_uselib, Always, NOSYS),

    // Mounts and namespaces.
    (libc::SYS_mount, Always, Answer), (libc::SYS_umount2, Always, Answer), (libc::SYS_pivot_root, Always, Answer),
    (libc::SYS_unshare, Always, Answer), (libc::SYS_setns, Always, PERM),
    (libc::SYS_clone, Has(0, CLONE_DENIED), PERM), (libc::SYS_clone3, Always, NOSYS),
    (libc::SYS_open_tree, Always, NOSYS), (libc::SYS_move_mount, Always, NOSYS), (libc::SYS_fsopen, Always, NOSYS),
    (libc::SYS_fsconfig, Always, NOSYS), (libc::SYS_fsmount, Always, NOSYS), (libc::SYS_fspick, Always, NOSYS),
    (libc::SYS_mount_setattr, Always, NOSYS), (STATMOUNT, Always, NOSYS), (LISTMOUNT, Always, NOSYS),
    (OPEN_TREE_ATTR, Always, NOSYS),

    // Identity.
    (libc::SYS_getuid, Always, Answer), (libc::SYS_geteuid, Always, Answer), (libc::SYS_getgid, Always, Answer),
    (libc::SYS_getegid, Always, Answer), (libc::SYS_getresuid, Always, Answer), (libc::SYS_getresgid, Always, Answer),
    (libc::SYS_getgroups, Always, Answer), (libc::SYS_setgroups, Always, Answer),
    (libc::SYS_setuid, Always, Answer), (libc::SYS_setgid, Always, Answer), (libc::SYS_setreuid, Always, Answer),
    (libc::SYS_setregid, Always, Answer), (libc::SYS_setresuid, Always, Answer), (libc::SYS_setresgid, Always, Answer),
    (libc::SYS_setfsuid, Always, Answer), (libc::SYS_setfsgid, Always, Answer),
    (libc::SYS_capget, Always, Answer), (libc::SYS_capset, Always, Answer), (libc::SYS_prctl, Is(0, PRCTL), Answer),

    // Other processes.
    (libc::SYS_getppid, Always, Answer), (libc::SYS_uname, Always, Answer),
    (libc::SYS_kill, Always, Answer), (libc::SYS_tkill, Always, Answer), (libc::SYS_tgkill, Always, Answer),
    (libc::SYS_rt_sigqueueinfo, Always, Answer), (libc::SYS_rt_tgsigqueueinfo, Always, Answer),
    (libc::SYS_pidfd_open, Always, Answer), (libc::SYS_pidfd_send_signal, Always, Answer),
    (libc::SYS_pidfd_getfd, Always, PERM),
    (libc::SYS_setpriority, Always, Answer), (libc::SYS_prlimit64, Given(0), Answer),
    (libc::SYS_sched_setaffinity, Given(0), Answer), (libc::SYS_sched_setscheduler, Given(0), Answer),
    (libc::SYS_sched_setparam, Given(0), Answer), (libc::SYS_sched_setattr, Given(0), Answer),
    (libc::SYS_ioprio_set, Always, Answer), (libc::SYS_get_robust_list, Given(0), Answer),
    (libc::SYS_fcntl, Is(1, &[F_SETOWN]), Answer), (libc::SYS_fcntl, Is(1, &[F_SETOWN_EX]), PERM),
    (libc::SYS_seccomp, Always, Answer), (libc::SYS_ptrace, Always, PERM),
    (libc::SYS_process_vm_readv, Always, PERM), (libc::SYS_process_vm_writev, Always, PERM),
    (libc::SYS_getsockopt, All(&[Is(1, &[SOL_SOCKET]), Is(2, &[SO_PEERPIDFD])]), NOPROTOOPT),
    (libc::SYS_setsockopt, All(&[Is(1, &[SOL_SOCKET]), Is(2, &[SO_PASSPIDFD])]), NOPROTOOPT),
    (libc::SYS_process_madvise, Always, PERM), (libc::SYS_kcmp, Always, PERM),
    (libc::SYS_migrate_pages, Always, PERM), (libc::SYS_move_pages, Always, PERM),

    // What processes share.
    (libc::SYS_shmget, Always, Answer), (libc::SYS_shmat, Always, Answer), (libc::SYS_shmctl, Always, Answer),
    (libc::SYS_semget, Always, Answer), (libc::SYS_semop, Always, Answer), (libc::SYS_semtimedop, Always, Answer),
    (libc::SYS_semctl, Always, Answer), (libc::SYS_msgget, Always, Answer), (libc::SYS_msgsnd, Always, Answer),
    (libc::SYS_msgrcv, Always, Answer), (libc::SYS_msgctl, Always, Answer),
    (libc::SYS_mq_open, Always, NOSYS), (libc::SYS_mq_unlink, Always, NOSYS),

    // The machine.
    (libc::SYS_sethostname, Always, PERM), (libc::SYS_setdomainname, Always, PERM), (libc::SYS_reboot, Always, PERM),
    (libc::SYS_settimeofday, Always, PERM), (libc::SYS_clock_settime, Always, PERM), (libc::SYS_clock_adjtime, Always, PERM),
    (libc::SYS_adjtimex, Always, PERM), (libc::SYS_syslog, Always, PERM), (libc::SYS_iopl, Always, PERM),
    (libc::SYS_ioperm, Always, PERM), (libc::SYS_init_module, Always, PERM), (libc::SYS_finit_module, Always, PERM),
    (libc::SYS_delete_module, Always, PERM), (libc::SYS_kexec_load, Always, PERM),
    (libc::SYS_kexec_file_load, Always, PERM), (libc::SYS_bpf, Always, PERM), (libc::SYS_perf_event_open, Always, PERM),
    (libc::SYS_userfaultfd, Always, PERM), (libc::SYS_add_key, Always, NOSYS), (libc::SYS_request_key, Always, NOSYS),
    (libc::SYS_keyctl, Always, NOSYS), (libc::SYS_vhangup, Always, PERM),
    (libc::SYS_io_uring_setup, Always, NOSYS), (libc::SYS_io_uring_enter, Always, NOSYS),
    (libc::SYS_io_uring_register, Always, NOSYS), (MAP_SHADOW_STACK, Always, NOSYS),
    (libc::SYS_socket, AUDIT, Fail(libc::EPROTONOSUPPORT)),
    (libc::SYS_ioctl, Is(1, &[TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP]), PERM),
    (libc::SYS_ioctl, Is(1, HARMLESS), Allow), (libc::SYS_ioctl, IsOfType(1, OF_FILE_SYSTEMS), Fail(libc::ENOTTY)),
];

/// What tells a signal of this filter from that of another one: `si_errno` (sigaction(2), SIGSYS).
pub(super) const TRAP: i32 = 0x6275;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
/// Set in the numbers of the x32 ABI.
const X32: u32 = 0x4000_0000;

/// The filter.
pub(super) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(libc::BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        // A 32 bit program; none is ever executed, but any program can make such calls.
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        jump(libc::BPF_JGE, X32, 0, 1),
        verdict(NOSYS),
        jump(libc::BPF_JGT, NEWEST, 0, 1),
        verdict(NOSYS),
    ];
    for (index, (number, when, action)) in TABLE.iter().enumerate() {
        let mut test = condition(*when, 1);
        test.push(verdict(*action));
        if test.len() > 1 {
            let is_last = TABLE[index + 1..].iter().all(|(other, ..)| other != number);
            // The condition loaded something else.
            test.push(if is_last { answer(libc::SECCOMP_RET_ALLOW) } else { load(NUMBER) });
        }
        let Ok(number) = u32::try_from(*number) else { continue };
        let skip = u8::try_from(test.len()).unwrap_or(u8::MAX);
        program.push(jump(libc::BPF_JEQ, number, 0, skip));
        program.append(&mut test);
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// A filter that stops one call for the tracer and one for the supervisor.
pub(super) fn trial(traced: libc::c_long, answered: libc::c_long) -> Vec<sock_filter> {
    let is = |number: libc::c_long| jump(libc::BPF_JEQ, u32::try_from(number).unwrap_or(u32::MAX), 0, 1);
    vec![
        load(NUMBER),
        is(traced),
        verdict(Rewrite),
        is(answered),
        verdict(Answer),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Instructions that fall through to what is behind them if `when` is the case, and else skip `behind` instructions.
fn condition(when: When, behind: u8) -> Vec<sock_filter> {
    match when {
        Always => Vec::new(),
        Is(argument, values) => [vec![load(ARGUMENTS + 8 * argument)], is_one_of(values, behind)].concat(),
        IsOfType(argument, values) => {
            let mut test = vec![load(ARGUMENTS + 8 * argument)];
            test.push(instruction(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 8, 0, 0));
            test.push(instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xff, 0, 0));
            [test, is_one_of(values, behind)].concat()
        }
        Has(argument, bits) => {
            vec![load(ARGUMENTS + 8 * argument), jump(libc::BPF_JSET, bits, 0, behind)]
        }
        Given(argument) => vec![
            load(ARGUMENTS + 8 * argument),
            jump(libc::BPF_JEQ, 0, 0, 2),
            load(ARGUMENTS + 8 * argument + 4),
            jump(libc::BPF_JEQ, 0, behind, 0),
        ],
        OnBoard(argument) => vec![
            load(ARGUMENTS + 8 * argument + 4),
            jump(libc::BPF_JEQ, 0, 0, 2 + behind),
            load(ARGUMENTS + 8 * argument),
            jump(libc::BPF_JGE, board::END, behind, 0),
        ],
        All(all) => all.iter().rev().fold(Vec::new(), |rest, when| {
            let behind = behind + u8::try_from(rest.len()).unwrap_or(u8::MAX);
            [condition(*when, behind), rest].concat()
        }),
    }
}

/// Falls through if what was loaded is one of `values`, and else skips `behind` instructions.
fn is_one_of(values: &[u32], behind: u8) -> Vec<sock_filter> {
    let to_the_end = |index| u8::try_from(values.len() - 1 - index).unwrap_or(u8::MAX);
    let tests = values.iter().enumerate().map(|(index, value)| (value, to_the_end(index)));
    tests.map(|(value, left)| jump(libc::BPF_JEQ, *value, left, if left == 0 { behind } else { 0 })).collect()
}

fn verdict(action: Action) -> sock_filter {
    answer(match action {
        Answer => libc::SECCOMP_RET_USER_NOTIF,
        Rewrite => libc::SECCOMP_RET_TRACE,
        Trap => libc::SECCOMP_RET_TRAP | TRAP.cast_unsigned(),
        Fail(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
        Allow => libc::SECCOMP_RET_ALLOW,
    })
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

fn jump(kind: u32, value: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(libc::BPF_JMP | kind | libc::BPF_K, value, if_true, if_false)
}

fn answer(value: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, value, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;

    /// What the filter says of a call, as the kernel runs it.
    fn answer_to(number: c_long, args: [u64; 6]) -> u32 {
        run(AUDIT_ARCH_X86_64, u32::try_from(number).unwrap(), args)
    }

    fn run(architecture: u32, number: u32, args: [u64; 6]) -> u32 {
        let mut data = [number.to_ne_bytes(), architecture.to_ne_bytes(), [0; 4], [0; 4]].concat();
        data.extend(args.iter().flat_map(|argument| argument.to_ne_bytes()));
        let (program, mut at, mut value) = (program(), 0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let code = u32::from(code);
            let jump = |holds| 1 + usize::from(if holds { jt } else { jf });
            at += match code & 0x07 {
                libc::BPF_RET => return k,
                libc::BPF_LD => {
                    let offset = usize::try_from(k).unwrap();
                    value = u32::from_ne_bytes(data[offset..offset + 4].try_into().unwrap());
                    1
                }
                libc::BPF_ALU => {
                    value = if code & 0xf0 == libc::BPF_RSH { value >> k } else { value & k };
                    1
                }
                _ => jump(match code & 0xf0 {
                    libc::BPF_JEQ => value == k,
                    libc::BPF_JGT => value > k,
                    libc::BPF_JGE => value >= k,
                    _ => value & k != 0,
                }),
            };
        }
    }

    #[test]
    fn only_what_has_a_path_or_an_identity_is_stopped() {
        for number in [libc::SYS_read, libc::SYS_write, libc::SYS_mmap, libc::SYS_close, libc::SYS_futex] {
            assert_eq!(answer_to(number, [0; 6]), ALLOW, "{number}");
        }
        for number in [libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_chown, libc::SYS_setuid] {
            assert_eq!(answer_to(number, [0; 6]), NOTIFY, "{number}");
        }
        assert_eq!(answer_to(libc::SYS_execve, [0; 6]), libc::SECCOMP_RET_TRACE);
        assert_eq!(answer_to(libc::SYS_chroot, [0; 6]), libc::SECCOMP_RET_TRAP | 0x6275);
    }

    #[test]
    fn arguments_decide_where_the_call_alone_does_not() {
        let failing = |errno: i32| libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
        let first = |value| [value, 0, 0, 0, 0, 0];
        assert_eq!(answer_to(libc::SYS_prctl, first(libc::PR_SET_NAME.unsigned_abs().into())), ALLOW);
        for option in PRCTL {
            assert_eq!(answer_to(libc::SYS_prctl, first((*option).into())), NOTIFY, "{option}");
        }
        assert_eq!(answer_to(libc::SYS_clone, first(libc::CLONE_VM.unsigned_abs().into())), ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_UNTRACED] {
            assert_eq!(answer_to(libc::SYS_clone, first(flag.unsigned_abs().into())), failing(libc::EPERM));
        }
        let address = |value| [0, 0, 0, 0, value, 0];
        assert_eq!(answer_to(libc::SYS_sendto, address(0)), ALLOW);
        for at in [1, 1 << 32] {
            assert_eq!(answer_to(libc::SYS_sendto, address(at)), libc::SECCOMP_RET_TRACE);
        }
        let fixed = |at| [at, 4096, 0, MAP_FIXED.into(), 0, 0];
        assert_eq!(answer_to(libc::SYS_mmap, [0; 6]), ALLOW);
        for at in [board::END.into(), 1 << 32, u64::MAX] {
            assert_eq!(answer_to(libc::SYS_mmap, fixed(at)), ALLOW);
            assert_eq!(answer_to(libc::SYS_munmap, first(at)), ALLOW);
            assert_eq!(answer_to(libc::SYS_brk, first(at)), ALLOW);
            assert_eq!(answer_to(libc::SYS_mremap, [at, 0, 0, MREMAP_FIXED.into(), at, 0]), ALLOW);
        }
        for at in [1, u64::from(board::END) - 1] {
            assert_eq!(answer_to(libc::SYS_mmap, fixed(at)), failing(libc::EPERM));
            assert_eq!(answer_to(libc::SYS_munmap, first(at)), failing(libc::EINVAL));
            assert_eq!(answer_to(libc::SYS_brk, first(at)), failing(libc::EINVAL));
            assert_eq!(answer_to(libc::SYS_mremap, first(at)), failing(libc::EINVAL));
            let moved = [1 << 40, 0, 0, MREMAP_FIXED.into(), at, 0];
            assert_eq!(answer_to(libc::SYS_mremap, moved), failing(libc::EINVAL));
            assert_eq!(answer_to(libc::SYS_mremap, [1 << 40, 0, 0, 0, at, 0]), ALLOW);
        }
        assert_eq!(answer_to(libc::SYS_brk, [0; 6]), ALLOW);
        let handle = [0, 0, libc::O_PATH.unsigned_abs().into(), 0, 0, 0];
        assert_eq!(answer_to(libc::SYS_openat, handle), libc::SECCOMP_RET_TRACE);
        assert_eq!(answer_to(libc::SYS_ioctl, [0, TIOCSTI.into(), 0, 0, 0, 0]), failing(libc::EPERM));
    }

    #[test]
    fn files_are_changed_by_no_ioctl_that_needs_no_open_for_writing() {
        let ioctl = |command: u32| answer_to(libc::SYS_ioctl, [0, command.into(), 0, 0, 0, 0]);
        for command in HARMLESS.iter().chain(&[0x5401, 0x5413, 0x8912]) {
            assert_eq!(ioctl(*command), ALLOW, "{command:#x}");
        }
        // FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION, FS_IOC_ENABLE_VERITY, BTRFS_IOC_SUBVOL_CREATE.
        for command in [0x4008_6602, 0x401c_5820, 0x4008_7602, 0x4080_6685, 0x5000_940e] {
            assert_eq!(ioctl(command), libc::SECCOMP_RET_ERRNO | libc::ENOTTY.unsigned_abs(), "{command:#x}");
        }
    }

    #[test]
    fn two_arguments_must_both_be_meant() {
        let refused = libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT.unsigned_abs();
        let option =
            |level: u32, name: u32| answer_to(libc::SYS_getsockopt, [0, level.into(), name.into(), 0, 0, 0]);
        assert_eq!(option(SOL_SOCKET, SO_PEERPIDFD), refused);
        assert_eq!(option(libc::IPPROTO_IPV6.unsigned_abs(), SO_PEERPIDFD), ALLOW);
        assert_eq!(option(SOL_SOCKET, SO_PASSPIDFD), ALLOW);
        let netlink = |protocol: i32| {
            let family = libc::AF_NETLINK.unsigned_abs().into();
            answer_to(libc::SYS_socket, [family, 0, protocol.unsigned_abs().into(), 0, 0, 0])
        };
        let unsupported = libc::SECCOMP_RET_ERRNO | libc::EPROTONOSUPPORT.unsigned_abs();
        assert_eq!(netlink(libc::NETLINK_AUDIT), unsupported);
        assert_eq!(netlink(libc::NETLINK_ROUTE), ALLOW);
    }

    #[test]
    fn what_is_not_known_is_not_carried_out() {
        let missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        assert_eq!(answer_to(c_long::from(NEWEST) + 1, [0; 6]), missing);
        assert_eq!(run(AUDIT_ARCH_X86_64, X32 | 2, [0; 6]), missing);
        assert_eq!(run(0x4000_0003, 5, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}

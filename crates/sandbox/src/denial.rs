//! From a refused system call to its likely cause and cure. Pure, but for reading the node's settings.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::capabilities::CapabilitySet;
use crate::errno::Errno;
use crate::error::Error;
use crate::facts::{Denial, Seccomp};

const ALLOW_NAMESPACES: &str = "in the pod's securityContext set `seccompProfile: {type: Unconfined}`, or a Localhost profile that \
                                allows unshare, mount and pivot_root";

/// The calls that make namespaces and what is in them, all of which the filters of runtimes may deny.
const OF_NAMESPACES: [&str; 10] = [
    "unshare",
    "mount",
    "umount2",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "pivot_root",
];

/// How to have a filter allow a call; those that are not of namespaces are in the filter of every current runtime.
fn allow(call: &str) -> String {
    let name = call.split('(').next().unwrap_or(call);
    if OF_NAMESPACES.contains(&name) {
        return ALLOW_NAMESPACES.to_owned();
    }
    format!(
        "in the pod's securityContext set `seccompProfile: {{type: RuntimeDefault}}`, or a Localhost profile that allows {name}"
    )
}

/// Why something is denied, and what cures it.
type Cause = (&'static str, Option<&'static str>);

/// Settings of the node and state of the process that decide about namespaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    pub(crate) seccomp: Seccomp,
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`.
    pub(crate) unprivileged_clone: Option<u64>,
    /// What a setuid program can gain.
    pub(crate) bounding: CapabilitySet,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    pub(crate) apparmor_restriction: Option<u64>,
}

impl Surroundings {
    pub(crate) fn read(seccomp: Seccomp, bounding: CapabilitySet) -> Self {
        let number = |name: &str| {
            fs::read_to_string(format!("/proc/sys/{name}")).ok().and_then(|text| text.trim().parse().ok())
        };
        Self {
            seccomp,
            bounding,
            max_user_namespaces: number("user/max_user_namespaces"),
            unprivileged_clone: number("kernel/unprivileged_userns_clone"),
            apparmor_restriction: number("kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// Explains why a try failed.
    pub(crate) fn explain(&self, error: Error) -> Denial {
        match error {
            Error::Refused { call, errno, .. } => {
                let (why, cure) = self.cause(&call, errno);
                Denial { call, errno: Some(errno), why: why.to_owned(), cure }
            }
            Error::Lost { signal: Some(libc::SIGSYS), .. } => Denial {
                call: "seccomp".to_owned(),
                errno: None,
                why: "kills processes that try".to_owned(),
                cure: Some(ALLOW_NAMESPACES.to_owned()),
            },
            Error::IdMapHelper { ref program, ref message } => {
                let setuid = fs::metadata(program).is_ok_and(|program| program.mode() & 0o4000 != 0);
                let cure = self.cure_of_helper(program, setuid).or_else(|| error.hint());
                Denial { call: program.clone(), errno: None, why: message.clone(), cure }
            }
            other => {
                Denial { call: "probe".to_owned(), errno: None, why: other.to_string(), cure: other.hint() }
            }
        }
    }

    /// The kernel takes the map of a process whose user id is not the namespace owner's from `SYS_ADMIN` only: a setuid
    /// helper has root's id, one with file capabilities its caller's.
    fn cure_of_helper(&self, program: &str, setuid: bool) -> Option<String> {
        let name = program.rsplit('/').next().unwrap_or(program);
        let capability = if name == "newuidmap" { "cap_setuid" } else { "cap_setgid" };
        (setuid && !self.bounding.contains(CapabilitySet::OF_REAL_ROOT)).then(|| {
            format!("in the image: `chmod u-s {program} && setcap {capability}=ep {program}`; setuid is not enough in a pod")
        })
    }

    fn cause(&self, call: &str, errno: Errno) -> (&'static str, Option<String>) {
        let refused = matches!(errno, Errno::PERM | Errno::ACCES);
        let (why, cure) = match self.setting(call, errno) {
            None if (refused || errno == Errno::NOSYS) && self.seccomp == Seccomp::Filtered => {
                return ("denied by seccomp", Some(allow(call)));
            }
            None => unset(call, errno),
            Some(cause) => cause,
        };
        (why, cure.map(str::to_owned))
    }

    /// A setting of the node that explains it.
    fn setting(&self, call: &str, errno: Errno) -> Option<Cause> {
        let creates_namespace = call == "unshare(CLONE_NEWUSER)";
        let refused = matches!(errno, Errno::PERM | Errno::ACCES);
        if creates_namespace && (errno == Errno::NOSPC || refused) && self.max_user_namespaces == Some(0) {
            return Some((
                "denied: user.max_user_namespaces is 0",
                Some("on the node: sysctl -w user.max_user_namespaces=15000"),
            ));
        }
        if creates_namespace && matches!(errno, Errno::NOSPC | Errno::USERS) {
            return Some((
                "denied by the limit of user namespaces, or of their nesting",
                Some("on the node: raise user.max_user_namespaces"),
            ));
        }
        if creates_namespace && refused && self.unprivileged_clone == Some(0) {
            return Some((
                "denied to all but root by kernel.unprivileged_userns_clone",
                Some("on the node: sysctl -w kernel.unprivileged_userns_clone=1"),
            ));
        }
        if refused && self.apparmor_restriction == Some(1) {
            return Some((
                "denied by AppArmor",
                Some(
                    "on the node: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or in the pod \
                     `appArmorProfile: {type: Unconfined}`",
                ),
            ));
        }
        None
    }
}

/// Why a call fails where nothing is set against it.
fn unset(call: &str, errno: Errno) -> Cause {
    match (call, errno) {
        ("write uid_map" | "write gid_map", Errno::PERM) => (
            "denied: mapping root needs SETFCAP, other ids SETUID and SETGID",
            Some("in the pod's securityContext: `capabilities: {add: [SETUID, SETGID, SETFCAP]}`"),
        ),
        ("unshare(CLONE_NEWUSER)", Errno::INVAL) => {
            ("unknown to this kernel, which has no user namespaces", None)
        }
        ("setxattr", Errno::OPNOTSUPP) => (
            "not supported by the file system of the state directory",
            Some("put the state directory (`--root`) on a volume, such as an emptyDir"),
        ),
        ("landlock_create_ruleset", Errno::OPNOTSUPP) => (
            "not enabled in this kernel",
            Some("on the node: add landlock to the list `lsm=` of the kernel's command line"),
        ),
        ("landlock_create_ruleset", Errno::NOSYS) => {
            ("unknown to this kernel", Some("use Linux 5.13 or later"))
        }
        (_, Errno::NOSYS) => ("unknown to this kernel", Some("use Linux 5.12 or later")),
        (_, Errno::PERM | Errno::ACCES) => ("denied by a security module or the container runtime", None),
        _ => ("not supported by the kernel here", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Surroundings = Surroundings {
        seccomp: Seccomp::Disabled,
        bounding: CapabilitySet::DEFAULT,
        max_user_namespaces: Some(15000),
        unprivileged_clone: None,
        apparmor_restriction: None,
    };

    #[test]
    fn a_setuid_helper_is_told_to_have_file_capabilities_in_a_pod() {
        let cure = OPEN.cure_of_helper("/usr/bin/newgidmap", true).unwrap();
        assert!(cure.contains("setcap cap_setgid=ep /usr/bin/newgidmap"), "{cure}");
        assert_eq!(OPEN.cure_of_helper("/usr/bin/newgidmap", false), None);
    }

    #[test]
    fn the_cause_of_a_denial_is_named() {
        let filtered = Surroundings { seccomp: Seccomp::Filtered, ..OPEN };
        let none_allowed = Surroundings { max_user_namespaces: Some(0), ..OPEN };
        let debian = Surroundings { unprivileged_clone: Some(0), ..filtered };
        let ubuntu = Surroundings { apparmor_restriction: Some(1), ..OPEN };
        let unshare = "unshare(CLONE_NEWUSER)";
        let table = [
            (filtered, unshare, Errno::PERM, "by seccomp"),
            (filtered, unshare, Errno::NOSYS, "by seccomp"),
            (filtered, "fsmount", Errno::PERM, "by seccomp"),
            (none_allowed, unshare, Errno::NOSPC, "max_user_namespaces is 0"),
            (OPEN, unshare, Errno::NOSPC, "limit of user namespaces"),
            (OPEN, unshare, Errno::USERS, "limit of user namespaces"),
            (debian, unshare, Errno::PERM, "to all but root"),
            (ubuntu, "write uid_map", Errno::PERM, "AppArmor"),
            (OPEN, "write uid_map", Errno::PERM, "SETFCAP"),
            (OPEN, unshare, Errno::INVAL, "no user namespaces"),
            (OPEN, unshare, Errno::PERM, "security module"),
            (OPEN, "mount_setattr", Errno::NOSYS, "unknown to this kernel"),
            (OPEN, "landlock_create_ruleset", Errno::OPNOTSUPP, "not enabled"),
            (OPEN, "setxattr", Errno::OPNOTSUPP, "file system"),
            (filtered, "landlock_create_ruleset", Errno::NOSYS, "by seccomp"),
        ];
        for (surroundings, call, errno, expected) in table {
            let (why, _) = surroundings.cause(call, errno);
            assert!(why.contains(expected), "{call} {errno:?}: {why}");
        }
    }

    #[test]
    fn a_filter_is_asked_for_what_it_denies_and_no_more() {
        let filtered = Surroundings { seccomp: Seccomp::Filtered, ..OPEN };
        let cure = |call| filtered.cause(call, Errno::PERM).1.unwrap();
        assert!(cure("unshare(CLONE_NEWUSER)").ends_with("allows unshare, mount and pivot_root"));
        let ptrace = cure("ptrace(PTRACE_SEIZE)");
        assert!(ptrace.contains("RuntimeDefault") && ptrace.ends_with("allows ptrace"), "{ptrace}");
    }
}

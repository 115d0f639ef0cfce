//! Finds out what the kernel and the pod allow by trying it, each thing in a child process that takes it away again.

mod inside;
mod tracing;

use std::path::{Path, PathBuf};

use crate::capabilities::{self, CapabilitySet, Held};
use crate::denial::Surroundings;
use crate::error::{Attempt, Error};
use crate::facts::{Denial, Detail, Fact, Facts, Feature, Seccomp, TryOut};
use crate::id_map::IdMap;
use crate::identity::{Identity, MapWriter, fork_as};
use crate::process;
use crate::subordinate_ids;
use crate::sys::{self, Forked};

use self::inside::Inside;

/// Where to look for what an administrator has set up.
#[derive(Clone, Debug)]
pub struct ProbeSettings {
    /// Ranges of user ids, subuid(5).
    pub subuid: PathBuf,
    /// Ranges of group ids, subgid(5).
    pub subgid: PathBuf,
    /// Names of users, passwd(5).
    pub passwd: PathBuf,
    /// Directories that may hold newuidmap and newgidmap.
    pub helper_dirs: Vec<PathBuf>,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            subuid: "/etc/subuid".into(),
            subgid: "/etc/subgid".into(),
            passwd: "/etc/passwd".into(),
            helper_dirs: ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"]
                .map(PathBuf::from)
                .into(),
        }
    }
}

/// Reads the state of this process; the facts try what is allowed when they are asked, a millisecond each or less.
/// `state_dir` exists and will hold root file systems.
///
/// Both to be done while the process has a single thread. Nothing stays mounted, and nothing is left in `state_dir`.
pub fn probe(state_dir: &Path, settings: &ProbeSettings) -> Result<Facts, Error> {
    let this = Process::read()?;
    let around = Surroundings::read(this.seccomp, this.held.bounding);
    let ways = [
        (Feature::RealRoot, this.real_root()),
        (Feature::OwnMap, this.own_map()),
        (Feature::SubordinateMap, this.subordinate_map(settings)),
        (Feature::SingleMap, Ok(Identity::Single(IdMap::single(this.uid, this.gid)))),
    ];
    Ok(Facts {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        uid: this.uid,
        gid: this.gid,
        held: this.held,
        id_map: this.id_map,
        no_new_privs: this.no_new_privs,
        seccomp: this.seccomp,
        ways,
        trial: Box::new(Trial { state_dir: state_dir.to_owned(), around, inside: Inside::default() }),
        known: Default::default(),
    })
}

/// Tries features by child processes that take away again what they made.
#[derive(Debug)]
struct Trial {
    state_dir: PathBuf,
    around: Surroundings,
    inside: Inside,
}

impl TryOut for Trial {
    fn try_out(&self, facts: &Facts, feature: Feature) -> Fact {
        let tried = match feature {
            Feature::RealRoot | Feature::OwnMap | Feature::SubordinateMap | Feature::SingleMap => {
                return self.way(facts, feature);
            }
            Feature::Ptrace => tracing::ptrace(),
            Feature::SeccompFilter => tracing::seccomp_filter(),
            Feature::SeccompNotify => tracing::seccomp_notify(),
            Feature::Supervision => tracing::supervision(),
            Feature::Landlock => tracing::landlock(),
            _ => return self.inside.fact(feature, facts.identity(), &self.state_dir, &self.around),
        };
        tried.map_err(|error| self.around.explain(error)).into()
    }
}

impl Trial {
    /// Whether there is a way to have ids.
    fn way(&self, facts: &Facts, feature: Feature) -> Fact {
        let way = facts.ways.iter().find_map(|(way, identity)| (*way == feature).then_some(identity));
        let identity = match way.expect("invariant: there is an identity for each way") {
            Ok(identity) => identity,
            Err(denial) => return Fact::Denied(denial.clone()),
        };
        let tried = try_identity(identity).map(|()| detail(identity));
        tried.map_err(|error| self.around.explain(error)).into()
    }
}

/// This process before anything is tried.
struct Process {
    uid: u32,
    gid: u32,
    held: Held,
    id_map: IdMap,
    no_new_privs: bool,
    seccomp: Seccomp,
}

impl Process {
    fn read() -> Result<Self, Error> {
        let status = std::fs::read_to_string("/proc/self/status")
            .attempt("read", || "read `/proc/self/status`".to_owned())?;
        let filtered = status.lines().any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"]));
        Ok(Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            held: capabilities::held()?,
            id_map: IdMap::current()?,
            no_new_privs: rustix::thread::no_new_privs()
                .attempt("prctl(PR_GET_NO_NEW_PRIVS)", || "read the process's state".to_owned())?,
            seccomp: if filtered { Seccomp::Filtered } else { Seccomp::Disabled },
        })
    }

    fn real_root(&self) -> Result<Identity, Denial> {
        let cure =
            "in the pod's securityContext set `privileged: true`; user namespaces do as well and are safer";
        if self.uid != 0 {
            return Err(missing("uid", format!("the process runs as uid {}", self.uid), cure));
        }
        self.require(CapabilitySet::OF_REAL_ROOT, cure)?;
        Ok(Identity::Root(self.id_map.clone()))
    }

    fn own_map(&self) -> Result<Identity, Denial> {
        self.require(
            CapabilitySet::TO_MAP_IDS,
            "in the pod's securityContext set `runAsUser: 0` and `capabilities: {add: [SETUID, SETGID, SETFCAP]}`",
        )?;
        Ok(Identity::Mapped { map: self.id_map.unchanged(), writer: MapWriter::OwnCapabilities })
    }

    fn require(&self, needed: CapabilitySet, cure: &str) -> Result<(), Denial> {
        let lacking = needed.difference(self.held.effective);
        if lacking.is_empty() {
            return Ok(());
        }
        Err(missing("capabilities", format!("the process lacks {lacking}"), cure))
    }

    fn subordinate_map(&self, settings: &ProbeSettings) -> Result<Identity, Denial> {
        let helper = |name: &str| {
            let found = settings.helper_dirs.iter().map(|dir| dir.join(name)).find(|path| path.is_file());
            found.ok_or_else(|| {
                missing(name, "not found".to_owned(), "install it (package `uidmap` or `shadow-utils`)")
            })
        };
        let writer = MapWriter::Helpers { newuidmap: helper("newuidmap")?, newgidmap: helper("newgidmap")? };
        let name = subordinate_ids::user_name(&settings.passwd, self.uid);
        let ranges = |file: &Path| {
            let ranges = subordinate_ids::ranges(file, name.as_deref(), self.uid);
            if ranges.is_empty() {
                let why = format!("no ids for uid {} in it", self.uid);
                let cure = format!("add a line `{}:100000:65536` to {}", self.uid, file.display());
                return Err(missing(&file.display().to_string(), why, &cure));
            }
            Ok(ranges)
        };
        let (uids, gids) = (ranges(&settings.subuid)?, ranges(&settings.subgid)?);
        if self.no_new_privs {
            let cure = "in the pod's securityContext set `allowPrivilegeEscalation: true`";
            return Err(missing("newuidmap", "no_new_privs is set, so it gains nothing".to_owned(), cure));
        }
        let map = IdMap::subordinate((self.uid, self.gid), &uids, &gids);
        Ok(Identity::Mapped { map, writer })
    }
}

/// Something without which trying is pointless.
fn missing(what: &str, why: String, cure: &str) -> Denial {
    Denial { call: what.to_owned(), errno: None, why, cure: Some(cure.to_owned()) }
}

fn try_identity(identity: &Identity) -> Result<(), Error> {
    match fork_as(identity)? {
        Forked::Child => sys::exit_now(0),
        Forked::Parent(child) => process::wait(child).map(|_| ()),
    }
}

fn detail(identity: &Identity) -> Detail {
    match identity {
        Identity::Single(_) => Detail::None,
        Identity::Root(map) | Identity::Mapped { map, .. } if map.is_initial() => Detail::AllIds,
        Identity::Root(map) | Identity::Mapped { map, .. } => Detail::Ids(map.len()),
    }
}

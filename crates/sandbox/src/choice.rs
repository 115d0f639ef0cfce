//! From what is allowed to what is done: pure, no system calls.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::facts::{Denial, Facts};
use crate::id_map::IdMap;
use crate::identity::Identity;
use crate::overlay::OverlayXattrs;

/// How steps are kept apart from the builder and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// Kernel namespaces and a changed root directory.
    Namespaces,
    /// No namespace: a supervisor answers the system calls that have a path or an identity in them.
    Trace,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
            Self::Trace => "trace",
        })
    }
}

impl FromStr for Isolation {
    type Err = UnknownIsolation;

    /// Knows our names and buildah's, whose three kinds are all namespaces.
    fn from_str(name: &str) -> Result<Self, UnknownIsolation> {
        match name {
            "namespaces" | "oci" | "rootless" | "chroot" => Ok(Self::Namespaces),
            "trace" => Ok(Self::Trace),
            _ => Err(UnknownIsolation(name.to_owned())),
        }
    }
}

/// An isolation that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown isolation `{0}`: known are namespaces and trace, and buildah's names for it oci, rootless and chroot"
)]
pub struct UnknownIsolation(pub String);

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requested {
    /// This isolation and no other.
    pub isolation: Option<Isolation>,
}

/// How steps will be run; prints as the line that a build starts with.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The isolation.
    pub isolation: Isolation,
    /// The ids.
    pub identity: Identity,
    /// Whether overlay mounts work on the state directory, and with which attributes.
    pub overlay: Option<OverlayXattrs>,
    /// Whether steps are kept from the machine's files by less than there could be: a supervisor, but no Landlock.
    lacks_landlock: bool,
    /// Why there is no better identity, if there could be.
    reason: Option<Denial>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = if self.lacks_landlock { " without Landlock" } else { "" };
        write!(f, "isolation: {}{without}, identity: {}", self.isolation, self.identity)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Chooses the best that works; refuses only when nothing does.
///
/// Namespaces with many ids come first, as what steps do is then true and costs nothing. With one id their owners must
/// be emulated, which only isolation trace does.
pub fn choose(facts: &Facts, requested: Requested) -> Result<Choice, Error> {
    match requested.isolation {
        Some(Isolation::Namespaces) => namespaces(facts).map_err(denied),
        Some(Isolation::Trace) => trace(facts).map_err(denied),
        None => {
            let namespaces = namespaces(facts);
            match (&namespaces, trace(facts)) {
                (Ok(Choice { identity: Identity::Root(_) | Identity::Mapped { .. }, .. }), _)
                | (Ok(_), Err(_)) => namespaces.map_err(denied),
                (_, Ok(trace)) => Ok(trace),
                // Of what is missing, that for which a cure is known says most.
                (Err(first), Err(second)) => {
                    Err(denied(if first.cure.is_some() { first.clone() } else { second }))
                }
            }
        }
    }
}

fn namespaces(facts: &Facts) -> Result<Choice, Denial> {
    let Some(identity) = &facts.identity else {
        let denial = facts.single_map.denial().or(facts.real_root.denial());
        return Err(denial.cloned().unwrap_or_else(unknown));
    };
    let needed = [&facts.bind, &facts.tmpfs, &facts.pivot_root];
    if let Some(denial) = needed.into_iter().find_map(|fact| fact.denial()) {
        return Err(denial.clone());
    }
    let reason = match identity {
        Identity::Single(_) => facts.subordinate_map.denial().cloned(),
        Identity::Root(_) | Identity::Mapped { .. } => None,
    };
    Ok(Choice {
        isolation: Isolation::Namespaces,
        identity: identity.clone(),
        overlay: facts.overlay_xattrs,
        lacks_landlock: false,
        reason,
    })
}

/// Owners are in a table, and the only ids that the kernel knows of are those of this process.
fn trace(facts: &Facts) -> Result<Choice, Denial> {
    if let Some(denial) = crate::trace::denial() {
        return Err(denial);
    }
    let needed = [&facts.ptrace, &facts.seccomp_filter, &facts.seccomp_notify];
    if let Some(denial) = needed.into_iter().find_map(|fact| fact.denial()) {
        return Err(denial.clone());
    }
    let without_namespaces = facts.single_map.denial();
    let without_many_ids = facts.subordinate_map.denial();
    Ok(Choice {
        isolation: Isolation::Trace,
        identity: Identity::Single(IdMap::single(facts.uid, facts.gid)),
        overlay: None,
        lacks_landlock: !facts.landlock.is_allowed(),
        reason: without_namespaces.or(without_many_ids).cloned(),
    })
}

fn denied(denial: Denial) -> Error {
    Error::NoIsolation { denial }
}

fn unknown() -> Denial {
    Denial {
        call: "probe".to_owned(),
        errno: None,
        why: "no way to isolate a step was found".to_owned(),
        cure: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{CapabilitySet, Held};
    use crate::facts::{Fact, Seccomp};

    fn denial(why: &str) -> Denial {
        Denial { call: "call".to_owned(), errno: None, why: why.to_owned(), cure: Some("a cure".to_owned()) }
    }

    fn facts(identity: Option<Identity>) -> Facts {
        let allowed = || Fact::Allowed { detail: String::new() };
        let denied = |why| Fact::Denied(denial(why));
        Facts {
            kernel: "6.1".to_owned(),
            uid: 1000,
            gid: 1000,
            held: Held { effective: CapabilitySet::NONE, bounding: CapabilitySet::NONE },
            id_map: IdMap::single(0, 0),
            no_new_privs: false,
            seccomp: Seccomp::Disabled,
            real_root: denied("no root"),
            own_map: denied("no capabilities"),
            subordinate_map: denied("no helper"),
            single_map: if identity.is_some() { allowed() } else { denied("no namespaces") },
            tmpfs: allowed(),
            bind: allowed(),
            pid_namespace: allowed(),
            network_namespace: allowed(),
            proc: denied("masked"),
            pivot_root: allowed(),
            overlay: denied("on overlay"),
            overlay_xattrs: None,
            ptrace: allowed(),
            seccomp_filter: allowed(),
            seccomp_notify: allowed(),
            landlock: allowed(),
            identity,
        }
    }

    #[test]
    fn one_id_is_taken_with_the_reason_why_there_are_no_more() {
        let facts = facts(Some(Identity::Single(IdMap::single(1000, 1000))));
        let choice = choose(&facts, Requested { isolation: Some(Isolation::Namespaces) }).unwrap();
        assert_eq!(choice.to_string(), "isolation: namespaces, identity: single (call: no helper)");
        assert_eq!(choice.overlay, None);
    }

    #[test]
    fn many_ids_are_better_than_one_and_emulation_better_than_none() {
        let chosen = |facts: &Facts| choose(facts, Requested::default()).unwrap().to_string();
        let single = || Some(Identity::Single(IdMap::single(1000, 1000)));
        let without_ptrace = |facts| Facts { ptrace: Fact::Denied(denial("no tracing")), ..facts };
        let root = facts(Some(Identity::Root(IdMap::single(0, 0))));
        assert!(chosen(&root).starts_with("isolation: namespaces, identity: root"));
        assert_eq!(chosen(&facts(single())), "isolation: trace, identity: single (call: no helper)");
        assert_eq!(chosen(&facts(None)), "isolation: trace, identity: single (call: no namespaces)");
        let bare = Facts { landlock: Fact::Denied(denial("not built in")), ..facts(None) };
        let line = "isolation: trace without Landlock, identity: single (call: no namespaces)";
        assert_eq!(chosen(&bare), line);
        let left = without_ptrace(facts(single()));
        assert_eq!(chosen(&left), "isolation: namespaces, identity: single (call: no helper)");
        let error = choose(&without_ptrace(facts(None)), Requested::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no namespaces");
    }

    #[test]
    fn what_is_needed_and_denied_is_named_with_its_cure() {
        let namespaces = Requested { isolation: Some(Isolation::Namespaces) };
        let error = choose(&facts(None), namespaces).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no namespaces");
        assert_eq!(error.hint().as_deref(), Some("a cure"));
        let identity = Identity::Single(IdMap::single(1000, 1000));
        let without_pivot = Facts { pivot_root: Fact::Denied(denial("no pivot")), ..facts(Some(identity)) };
        let error = choose(&without_pivot, namespaces).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no pivot");
    }

    #[test]
    fn buildahs_names_of_isolations_are_known() {
        for name in ["namespaces", "oci", "rootless", "chroot"] {
            assert_eq!(name.parse(), Ok(Isolation::Namespaces));
        }
        assert!("vm".parse::<Isolation>().is_err());
    }
}

//! From what is allowed to what is done: pure, no system calls.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::facts::{Denial, Fact, Facts};
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
    /// The isolation of steps; if there is none, what a step fails with. Nothing else needs any.
    pub isolation: Result<Isolation, Error>,
    /// The ids.
    pub identity: Identity,
    /// Whether overlay mounts work on the state directory, and with which attributes.
    pub overlay: Option<OverlayXattrs>,
    /// Whether steps see whom files belong to in an ownership table, because a supervisor carries out their calls.
    pub emulates_owners: bool,
    /// Whether steps are kept from the machine's files by less than there could be: a supervisor, but no Landlock.
    lacks_landlock: bool,
    /// Why it is no better, if it could be.
    pub reason: Option<String>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let without = if self.lacks_landlock { " without Landlock" } else { "" };
        match &self.isolation {
            Ok(isolation) => write!(f, "isolation: {isolation}{without}, identity: {}", self.identity)?,
            Err(_) => write!(f, "isolation: none, identity: {}", self.identity)?,
        }
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Chooses the best that works; refuses only what is asked for and does not.
///
/// Namespaces with many ids come first, as what steps do is then true and costs nothing. With one id their owners must
/// be emulated, for which isolation trace has all that is needed. Where neither works, all but steps does.
pub fn choose(facts: &Facts, requested: Requested) -> Result<Choice, Error> {
    let (identity, traced) = (namespaces(facts), trace(facts));
    match requested.isolation {
        Some(Isolation::Namespaces) => {
            let identity = identity.map_err(|denial| denied(vec![denial]))?;
            Ok(in_namespaces(facts, identity, traced.err().as_ref()))
        }
        Some(Isolation::Trace) => {
            traced.map_err(|denial| denied(vec![denial]))?;
            Ok(with_one_id(facts, Ok(Isolation::Trace), "as asked".to_owned()))
        }
        None => Ok(match (identity, traced) {
            (Ok(identity @ (Identity::Root(_) | Identity::Mapped { .. })), _) => {
                in_namespaces(facts, identity, None)
            }
            (Ok(identity), Err(denial)) => in_namespaces(facts, identity, Some(&denial)),
            (Ok(_), Ok(())) => with_one_id(facts, Ok(Isolation::Trace), few_ids(facts).brief()),
            (Err(denial), Ok(())) => with_one_id(facts, Ok(Isolation::Trace), denial.brief()),
            (Err(first), Err(second)) => {
                let reason = joined(&[first.brief(), second.brief()]);
                with_one_id(facts, Err(denied(vec![first, second])), reason)
            }
        }),
    }
}

/// As whom to work in namespaces, where they are of use.
fn namespaces(facts: &Facts) -> Result<Identity, Denial> {
    let Some(identity) = &facts.identity else {
        let denial = facts.single_map.denial().or(facts.real_root.denial());
        return Err(denial.cloned().unwrap_or_else(unknown));
    };
    match first_denial(&[&facts.bind, &facts.tmpfs, &facts.pivot_root]) {
        None => Ok(identity.clone()),
        Some(denial) => Err(denial.clone()),
    }
}

fn trace(facts: &Facts) -> Result<(), Denial> {
    if let Some(denial) = crate::trace::denial() {
        return Err(denial);
    }
    let needed = [&facts.ptrace, &facts.seccomp_filter, &facts.seccomp_notify, &facts.supervision];
    first_denial(&needed).map_or(Ok(()), |denial| Err(denial.clone()))
}

fn first_denial<'a>(facts: &[&'a Fact]) -> Option<&'a Denial> {
    facts.iter().find_map(|fact| fact.denial())
}

fn in_namespaces(facts: &Facts, identity: Identity, without_trace: Option<&Denial>) -> Choice {
    let reason = matches!(identity, Identity::Single(_)).then(|| {
        let reasons: Vec<_> =
            std::iter::once(&few_ids(facts)).chain(without_trace).map(Denial::brief).collect();
        joined(&reasons)
    });
    let emulates_owners = matches!(identity, Identity::Single(_)) && without_trace.is_none();
    let lacks_landlock = emulates_owners && !facts.landlock.is_allowed();
    let (isolation, overlay) = (Ok(Isolation::Namespaces), facts.overlay_xattrs);
    Choice { isolation, identity, overlay, emulates_owners, lacks_landlock, reason }
}

/// Owners are in a table, and the only ids that the kernel knows of are those of this process.
fn with_one_id(facts: &Facts, isolation: Result<Isolation, Error>, reason: String) -> Choice {
    let identity = Identity::Single(IdMap::single(facts.uid, facts.gid));
    let emulates_owners = isolation.is_ok();
    let lacks_landlock = emulates_owners && !facts.landlock.is_allowed();
    Choice { isolation, identity, overlay: None, emulates_owners, lacks_landlock, reason: Some(reason) }
}

/// Why there are no more ids than one: root has a right to all of its own, others to those that they were given.
fn few_ids(facts: &Facts) -> Denial {
    let way = if facts.uid == 0 { &facts.own_map } else { &facts.subordinate_map };
    way.denial().cloned().unwrap_or_else(unknown)
}

fn denied(denials: Vec<Denial>) -> Error {
    Error::NoIsolation { denials }
}

/// Each reason once.
pub(crate) fn joined(reasons: &[String]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for reason in reasons {
        if !told.contains(&reason.as_str()) {
            told.push(reason);
        }
    }
    told.join("; ")
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
    use crate::facts::Seccomp;

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
            supervision: allowed(),
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
        let both = "isolation: namespaces, identity: single (call: no helper; call: no tracing)";
        assert_eq!(chosen(&left), both);
    }

    #[test]
    fn without_any_isolation_it_is_steps_that_fail_and_all_that_is_missing_is_named() {
        let facts = Facts { ptrace: Fact::Denied(denial("no tracing")), ..facts(None) };
        let choice = choose(&facts, Requested::default()).unwrap();
        let reason = "call: no namespaces; call: no tracing";
        assert_eq!(choice.to_string(), format!("isolation: none, identity: single ({reason})"));
        let error = choice.isolation.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot isolate RUN steps here: {reason}"));
        assert_eq!(error.hint().as_deref(), Some("a cure"));
    }

    #[test]
    fn what_is_asked_for_needs_no_other_reason() {
        let asked = Requested { isolation: Some(Isolation::Trace) };
        let root = facts(Some(Identity::Root(IdMap::single(0, 0))));
        let choice = choose(&root, asked).unwrap();
        assert_eq!(choice.to_string(), "isolation: trace, identity: single (as asked)");
        let broken = Facts { supervision: Fact::Denied(denial("no memory")), ..root };
        let error = choose(&broken, asked).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no memory");
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

//! From what is allowed to what is done: pure, no system calls.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::facts::{Denial, Facts};
use crate::identity::Identity;
use crate::overlay::OverlayXattrs;

/// How steps are kept apart from the builder and the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Kernel namespaces and a changed root directory.
    Namespaces,
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces",
        })
    }
}

impl FromStr for Isolation {
    type Err = UnknownIsolation;

    /// Knows our names and buildah's, whose three kinds are all namespaces.
    fn from_str(name: &str) -> Result<Self, UnknownIsolation> {
        match name {
            "namespaces" | "oci" | "rootless" | "chroot" => Ok(Self::Namespaces),
            _ => Err(UnknownIsolation(name.to_owned())),
        }
    }
}

/// An isolation that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown isolation `{0}`: known are namespaces, and buildah's names for it oci, rootless and chroot")]
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
    /// Why there is no better identity, if there could be.
    reason: Option<Denial>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "isolation: {}, identity: {}", self.isolation, self.identity)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// Chooses the best that works; refuses only when nothing does.
pub fn choose(facts: &Facts, requested: Requested) -> Result<Choice, Error> {
    let isolation = requested.isolation.unwrap_or(Isolation::Namespaces);
    let Some(identity) = &facts.identity else {
        return Err(denied(facts.single_map.denial().or(facts.real_root.denial())));
    };
    let needed = [&facts.bind, &facts.tmpfs, &facts.pivot_root];
    if let Some(denial) = needed.into_iter().find_map(|fact| fact.denial()) {
        return Err(denied(Some(denial)));
    }
    let reason = match identity {
        Identity::Single(_) => facts.subordinate_map.denial().cloned(),
        Identity::Root(_) | Identity::Mapped { .. } => None,
    };
    Ok(Choice { isolation, identity: identity.clone(), overlay: facts.overlay_xattrs, reason })
}

fn denied(denial: Option<&Denial>) -> Error {
    let unknown = || Denial {
        call: "probe".to_owned(),
        errno: None,
        why: "no way to isolate a step was found".to_owned(),
        cure: None,
    };
    Error::NoIsolation { denial: denial.cloned().unwrap_or_else(unknown) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{CapabilitySet, Held};
    use crate::facts::{Fact, Seccomp};
    use crate::id_map::IdMap;

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
    fn what_is_needed_and_denied_is_named_with_its_cure() {
        let error = choose(&facts(None), Requested::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no namespaces");
        assert_eq!(error.hint().as_deref(), Some("a cure"));
        let identity = Identity::Single(IdMap::single(1000, 1000));
        let without_pivot = Facts { pivot_root: Fact::Denied(denial("no pivot")), ..facts(Some(identity)) };
        let error = choose(&without_pivot, Requested::default()).unwrap_err();
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

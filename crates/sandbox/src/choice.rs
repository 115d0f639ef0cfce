//! From what is allowed to what is done: pure, no system calls.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::facts::{Denial, Facts, Feature};
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

/// What steps need in any namespaces.
const MOUNTS: [Feature; 3] = [Feature::Bind, Feature::Tmpfs, Feature::PivotRoot];

/// Chooses the best that works; refuses only what is asked for and does not. Asks for no fact that decides nothing.
///
/// Namespaces with many ids come first, as what steps do is then true and costs nothing. With one id their owners must
/// be emulated, for which isolation trace has all that is needed. Where neither works, all but steps does.
pub fn choose(facts: &Facts, requested: Requested) -> Result<Choice, Error> {
    match requested.isolation {
        Some(Isolation::Namespaces) => {
            let identity = namespaces(facts).map_err(|denial| denied(vec![denial]))?;
            Ok(match identity {
                Identity::Single(_) => with_single_map(facts, identity, few_ids(facts), trace(facts)),
                identity => in_namespaces(facts, identity, None),
            })
        }
        Some(Isolation::Trace) => {
            trace(facts).map_err(|denial| denied(vec![denial]))?;
            Ok(with_one_id(facts, Ok(Isolation::Trace), "as asked".to_owned()))
        }
        None => Ok(best(facts)),
    }
}

fn best(facts: &Facts) -> Choice {
    let worse = match many_ids(facts) {
        Ok(identity) => return in_namespaces(facts, identity, None),
        Err(denial) => denial,
    };
    let Err(untraced) = trace(facts) else {
        return with_one_id(facts, Ok(Isolation::Trace), worse.brief());
    };
    match namespaces(facts) {
        Ok(identity @ Identity::Single(_)) => with_single_map(facts, identity, worse, Err(untraced)),
        Ok(identity) => in_namespaces(facts, identity, Some(joined(&[worse.brief(), untraced.brief()]))),
        Err(denial) => {
            let reason = joined(&[denial.brief(), untraced.brief()]);
            with_one_id(facts, Err(denied(vec![denial, untraced])), reason)
        }
    }
}

/// As whom to work in namespaces whose files can have every owner and capability that they should have.
fn many_ids(facts: &Facts) -> Result<Identity, Denial> {
    match identity(facts)? {
        Identity::Single(_) => Err(few_ids(facts)),
        identity => works(facts, identity, &[&MOUNTS[..], &[Feature::FileCapabilities]].concat()),
    }
}

/// As whom to work in namespaces.
fn namespaces(facts: &Facts) -> Result<Identity, Denial> {
    works(facts, identity(facts)?, &MOUNTS)
}

fn identity(facts: &Facts) -> Result<Identity, Denial> {
    let identity = facts.identity().cloned();
    identity.ok_or_else(|| first_denial(facts, &[Feature::SingleMap]).unwrap_or_else(unknown))
}

fn works(facts: &Facts, identity: Identity, needed: &[Feature]) -> Result<Identity, Denial> {
    first_denial(facts, needed).map_or(Ok(identity), Err)
}

/// What works as a whole is not tried in parts, but if it does not, a part says more.
fn trace(facts: &Facts) -> Result<(), Denial> {
    if let Some(denial) = crate::trace::denial() {
        return Err(denial);
    }
    let Some(denial) = facts.denial(Feature::Supervision) else { return Ok(()) };
    let parts = [Feature::Ptrace, Feature::SeccompFilter, Feature::SeccompNotify];
    Err(first_denial(facts, &parts).unwrap_or_else(|| denial.clone()))
}

fn first_denial(facts: &Facts, features: &[Feature]) -> Option<Denial> {
    features.iter().find_map(|feature| facts.denial(*feature)).cloned()
}

fn in_namespaces(facts: &Facts, identity: Identity, reason: Option<String>) -> Choice {
    let (isolation, overlay) = (Ok(Isolation::Namespaces), facts.overlay_xattrs());
    Choice { isolation, identity, overlay, emulates_owners: false, lacks_landlock: false, reason }
}

/// In namespaces of one id, where a supervisor emulates the others if steps can be traced.
fn with_single_map(facts: &Facts, identity: Identity, few: Denial, traced: Result<(), Denial>) -> Choice {
    let emulates_owners = traced.is_ok();
    let reasons: Vec<_> =
        [Err(few), traced].into_iter().filter_map(Result::err).map(|denial| denial.brief()).collect();
    let lacks_landlock = emulates_owners && lacks_landlock(facts);
    Choice { emulates_owners, lacks_landlock, ..in_namespaces(facts, identity, Some(joined(&reasons))) }
}

/// Owners are in a table, and the only ids that the kernel knows of are those of this process.
fn with_one_id(facts: &Facts, isolation: Result<Isolation, Error>, reason: String) -> Choice {
    let identity = Identity::Single(IdMap::single(facts.uid, facts.gid));
    let emulates_owners = isolation.is_ok();
    let lacks_landlock = emulates_owners && lacks_landlock(facts);
    Choice { isolation, identity, overlay: None, emulates_owners, lacks_landlock, reason: Some(reason) }
}

fn lacks_landlock(facts: &Facts) -> bool {
    !facts.fact(Feature::Landlock).is_allowed()
}

/// Why there are no more ids than one: root has a right to all of its own, others to those that they were given.
fn few_ids(facts: &Facts) -> Denial {
    let way = if facts.uid == 0 { Feature::OwnMap } else { Feature::SubordinateMap };
    facts.denial(way).cloned().unwrap_or_else(unknown)
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
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::capabilities::{CapabilitySet, Held};
    use crate::facts::{Detail, Fact, Seccomp, TryOut};

    /// Everything works but what is denied; notes what it is asked.
    #[derive(Debug, Default)]
    struct Told {
        denied: BTreeMap<Feature, &'static str>,
        asked: Arc<Mutex<BTreeSet<Feature>>>,
    }

    impl TryOut for Told {
        fn try_out(&self, _: &Facts, feature: Feature) -> Fact {
            self.asked.lock().unwrap().insert(feature);
            let denied = self.denied.get(&feature);
            denied.map_or(Fact::Allowed(Detail::None), |why| Fact::Denied(denial(why)))
        }
    }

    fn denial(why: &str) -> Denial {
        Denial { call: "call".to_owned(), errno: None, why: why.to_owned(), cure: Some("a cure".to_owned()) }
    }

    /// Of a user whom all ids are denied but their own.
    fn facts(denied: &[(Feature, &'static str)]) -> Facts {
        let ways = [
            (Feature::RealRoot, "no root"),
            (Feature::OwnMap, "no capabilities"),
            (Feature::SubordinateMap, "no helper"),
        ];
        facts_of(Told { denied: ways.into_iter().chain(denied.iter().copied()).collect(), ..Told::default() })
    }

    fn facts_of(told: Told) -> Facts {
        let all = || Ok(Identity::Root(IdMap::single(0, 0)));
        Facts {
            kernel: "6.1".to_owned(),
            uid: 1000,
            gid: 1000,
            held: Held { effective: CapabilitySet::NONE, bounding: CapabilitySet::NONE },
            id_map: IdMap::single(0, 0),
            no_new_privs: false,
            seccomp: Seccomp::Disabled,
            ways: [
                (Feature::RealRoot, all()),
                (Feature::OwnMap, all()),
                (Feature::SubordinateMap, all()),
                (Feature::SingleMap, Ok(Identity::Single(IdMap::single(1000, 1000)))),
            ],
            trial: Box::new(told),
            known: Default::default(),
        }
    }

    fn chosen(facts: &Facts) -> String {
        choose(facts, Requested::default()).unwrap().to_string()
    }

    const NO_NAMESPACES: (Feature, &str) = (Feature::SingleMap, "no namespaces");
    const NO_PTRACE: (Feature, &str) = (Feature::Ptrace, "no tracing");
    const NO_SUPERVISION: (Feature, &str) = (Feature::Supervision, "no supervision");

    #[test]
    fn one_id_is_taken_with_the_reason_why_there_are_no_more() {
        let namespaces = Requested { isolation: Some(Isolation::Namespaces) };
        let choice = choose(&facts(&[]), namespaces).unwrap();
        assert_eq!(choice.to_string(), "isolation: namespaces, identity: single (call: no helper)");
        assert_eq!(choice.overlay, None);
    }

    #[test]
    fn many_ids_are_better_than_one_and_emulation_better_than_none() {
        let root = facts_of(Told::default());
        assert!(chosen(&root).starts_with("isolation: namespaces, identity: root"));
        assert_eq!(chosen(&facts(&[])), "isolation: trace, identity: single (call: no helper)");
        let line = "isolation: trace, identity: single (call: no namespaces)";
        assert_eq!(chosen(&facts(&[NO_NAMESPACES])), line);
        let line = "isolation: trace without Landlock, identity: single (call: no namespaces)";
        assert_eq!(chosen(&facts(&[NO_NAMESPACES, (Feature::Landlock, "not built in")])), line);
        let both = "isolation: namespaces, identity: single (call: no helper; call: no tracing)";
        assert_eq!(chosen(&facts(&[NO_PTRACE, NO_SUPERVISION])), both);
    }

    #[test]
    fn files_that_cannot_have_capabilities_are_worse_than_emulation_and_better_than_one_id() {
        let denied = |more: &[_]| {
            let denied = [(Feature::FileCapabilities, "no attributes")].iter().chain(more).copied();
            facts_of(Told { denied: denied.collect(), ..Told::default() })
        };
        assert_eq!(chosen(&denied(&[])), "isolation: trace, identity: single (call: no attributes)");
        let line = chosen(&denied(&[NO_SUPERVISION]));
        assert!(line.starts_with("isolation: namespaces, identity: root"), "{line}");
        assert!(line.ends_with(" (call: no attributes; call: no supervision)"), "{line}");
    }

    #[test]
    fn nothing_is_tried_that_decides_nothing() {
        let told = Told::default();
        let asked = Arc::clone(&told.asked);
        choose(&facts_of(told), Requested::default()).unwrap();
        let mounts =
            [Feature::Tmpfs, Feature::Bind, Feature::PivotRoot, Feature::FileCapabilities, Feature::Overlay];
        assert_eq!(*asked.lock().unwrap(), mounts.into_iter().chain([Feature::RealRoot]).collect());
        let told = Told { denied: [NO_NAMESPACES].into(), ..Told::default() };
        let asked = Arc::clone(&told.asked);
        choose(&facts_of(told), Requested { isolation: Some(Isolation::Trace) }).unwrap();
        assert_eq!(*asked.lock().unwrap(), [Feature::Supervision, Feature::Landlock].into());
    }

    #[test]
    fn without_any_isolation_it_is_steps_that_fail_and_all_that_is_missing_is_named() {
        let choice =
            choose(&facts(&[NO_NAMESPACES, NO_PTRACE, NO_SUPERVISION]), Requested::default()).unwrap();
        let reason = "call: no namespaces; call: no tracing";
        assert_eq!(choice.to_string(), format!("isolation: none, identity: single ({reason})"));
        let error = choice.isolation.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot isolate RUN steps here: {reason}"));
        assert_eq!(error.hint().as_deref(), Some("a cure"));
    }

    #[test]
    fn what_is_asked_for_needs_no_other_reason() {
        let asked = Requested { isolation: Some(Isolation::Trace) };
        let choice = choose(&facts_of(Told::default()), asked).unwrap();
        assert_eq!(choice.to_string(), "isolation: trace, identity: single (as asked)");
        let error = choose(&facts(&[NO_SUPERVISION]), asked).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no supervision");
    }

    #[test]
    fn what_is_needed_and_denied_is_named_with_its_cure() {
        let namespaces = Requested { isolation: Some(Isolation::Namespaces) };
        let error = choose(&facts(&[NO_NAMESPACES]), namespaces).unwrap_err();
        assert_eq!(error.to_string(), "cannot isolate RUN steps here: call: no namespaces");
        assert_eq!(error.hint().as_deref(), Some("a cure"));
        let error = choose(&facts(&[(Feature::PivotRoot, "no pivot")]), namespaces).unwrap_err();
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

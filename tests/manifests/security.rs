//! A manifest asks for the security context that the profile of its pod has, fact by fact.

use std::collections::BTreeSet;

use test_support::{Profile, Runtime, Seccomp};

use crate::manifest::Manifest;
use crate::profiles;

/// What a container is given.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    uid: u64,
    gid: u64,
    /// All where there is no set.
    capabilities: Option<BTreeSet<String>>,
    seccomp: Seccomp,
    user_namespace: bool,
    escalation: bool,
    read_only: bool,
}

#[test]
fn a_manifest_asks_for_the_security_context_of_its_profiles() {
    for (profile, manifest) in profiles() {
        let asked = asked(&manifest, "containers", profile.runtime);
        assert_eq!(asked, given(&profile), "{} for {}", manifest.name, profile.name);
    }
}

#[test]
fn what_clones_is_allowed_no_more_than_what_builds() {
    for (profile, manifest) in profiles() {
        let name = &manifest.name;
        let [build, clone] =
            ["containers", "initContainers"].map(|kind| asked(&manifest, kind, profile.runtime));
        let held = clone.capabilities.as_ref().unwrap_or_else(|| panic!("{name} clones with privileges"));
        assert!(build.capabilities.is_none_or(|all| held.is_subset(&all)), "{name}");
        assert!(clone.escalation <= build.escalation && clone.read_only >= build.read_only, "{name}");
        assert_eq!((clone.uid, clone.gid), (build.uid, build.gid), "{name}");
        assert_eq!(clone.seccomp, build.seccomp, "{name}");
    }
}

/// What a kubelet with this runtime gives to a container of a manifest.
fn asked(manifest: &Manifest, kind: &str, runtime: Runtime) -> Facts {
    let field = |name: &str| manifest.security(kind, name);
    let pod = manifest.pod();
    let names = |list: &str| {
        let names = field("capabilities")[list].as_array().into_iter().flatten();
        names.map(|name| format!("CAP_{}", name.as_str().unwrap())).collect::<BTreeSet<_>>()
    };
    let mut capabilities = if names("drop").contains("CAP_ALL") {
        BTreeSet::new()
    } else {
        runtime.capabilities().iter().map(|name| (*name).to_owned()).collect()
    };
    capabilities.extend(names("add"));
    // OpenShift fills in a uid of the namespace's range; anywhere else the image of builder, which names no user,
    // would not be started.
    let chosen = if field("runAsNonRoot") == true { 1_000_680_000 } else { 0 };
    Facts {
        uid: field("runAsUser").as_u64().unwrap_or(chosen),
        gid: field("runAsGroup").as_u64().unwrap_or(0),
        capabilities: (field("privileged") != true).then_some(capabilities),
        // A kubelet without `seccompDefault`.
        seccomp: match field("seccompProfile")["type"].as_str() {
            None | Some("Unconfined") => Seccomp::Unconfined,
            Some("RuntimeDefault") => Seccomp::RuntimeDefault,
            Some(other) => panic!("no profile has the filter {other}"),
        },
        user_namespace: pod["spec"]["hostUsers"] == false
            || pod["metadata"]["annotations"]["io.kubernetes.cri-o.userns-mode"] == "auto",
        escalation: field("allowPrivilegeEscalation") != false,
        read_only: field("readOnlyRootFilesystem") == true,
    }
}

fn given(profile: &Profile) -> Facts {
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    Facts {
        uid: profile.uid.into(),
        gid: profile.gid.into(),
        capabilities: profile.bounding_set().map(names),
        seccomp: profile.seccomp,
        user_namespace: profile.user_namespace,
        escalation: profile.escalation,
        read_only: profile.read_only,
    }
}

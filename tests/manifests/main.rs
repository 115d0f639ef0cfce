//! The manifests of `deploy/pods`: one for each profile of a pod, and what they promise is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "skopeo judges what was pushed")]

mod builds;
mod manifest;
mod refusals;
mod security;
mod standard;

use std::collections::BTreeSet;

use serde_json::Value;
use test_support::Profile;

use manifest::Manifest;
use standard::{Level, violations};

/// The profiles that each manifest stands for, and the strictest standard that lets it in. Where two are named, the
/// runtime of the node decides.
const MANIFESTS: [(&str, Level, &[&str]); 11] = [
    ("nonroot", Level::Baseline, &["nonroot"]),
    ("nonroot-setuid", Level::Baseline, &["nonroot-setuid"]),
    ("privileged", Level::Privileged, &["privileged"]),
    ("restricted", Level::Restricted, &["restricted"]),
    ("restricted-crio", Level::Restricted, &["restricted-crio"]),
    ("restricted-ro", Level::Restricted, &["restricted-ro"]),
    ("root", Level::Baseline, &["root", "root-crio"]),
    ("root-nocaps", Level::Baseline, &["root-nocaps"]),
    ("root-seccomp", Level::Baseline, &["root-seccomp", "root-crio-seccomp"]),
    ("userns", Level::Baseline, &["userns", "userns-crio-seccomp"]),
    ("userns-crio", Level::Baseline, &["userns-crio"]),
];

/// Each profile with its manifest.
fn profiles() -> impl Iterator<Item = (Profile, Manifest)> {
    MANIFESTS.iter().flat_map(|(name, _, profiles)| {
        profiles.iter().map(|profile| (Profile::named(profile), Manifest::named(name)))
    })
}

#[test]
fn every_profile_has_one_manifest() {
    let files: Vec<_> = Manifest::all().into_iter().map(|manifest| manifest.name).collect();
    assert_eq!(files, MANIFESTS.map(|(name, _, _)| name));
    let mut covered: Vec<_> = profiles().map(|(profile, _)| profile.name).collect();
    covered.sort_unstable();
    let mut expected = Profile::ALL.map(|profile| profile.name);
    expected.sort_unstable();
    assert_eq!(covered, expected);
}

#[test]
fn namespaces_let_manifests_in_unmodified() {
    for (name, strictest, _) in MANIFESTS {
        let manifest = Manifest::named(name);
        for level in [Level::Privileged, Level::Baseline, Level::Restricted] {
            let refused = violations(manifest.pod(), level);
            assert_eq!(refused.is_empty(), level <= strictest, "{name} under {level:?}: {refused:?}");
        }
    }
}

#[test]
fn manifests_differ_in_nothing_but_security() {
    let expected = without_security(&Manifest::named("restricted"));
    for manifest in Manifest::all() {
        assert_eq!(without_security(&manifest), expected, "{}", manifest.name);
    }
}

fn without_security(manifest: &Manifest) -> Value {
    let mut job = manifest.job.clone();
    job["metadata"]["name"] = "builder".into();
    let pod = job["spec"]["template"].as_object_mut().unwrap();
    pod.remove("metadata");
    let spec = pod["spec"].as_object_mut().unwrap();
    for key in ["hostUsers", "securityContext"] {
        spec.remove(key);
    }
    for kind in ["containers", "initContainers"] {
        spec[kind][0].as_object_mut().unwrap().remove("securityContext");
    }
    job
}

#[test]
fn manifests_name_themselves() {
    for manifest in Manifest::all() {
        let name = &manifest.name;
        assert_eq!(manifest.job["metadata"]["name"], format!("builder-{name}"));
        for command in [format!("kubectl apply -f {name}.yaml"), format!("job/builder-{name}\n")] {
            assert!(manifest.text.contains(&command), "{name} tells `{command}`");
        }
    }
}

#[test]
fn pods_say_what_they_need_and_take_no_token() {
    for manifest in Manifest::all() {
        let spec = &manifest.pod()["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false, "{}", manifest.name);
        for kind in ["containers", "initContainers"] {
            for what in ["cpu", "memory", "ephemeral-storage"] {
                for bound in ["requests", "limits"] {
                    let amount = &manifest.only(kind)["resources"][bound][what];
                    assert!(amount.is_string(), "{}: {bound} of {what}", manifest.name);
                }
            }
        }
        let volumes = spec["volumes"].as_array().unwrap();
        let unlimited: BTreeSet<_> = volumes
            .iter()
            .filter(|volume| volume["emptyDir"]["sizeLimit"].is_null())
            .map(|volume| volume["name"].as_str().unwrap())
            .collect();
        assert_eq!(unlimited, BTreeSet::from(["credentials"]), "{}", manifest.name);
    }
}

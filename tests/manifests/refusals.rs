//! What the Pod Security Standards refuse, control by control: `restricted.yaml` with one thing changed.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::manifest::Manifest;
use crate::standard::{CONTAINERS, Level, controls, violations};

/// Where a change is made; of several places, one after another.
#[derive(Debug, Clone, Copy)]
enum At {
    /// In the pod.
    Pod,
    /// In a container of each kind.
    Container,
    /// In the security context of a container of each kind.
    ContainerContext,
    /// In the security context of the pod, and in that of a container of each kind.
    Context,
}

impl At {
    fn places(self) -> Vec<String> {
        let containers = |end: &str| CONTAINERS.map(|kind| format!("spec/{kind}/0/{end}")).to_vec();
        match self {
            Self::Pod => vec![String::new()],
            Self::Container => containers(""),
            Self::ContainerContext => containers("securityContext/"),
            Self::Context => {
                [vec!["spec/securityContext/".to_owned()], containers("securityContext/")].concat()
            }
        }
    }
}

/// A place, a field there, and its value.
type Change = (At, &'static str, Value);

/// What breaks a control of the level `baseline`.
fn refused_by_baseline() -> Vec<(&'static str, Change)> {
    use At::{Container, ContainerContext, Context, Pod};
    let host = json!({ "host": "h" });
    vec![
        ("HostProcess", (Context, "windowsOptions/hostProcess", json!(true))),
        ("Host Namespaces", (Pod, "spec/hostNetwork", json!(true))),
        ("Host Namespaces", (Pod, "spec/hostPID", json!(true))),
        ("Host Namespaces", (Pod, "spec/hostIPC", json!(true))),
        ("Privileged Containers", (ContainerContext, "privileged", json!(true))),
        ("Capabilities", (ContainerContext, "capabilities/add", json!(["SYS_ADMIN"]))),
        ("Capabilities", (ContainerContext, "capabilities/add", json!(["CHOWN", "NET_RAW"]))),
        ("HostPath Volumes", (Pod, "spec/volumes/0/hostPath", json!({ "path": "/" }))),
        ("Host Ports", (Container, "ports", json!([{ "containerPort": 1 }, { "hostPort": 80 }]))),
        ("Host Probes / Lifecycle Hooks", (Container, "livenessProbe/httpGet", host.clone())),
        ("Host Probes / Lifecycle Hooks", (Container, "readinessProbe/tcpSocket", host.clone())),
        ("Host Probes / Lifecycle Hooks", (Container, "startupProbe/httpGet", host.clone())),
        ("Host Probes / Lifecycle Hooks", (Container, "lifecycle/postStart/httpGet", host.clone())),
        ("Host Probes / Lifecycle Hooks", (Container, "lifecycle/preStop/tcpSocket", host)),
        ("AppArmor", (Context, "appArmorProfile/type", json!("Unconfined"))),
        ("AppArmor", (Pod, "metadata/annotations", apparmor("unconfined"))),
        ("SELinux", (Context, "seLinuxOptions/type", json!("spc_t"))),
        ("SELinux", (Context, "seLinuxOptions/user", json!("system_u"))),
        ("SELinux", (Context, "seLinuxOptions/role", json!("system_r"))),
        ("/proc Mount Type", (ContainerContext, "procMount", json!("Unmasked"))),
        ("Seccomp", (Context, "seccompProfile/type", json!("Unconfined"))),
        ("Sysctls", (Pod, "spec/securityContext/sysctls", json!([{ "name": "kernel.shmmax" }]))),
    ]
}

/// What breaks a control of the level `restricted` alone.
fn refused_by_restricted() -> Vec<(&'static str, Change)> {
    use At::{ContainerContext, Context, Pod};
    vec![
        ("Volume Types", (Pod, "spec/volumes/0", json!({ "name": "workspace", "nfs": {} }))),
        ("Privilege Escalation", (ContainerContext, "allowPrivilegeEscalation", json!(true))),
        ("Privilege Escalation", (ContainerContext, "allowPrivilegeEscalation", Value::Null)),
        ("Running as Non-root", (Context, "runAsNonRoot", json!(false))),
        ("Running as Non-root", (Pod, "spec/securityContext/runAsNonRoot", Value::Null)),
        ("Running as Non-root user", (Context, "runAsUser", json!(0))),
        ("Seccomp, explicitly", (Pod, "spec/securityContext/seccompProfile", Value::Null)),
        ("Capabilities, dropped", (ContainerContext, "capabilities/drop", Value::Null)),
        ("Capabilities, dropped", (ContainerContext, "capabilities/drop", json!(["CHOWN"]))),
        ("Capabilities, dropped", (ContainerContext, "capabilities/add", json!(["CHOWN"]))),
    ]
}

/// What breaks nothing.
fn allowed() -> Vec<Change> {
    use At::{Container, ContainerContext, Context, Pod};
    vec![
        (Context, "windowsOptions/hostProcess", json!(false)),
        (Pod, "spec/hostNetwork", json!(false)),
        (ContainerContext, "capabilities/add", json!(["NET_BIND_SERVICE"])),
        (Container, "ports", json!([{ "containerPort": 1, "hostPort": 0 }])),
        (Container, "livenessProbe/httpGet", json!({ "host": "", "port": 1 })),
        (Context, "appArmorProfile/type", json!("Localhost")),
        (Pod, "metadata/annotations", apparmor("localhost/profile")),
        (Context, "seLinuxOptions/type", json!("container_t")),
        (ContainerContext, "procMount", json!("Default")),
        (Context, "seccompProfile/type", json!("Localhost")),
        (Pod, "spec/securityContext/sysctls", json!([{ "name": "net.ipv4.ping_group_range" }])),
        (Pod, "spec/volumes/0", json!({ "name": "workspace", "persistentVolumeClaim": {} })),
        (Context, "runAsNonRoot", json!(true)),
        (Context, "runAsUser", json!(4_294_967_294_u32)),
    ]
}

fn apparmor(profile: &str) -> Value {
    json!({ "container.apparmor.security.beta.kubernetes.io/build": profile })
}

/// The pod of `restricted.yaml`, with a container of each kind, after a change at each of its places.
fn changed((at, field, value): &Change) -> Vec<(String, Value)> {
    let mut pod = Manifest::named("restricted").pod().clone();
    pod["spec"]["ephemeralContainers"] = json!([pod["spec"]["containers"][0]]);
    let at_each = at.places().into_iter().map(|place| {
        let path = format!("{place}{field}");
        let mut pod = pod.clone();
        *entry(&mut pod, &path) = value.clone();
        (format!("{path}: {value}"), pod)
    });
    at_each.collect()
}

/// The value at a path, made if there is none.
fn entry<'a>(value: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('/').fold(value, |value, key| match value {
        Value::Array(values) => &mut values[key.parse::<usize>().unwrap()],
        object => &mut object[key],
    })
}

#[test]
fn what_breaks_a_control_is_refused_for_it() {
    for (level, rows) in
        [(Level::Baseline, refused_by_baseline()), (Level::Restricted, refused_by_restricted())]
    {
        for (control, change) in rows {
            for (what, pod) in changed(&change) {
                assert_eq!(violations(&pod, level), [control], "{what}");
                assert!(level == Level::Baseline || violations(&pod, Level::Baseline).is_empty(), "{what}");
                assert!(violations(&pod, Level::Privileged).is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn what_breaks_no_control_is_let_in() {
    for change in allowed() {
        for (what, pod) in changed(&change) {
            assert_eq!(violations(&pod, Level::Restricted), [""; 0], "{what}");
        }
    }
}

#[test]
fn every_control_is_broken_by_something() {
    let rows = refused_by_baseline().into_iter().chain(refused_by_restricted());
    let broken: BTreeSet<_> = rows.map(|(control, _)| control).collect();
    assert_eq!(broken, controls().collect());
}

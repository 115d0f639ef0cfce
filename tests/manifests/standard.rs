//! The Pod Security Standards: what a namespace with the label `pod-security.kubernetes.io/enforce` lets in.
//!
//! All controls of the levels `baseline` and `restricted` in the strictest reading of any version: newer versions allow
//! more to pods in a user namespace. See <https://kubernetes.io/docs/concepts/security/pod-security-standards/>. Knows
//! pods as the API has them, and nothing of ours.

use std::iter;

use serde_json::Value;

/// What a namespace may enforce; each level lets in what the next one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Everything.
    Privileged,
    /// What opens no known way to the node.
    Baseline,
    /// What follows the current practice of hardening besides.
    Restricted,
}

/// The controls of `level` that a pod, which has `metadata` and `spec`, is refused for.
pub(crate) fn violations(pod: &Value, level: Level) -> Vec<&'static str> {
    let pod = Pod(pod);
    let broken = CONTROLS.iter().filter(|control| control.level <= level && !(control.allows)(&pod));
    broken.map(|control| control.name).collect()
}

/// The names of all controls.
pub(crate) fn controls() -> impl Iterator<Item = &'static str> {
    CONTROLS.iter().map(|control| control.name)
}

struct Control {
    level: Level,
    name: &'static str,
    allows: fn(&Pod<'_>) -> bool,
}

const fn baseline(name: &'static str, allows: fn(&Pod<'_>) -> bool) -> Control {
    Control { level: Level::Baseline, name, allows }
}

const fn restricted(name: &'static str, allows: fn(&Pod<'_>) -> bool) -> Control {
    Control { level: Level::Restricted, name, allows }
}

const CONTROLS: [Control; 18] = [
    baseline("HostProcess", |pod| pod.contexts("/windowsOptions/hostProcess").all(is_not_set)),
    baseline("Host Namespaces", |pod| {
        ["/hostNetwork", "/hostPID", "/hostIPC"].iter().all(|field| is_not_set(pod.spec(field)))
    }),
    baseline("Privileged Containers", |pod| pod.each("/securityContext/privileged").all(is_not_set)),
    baseline("Capabilities", |pod| {
        pod.each("/securityContext/capabilities/add").all(|added| all_are(added, &ADDABLE))
    }),
    baseline("HostPath Volumes", |pod| pod.volumes().all(|volume| volume["hostPath"].is_null())),
    baseline("Host Ports", |pod| pod.each("/ports").flat_map(list).all(|port| is_not_set(&port["hostPort"]))),
    baseline("Host Probes / Lifecycle Hooks", |pod| {
        HANDLERS.iter().flat_map(|handler| pod.each(handler)).all(|handler| {
            is_not_set(&handler["httpGet"]["host"]) && is_not_set(&handler["tcpSocket"]["host"])
        })
    }),
    baseline("AppArmor", |pod| {
        pod.contexts("/appArmorProfile/type").all(|kind| is_one_of(kind, &["RuntimeDefault", "Localhost"]))
            && pod
                .annotations("container.apparmor.security.beta.kubernetes.io/")
                .all(|profile| profile == "runtime/default" || profile.starts_with("localhost/"))
    }),
    baseline("SELinux", |pod| {
        pod.contexts("/seLinuxOptions/type").all(|kind| is_one_of(kind, &SELINUX_TYPES))
            && pod.contexts("/seLinuxOptions/user").all(is_not_set)
            && pod.contexts("/seLinuxOptions/role").all(is_not_set)
    }),
    baseline("/proc Mount Type", |pod| {
        pod.each("/securityContext/procMount").all(|kind| is_one_of(kind, &["Default"]))
    }),
    baseline("Seccomp", |pod| pod.contexts("/seccompProfile/type").all(|kind| is_one_of(kind, &SECCOMP))),
    baseline("Sysctls", |pod| {
        list(pod.spec("/securityContext/sysctls")).all(|sysctl| is_one_of(&sysctl["name"], &SYSCTLS))
    }),
    restricted("Volume Types", |pod| {
        pod.volumes().all(|volume| VOLUMES.iter().any(|kind| !volume[kind].is_null()))
    }),
    restricted("Privilege Escalation", |pod| {
        pod.each("/securityContext/allowPrivilegeEscalation").all(|value| *value == false)
    }),
    restricted("Running as Non-root", |pod| {
        pod.contexts("/runAsNonRoot").all(|value| *value != false)
            && pod.settled("/runAsNonRoot").all(|value| *value == true)
    }),
    restricted("Running as Non-root user", |pod| pod.contexts("/runAsUser").all(|uid| *uid != 0)),
    restricted("Seccomp, explicitly", |pod| pod.settled("/seccompProfile/type").all(Value::is_string)),
    restricted("Capabilities, dropped", |pod| {
        pod.each("/securityContext/capabilities/drop").all(|dropped| list(dropped).any(|name| name == "ALL"))
            && pod
                .each("/securityContext/capabilities/add")
                .all(|added| all_are(added, &["NET_BIND_SERVICE"]))
    }),
];

const ADDABLE: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

const HANDLERS: [&str; 5] =
    ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];

const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

const SECCOMP: [&str; 2] = ["RuntimeDefault", "Localhost"];

const SYSCTLS: [&str; 5] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
];

const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The lists of containers in a pod.
pub(crate) const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

static ABSENT: Value = Value::Null;

/// A pod, whose absent fields are null.
struct Pod<'a>(&'a Value);

impl<'a> Pod<'a> {
    fn spec(&self, field: &str) -> &'a Value {
        self.0["spec"].pointer(field).unwrap_or(&ABSENT)
    }

    fn volumes(&self) -> impl Iterator<Item = &'a Value> {
        list(&self.0["spec"]["volumes"])
    }

    fn annotations(&self, prefix: &'static str) -> impl Iterator<Item = &'a str> {
        let all = self.0["metadata"]["annotations"].as_object().into_iter().flatten();
        all.filter(move |(name, _)| name.starts_with(prefix)).filter_map(|(_, value)| value.as_str())
    }

    /// A field of each container of any kind.
    fn each<'b>(&self, field: &'b str) -> impl Iterator<Item = &'a Value> + use<'a, 'b> {
        let spec = &self.0["spec"];
        let containers = CONTAINERS.iter().flat_map(|kind| list(&spec[*kind]));
        containers.map(move |container| container.pointer(field).unwrap_or(&ABSENT))
    }

    /// A field of the security contexts of the pod and of each container.
    fn contexts(&self, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let field = format!("/securityContext{field}");
        let all: Vec<_> = iter::once(self.spec(&field)).chain(self.each(&field)).collect();
        all.into_iter()
    }

    /// What holds for each container: its own field, else that of the pod.
    fn settled(&self, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let mut contexts = self.contexts(field);
        let of_pod = contexts.next().unwrap_or(&ABSENT);
        contexts.map(move |own| if own.is_null() { of_pod } else { own })
    }
}

/// The elements of a list; none of what is absent.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Whether a field is absent or has the value that it has where it is absent.
fn is_not_set(value: &Value) -> bool {
    value.is_null() || *value == false || *value == "" || *value == 0
}

/// Whether a field is absent or has one of these values.
fn is_one_of(value: &Value, allowed: &[&str]) -> bool {
    value.is_null() || allowed.iter().any(|allowed| value == allowed)
}

/// Whether no element of a list is another than these.
fn all_are(values: &Value, allowed: &[&str]) -> bool {
    list(values).all(|value| is_one_of(value, allowed))
}

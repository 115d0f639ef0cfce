//! What `builder doctor` tells of a machine: to root, to an ordinary user, to programs, and where nothing works.

use test_support::{Medium, Output, Pod, Profile, RootFs, TestBuilder};

/// Everything that is found out, in the order in which it builds on each other.
const FACTS: [&str; 17] = [
    "real root",
    "user namespace with own id map",
    "user namespace with newuidmap",
    "user namespace with one id",
    "tmpfs mount",
    "bind mount",
    "pid namespace",
    "network namespace",
    "new /proc mount",
    "pivot_root",
    "capabilities of files",
    "overlay on the state directory",
    "ptrace",
    "seccomp filter",
    "seccomp user notification",
    "supervision of a child",
    "Landlock",
];

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

/// `yes` or `no` for each fact.
fn answers(output: &Output) -> Vec<String> {
    let text = output.text();
    let answer = |fact: &&str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(fact)?.strip_prefix(' '));
        let answer = rest.and_then(|rest| rest.split_whitespace().next());
        answer.unwrap_or_else(|| panic!("no answer for `{fact}`\n{output}")).to_owned()
    };
    FACTS.iter().map(answer).collect()
}

#[test]
fn root_learns_every_fact_and_what_builds_will_use() {
    let output = new_builder().run(&["doctor"]).success();
    let answers = answers(&output);
    assert!(answers.iter().all(|answer| answer == "yes" || answer == "no"), "{output}");
    assert_eq!(answers[0], "yes", "{output}");
    let text = output.text();
    assert!(text.contains("uid 0, gid 0"), "{output}");
    assert!(text.contains("builds use isolation: namespaces, identity: root, storage driver: "), "{output}");
}

#[test]
fn a_program_reads_the_same_as_json() {
    let builder = new_builder();
    let output = builder.run(&["doctor", "--json"]).success();
    let told = output.json();
    let facts = told["facts"].as_array().expect("a list of facts");
    let names: Vec<_> = facts.iter().filter_map(|fact| fact["name"].as_str()).collect();
    assert_eq!(names, FACTS);
    for fact in facts {
        let explained = if fact["allowed"] == true { ["detail"].as_slice() } else { &["call", "why"] };
        assert!(explained.iter().all(|key| fact[*key].is_string()), "{fact}");
    }
    assert_eq!(told["uid"], 0);
    assert_eq!(told["isolation"], "namespaces");
    assert_eq!(told["identity"], "root");
    assert!(["overlay", "vfs"].contains(&told["storage_driver"].as_str().unwrap_or_default()), "{output}");
    assert_eq!(told["store"], builder.root().display().to_string());
    assert!(told["error"].is_null(), "{output}");
}

#[test]
fn a_user_without_subordinate_ids_learns_how_to_get_some() {
    let builder = new_builder().as_user(54321, 54321);
    let output = builder.run(&["doctor"]).success();
    assert_eq!(answers(&output)[..4], ["no", "no", "no", "yes"], "{output}");
    let text = output.text();
    assert!(text.contains("uid 54321, gid 54321"), "{output}");
    assert!(text.contains("identity: single"), "{output}");
    let (_, advice) = text.split_once("to get more:\n").expect("advice");
    assert!(advice.contains("add a line `54321:100000:65536` to /etc/subuid"), "{output}");
    assert!(advice.contains("securityContext"), "{output}");
}

#[test]
fn where_namespaces_are_denied_steps_are_traced_and_the_cure_is_named() {
    // The limit holds in a user namespace of our own, and below it.
    const SCRIPT: &str = "echo 0 > /proc/sys/user/max_user_namespaces && \
        exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \"$@\"";
    let builder = TestBuilder::new("/usr/bin/unshare");
    let doctor = [env!("CARGO_BIN_EXE_builder"), "doctor"];
    let shell = ["--user", "--map-root-user", "sh", "-c", SCRIPT, "sh"];
    let output = builder.run(&[&shell[..], &doctor].concat()).success();
    assert_eq!(answers(&output)[..4], ["no"; 4], "{output}");
    let text = output.text();
    assert!(text.contains("no_new_privs  yes"), "{output}");
    assert!(text.contains("on the node: sysctl -w user.max_user_namespaces=15000"), "{output}");
    assert!(text.contains("builds use isolation: trace, identity: single"), "{output}");
}

#[test]
fn a_session_that_began_outside_of_the_pid_namespace_changes_nothing() {
    let builder = TestBuilder::new("/usr/bin/unshare");
    let inside =
        builder.run(&["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_builder"), "doctor"]).success();
    assert_eq!(answers(&inside), answers(&new_builder().run(&["doctor"]).success()), "{inside}");
}

#[test]
fn in_every_pod_each_refusal_has_its_cure() {
    let root_fs =
        RootFs::new().with_subordinate_ids().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder");
    // What differs from machine to machine.
    let filters = [
        (r"(?m)^kernel .*", "kernel        [KERNEL]"),
        (r"(?m)^builder .*", "builder       [VERSION]"),
        (r"(?m)^capabilities  CHOWN DAC_OVERRIDE DAC_READ_SEARCH .*", "capabilities  [ALL]"),
        (r"ABI \d+", "ABI [N]"),
    ];
    insta::with_settings!({ filters => filters }, {
        for profile in Profile::ALL {
            let pod = Pod::new(profile, &root_fs).empty_dir("/work", Medium::Disk).env("BUILDER_ROOT", "/work/state");
            let output = pod.run(&["builder", "doctor"]).success();
            insta::assert_snapshot!(profile.name, output.text());
        }
    });
}

#[test]
fn a_pod_without_landlock_learns_it_with_the_cure() {
    let root_fs = RootFs::new().program(env!("CARGO_BIN_EXE_builder"), "usr/bin/builder");
    let pod = Pod::new(Profile::named("restricted"), &root_fs)
        .empty_dir("/work", Medium::Disk)
        .env("BUILDER_ROOT", "/work/state")
        .deny_syscalls(&["landlock_create_ruleset"]);
    let output = pod.run(&["builder", "doctor"]).success();
    assert_eq!(answers(&output).last().map(String::as_str), Some("no"), "{output}");
    let text = output.text();
    assert!(text.contains("builds use isolation: trace without Landlock"), "{output}");
    assert!(
        text.contains(
            "- Landlock: in the pod's securityContext set `seccompProfile: {type: RuntimeDefault}`"
        ),
        "{output}"
    );
    assert!(text.contains("allows landlock_create_ruleset"), "{output}");
}

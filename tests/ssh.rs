//! `RUN --mount=type=ssh`: keys that a step signs with and never sees. The tools in the step are OpenSSH's own.

#![expect(clippy::disallowed_methods, reason = "keys are made, and signatures judged, by OpenSSH")]
#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use test_support::{SHELL, TestBuilder};

const TOOLS: [&str; 2] = ["/usr/bin/ssh-add", "/usr/bin/ssh-keygen"];

/// A builder whose context has OpenSSH's tools, with the libraries that they need, below `tools`.
fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox();
    let listed = run("ldd", &TOOLS);
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    for path in libraries.chain(TOOLS) {
        let copy = format!("tools{path}");
        builder.file(&copy, fs::read(path).unwrap());
        fs::set_permissions(builder.dir().join(copy), PermissionsExt::from_mode(0o755)).unwrap();
    }
    builder.file("tools/etc/passwd", "root:x:0:0::/:/bin/sh\nweb:x:5:5::/:/bin/sh\n");
    builder
}

fn build(builder: &TestBuilder, text: &str, flags: &[&str]) {
    builder.build(&format!("{SHELL}COPY tools /\nCOPY *.pub message /keys/\n{text}"), flags);
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key pair in the builder's directory.
fn make_key(builder: &TestBuilder, name: &str, flags: &[&str]) -> PathBuf {
    let path = builder.dir().join(name);
    let shown = path.to_str().unwrap();
    run("ssh-keygen", &[&["-q", "-N", "", "-C", name, "-f", shown], flags].concat());
    path
}

/// Whether OpenSSH finds that the key `name` has signed the message.
fn is_signed(builder: &TestBuilder, name: &str) -> bool {
    let public = builder.read(format!("{name}.pub"));
    builder.file("signers", format!("me {public}"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", "test", "-I", "me", "-f"]).arg(builder.dir().join("signers"));
    command.arg("-s").arg(builder.exported(format!("keys/{name}.sig")));
    command.stdin(fs::File::open(builder.dir().join("message")).unwrap());
    command.output().unwrap().status.success()
}

const SIGN: &str = "for key in *.pub; do name=${key%.pub}; cp message $name; \
    ssh-keygen -q -Y sign -n test -f $key $name; done";

#[test]
fn every_kind_of_key_signs_in_a_step() {
    let builder = new_builder();
    builder.file("message", "text\n");
    let kinds: [(&str, &[&str]); 9] = [
        ("ed25519", &["-t", "ed25519"]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pem", &["-t", "rsa", "-b", "3072", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("p256-pem", &["-t", "ecdsa", "-m", "PEM"]),
        ("p384-pkcs8", &["-t", "ecdsa", "-b", "384", "-m", "PKCS8"]),
    ];
    let paths: Vec<_> = kinds.iter().map(|(name, flags)| make_key(&builder, name, flags)).collect();
    let paths: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let text = format!(
        "WORKDIR /keys\nRUN --mount=type=ssh ssh-add -l > list; echo $SSH_AUTH_SOCK >> list; {SIGN}\n\
         RUN --mount=type=ssh ! ssh-add -D; ! ssh-add -x < /dev/null; ssh-add -l | wc -l > left\n\
         RUN ! ls /run/buildkit; ! env | grep SSH\n"
    );
    build(&builder, &text, &["--ssh", &format!("default={}", paths.join(","))]);
    let list = builder.read_exported("keys/list");
    for (name, kind) in [("ed25519", "(ED25519)"), ("p521", "(ECDSA)"), ("rsa", "(RSA)")] {
        assert!(list.lines().any(|line| line.ends_with(&format!(" {name} {kind}"))), "{list}");
    }
    assert!(list.ends_with("\n/run/buildkit/ssh_agent.0\n"), "{list}");
    assert_eq!(builder.read_exported("keys/left"), "9\n");
    for (name, _) in kinds {
        assert!(is_signed(&builder, name), "{name}");
    }
    assert!(!builder.exported("run").exists());
}

/// An agent of the user's, killed in the end.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_agent(socket: &Path, key: &Path) -> Agent {
    let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn();
    let agent = Agent(child.unwrap());
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", socket).status().unwrap();
    assert!(added.success());
    agent
}

#[test]
fn the_agent_of_the_user_signs_and_cannot_be_changed() {
    let builder = new_builder();
    builder.file("message", "text\n");
    let key = make_key(&builder, "mine", &["-t", "ed25519"]);
    let socket = builder.home().join("agent");
    let _agent = start_agent(&socket, &key);
    let text = format!(
        "WORKDIR /keys\n\
         RUN --mount=type=ssh,id=work,target=/a/b.sock,mode=0620,uid=5 stat -c '%F %a %u' /a/b.sock > stat; \
             test $SSH_AUTH_SOCK = /a/b.sock; {SIGN}; ! ssh-add -D\n\
         RUN --mount=type=ssh,id=work ssh-add -l | wc -l > count\n\
         RUN --mount=type=ssh,id=none ! ls /run/buildkit; ! env | grep SSH\n\
         RUN mkdir -m 777 /web\nUSER web\n\
         RUN --mount=type=ssh,id=work,uid=5 ssh-add -l | wc -l > /web/own\n\
         RUN --mount=type=ssh,id=work ! ssh-add -l 2> /web/denied\n"
    );
    build(&builder, &text, &["--ssh", &format!("work={}", socket.display())]);
    assert_eq!(builder.read_exported("keys/stat"), "socket 620 5\n");
    assert!(is_signed(&builder, "mine"));
    assert_eq!(builder.read_exported("keys/count"), "1\n");
    assert_eq!(builder.read_exported("web/own"), "1\n");
    assert!(builder.read_exported("web/denied").contains("Permission denied"));
}

#[test]
fn keys_that_cannot_be_used_are_told_with_a_cure() {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox();
    builder.file("Containerfile", format!("{SHELL}RUN --mount=type=ssh,required true\n"));
    let refused = |flags: &[&str]| {
        let output = builder.run(&[&["build"], flags, &["."]].concat()).exits(1);
        assert!(output.stderr.contains("Containerfile:4:13"), "{output}");
        output.stderr
    };
    assert!(refused(&[]).contains("hint: give it with `--ssh default`"));
    builder.file("no-key", "hunter2");
    let error = refused(&["--ssh", "default=no-key"]);
    assert!(error.contains("cannot use the key `no-key`: it holds no private key"), "{error}");
    let key = builder.dir().join("locked");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "passphrase", "-f", key.to_str().unwrap()]);
    let error = refused(&["--ssh", "default=locked"]);
    assert!(error.contains("the key `locked` is protected by a passphrase"), "{error}");
    assert!(error.contains("`ssh-add locked`, and use `--ssh default`"), "{error}");
}

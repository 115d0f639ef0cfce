//! The build context and the base image that all cases share: entries of every kind, with owners, modes, times, links
//! and extended attributes that a builder can get wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// The base image `localhost/base:1`, with something of each key of a config, and paths that copies run into.
pub(crate) const BASE: &str = r#"FROM scratch
COPY busybox /bin/busybox
COPY passwd group /etc/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN mkdir -p /old/sub /deep/er && chmod 1777 /old && chmod 2750 /old/sub && chown 5:6 /old/sub && \
    echo old > /old/file && chmod 4711 /old/file && ln -s old /link && ln -s /deep/er /old/absolute && \
    ln /old/file /old/same && mkfifo /old/pipe
ENV BASE=base PATH=/bin:/sbin
LABEL from.base=yes kept="a b"
EXPOSE 80
VOLUME /data
USER 0:0
CMD ["base-command"]
ENTRYPOINT ["base-entry", "x"]
STOPSIGNAL SIGUSR1
"#;

/// The ignore files that cases choose from.
pub(crate) const IGNORE: [(&str, &str); 4] = [
    ("ignore-names", "*.txt\n**/e\n"),
    ("ignore-again", "d\n!d/b\n# comment\n\n"),
    ("ignore-all", "*\n!a\n!d/e\n!many\n"),
    ("ignore-deep", "many/*/x?\n/d/l*\n**/*.log\n!many/2/x1\n"),
];

const CONTENTS: [(&str, &str, u32); 20] = [
    ("a", "a\n", 0o644),
    ("b.txt", "b\n", 0o600),
    ("empty", "", 0o444),
    ("program", "#!/bin/sh\n", 0o755),
    ("with space", "s\n", 0o640),
    ("ünï", "u\n", 0o644),
    (".hidden", "h\n", 0o604),
    ("star[1]", "[\n", 0o644),
    ("passwd", "root:x:0:0:r:/root:/bin/sh\nuser:x:1000:1001:u:/home/user:/bin/sh\n", 0o644),
    ("group", "root:x:0:\nstaff:x:50:user\nuser:x:1001:\n", 0o644),
    ("d/b", "d/b\n", 0o644),
    ("d/c.txt", "d/c\n", 0o664),
    ("d/e/f", "d/e/f\n", 0o400),
    ("d/e/g.log", "log\n", 0o644),
    ("d/.dot/x", "x\n", 0o644),
    ("many/1/x1", "11\n", 0o644),
    ("many/1/x2", "12\n", 0o644),
    ("many/2/x1", "21\n", 0o644),
    ("many/2/y", "2y\n", 0o644),
    ("many/x1", "1\n", 0o644),
];

/// Makes the context in the new directory `dir`.
pub(crate) fn make(dir: &Path) {
    for (path, content, mode) in CONTENTS {
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), content).unwrap();
        set_mode(&dir.join(path), mode);
    }
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    fs::create_dir_all(dir.join("d/void")).unwrap();
    for (link, target) in
        [("link", "a"), ("linkdir", "d"), ("d/l", "b"), ("many/1/broken", "none"), ("d/out", "/a")]
    {
        symlink(target, dir.join(link)).unwrap();
    }
    fs::hard_link(dir.join("d/b"), dir.join("d/hard")).unwrap();
    fs::hard_link(dir.join("d/b"), dir.join("d/e/hard")).unwrap();
    for (path, mode) in [("d", 0o750), ("d/e", 0o1711), ("d/void", 0o2755), ("many/1", 0o700)] {
        set_mode(&dir.join(path), mode);
    }
    run(dir, "setfattr", &["-n", "user.note", "-v", "kept", "d/c.txt"]);
    let archive = |flags: &[&str], name| {
        run(dir, "tar", &[&["--numeric-owner"], flags, &[name, "many", "d/b"]].concat());
    };
    archive(&["--owner=3:3", "--group=4:4", "-cf"], "plain.tar");
    for (flag, name) in [("-czf", "t.tar.gz"), ("-cjf", "t.bz2"), ("-cJf", "t.txz"), ("--zstd", "t.zst")] {
        let flags = if flag == "--zstd" { vec!["--zstd", "-cf"] } else { vec![flag] };
        archive(&flags, name);
    }
    run(dir, "gzip", &["-kn", "b.txt"]);
    chown(dir.join("program"), Some(1234), Some(1234)).unwrap();
    run(dir, "find", &[".", "-exec", "touch", "-h", "-d", "@1000000000", "{}", "+"]);
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1_234_567_890);
    fs::File::open(dir.join("a")).unwrap().set_modified(later).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn run(dir: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

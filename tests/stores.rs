//! One Containerfile, one digest: on whatever file system the store lies, and when it is mounted again.
//!
//! File systems are mounted in a mount namespace that ends with the build. Volumes of pods are in `tests/pods`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use test_support::{Output, TestBuilder, assert_same_image, check_layout, each, ordinary_user};

/// Enough for any file system; a sparse file takes only what is written.
const IMAGE_SIZE: u64 = 2 << 30;

/// No subordinate ids belong to it, and no line of /etc/passwd.
const USER: u32 = 54_321;

/// What file systems do differently: numbers of inodes that are used again, links, times, names, holes, and a stage that
/// goes two ways.
const CONTAINERFILE: &str = r#"
FROM scratch AS base
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY --chown=7:8 --chmod=4711 context /context
RUN <<EOF
set -e
mkdir -p /etc /d/sub
mkdir -m 1777 /tmp
echo 'app:x:1000:1000::/:/bin/sh' > /etc/passwd
echo 'app:x:1000:' > /etc/group
for n in 1 2 3 4 5 6 7 8 9; do
    echo $n > /d/$n
    chown $n:$n /d/$n
    chmod 4755 /d/$n
done
rm /d/[3-6]
for n in 3 4 5 6; do echo again > /d/again-$n; done
ln /d/1 /d/sub/one
mv /d/2 /d/sub/two
touch -d @1000000000 /d/old
dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000 2>/dev/null
name=$(printf '%0250d' 7)
mkdir -p /$name/$name
echo deep > /$name/$name/$name
touch "/$(printf 'odd \377 name')"
mkfifo /pipe
EOF
FROM base AS side
RUN rm -r /d/sub && mkdir /d/sub && echo new > /d/sub/one && chown 60000 /d/sub && echo more >> /d/again-3
FROM base
COPY --from=side /d /side
RUN ln -f /d/1 /d/9 && mv /context /moved && chown -R app /d/sub && find /d /side -type f -exec stat -c '%n %u %g %a %h %s' {} + | sort > /seen
USER app
RUN id > /tmp/id && touch /tmp/mine && ! touch /d/no 2>> /tmp/id
"#;

/// A file system that a store lies on: the commands that mount it at `store`.
struct FileSystem {
    name: &'static str,
    /// What is done once before: most are in the file `image`.
    make: &'static str,
    mount: &'static str,
    /// Whether overlay can have its upper directories there.
    takes_overlay: bool,
}

static FILE_SYSTEMS: [FileSystem; 4] = [
    FileSystem {
        name: "ext4",
        make: "mkfs.ext4 -q image",
        mount: "mount -o loop image store",
        takes_overlay: true,
    },
    FileSystem {
        name: "xfs",
        make: "mkfs.xfs -q image",
        mount: "mount -o loop image store",
        takes_overlay: true,
    },
    FileSystem { name: "tmpfs", make: ":", mount: "mount -t tmpfs tmpfs store", takes_overlay: true },
    FileSystem {
        name: "overlay",
        make: "mkdir lower upper work",
        mount: "mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay store",
        takes_overlay: false,
    },
];

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Root,
    /// An ordinary user with subordinate ids.
    ManyIds,
    /// A user of whom the machine knows nothing.
    OneId,
}

/// Who builds, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way(Who, &'static [&'static str]);

const OVERLAY: &[&str] = &["--isolation=namespaces", "--storage-driver=overlay"];
const VFS: &[&str] = &["--isolation=namespaces", "--storage-driver=vfs"];
const TRACE: &[&str] = &["--isolation=trace"];

const WAYS: [Way; 6] = [
    Way(Who::Root, OVERLAY),
    Way(Who::Root, VFS),
    Way(Who::Root, TRACE),
    Way(Who::ManyIds, OVERLAY),
    Way(Who::ManyIds, VFS),
    Way(Who::OneId, TRACE),
];

/// A working directory that everyone may use, with a file system for the store.
struct Machine {
    file_system: &'static FileSystem,
    /// Runs unshare(1), and in it what the test wants.
    unshare: TestBuilder,
}

impl Machine {
    fn new(file_system: &'static FileSystem) -> Self {
        let unshare =
            TestBuilder::new("/usr/bin/unshare").with_busybox().env("SOURCE_DATE_EPOCH", "1700000000");
        let dir = unshare.dir();
        unshare
            .file("Containerfile", CONTAINERFILE)
            .file("context/file", "content")
            .file("context/dir/x", "x");
        for (path, mode) in [("..", 0o755), (".", 0o777), ("context", 0o755), ("context/dir", 0o755)] {
            fs::set_permissions(dir.join(path), Permissions::from_mode(mode)).unwrap();
        }
        File::create(dir.join("image")).unwrap().set_len(IMAGE_SIZE).unwrap();
        fs::create_dir(dir.join("store")).unwrap();
        let this = Self { file_system, unshare };
        // While this process copied the binary, other threads might start programs that keep it open for writing.
        let script = format!("cp \"$1\" builder; {}", file_system.make);
        this.sh(&script, &[env!("CARGO_BIN_EXE_builder")]).success();
        this
    }

    /// Runs a script in a mount namespace of its own.
    fn sh(&self, script: &str, arguments: &[&str]) -> Output {
        let shell = ["--mount", "--propagation", "private", "sh", "-ec", script, "sh"];
        self.unshare.run(&[&shell, arguments].concat())
    }

    /// Builds with the store on the file system.
    fn build(&self, way: Way) -> Result<(String, Output), Output> {
        let dir = self.unshare.dir();
        fs::remove_dir_all(dir.join("layout")).ok();
        let (uid, gid) = match way.0 {
            Who::Root => (0, 0),
            Who::ManyIds => ordinary_user(),
            Who::OneId => (USER, USER),
        };
        let user = format!("setpriv --reuid={uid} --regid={gid} --clear-groups");
        let script = format!("{}; chmod 777 store; exec {user} ./builder \"$@\"", self.file_system.mount);
        let mut arguments = vec!["build", "--root=store", "--digest-file=digest"];
        arguments.extend(["--output=type=oci,tar=false,dest=layout", "--tag=localhost/app:1"]);
        arguments.extend(way.1);
        arguments.push(".");
        let output = self.sh(&script, &arguments);
        if output.code() != 0 {
            return Err(output);
        }
        check_layout(&dir.join("layout"));
        Ok((self.unshare.read("digest"), output))
    }
}

#[test]
fn a_store_on_any_file_system_gives_the_same_image() {
    let ways = FILE_SYSTEMS.iter().flat_map(|file_system| WAYS.map(|way| (file_system, way)));
    let possible = ways.filter(|(file_system, way)| file_system.takes_overlay || way.1 != OVERLAY);
    assert_same_image(each(possible, |(file_system, way)| {
        let built = Machine::new(file_system).build(way);
        (format!("{} and {way:?}", file_system.name), built.map(|(digest, _)| digest))
    }));
}

#[test]
fn overlay_is_not_tried_where_it_cannot_be() {
    let [.., file_system] = &FILE_SYSTEMS;
    let machine = Machine::new(file_system);
    machine.build(Way(Who::Root, &[])).unwrap();
    let output = machine.build(Way(Who::Root, OVERLAY)).unwrap_err();
    assert!(output.stderr.contains("error: overlay"), "{output}");
}

#[test]
fn a_store_that_is_mounted_again_is_still_good() {
    let disks = FILE_SYSTEMS.iter().filter(|file_system| file_system.mount.contains("image"));
    let all = disks.flat_map(|file_system| WAYS.map(|way| (file_system, way)));
    let longer = format!("{CONTAINERFILE}RUN cat /seen > /tmp/again\n");
    assert_same_image(each(all, |(file_system, way)| {
        let machine = Machine::new(file_system);
        machine.build(way).unwrap();
        machine.unshare.file("Containerfile", &longer);
        let built = machine.build(way).map(|(digest, output)| {
            let cached = output.stderr.lines().filter(|line| line.ends_with(" CACHED")).count();
            let done = output.stderr.lines().filter(|line| line.contains(" DONE ")).count();
            assert_eq!(done, 1, "{cached} steps are cached\n{output}");
            digest
        });
        (format!("{} and {way:?}", file_system.name), built)
    }));
}

//! What is built in pods: Containerfiles, and the context that they copy from.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tempfile::TempDir;
use test_support::{Debian, TestBuilder};

/// A Containerfile, and whether it is about Debian.
pub(crate) struct Workload {
    /// How tables call it.
    pub(crate) name: &'static str,
    containerfile: &'static str,
    debian: bool,
}

pub(crate) const COPY: Workload = Workload::new("COPY", "FROM scratch\nCOPY . /\n");

pub(crate) const RUN: Workload =
    Workload::new("RUN", "FROM scratch\nCOPY busybox /bin/sh\nRUN echo x > /f\n");

/// A call that pods without `CAP_SYS_CHROOT` deny.
pub(crate) const CHROOT: Workload = Workload::new(
    "chroot",
    r#"FROM scratch
COPY busybox /bin/busybox
COPY busybox /root/bin/sh
RUN ["/bin/busybox", "chroot", "/root", "/bin/sh", "-c", "cd ..; echo x > /f; exec /bin/sh -c 'echo y >> f'"]
"#,
);

/// Users, files that belong to them, and what they may not do.
pub(crate) const USERS: Workload = Workload::new(
    "users",
    r#"FROM scratch
COPY busybox /bin/busybox
COPY --chown=7:8 dir /copied
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN <<EOF
set -e
mkdir -p /etc /home /srv
mkdir -m 1777 /tmp
printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\napp:x:1000:\nstaff:x:2000:app\n' > /etc/group
mkdir -m 700 /home/app
chown app:app /home/app
chown app:staff /srv
chmod 2775 /srv
echo of root > /srv/secret
chmod 600 /srv/secret
touch /srv/file
ln /srv/file /srv/same
ln -s file /srv/link
chown -h app /srv/link
chown 60000:60001 /srv/same
chmod 6755 /srv/file
mkfifo -m 640 /srv/pipe
chown 0:staff /srv/pipe
cp -a /copied /srv/copy
tar -cf - -C /srv . | tar -xf - -C /home/app
su app -c 'id; touch /srv/by-su; cat /srv/secret 2>&1 || true' > /seen
EOF
USER app
RUN id >> /srv/seen; touch /srv/mine; chmod 4711 /srv/mine; for file in /etc/new /copied/new; do touch $file 2>> /srv/seen; done; \
    chown root /srv/mine 2>> /srv/seen; rm /tmp/x 2>/dev/null; stat -c '%n %u %g %a %F' /srv/* /home/app/* /copied/* >> /srv/seen
"#,
);

/// The shell of Debian, with what loads it; opening the library by name shows that it is still the file itself.
pub(crate) const RUN_DYNAMIC: Workload = Workload::new(
    "RUN of a dynamic program",
    "FROM scratch\nCOPY lib /lib\nCOPY lib64 /lib64\nCOPY dash /bin/sh\nCOPY busybox /bin/busybox\n\
    RUN sh -c 'test /lib/x86_64-linux-gnu/libc.so.6 -ef /dev/fd/3' 3< /lib/x86_64-linux-gnu/libc.so.6\n\
    RUN sh -c 'test -x /bin/busybox && echo x > /f'\n",
);

/// Packages whose scripts make users, trust them with set-id programs, and give capabilities to files.
///
/// Removed is what no two installations have in common: when it was done, the inode numbers of libraries, the id of the
/// machine. `SOURCE_DATE_EPOCH` is for /etc/shadow, which holds the day of a user's last change; nobody waits for a disk.
pub(crate) const PACKAGES: Workload = Workload {
    name: "packages",
    containerfile: r#"FROM oci:debian
ARG SOURCE_DATE_EPOCH DEBIAN_FRONTEND=noninteractive
RUN --mount=type=bind,source=packages,target=/packages <<EOF
set -e
apt-get install --yes --no-install-recommends --option Dpkg::Options::=--force-unsafe-io /packages/*.deb
rm -r /var/log/apt/* /var/log/*.log /var/cache/apt/*.bin /var/cache/ldconfig/aux-cache /var/lib/dbus/machine-id
dpkg --audit
EOF
RUN <<EOF
set -e
test -z "$(dpkg --verify | grep -v ' /usr/share/')"
test "$(getcap /bin/ping)" = '/bin/ping cap_net_raw=ep'
test "$(sudo -u messagebus id -un 2>&1)" = messagebus
helper=/usr/lib/dbus-1.0/dbus-daemon-launch-helper
su -s /bin/sh messagebus -c "test -x $helper && test ! -r /etc/shadow"
su -s /bin/sh nobody -c "test ! -x $helper"
EOF
"#,
    debian: true,
};

impl Workload {
    const fn new(name: &'static str, containerfile: &'static str) -> Self {
        Self { name, containerfile, debian: false }
    }

    /// A new build context; as everyone may read it, it is that of any pod.
    ///
    /// It has busybox, a dynamic program, a link, modes of every kind, and directories; or a Debian as an image, and
    /// packages for it.
    pub(crate) fn context(&self) -> TempDir {
        let context = tempfile::tempdir().unwrap();
        let dir = context.path();
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.join("Containerfile"), self.containerfile).unwrap();
        if self.debian {
            add_debian(dir);
        } else {
            add_programs(dir);
            add_files(dir);
        }
        context
    }
}

/// The Debian is an image as a registry has them, so it is unpacked in each pod.
fn add_debian(dir: &Path) {
    let debian = Debian::in_dir(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    fs::copy(debian.root_fs(), builder.dir().join("root.tar")).unwrap();
    builder.file("Containerfile", "FROM scratch\nADD root.tar /\n");
    let output = format!("--output=type=oci,tar=false,dest={}/debian", dir.display());
    builder.run(&["build", &output, "."]).success();
    fs::create_dir(dir.join("packages")).unwrap();
    for package in debian.packages() {
        fs::copy(&package, dir.join("packages").join(package.file_name().unwrap())).unwrap();
    }
}

fn add_programs(dir: &Path) {
    for program in ["busybox", "dash"] {
        fs::copy(Path::new("/bin").join(program), dir.join(program)).unwrap();
    }
    for library in ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"] {
        fs::create_dir_all(dir.join(library).parent().unwrap()).unwrap();
        fs::copy(Path::new("/").join(library), dir.join(library)).unwrap();
    }
}

fn add_files(dir: &Path) {
    fs::create_dir_all(dir.join("dir/empty")).unwrap();
    symlink("dir/file", dir.join("link")).unwrap();
    for (name, content, mode) in [
        ("dir/file", "content\n", 0o444),
        ("dir/program", "#!/bin/sh\n", 0o755),
        ("dir/setuid", "#!/bin/sh\n", 0o4755),
    ] {
        fs::write(dir.join(name), content).unwrap();
        fs::set_permissions(dir.join(name), Permissions::from_mode(mode)).unwrap();
    }
}

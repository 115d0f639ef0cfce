//! A real distribution: its package manager's tools, its users, its set-id programs and capabilities.

use std::fs;
use std::path::Path;

use test_support::{Debian, TestBuilder, check_layout};

const CONTAINERFILE: &str = r"
FROM scratch AS base
ADD debian.tar /
FROM base
RUN useradd --create-home app && install -o app -g app -m 4755 /bin/true /usr/local/bin/tool
RUN setcap cap_net_raw+ep /usr/bin/cat && getcap /usr/bin/cat | grep cap_net_raw && su app -c id
RUN rm -rf /usr/share/doc /var/lib/apt/lists && mv /etc/hostname /etc/hostname.old || true
RUN dpkg --verify && apt-get --version > /apt && chown -R app:app /srv
USER app
WORKDIR /home/app/work
RUN touch file && test $(id -un) = app && test $HOME = /home/app
";

#[test]
fn debian_gives_one_image_from_both_snapshots() {
    let base = Debian::in_dir(Path::new(env!("CARGO_TARGET_TMPDIR"))).root_fs();
    let digests = ["overlay", "vfs"].map(|driver| {
        let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
        fs::hard_link(&base, builder.dir().join("debian.tar"))
            .or_else(|_| fs::copy(&base, builder.dir().join("debian.tar")).map(drop))
            .unwrap();
        builder.file("Containerfile", CONTAINERFILE);
        let driver = format!("--storage-driver={driver}");
        let arguments = ["build", &driver, "--source-date-epoch=1700000000", "--digest-file=digest", "."];
        builder.run(&arguments).success();
        check_layout(&builder.root());
        builder.read("digest")
    });
    assert_eq!(digests[0], digests[1]);
}

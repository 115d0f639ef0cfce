//! COPY and ADD where file systems are odd: kinds, names, links, attributes, and what the machine puts into a root.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use oci::Manifest;
use test_support::{ImageTree, SHELL, TestBuilder, tool};

const DRIVERS: [[&str; 2]; 2] = [["--storage-driver", "overlay"], ["--storage-driver", "vfs"]];

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of the entries of each layer, as tar lists them.
fn layers(builder: &TestBuilder, manifest: &Manifest) -> Vec<Vec<String>> {
    let blobs = builder.exported("../image/blobs/sha256");
    let list = |digest: String| tool("tar", &["-tf", digest.strip_prefix("sha256:").unwrap()], &blobs);
    let lines = |list: String| list.lines().map(str::to_owned).collect();
    manifest.layers.iter().map(|layer| lines(list(layer.digest.to_string()))).collect()
}

#[test]
fn sockets_are_left_out_and_pipes_are_kept() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("d/file", "x");
        let _context = UnixListener::bind(builder.dir().join("d/socket")).unwrap();
        tool("mkfifo", &["d/pipe"], builder.dir());
        let text = format!(
            "{SHELL}COPY d /d\nRUN ln -s /d/made /dev/log && (syslogd -n & timeout 60 sh -c 'until [ -S /d/made ]; do sleep 0.1; done' && kill $!)\n\
             FROM scratch\nCOPY d /context\nCOPY d/pipe /alone\nCOPY --from=shell /d /stage\n"
        );
        builder.build(&text, &driver);
        for dir in ["context", "stage"] {
            assert_eq!(names(&builder.exported(dir)), ["file", "pipe"], "{driver:?} {dir}");
        }
        for path in ["context/pipe", "stage/pipe", "alone"] {
            let metadata = fs::symlink_metadata(builder.exported(path)).unwrap();
            assert!(metadata.file_type().is_fifo(), "{driver:?} {path}");
        }
    }
}

#[test]
fn any_name_of_a_file_survives() {
    let long = ["n".repeat(255), "m".repeat(255)].join("/");
    let names: [&[u8]; 7] = [
        b"not utf-8 \xff\xfe",
        b"a:b",
        b"line\nbreak",
        b"tab\t=\\x41 \"quoted\" ",
        b"-rf f",
        "ü\u{301}".as_bytes(),
        long.as_bytes(),
    ];
    for driver in DRIVERS {
        let builder = new_builder();
        for name in names {
            builder.file(Path::new("d").join(OsStr::from_bytes(name)), name);
            symlink(OsStr::from_bytes(name), builder.dir().join(format!("d/to-{}", name.len()))).unwrap();
        }
        builder.build("FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one / /\n", &driver);
        // Another builder has nothing but the layers.
        let other = new_builder();
        let image = builder.exported("../image").canonicalize().unwrap();
        let context = format!("base=oci-layout://{}", image.display());
        let flags = [driver.as_slice(), &["--build-context", &context]].concat();
        other.build("FROM base\nCOPY busybox /\n", &flags);
        for name in names {
            let file = |builder: &TestBuilder| builder.exported("d").join(OsStr::from_bytes(name));
            assert_eq!(fs::read(file(&builder)).unwrap(), name, "{driver:?}");
            assert_eq!(fs::read(file(&other)).unwrap(), name, "{driver:?}");
            let link = fs::read_link(other.exported(format!("d/to-{}", name.len()))).unwrap();
            assert_eq!(link.as_os_str().as_bytes(), name, "{driver:?}");
        }
    }
}

#[test]
fn holes_stay_where_they_are() {
    const SIZE: u64 = 64 << 20;
    for driver in DRIVERS {
        let builder = new_builder();
        for (name, offset) in [("begin", 0), ("middle", SIZE / 2), ("end", SIZE - 4), ("none", SIZE)] {
            let file = fs::File::create(builder.dir().join(name)).unwrap();
            file.set_len(SIZE).unwrap();
            if offset < SIZE {
                file.write_all_at(b"data", offset).unwrap();
            }
        }
        builder.build("FROM scratch\nCOPY begin middle end none /\n", &driver);
        for name in ["begin", "middle", "end", "none"] {
            let metadata = fs::metadata(builder.exported(name)).unwrap();
            assert!(metadata.blocks() * 512 < SIZE / 4, "{driver:?} {name}: {} blocks", metadata.blocks());
            let (before, after) = (fs::read(builder.dir().join(name)), fs::read(builder.exported(name)));
            assert!(before.unwrap() == after.unwrap(), "{driver:?} {name}");
        }
    }
}

#[test]
fn of_several_sources_of_one_file_the_last_wins() {
    let builder = new_builder();
    builder.file("a", "a").file("b", "b");
    builder.build("FROM scratch\nCOPY a b dest\nCOPY b a /in/one\nCOPY [ab] /pattern\n", &[]);
    for (path, content) in [("dest", "b"), ("in/one", "a"), ("pattern", "b")] {
        assert_eq!(builder.read_exported(path), content, "{path}");
    }
}

#[test]
fn links_of_a_destination_stay_inside() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("f", "f").file("d/f", "f");
        let victim = builder.dir().join("victim");
        fs::create_dir(&victim).unwrap();
        let absolute = victim.display();
        let text = format!(
            "{SHELL}RUN mkdir -p /real {absolute} && ln -s ../../.. /up && ln -s {absolute} /out && \
             ln -s ../../../../../real /rel && ln -s {absolute}/file /file\n\
             COPY f /up/by-file\nCOPY d /up/by-dir\nCOPY f /out/\nCOPY f /rel/\nCOPY d /rel/d\nCOPY f /out/new/f\n"
        );
        builder.build(&text, &driver);
        let below = absolute.to_string();
        let inside = builder.exported(below.trim_start_matches('/'));
        assert_eq!(names(&inside), ["f", "new"], "{driver:?}");
        assert_eq!(names(&builder.exported("real")), ["d", "f"], "{driver:?}");
        assert!(builder.exported("by-file").is_file() && builder.exported("by-dir/f").is_file());
        assert!(names(&victim).is_empty(), "{driver:?}");
        let loops = format!("{SHELL}RUN ln -s loop /loop && ln -s b /a && ln -s a /b\n");
        for copy in ["COPY f /loop/x", "COPY f /loop/", "COPY d /a", "COPY f /a/b/c"] {
            builder.file("Containerfile", format!("{loops}{copy}\n"));
            let arguments = [&["build"], driver.as_slice(), &["."]].concat();
            let output = builder.run(&arguments).exits(1);
            assert!(output.stderr.contains("Too many levels of symbolic links"), "{copy}: {output}");
            assert!(output.stderr.contains("Containerfile:5"), "{copy}: {output}");
        }
    }
}

#[test]
fn a_file_and_a_link_take_each_others_place() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("one/a", "a").file("two/b", "b").file("one/kept", "kept");
        symlink("kept", builder.dir().join("one/b")).unwrap();
        symlink("kept", builder.dir().join("two/a")).unwrap();
        let (manifest, _) = builder.build("FROM scratch\nCOPY one /x\nCOPY two /x\n", &driver);
        assert_eq!(layers(&builder, &manifest)[1], ["x/", "x/a", "x/b"], "{driver:?}");
        assert_eq!(fs::read_link(builder.exported("x/a")).unwrap(), Path::new("kept"));
        assert!(fs::symlink_metadata(builder.exported("x/b")).unwrap().is_file(), "replaced, not followed");
        let contents = ["x/b", "x/kept"].map(|path| builder.read_exported(path));
        assert_eq!(contents, ["b", "kept"], "{driver:?}");
    }
}

#[test]
fn archives_are_known_by_what_is_in_them() {
    let builder = new_builder();
    builder.file("in/file", "x").file("text.tar", "no archive");
    let pack = "tar -cf plain.txt -C in . && gzip -c plain.txt > gz.zip && bzip2 -c plain.txt > bz2.txt && \
                xz -c plain.txt > xz && zstd -qc plain.txt > zst.tar.gz && gzip -c text.tar > text.tar.gz && \
                xz -c text.tar > text.txz";
    tool("sh", &["-c", pack], builder.dir());
    let archives = ["plain.txt", "gz.zip", "bz2.txt", "xz", "zst.tar.gz"];
    let files = ["text.tar", "text.tar.gz", "text.txz"];
    let adds = archives.iter().chain(&files).map(|name| format!("ADD {name} /{name}/\n"));
    builder.build(&format!("FROM scratch\n{}", adds.collect::<String>()), &[]);
    for name in archives {
        assert_eq!(names(&builder.exported(name)), ["file"], "{name}");
    }
    for name in files {
        let copied = fs::read(builder.exported(name).join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(copied == fs::read(builder.dir().join(name)).unwrap(), "{name}");
    }
}

#[test]
fn owner_and_octal_mode_are_for_directories_made_on_the_way() {
    let builder = new_builder();
    builder.file("f", "f").file("d/f", "f");
    let text = "FROM scratch\nCOPY f /there/\nCOPY --chown=3:4 --chmod=2711 f /a/b/f\nCOPY --chown=5 d /c/d\n\
                COPY --chmod=700 f /e/\nCOPY --chown=6:7 --chmod=700 f /there/new/f\n";
    builder.build(text, &[]);
    for (path, expected) in [
        ("a", "2711 3:4"),
        ("a/b", "2711 3:4"),
        ("a/b/f", "2711 3:4"),
        ("c", "755 5:5"),
        ("c/d", "755 5:5"),
        ("e", "700 0:0"),
        ("there", "755 0:0"),
        ("there/new", "700 6:7"),
    ] {
        let metadata = fs::metadata(builder.exported(path)).unwrap();
        let found = format!("{:o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn attributes_of_the_machine_are_not_copied() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("d/f", "x").file("d/sub/f", "x");
        for path in ["d/f", "d/sub"] {
            for name in [
                "user.kept",
                "user.overlay.opaque",
                "trusted.key",
                "trusted.overlay.metacopy",
                "security.selinux",
            ] {
                tool("setfattr", &["-n", name, "-v", "y", path], builder.dir());
            }
        }
        tool("setcap", &["cap_chown+ep", "d/f"], builder.dir());
        builder.build("FROM scratch AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one /d /d\n", &driver);
        let tree = ImageTree::from_layout(&builder.exported("../image"));
        for (path, expected) in
            [("d/f", &["security.capability", "user.kept"] as &[_]), ("d/sub", &["user.kept"])]
        {
            let found: Vec<_> = tree.entries[path].keys().filter(|key| key.contains('.')).collect();
            assert_eq!(found, expected, "{driver:?} {path}");
            let listed = tool("getfattr", &["-m", "-", path], builder.exported(""));
            let listed: Vec<_> = listed.lines().filter(|line| line.contains('.')).collect();
            assert_eq!(listed, expected, "{driver:?} {path}");
        }
    }
}

#[test]
fn a_root_has_nothing_of_the_machine() {
    for driver in DRIVERS {
        let builder = new_builder();
        fs::create_dir(builder.dir().join("empty")).unwrap();
        let text = format!(
            "{SHELL}COPY empty /proc/\nCOPY empty /sys/\nCOPY empty /dev/\nRUN ls /proc/1 /dev/null /sys > /seen\n\
             FROM scratch\nCOPY --from=shell / /all\n"
        );
        builder.build(&text, &driver);
        assert!(builder.read_exported("all/seen").contains("/dev/null"));
        for dir in ["proc", "sys", "dev"] {
            assert!(names(&builder.exported("all").join(dir)).is_empty(), "{driver:?} {dir}");
        }
    }
}

#[test]
fn files_that_a_step_hides_reach_the_image_as_they_were_copied() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("hosts", "mine\n").file("resolv.conf", "mine too\n");
        let edit = "RUN cat /etc/hosts > /seen; echo x >> /etc/hosts; echo x > /etc/resolv.conf";
        let (manifest, _) = builder.build(
            &format!("{SHELL}COPY hosts resolv.conf /etc/\n{edit}\nRUN echo y >> /etc/hosts\n"),
            &driver,
        );
        assert_eq!(builder.read_exported("etc/hosts"), "mine\n", "{driver:?}");
        assert_eq!(builder.read_exported("etc/resolv.conf"), "mine too\n", "{driver:?}");
        assert!(builder.read_exported("seen").contains("localhost"), "{driver:?}");
        let mut layers = layers(&builder, &manifest);
        assert_eq!(layers.pop().unwrap(), ["seen"], "{driver:?}: the last step changed nothing");
        // In the other order as well.
        builder.build(&format!("{SHELL}{edit}\nCOPY hosts resolv.conf /etc/\n"), &driver);
        assert_eq!(builder.read_exported("etc/hosts"), "mine\n", "{driver:?}");
    }
}

#[test]
fn mounts_and_their_places_leave_no_trace() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("secret", "s");
        let text = format!(
            "{SHELL}RUN --mount=type=cache,target=/deep/cache --mount=type=tmpfs,target=/deep/tmp \
             --mount=type=secret,id=s --mount=source=secret,target=/bound/secret \
             echo x > /deep/cache/x; echo x >> /etc/hosts; cat /run/secrets/s /bound/secret > /seen\n"
        );
        let flags = [driver.as_slice(), &["--secret", "id=s,src=secret"]].concat();
        let (manifest, _) = builder.build(&text, &flags);
        assert_eq!(layers(&builder, &manifest).pop().unwrap(), ["seen"], "{driver:?}");
        assert_eq!(builder.read_exported("seen"), "ss", "{driver:?}");
        assert_eq!(names(&builder.exported("")), ["bin", "seen"], "{driver:?}");
    }
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    for driver in DRIVERS {
        let builder = new_builder();
        builder.file("d/a", "a");
        for name in ["d/b", "c", "e"] {
            fs::hard_link(builder.dir().join("d/a"), builder.dir().join(name)).unwrap();
        }
        builder.build("FROM scratch\nCOPY d c /x/\nCOPY d/a c e /y/\nCOPY [ce] /z/\n", &driver);
        let inode = |path: &str| fs::symlink_metadata(builder.exported(path)).unwrap().ino();
        for names in [["x/a", "x/b", "x/c"], ["y/a", "y/c", "y/e"], ["z/c", "z/e", "z/c"]] {
            assert_eq!(inode(names[0]), inode(names[1]), "{driver:?} {names:?}");
            assert_eq!(inode(names[0]), inode(names[2]), "{driver:?} {names:?}");
        }
        assert_ne!(inode("x/a"), inode("y/a"), "{driver:?}: two instructions make two files");
    }
}

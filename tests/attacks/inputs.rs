//! Hostile input: contexts, archives and images that reach for what is not theirs. Nothing may leave its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tar::{Builder, EntryType, Header};
use test_support::{TestBuilder, write_image};

const SHELL: &str =
    "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";

fn new_builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
}

/// An archive of entries as they are given, with names that no honest tool would write.
fn archive(path: &Path, entries: &[(&str, EntryType, &str)]) {
    let mut tar = Builder::new(fs::File::create(path).unwrap());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let data = if *kind == EntryType::Regular { content.as_bytes() } else { b"" };
        if *kind != EntryType::Regular {
            header.set_link_name_literal(content).unwrap();
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        tar.append(&header, data).unwrap();
    }
    tar.finish().unwrap();
}

#[test]
fn an_archive_that_climbs_out_fails_the_build() {
    use EntryType::{Link, Regular};
    for entries in [
        [("../../escaped", Regular, "x")].as_slice(),
        &[("a/../../../escaped", Regular, "x")],
        &[("link", Link, "../../../etc/passwd"), ("link", Regular, "x")],
    ] {
        let builder = new_builder();
        archive(&builder.dir().join("evil.tar"), entries);
        builder.file("Containerfile", "FROM scratch\nADD evil.tar /x/\n");
        let output = builder.run(&["build", "."]).exits(1);
        assert!(output.stderr.contains("Containerfile:2"), "{output}");
        assert!(!builder.dir().join("escaped").exists() && !builder.root().join("escaped").exists());
    }
}

#[test]
fn links_of_an_archive_lead_to_the_image_and_not_to_the_machine() {
    use EntryType::{Regular, Symlink};
    let builder = new_builder();
    let victim = builder.dir().join("victim");
    fs::create_dir(&victim).unwrap();
    let target = victim.display().to_string();
    archive(&builder.dir().join("evil.tar"), &[("out", Symlink, &target), ("out/file", Regular, "x")]);
    builder.file("Containerfile", "FROM scratch\nADD evil.tar /\nCOPY Containerfile /out/copied\n");
    builder.run(&["build", "-o", "type=local,dest=exported", "."]);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

#[test]
fn links_of_the_context_lead_to_nothing_outside_of_it() {
    let builder = new_builder();
    symlink("/etc/passwd", builder.dir().join("link")).unwrap();
    symlink("/proc/self/environ", builder.dir().join("environ")).unwrap();
    symlink("/etc", builder.dir().join("dir")).unwrap();
    for source in ["link", "environ", "dir/passwd", "../../../../etc/passwd"] {
        builder.file("Containerfile", format!("FROM scratch\nCOPY {source} /x\n"));
        let output = builder.run(&["build", "."]).exits(1);
        assert!(output.stderr.contains("is not in the build context"), "{output}");
    }
    fs::remove_file(builder.dir().join("Containerfile")).unwrap();
    symlink("/etc/passwd", builder.dir().join("Containerfile")).unwrap();
    let output = builder.run(&["build", "."]).exits(1);
    assert!(!output.stderr.contains("root:"), "no content of a foreign file in an error\n{output}");
}

#[test]
fn a_layer_that_claims_to_be_another_is_refused() {
    let honest = layer_with("good");
    let evil = layer_with("evil");
    let claimed = oci::Digest::of(&honest).to_string();
    for driver in ["overlay", "vfs"] {
        let builder = new_builder();
        let config = |diff_ids: &str| {
            serde_json::json!({
                "architecture": oci::Platform::host().architecture, "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [diff_ids]},
            })
        };
        write_image(&builder.dir().join("evil"), config(&claimed), std::slice::from_ref(&evil));
        write_image(&builder.dir().join("honest"), config(&claimed), std::slice::from_ref(&honest));
        builder.file("x", "x").file("Containerfile", "FROM oci:evil\nCOPY x /\n");
        let output = builder.run(&["build", "--storage-driver", driver, "."]).exits(1);
        assert!(output.stderr.contains("and its config says"), "{output}");
        // What was refused is not found under the name that it claimed.
        builder.build("FROM oci:honest\nCOPY x /\n", &["--storage-driver", driver]);
        assert_eq!(builder.read_exported("file"), "good");
    }
}

fn layer_with(content: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.tar");
    archive(&path, &[("file", EntryType::Regular, content)]);
    fs::read(path).unwrap()
}

/// Files and directories of the context take the place of links to the outside, and back, while builds read them. Each
/// build is one try: what is found to have changed ends it.
#[test]
fn what_is_swapped_while_it_is_read_never_leads_out() {
    const CONTENT: &str = "of the outside";
    let builder = new_builder();
    let (many, aside) = (builder.dir().join("many"), builder.dir().join("aside"));
    let outside = builder.home().join("outside");
    for dir in [&many, &aside, &outside] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(outside.join("f"), CONTENT).unwrap();
    for number in 0..100 {
        builder.file(format!("many/d{number}/f"), "x").file(format!("many/f{number}"), "x");
        symlink(&outside, aside.join(format!("d{number}"))).unwrap();
        symlink(outside.join("f"), aside.join(format!("f{number}"))).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&many, &aside, &done));
        for _ in 0..40 {
            for step in
                ["COPY many /a", "COPY many/* /b/", "RUN --mount=source=many,target=/m cp -rL /m /c; true"]
            {
                builder.file("Containerfile", format!("{SHELL}{step}\n"));
                let output = builder.run(&["build", "-o", "type=tar,dest=out.tar", "."]).to_string();
                let image = fs::read(builder.dir().join("out.tar")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&image).contains(CONTENT), "{step}");
                assert!(!output.contains(CONTENT) && !output.contains("panicked"), "{output}");
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Exchanges what has the same name in two directories, one after the other, until it is `done`.
fn swap(one: &Path, other: &Path, done: &AtomicBool) {
    let names: Vec<_> = fs::read_dir(one).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    for name in names.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        renameat_with(CWD, one.join(name), CWD, other.join(name), RenameFlags::EXCHANGE).unwrap();
    }
}

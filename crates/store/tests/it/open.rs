//! Opening a store: what is made, what is refused, what killed processes leave.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::fixture::{child, is_child, listing, store};
use store::{Error, Store};

#[test]
fn a_new_store_is_an_empty_image_layout() {
    let (store, _dir) = store();
    let path = store.dir().to_owned();
    drop(store);
    let expected = ["blobs/", "blobs/sha256/", "index.json", "layers/", "lock", "oci-layout", "work/"];
    assert_eq!(listing(&path), expected);
    let text = |name| fs::read_to_string(path.join(name)).unwrap();
    assert_eq!(text("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let empty = r#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
    assert_eq!(text("index.json"), empty);
    let mode = |name| path.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        [mode("blobs/sha256"), mode("index.json"), mode("layers"), mode("work")],
        [0o755, 0o644, 0o700, 0o700]
    );
}

#[test]
fn a_layout_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for marker in [r#"{"imageLayoutVersion":"2.0.0"}"#, "{}"] {
        fs::write(dir.path().join("oci-layout"), marker).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::LayoutVersion { .. }), "{error}");
    }
    fs::write(dir.path().join("oci-layout"), "nonsense").unwrap();
    assert!(matches!(Store::open(dir.path()), Err(Error::Malformed { .. })));
}

#[test]
fn a_directory_that_cannot_be_one_is_an_unwritable_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for path in [dir.path().join("file"), dir.path().join("file/below"), "/proc/store".into()] {
        let error = Store::open(&path).unwrap_err();
        // proc(5) answers ENOENT where a directory cannot be made.
        let expected = matches!(&error, Error::Unwritable { path: named, .. } if *named == path);
        assert!(expected || path.starts_with("/proc"), "{error}");
        assert!(path.starts_with("/proc") || error.hint().unwrap().contains("--root"));
    }
}

#[test]
fn another_user_is_told_which_directory_and_what_to_do() {
    let (store, dir) = store();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    drop(store);
    let mut command = child("open::opens_as_nobody", dir.path());
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("cannot write to the store `{}/store`", dir.path().display())), "{text}");
    assert!(text.contains("--root DIR"), "{text}");
}

#[test]
#[ignore = "a process of another_user_is_told_which_directory_and_what_to_do"]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn opens_as_nobody() {
    if is_child() {
        let error = Store::open("store".as_ref()).unwrap_err();
        println!("{error}; {}", error.hint().unwrap());
    }
}

#[test]
fn what_a_killed_process_leaves_is_removed_and_what_a_live_one_has_is_not() {
    let (store, dir) = store();
    let live = store.work_dir().unwrap();
    fs::write(live.path().join("file"), "").unwrap();
    let mut process = child("open::writes_until_killed", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("writing")));
    let work = store.dir().join("work");
    assert_eq!(fs::read_dir(&work).unwrap().count(), 2);

    drop(Store::open(store.dir()).unwrap());
    assert_eq!(fs::read_dir(&work).unwrap().count(), 2, "the other process lives");

    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(fs::read_dir(&work).unwrap().count(), 2, "nobody has cleared up yet");
    drop(Store::open(store.dir()).unwrap());
    assert_eq!(fs::read_dir(&work).unwrap().count(), 1);
    assert!(live.path().join("file").exists());
    assert_eq!(fs::read_dir(store.dir().join("blobs/sha256")).unwrap().count(), 0);
}

#[test]
#[ignore = "a process of what_a_killed_process_leaves_is_removed_and_what_a_live_one_has_is_not"]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn writes_until_killed() {
    if !is_child() {
        return;
    }
    let store = Store::open("store".as_ref()).unwrap();
    let mut blob = store.blob_writer().unwrap();
    blob.write_all(&vec![1; 100_000]).unwrap();
    let layer = store.stage_layer(&oci::ChainId(oci::Digest::of(b"chain"))).unwrap();
    symlink("/etc", layer.root().join("link")).unwrap();
    println!("writing");
    std::thread::sleep(std::time::Duration::from_mins(2));
}

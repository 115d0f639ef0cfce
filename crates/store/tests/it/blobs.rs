//! Blobs: written whole or not at all, verified where they are read.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::fixture::{child_with_mounts, is_child, listing, store};
use oci::{Descriptor, Digest, MediaType};
use store::{Error, Store};

const TYPE: &str = MediaType::OCI_LAYER;

fn path_of(store: &Store, descriptor: &Descriptor) -> PathBuf {
    store.dir().join("blobs/sha256").join(descriptor.digest.hex())
}

#[test]
fn a_blob_is_stored_under_its_digest_and_readable_by_all() {
    let (store, _dir) = store();
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"hello ").unwrap();
    writer.write_all(b"world").unwrap();
    let expected = Descriptor::of(TYPE, b"hello world");
    assert_eq!(writer.commit(Some(&expected)).unwrap(), (expected.digest, 11));
    let path = path_of(&store, &expected);
    assert_eq!(fs::read(&path).unwrap(), b"hello world");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o644);
    assert!(store.has(&expected));
    assert_eq!(store.blob_size(&expected.digest), Some(11));
    assert_eq!(store.read_blob(&expected, 11).unwrap(), b"hello world");
    assert!(matches!(store.read_blob(&expected, 10), Err(Error::TooLarge { size: 11, limit: 10, .. })));
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let (store, _dir) = store();
    let before = listing(store.dir());
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"half").unwrap();
    drop(writer);
    assert_eq!(listing(store.dir()), before);
}

#[test]
fn a_wrong_digest_or_size_is_refused_and_leaves_nothing() {
    let (store, _dir) = store();
    let before = listing(store.dir());
    let wrong_digest = Descriptor::of(TYPE, b"evil");
    let wrong_size = Descriptor::new(TYPE, Digest::of(b"good"), 5);
    for expected in [&wrong_digest, &wrong_size] {
        let mut writer = store.blob_writer().unwrap();
        writer.write_all(b"good").unwrap();
        let error = writer.commit(Some(expected)).unwrap_err();
        assert!(
            matches!(error, Error::DigestMismatch { .. } | Error::SizeMismatch { expected: 5, found: 4, .. }),
            "{error}"
        );
    }
    let mut file = store.blob_file().unwrap();
    file.write_all(b"good").unwrap();
    assert!(matches!(file.commit_known(Digest::of(b"good"), 3), Err(Error::SizeMismatch { .. })));
    assert_eq!(listing(store.dir()), before);
}

#[test]
fn a_blob_whose_digest_is_known_is_taken_at_its_word() {
    let (store, _dir) = store();
    let expected = Descriptor::of(TYPE, b"packed");
    let mut file = store.blob_file().unwrap();
    file.reserve(6).unwrap();
    file.write_all(b"packed").unwrap();
    file.commit_known(expected.digest, 6).unwrap();
    assert_eq!(store.read_blob(&expected, 6).unwrap(), b"packed");
}

#[test]
fn many_writers_of_one_blob_all_succeed() {
    let (store, _dir) = store();
    let content = vec![7; 1 << 20];
    let expected = Descriptor::of(TYPE, &content);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut writer = store.blob_writer().unwrap();
                writer.write_all(&content).unwrap();
                writer.commit(Some(&expected)).unwrap();
                assert_eq!(store.read_blob(&expected, 1 << 20).unwrap(), content);
            });
        }
    });
}

#[test]
fn a_damaged_blob_is_never_read_to_its_end() {
    let (store, _dir) = store();
    let descriptor = store.put_bytes(TYPE, b"content").unwrap();
    let path = path_of(&store, &descriptor);
    let mut reader = store.verified_reader(&descriptor).unwrap();
    fs::write(&path, b"contenT").unwrap();
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    // Asking again does not make it right.
    assert!(reader.read(&mut [0; 8]).is_err());
    let error = store.read_blob(&descriptor, 100).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");

    let mut growing = store.verified_reader(&descriptor).unwrap();
    fs::write(&path, b"content and more").unwrap();
    let error = growing.read_to_end(&mut Vec::new()).unwrap_err().downcast::<Error>().unwrap();
    assert!(matches!(error, Error::SizeMismatch { expected: 7, .. }), "{error}");
    assert!(!store.has(&descriptor));
    assert!(matches!(store.open_blob(&descriptor), Err(Error::SizeMismatch { .. })));

    // Writing it again mends it.
    assert_eq!(store.put_bytes(TYPE, b"content").unwrap(), descriptor);
    assert_eq!(store.read_blob(&descriptor, 100).unwrap(), b"content");
}

#[test]
fn a_missing_blob_is_named_with_a_cure() {
    let (store, _dir) = store();
    let absent = Descriptor::of(TYPE, b"absent");
    let error = store.open_blob(&absent).unwrap_err();
    assert!(error.to_string().starts_with(&format!("blob {} is not in the store", absent.digest)), "{error}");
    assert!(error.hint().unwrap().contains("pull or build"));
    assert!(!store.has(&absent));
    assert_eq!(store.blob_size(&absent.digest), None);
}

#[test]
fn a_full_disk_is_told_with_sizes_and_a_cure() {
    let dir = tempfile::tempdir().unwrap();
    let mounts = "mkdir store && mount -t tmpfs -o size=4m none store";
    let status = child_with_mounts("blobs::fills_the_disk", dir.path(), mounts).status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "a process of a_full_disk_is_told_with_sizes_and_a_cure"]
fn fills_the_disk() {
    if !is_child() {
        return;
    }
    let store = Store::open("store".as_ref()).unwrap();
    let mut file = store.blob_file().unwrap();
    let early = file.reserve(9 << 20).unwrap_err();
    assert!(early.to_string().contains(": it needs 9 MiB and 3 MiB are free"), "{early}");
    assert!(early.hint().unwrap().contains("builder prune"));
    let mut writer = store.blob_writer().unwrap();
    let late = writer.write_all(&vec![0; 9 << 20]).unwrap_err();
    assert_eq!(late.kind(), std::io::ErrorKind::StorageFull);
    assert!(matches!(late.downcast::<Error>(), Ok(Error::DiskFull { needed: None, free: Some(0), .. })));

    drop((file, writer));

    // A full disk can still be cleared.
    let tree = store.work_dir().unwrap();
    std::fs::create_dir_all(tree.path().join("a/b/c")).unwrap();
    let mut large = std::fs::File::create(tree.path().join("a/b/c/file")).unwrap();
    large.write_all(&vec![0; 9 << 20]).unwrap_err();
    tree.close().unwrap();
}

#[test]
fn a_blob_writer_may_outlive_its_store() {
    let (store, dir) = store();
    let mut writer = store.blob_writer().unwrap();
    drop(store);
    writer.write_all(b"late").unwrap();
    let (digest, _) = writer.commit(None).unwrap();
    let again = Store::open(&dir.path().join("store")).unwrap();
    assert_eq!(again.blob_size(&digest), Some(4));
}

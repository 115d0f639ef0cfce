//! Unpacked layers: complete or absent.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use oci::{ChainId, Digest};

use crate::fixture::{listing, store};

#[test]
fn a_layer_is_there_when_it_is_committed() {
    let (store, _dir) = store();
    let chain = ChainId(Digest::of(b"chain"));
    let staged = store.stage_layer(&chain).unwrap();
    assert_eq!(staged.root().metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    fs::write(staged.root().join("file"), "content").unwrap();
    fs::set_permissions(staged.root(), fs::Permissions::from_mode(0o1500)).unwrap();
    assert_eq!(store.layer(&chain), None);
    let root = staged.commit().unwrap();
    assert_eq!(store.layer(&chain), Some(root.clone()));
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "content");
    assert_eq!(root.metadata().unwrap().permissions().mode() & 0o7777, 0o1500);
}

#[test]
fn using_a_layer_does_not_change_its_root() {
    let (store, _dir) = store();
    let chain = ChainId(Digest::of(b"chain"));
    let root = store.stage_layer(&chain).unwrap().commit().unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    for dir in [root.as_path(), root.parent().unwrap()] {
        fs::File::open(dir).unwrap().set_modified(time).unwrap();
    }
    store.layer(&chain).unwrap();
    assert_eq!(root.metadata().unwrap().modified().unwrap(), time);
    assert!(root.parent().unwrap().metadata().unwrap().modified().unwrap() > time);
}

#[test]
fn a_layer_that_is_dropped_leaves_nothing() {
    let (store, _dir) = store();
    let before = listing(store.dir());
    let staged = store.stage_layer(&ChainId(Digest::of(b"chain"))).unwrap();
    fs::create_dir_all(staged.root().join("a/b")).unwrap();
    drop(staged);
    assert_eq!(listing(store.dir()), before);
}

#[test]
fn the_first_of_several_that_commit_a_layer_wins_and_all_succeed() {
    let (store, _dir) = store();
    let chain = ChainId(Digest::of(b"chain"));
    let (first, second) = (store.stage_layer(&chain).unwrap(), store.stage_layer(&chain).unwrap());
    fs::write(first.root().join("first"), "").unwrap();
    fs::write(second.root().join("second"), "").unwrap();
    let root = first.commit().unwrap();
    assert_eq!(second.commit().unwrap(), root);
    assert!(root.join("first").exists() && !root.join("second").exists());
    let left = fs::read_dir(store.dir().join("work")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(listing(&left), ["lock"]);
}

//! Directories that steps keep: made whole, shared or not, gone with a prune.

use std::fs;
use std::path::PathBuf;

use oci::Digest;
use store::{CacheMount, CacheSharing, HeldCacheMount, Keep, PruneOptions, Store};

use crate::fixture::{listing, store};

fn key() -> Digest {
    Digest::of(b"ns/../../id")
}

fn make(store: &Store) {
    let CacheMount::Missing(staged) = store.cache_mount(&key(), CacheSharing::Own).unwrap() else {
        panic!("there is one")
    };
    staged.commit().unwrap();
}

fn held(store: &Store, sharing: CacheSharing) -> HeldCacheMount {
    match store.cache_mount(&key(), sharing).unwrap() {
        CacheMount::Ready(held) => held,
        other => panic!("{other:?}"),
    }
}

fn is_taken(store: &Store, sharing: CacheSharing) -> bool {
    match store.cache_mount(&key(), sharing).unwrap() {
        CacheMount::Taken { by } => by == Some(std::process::id()),
        _ => false,
    }
}

#[test]
fn a_cache_directory_is_there_when_it_is_complete() {
    let (store, _dir) = store();
    let staged = |sharing| match store.cache_mount(&key(), sharing).unwrap() {
        CacheMount::Missing(staged) => staged,
        other => panic!("{other:?}"),
    };
    let (first, second) = (staged(CacheSharing::Shared), staged(CacheSharing::Exclusive));
    fs::write(first.root().join("seed"), "first").unwrap();
    fs::write(first.ownership(), "table").unwrap();
    drop(staged(CacheSharing::Shared));
    first.commit().unwrap();
    second.commit().unwrap();
    let held = held(&store, CacheSharing::Shared);
    assert_eq!(fs::read_to_string(held.root().join("seed")).unwrap(), "first");
    assert_eq!(fs::read_to_string(held.ownership()).unwrap(), "table");
    assert!(!held.ownership().starts_with(held.root()));
    assert!(held.root().starts_with(store.dir().join("cache-mounts").join(key().hex())));
}

#[test]
fn what_one_step_leaves_the_next_one_finds() {
    let (store, _dir) = store();
    make(&store);
    fs::write(held(&store, CacheSharing::Exclusive).root().join("file"), "kept").unwrap();
    let dir = store.dir().to_owned();
    drop(store);
    let store = Store::open(&dir).unwrap();
    assert_eq!(fs::read_to_string(held(&store, CacheSharing::Shared).root().join("file")).unwrap(), "kept");
}

#[test]
fn sharing_says_who_waits() {
    let (store, _dir) = store();
    make(&store);
    let (one, two) = (held(&store, CacheSharing::Shared), held(&store, CacheSharing::Shared));
    assert_eq!(one.root(), two.root());
    assert!(is_taken(&store, CacheSharing::Exclusive));
    drop((one, two));
    let locked = held(&store, CacheSharing::Exclusive);
    assert!(is_taken(&store, CacheSharing::Exclusive));
    assert!(is_taken(&store, CacheSharing::Shared));
    drop(locked);
    assert!(!is_taken(&store, CacheSharing::Shared));
}

#[test]
fn each_gets_its_own_and_the_next_one_the_first_again() {
    let (store, _dir) = store();
    make(&store);
    let first = held(&store, CacheSharing::Own);
    make(&store);
    let second = held(&store, CacheSharing::Own);
    assert_ne!(first.root(), second.root());
    let root: PathBuf = first.root().to_owned();
    drop(first);
    assert_eq!(held(&store, CacheSharing::Own).root(), root);
}

#[test]
fn prune_removes_cache_directories_that_are_not_kept() {
    let (mut store, _dir) = store();
    make(&store);
    fs::create_dir_all(held(&store, CacheSharing::Shared).root().join("a/b")).unwrap();
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().cache_mounts, 0);
    let options = PruneOptions { cache: Keep::Nothing, ..PruneOptions::default() };
    assert_eq!(store.prune(&options).unwrap().cache_mounts, 1);
    assert_eq!(listing(&store.dir().join("cache-mounts")), [""; 0]);
    let used = held_by_a_step(&store);
    assert!(matches!(store.prune(&options), Err(store::Error::InUse { .. })));
    drop(used);
}

fn held_by_a_step(store: &Store) -> HeldCacheMount {
    make(store);
    held(store, CacheSharing::Shared)
}

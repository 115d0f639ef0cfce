//! Cache records: there only if they are whole and what they count on is there.

use std::fs;
use std::path::PathBuf;

use oci::{Descriptor, Digest, MediaType};
use serde_json::{Value, json};
use store::Store;

use crate::fixture::store;

fn path_of(store: &Store, key: &Digest) -> PathBuf {
    store.dir().join("cache").join(&key.hex()[..2]).join(key.hex())
}

#[test]
fn a_record_is_found_as_it_was_put() {
    let (store, _dir) = store();
    let key = Digest::of(b"step");
    assert_eq!(store.cache_get::<Value>(&key).unwrap(), None);
    store.cache_put(&key, &[], &json!({"a": 1})).unwrap();
    store.cache_put(&key, &[], &json!({"a": 2})).unwrap();
    assert_eq!(store.cache_get::<Value>(&key).unwrap(), Some(json!({"a": 2})));
    assert_eq!(store.cache_get::<Vec<u8>>(&key).unwrap(), None, "a record of another shape");
}

#[test]
fn a_damaged_record_is_none() {
    let (store, _dir) = store();
    let key = Digest::of(b"step");
    store.cache_put(&key, &[], &"value").unwrap();
    let whole = fs::read(path_of(&store, &key)).unwrap();
    for damaged in [&whole[..whole.len() - 1], b"", b"null", b"\xff", &vec![b' '; 2 << 20]] {
        fs::write(path_of(&store, &key), damaged).unwrap();
        assert_eq!(store.cache_get::<String>(&key).unwrap(), None);
    }
    store.cache_put(&key, &[], &"value").unwrap();
    assert_eq!(store.cache_get::<String>(&key).unwrap().as_deref(), Some("value"));
}

#[test]
fn a_record_counts_only_while_its_blobs_are_there_whole() {
    let (store, _dir) = store();
    let key = Digest::of(b"step");
    let blob = store.put_bytes(MediaType::OCI_LAYER, b"layer").unwrap();
    let other = Descriptor::of(MediaType::OCI_LAYER, b"other");
    store.cache_put(&key, &[blob.clone(), other.clone()], &1).unwrap();
    assert_eq!(store.cache_get::<u32>(&key).unwrap(), None);
    store.put_bytes(MediaType::OCI_LAYER, b"other").unwrap();
    assert_eq!(store.cache_get::<u32>(&key).unwrap(), Some(1));
    fs::write(store.dir().join("blobs/sha256").join(blob.digest.hex()), b"lay").unwrap();
    assert_eq!(store.cache_get::<u32>(&key).unwrap(), None);
}

#[test]
fn many_writers_of_one_record_leave_a_whole_one() {
    let (store, _dir) = store();
    let key = Digest::of(b"step");
    std::thread::scope(|scope| {
        for number in 0..8_u32 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..20 {
                    store.cache_put(&key, &[], &vec![number; 5000]).unwrap();
                    let found = store.cache_get::<Vec<u32>>(&key).unwrap().unwrap();
                    assert!(found.len() == 5000 && found.iter().all(|n| *n == found[0]));
                }
            });
        }
    });
}

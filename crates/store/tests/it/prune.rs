//! Prune: what goes, what stays, and that it never disturbs a build.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use oci::{ChainId, Digest, MediaType};
use store::{Error, Keep, PruneOptions, Pruned, Store};

use crate::fixture::{child, image, is_child, reference, store};

fn blobs(store: &Store) -> usize {
    fs::read_dir(store.dir().join("blobs/sha256")).unwrap().count()
}

fn counts(pruned: Pruned) -> (usize, usize, usize, usize) {
    (pruned.images, pruned.blobs, pruned.layers, pruned.cache_records)
}

#[test]
fn blobs_of_images_and_of_records_stay_and_others_go() {
    let (mut store, _dir) = store();
    let (tagged, unnamed, lost) = (image(&store, "tagged"), image(&store, "unnamed"), image(&store, "lost"));
    store.tag(&reference("app"), &tagged).unwrap();
    store.keep(&unnamed).unwrap();
    let cached = store.put_bytes(MediaType::OCI_LAYER, b"cached").unwrap();
    store.cache_put(&Digest::of(b"step"), std::slice::from_ref(&cached), &1).unwrap();
    assert_eq!(blobs(&store), 13);

    let pruned = store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(counts(pruned), (0, 4, 0, 0));
    assert!(pruned.bytes > 0);
    assert!(!store.has(&lost));
    assert!([&tagged, &unnamed, &cached].into_iter().all(|blob| store.has(blob)));

    let everything = PruneOptions { cache: Keep::Nothing, unnamed_images: true };
    assert_eq!(counts(store.prune(&everything).unwrap()), (1, 5, 0, 1));
    assert_eq!(blobs(&store), 4);
    assert_eq!(store.find(&reference("app")).unwrap(), Some(tagged));
    assert_eq!(counts(store.prune(&everything).unwrap()), (0, 0, 0, 0));
}

#[test]
fn images_of_an_index_stay() {
    let (mut store, _dir) = store();
    let (one, two) = (image(&store, "one"), image(&store, "two"));
    let index = oci::to_json(&oci::Index::new(vec![one.clone(), two.clone()]));
    let index = store.put_bytes(MediaType::OCI_INDEX, &index).unwrap();
    store.tag(&reference("app"), &index).unwrap();
    assert_eq!(counts(store.prune(&PruneOptions::default()).unwrap()), (0, 0, 0, 0));
    assert_eq!(blobs(&store), 9);
}

#[test]
fn what_was_used_lately_stays() {
    let (mut store, _dir) = store();
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    for key in [old, new] {
        store.cache_put(&key, &[], &1).unwrap();
        store.stage_layer(&ChainId(key)).unwrap().commit().unwrap();
    }
    let long_ago = UNIX_EPOCH + Duration::from_secs(1000);
    for key in [old, new].map(|key| key.hex()) {
        for path in [format!("cache/{}/{key}", &key[..2]), format!("layers/{key}")] {
            fs::File::open(store.dir().join(path)).unwrap().set_modified(long_ago).unwrap();
        }
    }
    // Use renews.
    store.cache_get::<u32>(&new).unwrap().unwrap();
    store.layer(&ChainId(new)).unwrap();
    let since = |time| PruneOptions { cache: Keep::UsedSince(time), unnamed_images: false };
    assert_eq!(counts(store.prune(&since(long_ago)).unwrap()), (0, 0, 0, 0));
    assert_eq!(counts(store.prune(&since(long_ago + Duration::from_secs(1))).unwrap()), (0, 0, 1, 1));
    assert!(store.layer(&ChainId(new)).is_some() && store.layer(&ChainId(old)).is_none());
    assert!(store.cache_get::<u32>(&new).unwrap().is_some());
}

#[test]
fn damaged_records_and_those_without_their_blobs_go() {
    let (mut store, _dir) = store();
    let blob = store.put_bytes(MediaType::OCI_LAYER, b"blob").unwrap();
    store.cache_put(&Digest::of(b"whole"), std::slice::from_ref(&blob), &1).unwrap();
    let absent = oci::Descriptor::of(MediaType::OCI_LAYER, b"absent");
    store.cache_put(&Digest::of(b"without"), &[blob, absent], &1).unwrap();
    store.cache_put(&Digest::of(b"damaged"), &[], &1).unwrap();
    let damaged = Digest::of(b"damaged").hex();
    fs::write(store.dir().join("cache").join(&damaged[..2]).join(damaged), "{").unwrap();
    assert_eq!(counts(store.prune(&PruneOptions::default()).unwrap()), (0, 0, 0, 2));
}

#[test]
fn foreign_files_stay_and_an_entry_we_cannot_follow_stops_everything() {
    let (mut store, _dir) = store();
    let lost = image(&store, "lost");
    let foreign = store.dir().join("blobs/sha256/README");
    fs::write(&foreign, "").unwrap();
    let entry = r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha512:0","size":1}]}"#;
    fs::write(store.dir().join("index.json"), entry).unwrap();
    let error = store.prune(&PruneOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert!(store.has(&lost));
    fs::remove_file(store.dir().join("index.json")).unwrap();
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().blobs, 4);
    assert!(foreign.exists());
}

#[test]
fn nothing_is_removed_while_this_process_has_something_under_way() {
    let (mut store, _dir) = store();
    image(&store, "lost");
    let work = store.work_dir().unwrap();
    let error = store.prune(&PruneOptions::default()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    assert!(error.hint().unwrap().contains("wait"));
    drop(work);
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().blobs, 4);
}

#[test]
fn nothing_is_removed_while_another_process_has_the_store_open() {
    let (mut store, dir) = store();
    image(&store, "lost");
    let mut process = child("prune::holds_the_store", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("open")));
    assert!(matches!(store.prune(&PruneOptions::default()), Err(Error::InUse { .. })));
    assert_eq!(blobs(&store), 4);
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(store.prune(&PruneOptions::default()).unwrap().blobs, 4);
}

#[test]
#[ignore = "a process of nothing_is_removed_while_another_process_has_the_store_open"]
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn holds_the_store() {
    if is_child() {
        let _store = Store::open("store".as_ref()).unwrap();
        println!("open");
        std::thread::sleep(Duration::from_mins(2));
    }
}

#[test]
fn a_store_that_failed_to_prune_still_keeps_others_from_it() {
    let (mut store, _dir) = store();
    let mut other = Store::open(store.dir()).unwrap();
    assert!(store.prune(&PruneOptions::default()).is_err());
    assert!(other.prune(&PruneOptions::default()).is_err());
    drop(store);
    assert!(other.prune(&PruneOptions::default()).is_ok());
}

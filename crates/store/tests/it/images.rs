//! Images by name, as we and as other tools find them.

use std::fs;

use oci::{Descriptor, MediaType};
use serde_json::{Value, json};
use store::{Error, Image, Store};

use crate::fixture::{child, image, is_child, reference, run, store};

fn index(store: &Store) -> Value {
    serde_json::from_slice(&fs::read(store.dir().join("index.json")).unwrap()).unwrap()
}

#[test]
fn a_tagged_image_is_found_by_name_and_by_id() {
    let (store, _dir) = store();
    let (one, two) = (image(&store, "one"), image(&store, "two"));
    store.tag(&reference("q.io/me/app:1"), &one).unwrap();
    store.tag(&reference("q.io/me/app:2"), &two).unwrap();
    store.tag(&reference("alias"), &one).unwrap();
    assert_eq!(store.find(&reference("q.io/me/app:1")).unwrap(), Some(one.clone()));
    assert_eq!(store.find(&reference("docker.io/library/alias:latest")).unwrap(), Some(one.clone()));
    assert_eq!(store.find(&reference("q.io/me/app:3")).unwrap(), None);
    let pinned = |name: &str, image: &Descriptor| reference(&format!("{name}@{}", image.digest));
    assert_eq!(store.find(&pinned("q.io/me/app", &two)).unwrap(), Some(two.clone()));
    assert_eq!(store.find(&pinned("q.io/me/app:1", &two)).unwrap(), Some(two.clone()));
    assert_eq!(store.find(&pinned("q.io/me/other", &two)).unwrap(), None);

    let names =
        |images: Vec<Image>| images.into_iter().map(|i| i.reference.unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(
        names(store.images().unwrap()),
        ["docker.io/library/alias:latest", "q.io/me/app:1", "q.io/me/app:2"]
    );
    let both = ["docker.io/library/alias:latest", "q.io/me/app:1"];
    assert_eq!(names(store.find_by_id(&one.digest.short()).unwrap()), both);
    let manifest: oci::Manifest = serde_json::from_slice(&store.read_blob(&one, 1 << 20).unwrap()).unwrap();
    assert_eq!(names(store.find_by_id(&manifest.config.digest.to_string()).unwrap()), both);
    assert!(store.find_by_id("").unwrap().is_empty());
    assert!(store.find_by_id("../..").unwrap().is_empty());
}

#[test]
fn an_id_that_several_images_share_is_refused() {
    let (store, _dir) = store();
    for number in 0..17 {
        let image = image(&store, &number.to_string());
        store.keep(&image).unwrap();
    }
    let first_digits: Vec<_> = (0..16).map(|digit| format!("{digit:x}")).collect();
    let error = first_digits.iter().find_map(|digit| store.find_by_id(digit).err()).unwrap();
    assert!(matches!(error, Error::AmbiguousId { matches: 2.., .. }), "{error}");
}

#[test]
fn a_name_moves_to_the_image_tagged_last() {
    let (store, _dir) = store();
    let name = reference("app");
    store.tag(&name, &image(&store, "old")).unwrap();
    let new = image(&store, "new");
    store.tag(&name, &new).unwrap();
    assert_eq!(store.images().unwrap(), [Image { reference: Some(name.clone()), descriptor: new.clone() }]);
    assert!(store.untag(&name).unwrap());
    assert!(!store.untag(&name).unwrap());
    store.keep(&new).unwrap();
    store.keep(&new).unwrap();
    assert_eq!(store.images().unwrap(), [Image { reference: None, descriptor: new.clone() }]);
    assert_eq!(store.remove(&new.digest).unwrap(), 1);
    assert!(store.images().unwrap().is_empty());
}

#[test]
fn an_image_without_its_manifest_gets_no_name() {
    let (store, _dir) = store();
    let absent = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
    assert!(matches!(store.tag(&reference("app"), &absent), Err(Error::MissingBlob { .. })));
    assert!(matches!(store.keep(&absent), Err(Error::MissingBlob { .. })));
    assert_eq!(index(&store)["manifests"], json!([]));
}

#[test]
fn what_others_wrote_into_the_index_is_kept() {
    let (store, _dir) = store();
    let foreign = json!({
        "schemaVersion": 2, "annotations": {"a": "b"}, "vendor": [1, {"x": null}],
        "manifests": [
            {"mediaType": "application/xml", "digest": "sha512:00", "size": 1, "strange": true},
            {"mediaType": "text/plain", "digest": oci::Digest::of(b"x"), "size": 1, "urls": ["u"],
             "annotations": {"org.opencontainers.image.ref.name": "latest", "more": "y"}},
        ],
    });
    fs::write(store.dir().join("index.json"), foreign.to_string()).unwrap();
    let name = reference("q.io/app:1");
    store.tag(&name, &image(&store, "x")).unwrap();
    store.untag(&reference("latest")).unwrap();
    let now = index(&store);
    assert_eq!(now["vendor"], foreign["vendor"]);
    assert_eq!(now["annotations"], foreign["annotations"]);
    assert_eq!(now["manifests"].as_array().unwrap()[..2], foreign["manifests"].as_array().unwrap()[..]);
    assert_eq!(
        now["manifests"][2]["annotations"],
        json!({
            "org.opencontainers.image.ref.name": "q.io/app:1", "io.containerd.image.name": "q.io/app:1",
        })
    );
}

#[test]
fn an_index_that_is_no_json_is_named() {
    let (store, _dir) = store();
    fs::write(store.dir().join("index.json"), "{").unwrap();
    let error = store.images().unwrap_err();
    assert!(error.to_string().contains("index.json"), "{error}");
    assert!(store.tag(&reference("a"), &image(&store, "x")).is_err());
    assert_eq!(fs::read(store.dir().join("index.json")).unwrap(), b"{");
}

#[test]
fn threads_that_tag_at_once_lose_nothing() {
    let (store, _dir) = store();
    let image = image(&store, "x");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, image) = (&store, &image);
            scope.spawn(move || {
                for tag in 0..10 {
                    store.tag(&reference(&format!("app:{thread}-{tag}")), image).unwrap();
                }
            });
        }
    });
    assert_eq!(store.images().unwrap().len(), 80);
}

#[test]
fn processes_that_tag_at_once_lose_nothing() {
    let (store, dir) = store();
    image(&store, "x");
    let mut processes: Vec<_> =
        (0..4).map(|_| child("images::tags_many", dir.path()).spawn().unwrap()).collect();
    assert!(processes.iter_mut().all(|process| process.wait().unwrap().success()));
    assert_eq!(store.images().unwrap().len(), 40);
}

#[test]
#[ignore = "a process of processes_that_tag_at_once_lose_nothing"]
fn tags_many() {
    if is_child() {
        let store = Store::open("store".as_ref()).unwrap();
        let image = image(&store, "x");
        for tag in 0..10 {
            store.tag(&reference(&format!("app:{}-{tag}", std::process::id())), &image).unwrap();
        }
    }
}

#[test]
fn skopeo_and_umoci_read_the_store() {
    let (store, _dir) = store();
    let app = image(&store, "hello");
    store.tag(&reference("localhost:5000/me/app:1.2"), &app).unwrap();
    let layout = store.dir().display().to_string();
    let name = format!("oci:{layout}:localhost:5000/me/app:1.2");
    let inspected: Value = serde_json::from_str(&run("skopeo", &["inspect", &name])).unwrap();
    assert_eq!(inspected["Digest"], app.digest.to_string());
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(run("umoci", &["list", "--layout", &layout]).trim(), "localhost:5000/me/app:1.2");
    run("umoci", &["stat", "--image", &format!("{layout}:localhost:5000/me/app:1.2")]);
}

#[test]
fn an_image_that_skopeo_copied_in_is_found_by_id() {
    let (here, _here) = store();
    let (there, _there) = store();
    let app = image(&here, "hello");
    here.tag(&reference("q.io/app:1"), &app).unwrap();
    let (from, to) = (here.dir().display(), there.dir().display());
    run(
        "skopeo",
        &["copy", "-q", "--preserve-digests", &format!("oci:{from}:q.io/app:1"), &format!("oci:{to}:latest")],
    );
    let found = there.find_by_id(&app.digest.short()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].reference, None, "a bare tag is no reference");
    assert!(there.has(&app));
}

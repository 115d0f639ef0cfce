//! Exports, as foreign tools read them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use oci::{Descriptor, DiffId, Digest, MediaType};
use serde_json::{Value, json};
use store::export::{self, Name};
use store::{Error, Store};

use crate::fixture::{image, listing, manifest, reference, run, store, tar};

fn inspect(name: &str) -> Value {
    serde_json::from_str(&run("skopeo", &["inspect", name])).unwrap()
}

fn docker_archive(store: &Store, image: &Descriptor, names: &[&str]) -> Vec<u8> {
    let references: Vec<_> = names.iter().map(|name| reference(name)).collect();
    let mut archive = Vec::new();
    export::docker_archive(store, image, &references, &mut archive).unwrap();
    archive
}

#[test]
fn an_exported_layout_is_read_by_skopeo_and_umoci() {
    let (store, dir) = store();
    let app = image(&store, "hello");
    let dest = dir.path().join("a/layout");
    export::oci_layout(&store, &app, &[Name::from(&reference("q.io/app:1.2"))], &dest).unwrap();
    assert_eq!(inspect(&format!("oci:{}:1.2", dest.display()))["Digest"], app.digest.to_string());
    assert_eq!(run("umoci", &["list", "--layout", &dest.display().to_string()]).trim(), "1.2");
    let bundle = dir.path().join("bundle");
    run("umoci", &["unpack", "--image", &format!("{}:1.2", dest.display()), &bundle.display().to_string()]);
    assert_eq!(fs::read_to_string(bundle.join("rootfs/etc/hello")).unwrap(), "hello");
    assert_eq!(
        listing(&dest).iter().filter(|path| !path.starts_with("blobs")).count(),
        2,
        "nothing left over"
    );
}

#[test]
fn a_layout_keeps_its_other_images() {
    let (store, dir) = store();
    let dest = dir.path().join("layout");
    let export = |content: &str, names: &[Name]| {
        let image = image(&store, content);
        export::oci_layout(&store, &image, names, &dest).unwrap();
        image
    };
    let name = |name: &str| Name::new(name).unwrap();
    export("one", &[name("1")]);
    export("two", &[name("2"), name("latest")]);
    let three =
        export("three", &[Name::from(&reference("q.io/a:latest")), Name::from(&reference("q.io/b:latest"))]);
    export("four", &[]);
    export("four", &[]);
    let index: Value = serde_json::from_slice(&fs::read(dest.join("index.json")).unwrap()).unwrap();
    let names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["annotations"])
        .map(|names| json!([names["org.opencontainers.image.ref.name"], names["io.containerd.image.name"]]))
        .collect();
    assert_eq!(
        json!(names),
        json!([
            ["1", null],
            ["2", null],
            ["latest", "q.io/a:latest"],
            ["latest", "q.io/b:latest"],
            [null, null]
        ])
    );
    assert_eq!(inspect(&format!("oci:{}:latest", dest.display()))["Digest"], three.digest.to_string());
}

#[test]
fn an_exported_layout_is_independent_of_the_store() {
    let (store, dir) = store();
    let app = image(&store, "hello");
    let dest = dir.path().join("layout");
    export::oci_layout(&store, &app, &[], &dest).unwrap();
    let path = Path::new("blobs/sha256").join(app.digest.hex());
    fs::write(dest.join(&path), "changed").unwrap();
    assert_eq!(store.read_blob(&app, 1 << 20).unwrap().len() as u64, app.size);
    export::oci_layout(&store, &app, &[], &dest).unwrap();
    assert_eq!(fs::read(dest.join(&path)).unwrap(), fs::read(store.dir().join(&path)).unwrap());
}

#[test]
fn an_oci_archive_is_read_by_skopeo() {
    let (store, dir) = store();
    let app = image(&store, "hello");
    let dest = dir.path().join("app.tar");
    let names = [Name::new("v1").unwrap()];
    export::to_file(&dest, |out| export::oci_archive(&store, &app, &names, out)).unwrap();
    assert_eq!(inspect(&format!("oci-archive:{}:v1", dest.display()))["Digest"], app.digest.to_string());
    let (from, to) =
        (format!("oci-archive:{}", dest.display()), format!("oci:{}/copy:x", dir.path().display()));
    run("skopeo", &["copy", "-q", &from, &to]);
}

#[test]
fn a_docker_archive_is_read_by_skopeo_with_all_its_tags() {
    let (store, dir) = store();
    let app = image(&store, "hello");
    let dest = dir.path().join("app.tar");
    fs::write(&dest, docker_archive(&store, &app, &["app", "q.io/me/app:2"])).unwrap();
    let name = format!("docker-archive:{}", dest.display());
    assert_eq!(inspect(&format!("{name}:app:latest"))["Layers"].as_array().unwrap().len(), 2);
    let tags: Value = serde_json::from_str(&run("skopeo", &["list-tags", &name])).unwrap();
    assert_eq!(tags["Tags"], json!(["docker.io/library/app:latest", "q.io/me/app:2"]));
    run("skopeo", &["copy", "-q", &name, &format!("oci:{}/copy:x", dir.path().display())]);
    let oci_name = format!("oci-archive:{}:latest", dest.display());
    assert_eq!(inspect(&oci_name)["Digest"], app.digest.to_string());
}

#[test]
fn podman_loads_a_docker_archive_and_an_oci_archive() {
    let (store, dir) = store();
    let bottom = tar(&[("etc/", None), ("etc/hello", Some("x"))]);
    let layer = store.put_bytes(MediaType::OCI_LAYER, &bottom).unwrap();
    let diff_id = DiffId(Digest::of(&bottom));
    let twice = manifest(&store, &[diff_id, diff_id], vec![layer.clone(), layer]);
    let dir = dir.path().display().to_string();
    let names = [reference("q.io/me/app:2")];
    for (form, archive) in [
        ("docker", docker_archive(&store, &twice, &["q.io/me/app:2"])),
        ("oci", {
            let mut archive = Vec::new();
            export::oci_archive(
                &store,
                &twice,
                &names.each_ref().map(|n| Name::new(&n.to_string()).unwrap()),
                &mut archive,
            )
            .unwrap();
            archive
        }),
    ] {
        let file = format!("{dir}/{form}.tar");
        fs::write(&file, archive).unwrap();
        let (root, state) = (format!("{dir}/{form}/root"), format!("{dir}/{form}/run"));
        let podman = ["--root", &root, "--runroot", &state, "--storage-driver", "vfs"];
        run("podman", &[&podman[..], &["load", "-q", "-i", &file]].concat());
        let images =
            run("podman", &[&podman[..], &["images", "--format", "{{.Repository}}:{{.Tag}}"]].concat());
        assert_eq!(images.trim(), "q.io/me/app:2", "{form}");
    }
}

#[test]
fn the_same_image_gives_the_same_archive_in_two_stores() {
    let ((here, _here), (there, _there)) = (store(), store());
    image(&there, "another");
    let archives = [&here, &there].map(|store| docker_archive(store, &image(store, "hello"), &["app"]));
    assert_eq!(archives[0], archives[1]);
    let mut entries = tar::Archive::new(archives[0].as_slice());
    let names: Vec<_> = entries
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names[..5], ["manifest.json", "oci-layout", "index.json", "blobs/", "blobs/sha256/"]);
    assert_eq!(names.len(), 9);
}

#[test]
fn a_docker_archive_of_an_index_is_refused() {
    let (store, _dir) = store();
    let index = oci::to_json(&oci::Index::new(vec![image(&store, "x")]));
    let index = store.put_bytes(MediaType::OCI_INDEX, &index).unwrap();
    let error = export::docker_archive(&store, &index, &[], &mut io::sink()).unwrap_err();
    assert!(matches!(error, Error::NotAnImage { .. }), "{error}");
    let mut archive = Vec::new();
    export::oci_archive(&store, &index, &[], &mut archive).unwrap();
}

#[test]
fn a_failed_export_leaves_the_old_file() {
    let (store, dir) = store();
    let app = image(&store, "hello");
    let layers =
        serde_json::from_slice::<oci::Manifest>(&store.read_blob(&app, 1 << 20).unwrap()).unwrap().layers;
    let blob = store.dir().join("blobs/sha256").join(layers[0].digest.hex());
    let mut content = fs::read(&blob).unwrap();
    content[600] ^= 1;
    fs::write(&blob, content).unwrap();
    let dest = dir.path().join("app.tar");
    fs::write(&dest, "old").unwrap();
    let error = export::to_file(&dest, |out| export::oci_archive(&store, &app, &[], out)).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert_eq!(fs::read_to_string(&dest).unwrap(), "old");
    let layout = dir.path().join("layout");
    let error = export::oci_layout(&store, &app, &[], &layout).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert!(!layout.join("blobs/sha256").join(layers[0].digest.hex()).exists());
    let mut left = listing(dir.path());
    left.retain(|path| !path.starts_with("store") && !path.starts_with("layout/blobs"));
    assert_eq!(left, ["app.tar", "layout/", "layout/index.json", "layout/oci-layout"]);
}

#[test]
fn a_stream_that_breaks_is_told_from_a_broken_blob() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (store, _dir) = store();
    let error = export::oci_archive(&store, &image(&store, "x"), &[], &mut Broken).unwrap_err();
    assert!(matches!(error, Error::Output { .. }), "{error}");
}

#[test]
fn a_file_follows_links_and_writes_to_what_is_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let write = |out: &mut dyn Write| out.write_all(b"new").map_err(|source| Error::Output { source });
    export::to_file(&link, write).unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    assert!(link.is_symlink());
    export::to_file("/dev/null".as_ref(), write).unwrap();
    let error = export::to_file("/dev/full".as_ref(), write).unwrap_err();
    assert!(matches!(&error, Error::DiskFull { path, .. } if path == Path::new("/dev/full")), "{error}");
    let error = export::to_file(dir.path(), write).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path == dir.path()), "{error}");
    let error = export::to_file(&dir.path().join("absent/x"), write).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == dir.path().join("absent")), "{error}");
}

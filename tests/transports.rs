//! Images that are files: layouts and archives that other programs wrote, and our own, as bases and as sources.

#![expect(clippy::disallowed_methods, reason = "skopeo and podman write the images")]
#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use oci::Digest;
use serde_json::{Value, json};
use test_support::{SHELL, TestBuilder, write_image};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder")).with_busybox()
}

/// An archive of regular files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

/// The config of an image with this label, for the platform of the tests unless another is named.
fn config(label: &str, architecture: Option<&str>) -> Value {
    let host = oci::Platform::host().architecture;
    json!({
        "architecture": architecture.unwrap_or(&host), "os": "linux", "created": "2020-01-02T03:04:05Z",
        "future": [1, 2.5], "config": {"Labels": {"label": label}, "Env": ["A=1"]},
    })
}

/// Writes the layout `img` into the context: an image called `latest` of two layers, with the files `a` and `b`.
fn write_base(builder: &TestBuilder) -> [Vec<u8>; 2] {
    let layers = [archive(&[("a", b"one"), ("b", b"two")]), archive(&[("a", b"three")])];
    write_image(&builder.dir().join("img"), config("base", None), &layers);
    layers
}

/// Runs a program in the context.
fn run(builder: &TestBuilder, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(builder.dir()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn skopeo(builder: &TestBuilder, from: &str, to: &str) {
    run(builder, "skopeo", &["copy", "--quiet", "--insecure-policy", from, to]);
}

fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// The error of a build of `text`.
fn error(builder: &TestBuilder, text: &str, flags: &[&str]) -> String {
    builder.file("Containerfile", text);
    let output = builder.run(&[&["build"], flags, &["."]].concat()).exits(1).to_string();
    output[output.find("error").unwrap()..].to_owned()
}

#[test]
fn every_transport_gives_the_base_as_it_is() {
    let builder = new_builder();
    let layers = write_base(&builder);
    skopeo(&builder, "oci:img:latest", "oci-archive:oci.tar:v1");
    skopeo(&builder, "oci:img:latest", "docker-archive:docker.tar:q.io/me/base:1");
    skopeo(&builder, "oci:img:latest", "dir:dir");
    run(&builder, "gzip", &["-k", "oci.tar"]);
    run(&builder, "zstd", &["-q", "docker.tar"]);
    for from in [
        "oci:img",
        "oci:img:latest",
        "oci:/img:@0",
        "oci-archive:oci.tar",
        "oci-archive:oci.tar:v1",
        "oci-archive:oci.tar.gz:v1",
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:q.io/me/base:1",
        "docker-archive:./docker.tar.zst:@0",
        "dir:dir",
    ] {
        let (manifest, config) = builder.build(&format!("FROM {from}\nLABEL own=1\n"), &["--timestamp=0"]);
        let diff_ids: Vec<_> = config.rootfs.diff_ids.iter().map(|id| id.0).collect();
        assert_eq!(diff_ids, layers.each_ref().map(|layer| Digest::of(layer)), "{from}");
        let found = (builder.read_exported("a"), builder.read_exported("b"));
        assert_eq!(found, ("three".to_owned(), "two".to_owned()), "{from}");
        assert_eq!((&*config.config.labels["label"], &*config.config.labels["own"]), ("base", "1"));
        assert_eq!(config.history[0].created_by.as_deref(), Some("a test"), "{from}");
        assert_eq!(config.other["future"], json!([1, 2.5]), "{from}");
        assert!(!manifest.annotations.contains_key("org.opencontainers.image.base.name"), "{from}");
    }
}

#[test]
fn archives_of_podman_are_read() {
    let builder = new_builder();
    write_base(&builder);
    let storage = tempfile::tempdir().unwrap();
    let (root, state) = (storage.path().join("root"), storage.path().join("state"));
    let podman = |arguments: &[&str]| {
        let global = ["--root", root.to_str().unwrap(), "--runroot", state.to_str().unwrap()];
        let global = [&global[..], &["--storage-driver=vfs", "--events-backend=none"]].concat();
        run(&builder, "podman", &[&global[..], arguments].concat());
    };
    write_image(&builder.dir().join("other"), config("other", None), &[archive(&[("c", b"other")])]);
    for name in ["img", "other"] {
        skopeo(&builder, &format!("oci:{name}:latest"), &format!("docker-archive:in.tar:localhost/{name}:1"));
        podman(&["load", "--quiet", "--input=in.tar"]);
        fs::remove_file(builder.dir().join("in.tar")).unwrap();
    }
    podman(&["save", "--quiet", "--format=docker-archive", "-o", "one.tar", "localhost/img:1"]);
    podman(&["save", "--quiet", "--format=oci-archive", "-o", "oci.tar", "localhost/img:1"]);
    podman(&["save", "--quiet", "-m", "-o", "both.tar", "localhost/img:1", "localhost/other:1"]);
    for (from, label) in [
        ("docker-archive:one.tar", "base"),
        ("oci-archive:oci.tar", "base"),
        ("docker-archive:both.tar:localhost/other:1", "other"),
        ("docker-archive:both.tar:localhost/img:1", "base"),
    ] {
        let (_, config) = builder.build(&format!("FROM {from}\n"), &[]);
        assert_eq!(config.config.labels["label"], label, "{from}");
    }
    let text = error(&builder, "FROM docker-archive:both.tar\n", &[]);
    assert!(
        text.contains("it has several images, of which one must be named; there are `localhost/"),
        "{text}"
    );
}

#[test]
fn what_the_builder_writes_it_reads() {
    let builder = new_builder();
    builder.file("Base", format!("{SHELL}RUN echo made > /a\nLABEL label=own\n"));
    for output in ["type=oci,dest=oci.tar", "type=docker,dest=docker.tar", "type=oci,tar=false,dest=oci"] {
        builder.run(&["build", "-f", "Base", "-t", "localhost/own:1", "-o", output, "."]).success();
    }
    for from in [
        "oci-archive:oci.tar",
        "docker-archive:docker.tar",
        "docker-archive:docker.tar:localhost/own:1",
        "oci-archive:docker.tar:1",
        "oci:oci",
        "oci:oci:localhost/own:1",
    ] {
        // Nothing of the base is in another store.
        let store = tempfile::tempdir().unwrap();
        let root = format!("--root={}", store.path().display());
        builder.file("Containerfile", format!("FROM {from}\nRUN cat /a > /b\n"));
        builder.run(&["build", &root, "-o", "type=local,dest=out", "."]).success();
        assert_eq!(builder.read("out/b"), "made\n", "{from}");
        fs::remove_dir_all(builder.dir().join("out")).unwrap();
    }
}

#[test]
fn an_unchanged_image_hits_the_cache_and_a_changed_one_does_not() {
    let builder = new_builder();
    write_base(&builder);
    let text = "FROM oci:img\nCOPY busybox /bin/sh\nRUN read x < /a; echo $x > /made\n";
    builder.file("Containerfile", text);
    builder.run(&["build", "."]).success();
    let output = builder.run(&["build", "."]).success();
    assert!(output.stderr.contains("CACHED"), "{output}");
    write_image(&builder.dir().join("img"), config("base", None), &[archive(&[("a", b"changed")])]);
    builder.build(text, &[]);
    assert_eq!(builder.read_exported("made"), "changed\n");
}

#[test]
fn local_images_are_copied_and_mounted_from() {
    let builder = new_builder();
    write_base(&builder);
    skopeo(&builder, "oci:img:latest", "docker-archive:docker.tar:base:1");
    let text = format!(
        "{SHELL}RUN --mount=type=bind,from=oci:img,target=/mnt cat /mnt/a > /mounted\n\
         COPY --from=docker-archive:docker.tar:base:1 b /copied\n"
    );
    builder.build(&text, &[]);
    let found = (builder.read_exported("mounted"), builder.read_exported("copied"));
    assert_eq!(found, ("three".to_owned(), "two".to_owned()));
}

#[test]
fn a_named_context_is_a_layout_anywhere() {
    let builder = new_builder();
    write_base(&builder);
    let outside = tempfile::tempdir().unwrap();
    let layout = outside.path().join("layout");
    fs::rename(builder.dir().join("img"), &layout).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let layout = layout.display();
    for value in [
        format!("oci-layout://{layout}"),
        format!("oci-layout://{layout}:latest"),
        format!("oci-layout://{layout}@{digest}"),
        format!("oci-layout://{layout}:ignored@{digest}"),
    ] {
        let flags = [&*format!("--build-context=alpine={value}")];
        let (_, config) = builder.build("FROM alpine\nCOPY --from=alpine a /c\n", &flags);
        assert_eq!(config.config.labels["label"], "base", "{value}");
        assert_eq!(builder.read_exported("c"), "three");
    }
}

/// Makes the layout `img` one with the images of several layouts, with what `change` does to each descriptor.
fn merge(builder: &TestBuilder, layouts: &[(&str, Value)], change: impl Fn(&mut Value, &str)) {
    let mut manifests = Vec::new();
    for (name, config) in layouts {
        write_image(&builder.dir().join("img"), config.clone(), &[archive(&[("name", name.as_bytes())])]);
        change_json(&builder.dir().join("img/index.json"), |index| {
            change(&mut index["manifests"][0], name);
            manifests.push(index["manifests"][0].clone());
        });
    }
    change_json(&builder.dir().join("img/index.json"), |index| index["manifests"] = json!(manifests));
}

#[test]
fn the_platform_chooses_in_an_index() {
    let builder = new_builder();
    let configs = ["amd64", "s390x"].map(|name| (name, config(name, Some(name))));
    merge(&builder, &configs, |descriptor, name| {
        descriptor["platform"] = json!({"os": "linux", "architecture": name});
    });
    let index = fs::read(builder.dir().join("img/index.json")).unwrap();
    let check = |from: &str| {
        for name in ["amd64", "s390x"] {
            let text = format!("FROM --platform=linux/{name} {from}\n");
            builder.build(&text, &[]);
            assert_eq!(builder.read_exported("name"), name);
        }
        let text = error(&builder, &format!("FROM --platform=linux/riscv64 {from}\n"), &[]);
        assert!(text.contains("no manifest for linux/riscv64, only for linux/amd64, linux/s390x"), "{text}");
    };
    check("oci:img");
    // The same as an index below that of the layout.
    let digest = Digest::of(&index);
    builder.file(format!("img/blobs/sha256/{}", digest.hex()), &index);
    let media_type = "application/vnd.oci.image.index.v1+json";
    let entry = json!({"mediaType": media_type, "digest": digest.to_string(), "size": index.len()});
    change_json(&builder.dir().join("img/index.json"), |index| index["manifests"] = json!([entry]));
    check("oci:img");
    run(&builder, "skopeo", &["copy", "--quiet", "--insecure-policy", "--all", "oci:img", "dir:dir"]);
    check("dir:dir");
}

#[test]
fn a_name_chooses_among_images() {
    let builder = new_builder();
    let configs = ["v1", "v2", "latest"].map(|name| (name, config(name, None)));
    merge(&builder, &configs, |descriptor, name| {
        descriptor["annotations"]["org.opencontainers.image.ref.name"] = json!(name);
    });
    for (from, name) in [("oci:img:v2", "v2"), ("oci:img:@0", "v1"), ("oci:img", "latest")] {
        builder.build(&format!("FROM {from}\n"), &[]);
        assert_eq!(builder.read_exported("name"), name);
    }
    insta::assert_snapshot!("a_name_that_no_image_has", error(&builder, "FROM oci:img:v3\n", &[]));
    insta::assert_snapshot!("a_place_that_no_image_has", error(&builder, "FROM oci:img:@3\n", &[]));
    merge(&builder, &configs[..2], |descriptor, name| {
        descriptor["annotations"]["org.opencontainers.image.ref.name"] = json!(name);
    });
    insta::assert_snapshot!("several_images", error(&builder, "FROM oci:img\n", &[]));
}

#[test]
fn paths_stay_in_the_context() {
    let builder = new_builder();
    write_base(&builder);
    let outside = tempfile::tempdir().unwrap();
    fs::rename(builder.dir().join("img"), outside.path().join("img")).unwrap();
    symlink(outside.path().join("img"), builder.dir().join("link")).unwrap();
    let path = outside.path().display().to_string();
    for from in
        [format!("oci:{path}/img"), format!("oci:../../../../../../{path}/img"), "oci:link".to_owned()]
    {
        let text = error(&builder, &format!("FROM {from}\n"), &[]);
        assert!(text.contains(&format!("cannot open the image `{from}`")), "{text}");
    }
    insta::assert_snapshot!("an_image_that_is_not_there", error(&builder, "FROM oci:none:v1\n", &[]));
    insta::assert_snapshot!("an_image_outside", error(&builder, "FROM oci-archive:../img.tar\n", &[]));
    let text = error(&builder, &format!("FROM oci-layout://{path}/img\n"), &[]);
    assert!(text.contains("an image layout outside of the build context needs a --build-context"), "{text}");
    // A blob may not lead out of its layout either.
    write_base(&builder);
    let index = builder.dir().join("img/index.json");
    fs::rename(&index, outside.path().join("index.json")).unwrap();
    symlink(outside.path().join("index.json"), &index).unwrap();
    let text = error(&builder, "FROM oci:img\n", &[]);
    assert!(text.contains("it has no `index.json`"), "{text}");
}

#[test]
fn an_image_without_a_context_is_refused() {
    let builder = new_builder();
    let output = builder.run_with_stdin(&["build", "-"], b"FROM oci:img\n").exits(1);
    assert!(output.stderr.contains("a local image needs a build context"), "{output}");
}

#[test]
fn damaged_images_are_refused() {
    let builder = new_builder();
    let layers = write_base(&builder);
    let blob = builder.dir().join("img/blobs/sha256").join(Digest::of(&layers[0]).hex());
    let mut bytes = layers[0].clone();
    bytes[0] ^= 1;
    let shown = |from: &str| {
        let text = error(&builder, &format!("FROM {from}\n"), &[]);
        let hex = |at: usize| text[at..].chars().take_while(char::is_ascii_hexdigit).count() == 64;
        let found: Vec<_> = (0..text.len()).filter(|at| text.is_char_boundary(*at) && hex(*at)).collect();
        found
            .iter()
            .rev()
            .fold(text.clone(), |text, at| format!("{}[DIGEST]{}", &text[..*at], &text[at + 64..]))
    };
    fs::write(&blob, &bytes).unwrap();
    insta::assert_snapshot!("a_damaged_blob", shown("oci:img"));
    fs::write(&blob, &bytes[1..]).unwrap();
    insta::assert_snapshot!("a_blob_of_another_size", shown("oci:img"));
    fs::remove_file(&blob).unwrap();
    insta::assert_snapshot!("a_blob_that_is_not_there", shown("oci:img"));
    builder.file("text", "FROM scratch\n");
    insta::assert_snapshot!("an_archive_that_is_none", shown("docker-archive:text"));
    builder.file("empty.tar", archive(&[("x", b"")]));
    insta::assert_snapshot!("an_archive_without_an_image", shown("docker-archive:empty.tar"));
    change_json(&builder.dir().join("img/index.json"), |index| {
        index["manifests"][0]["digest"] = json!("sha256:../../../../etc/passwd");
    });
    insta::assert_snapshot!("a_digest_that_is_a_path", shown("oci:img"));
}

/// Writes an archive of `docker save` with these documents and files.
fn write_docker_archive(builder: &TestBuilder, manifest: &Value, files: &[(&str, &[u8])]) {
    let manifest = manifest.to_string();
    let files = [&[("manifest.json", manifest.as_bytes())], files].concat();
    builder.file("docker.tar", archive(&files));
}

#[test]
fn layers_of_a_docker_archive_are_what_their_config_says() {
    let builder = new_builder();
    let layer = archive(&[("a", b"one")]);
    builder.file("layer", &layer);
    run(&builder, "gzip", &["-k", "layer"]);
    run(&builder, "xz", &["-k", "layer"]);
    let (gzip, xz) = (
        fs::read(builder.dir().join("layer.gz")).unwrap(),
        fs::read(builder.dir().join("layer.xz")).unwrap(),
    );
    let write = |diff_ids: &[Digest], layers: &[&str], content: &[u8]| {
        let mut config = config("docker", None);
        let ids: Vec<_> = diff_ids.iter().map(ToString::to_string).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
        config["history"] = diff_ids.iter().map(|_| json!({"created": "2020-01-02T03:04:05Z"})).collect();
        let config = config.to_string();
        let manifest = json!([{"Config": "config.json", "RepoTags": null, "Layers": layers}]);
        write_docker_archive(&builder, &manifest, &[("config.json", config.as_bytes()), ("l", content)]);
    };
    let right = Digest::of(&layer);
    for content in [&layer, &gzip] {
        write(&[right, right], &["l", "./l"], content);
        let (manifest, _) = builder.build("FROM docker-archive:docker.tar\n", &[]);
        assert_eq!(manifest.layers[1].digest, Digest::of(content));
        assert_eq!(builder.read_exported("a"), "one");
    }
    for (diff_ids, layers, content, why) in [
        (
            &[Digest::of(b"x")] as &[_],
            &["l"] as &[_],
            &gzip,
            "its layer `l` is damaged: the diff id is sha256:",
        ),
        (&[Digest::of(b"x")], &["l"], &layer, "its `l` is damaged: the digest is sha256:"),
        (&[right], &["l"], &xz, "its layer `l` is compressed as no layer may be"),
        (&[right], &["../../etc/passwd"], &layer, "it has no `../../etc/passwd`"),
        (&[right], &["/etc/passwd"], &layer, "it has no `/etc/passwd`"),
        (&[right], &["l", "l"], &layer, "its manifest.json has 2 layers and its config 1 diff ids"),
    ] {
        write(diff_ids, layers, content);
        let store = tempfile::tempdir().unwrap();
        let root = format!("--root={}", store.path().display());
        let text = error(&builder, "FROM docker-archive:docker.tar\n", &[&root]);
        assert!(text.contains(why), "{why}: {text}");
    }
}

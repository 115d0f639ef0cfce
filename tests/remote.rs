//! What ADD and contexts fetch by URL.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use test_support::{FileServer, TestBuilder, archive};

const DATED: (&str, &str) = ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
const ONE: &str = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

#[test]
fn a_file_has_the_name_the_time_and_the_mode_of_the_reference() {
    let named = ("Content-Disposition", "attachment; filename=named.txt");
    let server = FileServer::start(&[
        ("/a/tool", &[DATED], b"one"),
        ("/with%20blank", &[], b"one"),
        ("/dir/", &[named], b"one"),
        ("/evil%2f..%2fx", &[], b"one"),
    ]);
    let builder = new_builder();
    builder.file("local", "1");
    let (tool, blank, dir) = (server.url("/a/tool"), server.url("/with%20blank"), server.url("/dir/"));
    let evil = server.url("/evil%2f..%2fx");
    let (_, config) = builder.build(
        &format!(
            "FROM scratch\nARG URL={tool}\nADD $URL /file\nADD {tool}?q=1 {blank} local {dir} {evil} /d/\n\
             ADD --chown=3:4 --chmod=755 {tool} /owned/\n"
        ),
        &[],
    );
    for path in ["file", "d/tool", "d/with blank", "d/named.txt", "d/__unnamed__", "owned/tool"] {
        assert_eq!(builder.read_exported(path), "one", "{path}");
    }
    assert_eq!(builder.read_exported("d/local"), "1");
    let file = fs::metadata(builder.exported("file")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.mtime()), (0o600, 0, 784_111_777));
    assert_eq!(fs::metadata(builder.exported("d/named.txt")).unwrap().mtime(), 0);
    let owned = fs::metadata(builder.exported("owned/tool")).unwrap();
    assert_eq!((owned.mode() & 0o7777, owned.uid(), owned.gid()), (0o755, 3, 4));
    assert!(
        config.history.iter().any(|entry| entry.created_by == Some(format!("ADD {tool} /file # buildkit")))
    );
}

#[test]
fn a_checksum_is_compared() {
    let server = FileServer::start(&[("/one", &[], b"one")]);
    let builder = new_builder();
    let url = server.url("/one");
    builder.build(&format!("FROM scratch\nARG SUM={ONE}\nADD --checksum=$SUM {url} /\n"), &[]);
    assert_eq!(builder.read_exported("one"), "one");
    for (flags, message) in [
        (format!("--checksum={} {url}", ONE.replace('7', "8")), "does not have the checksum sha256:8692c3"),
        (format!("--checksum=sha256:12 {url}"), "sha256 has 64 hexadecimal digits in lower case"),
        (format!("--checksum=md5:12 {url}"), "the algorithms are sha256, sha384, sha512"),
        (format!("--checksum={ONE} {url} {url}"), "it is for one source alone"),
        (format!("--checksum={ONE} local"), "it is for a source that is fetched"),
    ] {
        builder.file("local", "one").file("Containerfile", format!("FROM scratch\nADD {flags} /x/\n"));
        let output = builder.run(&["build", "."]).exits(1);
        assert!(output.stderr.contains(message), "{flags}: {output}");
    }
}

#[test]
fn what_is_fetched_is_unpacked_only_on_demand() {
    let tar = archive(&[("in/side", "1")]);
    let server = FileServer::start(&[("/x.tar", &[], &tar)]);
    let builder = new_builder();
    builder.file("y.tar", &tar);
    let url = server.url("/x.tar");
    builder.build(
        &format!(
            "FROM scratch\nADD {url} /kept/\nADD --unpack=true {url} /fetched/\nADD y.tar /local/\n\
             ADD --unpack=false y.tar /file/\nADD --unpack {url} y.tar /both/\n"
        ),
        &[],
    );
    for path in ["fetched/in/side", "local/in/side", "both/in/side"] {
        assert_eq!(builder.read_exported(path), "1", "{path}");
        assert_eq!(fs::metadata(builder.exported(path)).unwrap().uid(), 4_000_000, "{path}");
    }
    assert!(builder.exported("kept/x.tar").is_file() && builder.exported("file/y.tar").is_file());
}

#[test]
fn a_password_is_sent_to_its_host_and_shown_nowhere() {
    let server = FileServer::start(&[("/a", &[], b"one")]);
    let builder = new_builder().env("TOKEN", "t0psecret").env("HEADER", "Custom c0ntent");
    let url = server.url("/a").replace("http://", "http://me:hunter22@");
    let text = "FROM scratch\nARG URL\nADD $URL /a\n";
    let (_, config) = builder.build(text, &["--build-arg", &format!("URL={url}"), "--no-cache"]);
    assert!(server.requests()[0].1.as_deref().is_some_and(|header| header.starts_with("Basic ")));
    let adds = config.history.iter().filter_map(|entry| entry.created_by.as_deref());
    let adds: Vec<_> = adds.filter(|text| text.starts_with("ADD")).collect();
    assert_eq!(adds, [format!("ADD {} /a # buildkit", server.url("/a"))]);
    let missing = url.replace("/a", "/none");
    let output = builder.run(&["build", "--build-arg", &format!("URL={missing}"), "."]).exits(1);
    assert!(output.stderr.contains("404") && !output.stderr.contains("hunter22"), "{output}");
    let text = format!("FROM scratch\nADD {} /a\n", server.url("/a"));
    for (secret, expected) in [
        ("--secret=id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN", "Bearer t0psecret"),
        ("--secret=id=HTTP_AUTH_HEADER_127.0.0.1,env=HEADER", "Custom c0ntent"),
    ] {
        builder.build(&text, &[secret, "--no-cache"]);
        assert_eq!(server.requests().last().unwrap().1.as_deref(), Some(expected));
    }
}

#[test]
fn a_context_is_fetched() {
    let text = "FROM scratch\nCOPY . /\n";
    let tar = archive(&[("sub/Containerfile", text), ("sub/a", "1"), ("Containerfile", text), ("b", "2")]);
    let lone = "FROM scratch\nCOPY <<EOF /c\nlone\nEOF\n";
    let server = FileServer::start(&[("/context.tar", &[], &tar), ("/File", &[], lone.as_bytes())]);
    let builder = new_builder();
    let build = |arguments: &[&str]| {
        fs::remove_dir_all(builder.exported("")).ok();
        builder.run(&[&["build", "-o", "type=local,dest=../out"], arguments].concat())
    };
    build(&[&server.url("/context.tar")]).success();
    assert_eq!(builder.read_exported("b"), "2");
    build(&[&server.url("/context.tar"), "--context-sub-path=sub"]).success();
    assert_eq!(builder.read_exported("a"), "1");
    build(&[&server.url("/File")]).success();
    assert_eq!(builder.read_exported("c"), "lone\n");
    builder.file("Containerfile", "FROM scratch\nCOPY --from=far sub/a /d\n");
    build(&[".", "--build-context", &format!("far={}", server.url("/context.tar"))]).success();
    assert_eq!(builder.read_exported("d"), "1");
    let output = build(&[&server.url("/none")]).exits(1);
    assert!(output.stderr.contains("404"), "{output}");
    // A context that nothing reads is not fetched.
    let before = server.requests().len();
    builder.file("Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    build(&[".", "--build-context", &format!("far={}", server.url("/context.tar"))]).success();
    assert_eq!(server.requests().len(), before);
}

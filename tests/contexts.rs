//! Build contexts that are no directory: archives of any compression, standard input, a lone Containerfile, a part of a
//! directory.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use test_support::{Output, TestBuilder, archive};

/// Copies all of the context, and tells it in the exported root file system.
const COPY_ALL: &str = "FROM scratch\nCOPY . /\n";

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

/// `bytes` as this program writes them.
#[expect(clippy::disallowed_methods, reason = "real compressors are what users have")]
fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut command = std::process::Command::new(program);
    let mut child = command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    output
}

fn build(builder: &TestBuilder, arguments: &[&str], stdin: &[u8]) -> Output {
    fs::remove_dir_all(builder.exported("")).ok();
    let words = [&["build", "-o", "type=local,dest=../out"], arguments].concat();
    builder.run_with_stdin(&words, stdin)
}

#[test]
fn an_archive_of_any_compression_is_a_context() {
    let builder = new_builder();
    let tar = archive(&[("Containerfile", COPY_ALL), (".dockerignore", "b\n"), ("a", "1"), ("b", "2")]);
    for program in ["cat", "gzip", "bzip2", "xz", "zstd"] {
        let bytes = if program == "cat" { tar.clone() } else { compressed(program, &tar) };
        for (argument, stdin) in
            [("-", bytes.as_slice()), ("context.archive", b""), ("tar://context.archive", b"")]
        {
            builder.file("context.archive", &bytes);
            build(&builder, &[argument], stdin).success();
            assert_eq!(builder.read_exported("a"), "1", "{program} {argument}");
            assert!(!builder.exported("b").exists(), "{program} {argument}: the ignore file was not read");
        }
    }
}

#[test]
fn a_lone_containerfile_needs_no_context() {
    let builder = new_builder();
    let text = "FROM scratch\nCOPY <<EOF /a\nhello\nEOF\n";
    build(&builder, &["-"], text.as_bytes()).success();
    assert_eq!(builder.read_exported("a"), "hello\n");
    builder.file("some.Containerfile", text);
    build(&builder, &["some.Containerfile"], b"").success();
    assert_eq!(builder.read_exported("a"), "hello\n");
    let output = build(&builder, &["-"], b"FROM scratch\nCOPY a /\n").exits(1);
    assert!(output.stderr.contains("COPY needs a build context, and there is none"), "{output}");
}

#[test]
fn the_file_in_an_archive_can_be_named() {
    let builder = new_builder();
    let tar = archive(&[("sub/Other", COPY_ALL), ("a", "1")]);
    build(&builder, &["-f", "sub/Other", "-"], &tar).success();
    assert_eq!(builder.read_exported("a"), "1");
    let output = build(&builder, &["-f", "none", "-"], &tar).exits(1);
    assert!(output.stderr.contains("there is no Containerfile at `none`"), "{output}");
}

#[test]
fn a_part_of_the_context_is_used_alone() {
    let builder = new_builder();
    builder.file("one/two/Containerfile", COPY_ALL).file("one/two/a", "1").file("one/b", "2");
    build(&builder, &["--context-sub-path", "two", "one"], b"").success();
    assert_eq!(builder.read_exported("a"), "1");
    assert!(!builder.exported("b").exists());
    let tar = archive(&[("two/Containerfile", COPY_ALL), ("two/a", "3"), ("b", "2")]);
    build(&builder, &["--context-sub-path=two", "-"], &tar).success();
    assert_eq!(builder.read_exported("a"), "3");
    std::os::unix::fs::symlink(builder.home(), builder.dir().join("one/out")).unwrap();
    fs::write(builder.home().join("Containerfile"), COPY_ALL).unwrap();
    build(&builder, &["--context-sub-path=out", "one"], b"").exits(1);
    build(&builder, &["--context-sub-path=../..", "one"], b"").exits(1);
}

#[test]
fn a_hostile_archive_leaves_nothing_outside() {
    let builder = new_builder();
    let canary = builder.dir().join("canary");
    for (name, link) in [("../canary", None), ("x/canary", Some("../../work")), ("y/canary", Some("/"))] {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        if let Some(target) = link {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header.clone(), Path::new(name).parent().unwrap(), target).unwrap();
            header.set_entry_type(tar::EntryType::Regular);
        }
        let bytes = header.as_gnu_mut().unwrap();
        bytes.name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(COPY_ALL.len() as u64);
        tar.append_data(&mut header, "Containerfile", COPY_ALL.as_bytes()).unwrap();
        build(&builder, &["-"], &tar.into_inner().unwrap());
        assert!(!canary.exists() && !Path::new("/canary").exists(), "{name} {link:?}");
    }
}

#[test]
fn what_is_no_context_is_told_so() {
    let builder = new_builder();
    builder.file("Containerfile", COPY_ALL).file("noise", [0_u8, 1, 2, 3].repeat(1000));
    for (arguments, code, message) in [
        (&["noise"] as &[&str], 1, "the build context `noise` is neither a tar archive nor a Containerfile"),
        (&["-f", "-", "-"], 2, "only one of the context and the Containerfiles can come from standard input"),
        (
            &["-f", "x", "Containerfile"],
            1,
            "the context is a Containerfile itself, and --file names another one",
        ),
        (&["none"], 1, "the build context `none` is not there"),
    ] {
        let output = build(&builder, arguments, b"").exits(code);
        assert!(output.stderr.contains(message), "{arguments:?}: {output}");
    }
    let half = &compressed("gzip", &archive(&[("Containerfile", COPY_ALL), ("a", "1")]))[..90];
    let output = build(&builder, &["-"], half).exits(1);
    assert!(output.stderr.contains("cannot unpack the build context `standard input`"), "{output}");
}

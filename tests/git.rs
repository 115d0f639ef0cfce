//! Files of git repositories: sources of ADD, and contexts.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use test_support::{COMMIT_TIME, GitServer, Output, TestBuilder, git, git_commit};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// A repository `app.git` with a tag `v1`, and then another commit.
fn server() -> (GitServer, String) {
    let server = GitServer::start();
    let source = server.repository("app.git", |dir| {
        write(dir, "Containerfile", "FROM scratch\nCOPY . /\n");
        write(dir, "sub/a", "1");
        symlink("/etc", dir.join("out")).expect("a link");
    });
    git(&source, &["tag", "v1"]);
    let commit = git(&source, &["rev-parse", "HEAD"]);
    write(&source, "sub/a", "2");
    git_commit(&source);
    (server, commit)
}

fn build(builder: &TestBuilder, arguments: &[&str]) -> Output {
    fs::remove_dir_all(builder.exported("")).ok();
    builder.run(&[&["build", "-o", "type=local,dest=../out"], arguments].concat())
}

#[test]
fn a_repository_is_added_without_its_history() {
    let (server, commit) = server();
    let builder = new_builder();
    let url = server.url("app.git");
    let text = format!(
        "FROM scratch\nARG REF=v1\nADD {url} /head\nADD {url}#$REF /tag/\nADD {url}#v1:sub /sub/\n\
         ADD {url}?tag=v1&subdir=sub /query/\nADD --checksum={commit} {url}#v1 /checked/\n\
         ADD --checksum={} {url}?tag=v1 /prefix/\nADD --keep-git-dir {url} /kept/\n\
         ADD --chown=3:4 --exclude=sub {url}#v1 /owned/\nADD --link {url}#v1:sub /linked/\n",
        &commit[..12]
    );
    builder.build(&text, &[]);
    for (path, content) in [
        ("head/sub/a", "2"),
        ("tag/sub/a", "1"),
        ("sub/a", "1"),
        ("query/a", "1"),
        ("checked/sub/a", "1"),
        ("prefix/sub/a", "1"),
        ("kept/sub/a", "2"),
        ("linked/a", "1"),
    ] {
        assert_eq!(builder.read_exported(path), content, "{path}");
    }
    assert!(builder.exported("kept/.git/HEAD").exists() && !builder.exported("head/.git").exists());
    assert!(!builder.exported("owned/sub").exists());
    let owned = fs::metadata(builder.exported("owned/Containerfile")).expect("an added file");
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o7777), (3, 4, 0o644));
    assert_eq!(owned.mtime(), COMMIT_TIME, "the time of a commit is the same on every machine");
    assert_eq!(fs::read_link(builder.exported("head/out")).expect("a link"), Path::new("/etc"));
}

#[test]
fn what_is_not_in_a_repository_is_an_error() {
    let (server, commit) = server();
    let builder = new_builder();
    let url = server.url("app.git");
    for (line, message) in [
        (format!("ADD {url}#none /"), "none"),
        (format!("ADD {url}#v1:nowhere /"), "nowhere"),
        (format!("ADD {url}#v1:../.. /"), "cannot use git URL"),
        (format!("ADD {url}#-x /"), "cannot use git URL"),
        (format!("ADD {url}?nonsense=1 /"), "nonsense"),
        (format!("ADD --checksum={} {url} /", commit.replace(['0', '1', '2'], "f")), "f"),
        (format!("ADD --checksum=xyz {url} /"), "invalid checksum `xyz`"),
        (format!("ADD --keep-git-dir=false {url}?keep-git-dir=1 /"), "contradict"),
        (format!("COPY {url} /"), "only ADD fetches from a network"),
    ] {
        builder.file("Containerfile", format!("FROM scratch\n{line}\n"));
        let output = builder.run(&["build", "."]).exits(1);
        assert!(
            output.stderr.contains(message) && output.stderr.contains("Containerfile:2:"),
            "{line}: {output}"
        );
    }
}

#[test]
fn a_repository_is_a_context() {
    let (server, _) = server();
    let builder = new_builder();
    let url = server.url("app.git");
    build(&builder, &[&url]).success();
    assert_eq!(builder.read_exported("sub/a"), "2");
    assert!(!builder.exported(".git").exists());
    build(&builder, &[&format!("{url}#v1"), "--build-arg=BUILDKIT_CONTEXT_KEEP_GIT_DIR=1"]).success();
    assert_eq!(builder.read_exported("sub/a"), "1");
    assert!(builder.exported(".git/HEAD").exists());
    builder.file("Containerfile", "FROM scratch\nCOPY --from=far a /b\n");
    build(&builder, &[".", &format!("--build-context=far={url}#v1:sub")]).success();
    assert_eq!(builder.read_exported("b"), "1");
    let output = build(&builder, &[&format!("{url}#v1:sub")]).exits(1);
    assert!(output.stderr.contains("there is no Containerfile"), "{output}");
    let output = build(&builder, &[&server.url("none.git")]).exits(1);
    assert!(output.stderr.contains("cannot check out `git://127.0.0.1:"), "{output}");
}

#[test]
fn a_commit_that_did_not_change_is_not_added_again() {
    let (server, _) = server();
    let builder = new_builder();
    let text = format!("FROM scratch\nADD {}#v1 /\n", server.url("app.git"));
    let (one, _) = builder.build(&text, &[]);
    let output = builder.run(&["build", "."]).success();
    assert!(output.stderr.contains("CACHED"), "{output}");
    let (two, _) = new_builder().build(&text, &["--source-date-epoch=1"]);
    let (three, _) = new_builder().build(&text, &["--source-date-epoch=1"]);
    assert_eq!(two.layers, three.layers);
    assert_eq!(one.layers.len(), 1);
}

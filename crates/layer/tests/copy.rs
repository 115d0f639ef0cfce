//! Copies between trees keep what an image can hold, and replace what they may.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tree;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use layer::{Adjust, Attributes, Copier, Error, Flow, ModeChange, Root, Timestamp, Xattrs, walk};
use tempfile::TempDir;

const TREE: &str = "
    dir bin mode=755 mtime=1600000000.123456789
    file bin/su mode=4755 data=su owner=5:7 mtime=6.7
    hard bin/also to=bin/su
    file bin/ping mode=755 data=ping xattr:user.a=b
    link bin/sh to=/usr/bin/dash owner=3:4 mtime=5.000000006
    hard bin/sh2 to=bin/sh
    dir closed mode=500 xattr:user.d=e
    file closed/f data=x
    fifo pipe mode=600
    char null mode=666 dev=1:3
    hole sparse size=3000000 data=middle
";

fn tree(text: &str) -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), text);
    let root = Root::open(dir.path()).unwrap();
    (dir, root)
}

fn copy_all(from: &Root, to: &Root, adjust: Adjust<'_>) -> Result<(), Error> {
    let mut copier = Copier::new(from, to, adjust);
    walk(from, Path::new(""), |entry| {
        copier.copy(entry.path, entry.path)?;
        Ok::<_, Error>(Flow::Descend)
    })?;
    copier.finish()
}

#[test]
fn copies_keep_everything_an_image_holds() {
    let (source, from) = tree(TREE);
    tree::set_xattr(&source.path().join("bin/ping"), "security.capability", &tree::CAP_NET_RAW);
    tree::set_xattr(&source.path().join("bin/ping"), "trusted.secret", b"x");
    let (copy, to) = tree("");
    copy_all(&from, &to, Adjust::default()).unwrap();
    assert_eq!(tree::describe(copy.path()), tree::describe(source.path()));
    assert!(fs::metadata(copy.path().join("sparse")).unwrap().blocks() * 512 < 100_000);
    let mut value = [0; 9];
    assert!(rustix::fs::getxattr(copy.path().join("bin/ping"), "trusted.secret", &mut value[..]).is_err());
}

#[test]
fn copies_are_files_of_their_own() {
    let (_source, from) = tree("file f data=1");
    let (copy, to) = tree("file g data=2\nhard f to=g");
    copy_all(&from, &to, Adjust::default()).unwrap();
    assert_eq!(fs::read(copy.path().join("g")).unwrap(), b"2");
    assert_eq!(fs::read(copy.path().join("f")).unwrap(), b"1");
}

#[test]
fn owner_and_mode_can_be_overridden() {
    let (_source, from) = tree(TREE);
    let (copy, to) = tree("");
    copy_all(&from, &to, Adjust { owner: Some((8, 9)), mode: Some(ModeChange(&|_, _| 0o4711)) }).unwrap();
    for path in ["bin", "bin/su", "bin/sh", "pipe", "null", "closed/f"] {
        let metadata = fs::symlink_metadata(copy.path().join(path)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (8, 9), "{path}");
        assert!(metadata.is_symlink() || metadata.mode() & 0o7777 == 0o4711, "{path}");
    }
}

#[test]
fn an_existing_directory_takes_new_attributes_and_keeps_what_is_in_it() {
    let (source, from) = tree("dir d mode=700 mtime=9.9\nfile d/new");
    let (copy, to) = tree("dir d mode=755\nfile d/old");
    copy_all(&from, &to, Adjust::default()).unwrap();
    assert!(copy.path().join("d/old").exists());
    let line = |dir: &TempDir| tree::describe(dir.path()).lines().next().unwrap().to_owned();
    assert_eq!(line(&copy), line(&source));
}

#[test]
fn directories_and_other_kinds_do_not_replace_each_other() {
    let (_files, file) = tree("file x");
    let (_dirs, dir) = tree("dir x");
    let (_links, link) = tree("link x to=/etc");
    for (from, to) in [(&file, &dir), (&dir, &file), (&link, &dir), (&dir, &link)] {
        let result = copy_all(from, to, Adjust::default());
        assert!(matches!(result, Err(Error::Replacement { .. })), "{result:?}");
    }
    copy_all(&file, &link, Adjust::default()).unwrap();
    assert!(link.lstat(Path::new("x")).unwrap().unwrap().kind == layer::FileKind::File);
}

#[test]
fn links_in_the_way_are_not_followed() {
    let (_source, from) = tree("file f data=1");
    let (copy, to) = tree("dir d\nlink l to=d");
    let mut copier = Copier::new(&from, &to, Adjust::default());
    assert!(copier.copy(Path::new("f"), Path::new("l/f")).is_err());
    let resolved = to.resolve(Path::new("l/f")).unwrap();
    copier.copy(Path::new("f"), &resolved).unwrap();
    assert_eq!(fs::read(copy.path().join("d/f")).unwrap(), b"1");
    assert!(matches!(copier.copy(Path::new("none"), Path::new("x")), Err(Error::Io { .. })));
}

#[test]
fn a_file_onto_itself_through_another_name_survives() {
    let (dir, root) = tree("file a data=1\nhard b to=a");
    let mut copier = Copier::new(&root, &root, Adjust::default());
    copier.copy(Path::new("a"), Path::new("b")).unwrap();
    assert_eq!(
        (fs::read(dir.path().join("a")).unwrap(), fs::read(dir.path().join("b")).unwrap()),
        (b"1".to_vec(), b"1".to_vec())
    );
}

#[test]
fn content_is_written_as_a_file() {
    let (_source, from) = tree("");
    let (copy, to) = tree("link f to=/etc/passwd");
    let attributes = Attributes {
        mode: 0o640,
        uid: 1,
        gid: 2,
        mtime: Timestamp { secs: 3, nanos: 4 },
        xattrs: Xattrs::new(),
    };
    let mut copier = Copier::new(&from, &to, Adjust::default());
    copier.write(Path::new("f"), &mut &b"text"[..], &attributes).unwrap();
    assert_eq!(fs::read(copy.path().join("f")).unwrap(), b"text");
    assert!(tree::describe(copy.path()).starts_with("f 10 mode=640 owner=1:2 mtime=3.000000004 size=4"));
}

#[test]
fn a_copy_that_was_replaced_is_not_linked_to() {
    let (_source, from) = tree("file one data=1\nhard two to=one\nfile other data=2");
    let (copy, to) = tree("");
    let mut copier = Copier::new(&from, &to, Adjust::default());
    for (source, destination) in [("one", "x"), ("other", "x"), ("two", "y")] {
        copier.copy(Path::new(source), Path::new(destination)).unwrap();
    }
    let read = |name| fs::read(copy.path().join(name)).unwrap();
    assert_eq!((read("x"), read("y")), (b"2".to_vec(), b"1".to_vec()));
}

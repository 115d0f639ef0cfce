//! Trees whose owners stand in a table: somebody with one id and no rights makes the layers that root makes.
//!
//! The tests are root: a thread of theirs becomes somebody else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod options;
mod tree;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::thread;

use layer::{
    Adjust, Attributes, Changeset, Copier, Error, FileKind, Flow, Index, Metadata, Owners, Ownership,
    PackOptions, Root, Timestamps, pack, unpack, walk,
};
use ownership::{Device, DeviceKind, Kind, Record, Table, disk_mode};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use tempfile::TempDir;

use options::{LAYER, PLAIN};

const USER: u32 = 1234;

/// Everything that a bare uid cannot have on disk, and some of what it can.
const EVERYTHING: &str = "
    dir bin mode=555 mtime=1600000000.123456789
    file bin/su mode=4755 data=su owner=0:7
    file bin/ping mode=755 data=ping
    hard bin/ping6 to=bin/ping
    link bin/sh to=/usr/bin/dash owner=3:4 mtime=5.000000006
    dir tmp mode=1777
    dir shared mode=2775 owner=100:200
    file shared/big-id owner=4294967294:4294967294 data=x xattr:user.comment=hello
    dir closed mode=0 owner=5:5 xattr:user.kind=directory
    file closed/nothing mode=0 owner=9:9 data=secret
    file closed/read mode=444 data=r
    file closed/write mode=222 data=w
    fifo pipe mode=600 owner=1:1
    fifo open mode=0
    char null mode=666 dev=1:3
    char same mode=600 owner=7:8 dev=5:1
    hard same-again to=same
    block disk mode=660 owner=0:6 dev=259:1048575
    hole sparse size=300000 data=middle owner=1000:1000
    file mine owner=1234:1234
    file empty
";

/// The layer of a tree that root has made.
fn archive() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), EVERYTHING);
    tree::set_xattr(&dir.path().join("bin/ping"), "security.capability", &tree::CAP_NET_RAW);
    chown(dir.path(), Some(77), Some(78)).unwrap();
    write(&Root::open(dir.path()).unwrap())
}

fn write(root: &Root) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(root, &Changeset::everything(root).unwrap(), &PLAIN, &mut bytes).unwrap();
    bytes
}

/// A directory of the user's, with a table.
fn kept() -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(USER), Some(USER)).unwrap();
    let root = Root::open_with(dir.path(), Owners::in_table(Table::default())).unwrap();
    (dir, root)
}

/// Does `work` as somebody who has one id, no group but its own, and no capability.
fn as_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let become_user = || {
        let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        // Threads of a pool are as the one that makes it.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(work)
    };
    thread::scope(|scope| scope.spawn(become_user).join().unwrap())
}

/// What is on disk belongs to the user, and says nothing that the kernel would act upon.
fn assert_is_plain(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        let kind = metadata.file_type();
        assert_eq!((metadata.uid(), metadata.gid()), (USER, USER), "{}", path.display());
        assert!(kind.is_symlink() || metadata.mode() & 0o7000 == 0, "{}", path.display());
        assert!(!kind.is_char_device() && !kind.is_block_device(), "{}", path.display());
        if kind.is_dir() {
            assert_is_plain(&path);
        }
    }
}

fn stat(root: &Root, path: &str) -> Metadata {
    root.lstat(Path::new(path)).unwrap().unwrap()
}

fn changes(index: &Index, root: &Root) -> String {
    let (changes, _) = index.changes(root).unwrap();
    let words: Vec<_> = changes.iter().map(|(path, _)| path.display().to_string()).collect();
    words.join(" ")
}

#[test]
fn one_id_and_a_table_give_the_bytes_that_root_gives() {
    let archive = archive();
    let on_disk = tempfile::tempdir().unwrap();
    let real = Root::open(on_disk.path()).unwrap();
    unpack(&archive[..], &real, Path::new(""), &LAYER).unwrap();
    assert!(write(&real) == archive, "root");
    let (dir, root) = kept();
    as_user(|| {
        unpack(&archive[..], &root, Path::new(""), &LAYER).unwrap();
        assert!(write(&root) == archive, "a bare uid");
    });
    assert_is_plain(dir.path());
    // Whoever reads the tree with the table reads the same, also when the table was in a file.
    let file = on_disk.path().join("table");
    root.owners().table().unwrap().save(&file).unwrap();
    let again = Root::open_with(dir.path(), Owners::in_table(Table::load(&file).unwrap())).unwrap();
    assert!(write(&again) == archive, "a table that was saved");
}

#[test]
fn readers_are_told_what_is_true() {
    let (_dir, root) = kept();
    let archive = archive();
    as_user(|| unpack(&archive[..], &root, Path::new(""), &LAYER).unwrap());
    let su = stat(&root, "bin/su");
    assert_eq!((su.kind, su.mode, su.uid, su.gid, su.size), (FileKind::File, 0o4755, 0, 7, 2));
    let disk = stat(&root, "disk");
    assert_eq!((disk.kind, disk.mode), (FileKind::BlockDevice, 0o660));
    assert_eq!((disk.device.major, disk.device.minor), (259, 1_048_575));
    assert_eq!(stat(&root, "bin/sh").mode, 0o777);
    assert_eq!((stat(&root, "").uid, stat(&root, "").gid), (77, 78));
    assert!(matches!(root.open_file(Path::new("null")), Err(Error::WrongKind { .. })));
    walk(&root, Path::new("shared"), |entry| {
        assert_eq!((entry.metadata.uid, entry.metadata.gid), (u32::MAX - 1, u32::MAX - 1));
        Ok::<_, Error>(Flow::Descend)
    })
    .unwrap();
    let print = |root: &Root, path| root.fingerprint(Path::new(path), true).unwrap();
    let real = tempfile::tempdir().unwrap();
    let real = Root::open(real.path()).unwrap();
    unpack(&archive[..], &real, Path::new(""), &LAYER).unwrap();
    for path in ["bin", "bin/su", "bin/ping", "bin/sh", "closed", "pipe", "null", "disk", "shared/big-id"] {
        assert_eq!(print(&root, path), print(&real, path), "{path}");
    }
}

#[test]
fn copies_keep_owners_between_trees_of_every_sort() {
    let archive = archive();
    let copy = |from: &Root, to: &Root| {
        let mut copier = Copier::new(from, to, Adjust::default());
        copier.copy(Path::new(""), Path::new("")).unwrap();
        walk(from, Path::new(""), |entry| {
            copier.copy(entry.path, entry.path)?;
            Ok::<_, Error>(Flow::Descend)
        })
        .unwrap();
        copier.finish().unwrap();
    };
    let ((_first, first), (_second, second)) = (kept(), kept());
    as_user(|| {
        unpack(&archive[..], &first, Path::new(""), &LAYER).unwrap();
        copy(&first, &second);
        assert!(write(&second) == archive, "from table to table");
    });
    let real = tempfile::tempdir().unwrap();
    let real = Root::open(real.path()).unwrap();
    copy(&second, &real);
    assert!(write(&real) == archive, "from table to disk");
    let (_third, third) = kept();
    copy(&real, &third);
    assert!(write(&third) == archive, "from disk to table");
}

#[test]
fn what_a_new_entry_is_like_is_never_what_an_old_one_was_like() {
    let (_dir, root) = kept();
    as_user(|| {
        let mut copier = Copier::new(&root, &root, Adjust::default());
        let mut make = |mode, uid| {
            let attributes = Attributes { mode, uid, ..Attributes::default() };
            copier.write(Path::new("f"), &mut &b"x"[..], &attributes).unwrap();
            (stat(&root, "f").mode, stat(&root, "f").uid)
        };
        // File systems like to give an inode number again at once.
        for (mode, uid) in [(0o4711, 5), (0o644, 0), (0o600, 7), (0o755, 0)] {
            assert_eq!(make(mode, uid), (mode, uid));
        }
        let ownership = Ownership { uid: 3, gid: 4, mode: 0o1770 };
        root.create_dir_all(Path::new("a/b"), &ownership).unwrap();
        for path in ["a", "a/b"] {
            let made = stat(&root, path);
            assert_eq!((made.uid, made.gid, made.mode), (3, 4, 0o1770));
        }
        root.set_ownership(Path::new("a"), &Ownership { uid: 0, gid: 0, mode: 0o755 }).unwrap();
        assert_eq!((stat(&root, "a").uid, stat(&root, "a").mode), (0, 0o755));
    });
}

#[test]
fn what_changed_in_the_table_alone_is_found() {
    let (_dir, root) = kept();
    let archive = archive();
    as_user(|| {
        unpack(&archive[..], &root, Path::new(""), &LAYER).unwrap();
        // Long enough for every stamp to be trusted.
        thread::sleep(std::time::Duration::from_millis(50));
        root.create_dir_all(Path::new("later"), &Ownership { uid: 0, gid: 0, mode: 0o755 }).unwrap();
        let index = Index::scan(&root).unwrap();
        assert_eq!(changes(&index, &root), "");
        let mut table = root.owners().table().unwrap();
        let inode = |path| stat(&root, path).inode.number;
        let mut su = table.record(inode("bin/su")).unwrap().clone();
        su.xattrs.insert(b"security.capability".to_vec(), tree::CAP_NET_RAW.to_vec());
        table.set(inode("bin/su"), ownership::Kind::File, su);
        let mut link = table.record(inode("bin/sh")).unwrap().clone();
        link.uid = 0;
        link.gid = 0;
        table.set(inode("bin/sh"), ownership::Kind::Symlink, link);
        let mut new = ownership::Record::of_disk(0o644);
        new.gid = 9;
        table.set(inode("empty"), ownership::Kind::File, new);
        let mut same = table.record(inode("same")).unwrap().clone();
        same.uid = 1;
        table.set(inode("same"), ownership::Kind::File, same);
        root.owners().replace(table);
        assert_eq!(changes(&index, &root), "bin bin/sh bin/su empty same same-again");
    });
}

#[test]
fn what_is_removed_is_forgotten() {
    let (_dir, root) = kept();
    let archive = archive();
    as_user(|| {
        unpack(&archive[..], &root, Path::new(""), &LAYER).unwrap();
        for name in root.read_dir(Path::new("")).unwrap().iter().filter(|name| *name != "same-again") {
            root.remove_all(Path::new(name)).unwrap();
        }
        let same = stat(&root, "same-again");
        assert_eq!((same.kind, same.uid), (FileKind::CharDevice, 7), "it had another name");
        root.remove_all(Path::new("same-again")).unwrap();
        root.set_ownership(Path::new(""), &Ownership { uid: 0, gid: 0, mode: 0o755 }).unwrap();
    });
    assert!(root.owners().table().unwrap().is_empty());
}

#[test]
fn files_that_a_step_has_removed_are_forgotten() {
    let (dir, root) = kept();
    let archive = archive();
    as_user(|| unpack(&archive[..], &root, Path::new(""), &LAYER).unwrap());
    let before = root.owners().table().unwrap();
    let gone = [stat(&root, "bin/su"), stat(&root, "closed/read")].map(|metadata| metadata.inode.number);
    let linked = stat(&root, "same").inode.number;
    fs::remove_file(dir.path().join("bin/su")).unwrap();
    fs::remove_file(dir.path().join("same")).unwrap();
    fs::remove_dir_all(dir.path().join("closed")).unwrap();
    root.forget_removed().unwrap();
    let after = root.owners().table().unwrap();
    for inode in gone {
        assert!(before.record(inode).is_some() && after.record(inode).is_none());
    }
    assert_eq!(after.record(linked), before.record(linked));
    assert_eq!(stat(&root, "").uid, 77);
}

/// What a step may do to a tree, by paths that it may find or not.
#[derive(Debug, Clone)]
enum Edit {
    Write(&'static str),
    Mode(&'static str, u32),
    Own(&'static str, u32),
    Capability(&'static str),
    MakeDir(&'static str),
    Device(&'static str, u32),
    Symlink(&'static str),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
}

/// A tree with a step in it, which is real root or told that it is.
struct Step {
    dir: TempDir,
    root: Root,
}

impl Step {
    fn new(owners: Owners, layer: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open_with(dir.path(), owners).unwrap();
        unpack(layer, &root, Path::new(""), &LAYER).unwrap();
        Self { dir, root }
    }

    /// Whether it could be done.
    fn apply(&self, edit: &Edit) -> bool {
        let at = |path: &str| self.dir.path().join(path);
        match *edit {
            Edit::Write(path) => match self.kind(path) {
                None => fs::write(at(path), "new").is_ok() && self.is_new(path, 0o644, None),
                Some(FileKind::File) => {
                    fs::write(at(path), "old").unwrap();
                    // write(2) takes capabilities away.
                    self.edit(path, |record| record.xattrs.clear())
                }
                Some(_) => false,
            },
            Edit::Mode(path, mode) => {
                self.kind(path).is_some_and(|kind| kind != FileKind::Symlink)
                    && self.edit(path, |record| record.mode = mode)
            }
            Edit::Own(path, uid) => {
                let plain = self.kind(path).is_some_and(|kind| kind == FileKind::Directory);
                self.edit(path, |record| {
                    if record.uid == uid {
                        return;
                    }
                    record.uid = uid;
                    // chown(2) takes capabilities and set-id bits away.
                    if !plain {
                        record.xattrs.clear();
                        record.mode &= 0o1777;
                    }
                })
            }
            Edit::Capability(path) => {
                self.kind(path) == Some(FileKind::File)
                    && self.edit(path, |record| {
                        record.xattrs.insert(b"security.capability".to_vec(), tree::CAP_NET_RAW.to_vec());
                    })
            }
            Edit::MakeDir(path) => fs::create_dir(at(path)).is_ok() && self.is_new(path, 0o755, None),
            Edit::Device(path, minor) => self.make_device(path, minor),
            Edit::Symlink(path) => symlink("a", at(path)).is_ok() && self.is_new(path, 0o777, None),
            Edit::Remove(path) if self.kind(path) == Some(FileKind::Directory) => {
                fs::remove_dir_all(at(path)).is_ok()
            }
            Edit::Remove(path) => fs::remove_file(at(path)).is_ok(),
            Edit::Rename(from, to) => fs::rename(at(from), at(to)).is_ok(),
            Edit::Link(from, to) => fs::hard_link(at(from), at(to)).is_ok(),
        }
    }

    fn kind(&self, path: &str) -> Option<FileKind> {
        // A link may lead to itself.
        self.root.lstat(Path::new(path)).ok().flatten().map(|metadata| metadata.kind)
    }

    fn make_device(&self, path: &str, minor: u32) -> bool {
        let full = self.dir.path().join(path);
        if self.root.owners().table().is_none() {
            let made = mknodat(CWD, &full, FileType::CharacterDevice, Mode::RUSR, makedev(5, minor));
            return made.is_ok() && self.is_new(path, 0o600, None);
        }
        let device = Device { kind: DeviceKind::Char, major: 5, minor };
        fs::File::create_new(full).is_ok() && self.is_new(path, 0o600, Some(device))
    }

    /// Makes a new entry root's.
    fn is_new(&self, path: &str, mode: u32, device: Option<Device>) -> bool {
        self.edit(path, |record| *record = Record { mode, device, ..Record::default() })
    }

    /// Changes what is true of an entry, on disk or in the table.
    fn edit(&self, path: &str, change: impl FnOnce(&mut Record)) -> bool {
        let full = self.dir.path().join(path);
        let Ok(metadata) = fs::symlink_metadata(&full) else { return false };
        let kind = match metadata.file_type() {
            kind if kind.is_symlink() => Kind::Symlink,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::File,
        };
        let chmod = |mode| fs::set_permissions(&full, fs::Permissions::from_mode(mode)).unwrap();
        if let Some(mut table) = self.root.owners().table() {
            let known = table.record(metadata.ino()).cloned();
            let mut record = known.unwrap_or_else(|| Record::of_disk(metadata.mode()));
            change(&mut record);
            if kind != Kind::Symlink {
                chmod(disk_mode(kind, record.mode));
            }
            table.set(metadata.ino(), kind, record);
            self.root.owners().replace(table);
            return true;
        }
        let before = Record { uid: metadata.uid(), ..Record::of_disk(metadata.mode()) };
        let mut after = before.clone();
        change(&mut after);
        if before.uid != after.uid {
            lchown(&full, Some(after.uid), None).unwrap();
        }
        if kind != Kind::Symlink {
            chmod(after.mode);
        }
        for value in after.xattrs.values() {
            tree::set_xattr(&full, "security.capability", value);
        }
        true
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let path = || prop::sample::select(vec!["a", "b", "d", "d/a", "d/s", "l", "n", "n/a"]);
    let mode = prop::sample::select(vec![0, 0o444, 0o644, 0o755, 0o1777, 0o4755]);
    prop_oneof![
        3 => path().prop_map(Edit::Write),
        3 => (path(), mode).prop_map(|(path, mode)| Edit::Mode(path, mode)),
        3 => (path(), prop::sample::select(vec![0, 5, 1000])).prop_map(|(path, uid)| Edit::Own(path, uid)),
        1 => path().prop_map(Edit::Capability),
        1 => path().prop_map(Edit::MakeDir),
        1 => (path(), 1..3_u32).prop_map(|(path, minor)| Edit::Device(path, minor)),
        1 => path().prop_map(Edit::Symlink),
        2 => path().prop_map(Edit::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Link(from, to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_edits_give_the_same_layer_from_disk_and_table(edits in prop::collection::vec(edit(), 1..14)) {
        let base = tempfile::tempdir().unwrap();
        tree::make(base.path(), "file a data=aaa owner=5:6\nfile b mode=4755 data=b\ndir d mode=1777 owner=7:7\n\
            file d/a mode=444\nchar d/s dev=5:1\nlink l to=a owner=9:9");
        let layer = write(&Root::open(base.path()).unwrap());
        let steps = [Owners::on_disk(), Owners::in_table(Table::default())].map(|owners| Step::new(owners, &layer));
        let layers = steps.each_ref().map(|step| {
            let index = Index::scan(&step.root).unwrap();
            index.separate_links(&step.root).unwrap();
            let done: Vec<_> = edits.iter().map(|edit| step.apply(edit)).collect();
            let (changes, _) = index.changes(&step.root).unwrap();
            let mut bytes = Vec::new();
            let options = PackOptions { timestamps: Timestamps::Force(0), ..PLAIN };
            pack(&step.root, &changes, &options, &mut bytes).unwrap();
            (done, bytes)
        });
        prop_assert_eq!(&layers[0].0, &layers[1].0, "{:?}", edits);
        prop_assert!(layers[0].1 == layers[1].1, "{:?}", edits);
    }
}

//! What counts as a change: the same edits on an overlay and on a plain directory must give the same layer bytes.
//!
//! Needs root: overlays are mounted, detached from every path, so that nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod tree;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use layer::{
    Change, Changeset, Compression, Error, Index, OverlayXattrs, PackOptions, Root, Timestamps,
    UnpackOptions, overlay_changes, pack, unpack,
};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
};
use tempfile::TempDir;

const PLAIN: PackOptions = PackOptions {
    compression: Compression::None,
    timestamps: Timestamps::Force(0),
    threads: 1,
    forbidden: None,
};

const BASE: &str = "
    dir d mtime=5.5
    file d/a data=a
    file d/b data=b
    dir d/sub
    file d/sub/x data=x
    file d/sub/y data=y
    file f data=content mtime=7.7
    file g data=g xattr:user.k=v
    link l to=f
    hard h to=g
    dir e
    file e/only data=1
    fifo p
    char c dev=1:3
    hole s size=200000 data=s
";

/// One base seen through an overlay and as a plain directory with an index.
struct Both {
    _dir: TempDir,
    lower: PathBuf,
    upper: PathBuf,
    plain: PathBuf,
    index: Index,
    merged: OwnedFd,
}

impl Both {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [lower, upper, work, plain] =
            ["lower", "upper", "work", "plain"].map(|name| dir.path().join(name));
        for path in [&lower, &upper, &work, &plain] {
            fs::create_dir(path).unwrap();
        }
        for path in [&lower, &plain] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            tree::make(path, text);
        }
        fs::set_permissions(&upper, fs::Permissions::from_mode(0o755)).unwrap();
        let index = Index::scan(&Root::open(&plain).unwrap()).unwrap();
        let merged = mount(&lower, &upper, &work);
        Self { _dir: dir, lower, upper, plain, index, merged }
    }

    /// Does the same to both.
    fn edit(&self, edit: impl Fn(&Path)) {
        edit(&PathBuf::from(format!("/proc/self/fd/{}", self.merged.as_raw_fd())));
        edit(&self.plain);
    }

    fn overlay(&self) -> Result<Changeset, Error> {
        let (upper, lower) = (Root::open(&self.upper).unwrap(), Root::open(&self.lower).unwrap());
        overlay_changes(&upper, &lower, OverlayXattrs::Trusted)
    }

    fn plain(&self) -> Result<Changeset, Error> {
        Ok(self.index.changes(&Root::open(&self.plain).unwrap())?.0)
    }

    /// The changes both agree on, as text, after checking that the layers are equal and do what they should.
    fn changes(&self) -> String {
        let (overlay, plain) = (self.overlay().unwrap(), self.plain().unwrap());
        assert_eq!(text(&overlay), text(&plain), "overlay and plain directory");
        let from_overlay = bytes(&Root::open(&self.upper).unwrap(), &overlay);
        let from_plain = bytes(&Root::open(&self.plain).unwrap(), &plain);
        assert!(from_overlay == from_plain, "the layers differ");
        self.assert_applies(&from_plain);
        text(&plain)
    }

    /// The layer turns the base into what the tree is now, all times apart.
    fn assert_applies(&self, layer: &[u8]) {
        let root = Root::open(&self.lower).unwrap();
        let copy = tempfile::tempdir().unwrap();
        let everything = bytes(&root, &Changeset::everything(&root).unwrap());
        let target = Root::open(copy.path()).unwrap();
        let options = UnpackOptions { whiteouts: true, ..UnpackOptions::default() };
        unpack(&everything[..], &target, Path::new(""), &options).unwrap();
        unpack(layer, &target, Path::new(""), &options).unwrap();
        let plain = Root::open(&self.plain).unwrap();
        let expected = bytes(&plain, &Changeset::everything(&plain).unwrap());
        let made = bytes(&target, &Changeset::everything(&target).unwrap());
        assert!(made == expected, "{}\n---\n{}", tree::describe(copy.path()), tree::describe(&self.plain));
    }
}

fn mount(lower: &Path, upper: &Path, work: &Path) -> OwnedFd {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    for (key, value) in [("lowerdir", lower), ("upperdir", upper), ("workdir", work)] {
        fsconfig_set_string(&context, key, value).unwrap();
    }
    for key in ["redirect_dir", "metacopy", "index"] {
        fsconfig_set_string(&context, key, "off").unwrap();
    }
    fsconfig_create(&context).unwrap();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

fn bytes(root: &Root, changes: &Changeset) -> Vec<u8> {
    let mut bytes = Vec::new();
    pack(root, changes, &PLAIN, &mut bytes).unwrap();
    bytes
}

/// `+path` for what is there, `-path` for what was removed.
fn text(changes: &Changeset) -> String {
    let sign = |change| if change == Change::Present { '+' } else { '-' };
    let words: Vec<_> =
        changes.iter().map(|(path, change)| format!("{}{}", sign(change), path.display())).collect();
    words.join(" ")
}

fn check(edit: impl Fn(&Path), expected: &str) {
    let both = Both::new(BASE);
    both.edit(edit);
    assert_eq!(both.changes(), expected);
}

#[test]
fn nothing_done_is_nothing_changed() {
    check(|_| (), "");
    let both = Both::new(BASE);
    assert!(both.overlay().unwrap().is_empty());
}

#[test]
fn new_entries_bring_their_directories() {
    check(
        |root| tree::make_more(&root.join("d/sub"), "file n data=1\nlink m to=n\nfifo q\ndir o"),
        "+d +d/sub +d/sub/m +d/sub/n +d/sub/o +d/sub/q",
    );
}

#[test]
fn content_counts_even_when_size_and_time_do_not_tell() {
    check(
        |root| {
            fs::write(root.join("f"), "CONTENT").unwrap();
            tree::set_mtime(&root.join("f"), "7.7");
        },
        "+f",
    );
}

#[test]
fn a_touch_without_effect_is_no_change() {
    check(
        |root| {
            for path in ["f", "d/a", "d/sub", "l", "p", "c", "s"] {
                lchown(root.join(path), Some(0), Some(0)).unwrap();
            }
            fs::set_permissions(root.join("f"), fs::Permissions::from_mode(0o644)).unwrap();
            tree::set_mtime(&root.join("f"), "7.7");
            drop(fs::OpenOptions::new().append(true).open(root.join("d/b")).unwrap());
        },
        "",
    );
}

#[test]
fn a_file_written_again_as_it_was_is_no_change() {
    check(
        |root| {
            fs::remove_file(root.join("f")).unwrap();
            fs::write(root.join("f"), "content").unwrap();
            tree::set_mtime(&root.join("f"), "7.7");
        },
        "",
    );
}

#[test]
fn every_attribute_counts() {
    check(|root| fs::set_permissions(root.join("f"), fs::Permissions::from_mode(0o600)).unwrap(), "+f");
    check(|root| lchown(root.join("l"), Some(0), Some(9)).unwrap(), "+l");
    check(|root| lchown(root.join("d"), Some(9), None).unwrap(), "+d");
    check(|root| tree::set_mtime(&root.join("d/a"), "7.7"), "+d +d/a");
    check(|root| tree::set_mtime(&root.join("d"), "5.6"), "+d");
    check(|root| tree::set_xattr(&root.join("d/a"), "user.new", b"1"), "+d +d/a");
    check(|root| tree::set_xattr(&root.join("e"), "user.new", b"1"), "+e");
    check(|root| tree::set_xattr(&root.join("f"), "security.capability", &tree::CAP_NET_RAW), "+f");
    check(|root| tree::set_xattr(&root.join("f"), "trusted.mine", b"1"), "");
}

#[test]
fn removed_entries_are_one_whiteout() {
    check(|root| fs::remove_file(root.join("d/sub/x")).unwrap(), "+d +d/sub -d/sub/x");
    check(|root| fs::remove_dir_all(root.join("d")).unwrap(), "-d");
    check(
        |root| {
            for path in ["l", "p", "c", "s"] {
                fs::remove_file(root.join(path)).unwrap();
            }
        },
        "-c -l -p -s",
    );
}

#[test]
fn what_came_and_went_is_no_change() {
    check(
        |root| {
            tree::make_more(root, "dir t\nfile t/x\nfile u");
            fs::remove_dir_all(root.join("t")).unwrap();
            fs::remove_file(root.join("u")).unwrap();
        },
        "",
    );
}

#[test]
fn an_entry_of_another_kind_replaces_without_whiteouts() {
    let replace = |path: &'static str, kind: &'static str| {
        move |root: &Path| {
            let full = root.join(path);
            if full.symlink_metadata().unwrap().is_dir() {
                fs::remove_dir_all(&full).unwrap();
            } else {
                fs::remove_file(&full).unwrap();
            }
            tree::make_more(root, &format!("{kind} {path} to=f data=new"));
        }
    };
    check(replace("d", "file"), "+d");
    check(replace("d", "link"), "+d");
    check(replace("d", "fifo"), "+d");
    check(replace("f", "dir"), "+f");
    check(replace("l", "dir"), "+l");
    check(replace("f", "link"), "+f");
    check(replace("p", "file"), "+p");
}

#[test]
fn a_directory_in_the_place_of_a_link_is_filled_as_new() {
    let both = Both::new("dir real\nfile real/x data=1\nlink alias to=real");
    both.edit(|root| {
        fs::remove_file(root.join("alias")).unwrap();
        tree::make_more(root, "dir alias\nfile alias/x data=1");
    });
    assert_eq!(both.changes(), "+alias +alias/x");
}

#[test]
fn a_directory_made_again_has_a_whiteout_for_each_entry_it_lost() {
    check(
        |root| {
            fs::remove_dir_all(root.join("d")).unwrap();
            tree::make_more(
                root,
                "dir d mtime=5.5\nfile d/b data=b\nfile d/n data=n\ndir d/sub\nfile d/sub/y data=Y",
            );
        },
        "+d -d/a +d/n +d/sub -d/sub/x +d/sub/y",
    );
}

#[test]
fn a_directory_made_again_and_lost_is_gone() {
    check(
        |root| {
            fs::remove_dir_all(root.join("d")).unwrap();
            tree::make_more(root, "dir d\ndir d/sub");
            fs::remove_dir_all(root.join("d")).unwrap();
        },
        "-d",
    );
}

#[test]
fn renamed_directories_are_written_whole() {
    check(
        |root| {
            // Without redirect_dir, rename(2) of a lower directory fails with EXDEV, and mv copies.
            if fs::rename(root.join("d"), root.join("r")).is_err() {
                tree::make_more(root, "dir r mtime=5.5\nfile r/a data=a\nfile r/b data=b\ndir r/sub");
                tree::make_more(root, "file r/sub/x data=x\nfile r/sub/y data=y");
                tree::set_mtime(&root.join("r/sub"), "1700000000");
                tree::set_mtime(&root.join("r"), "5.5");
                fs::remove_dir_all(root.join("d")).unwrap();
            }
        },
        "-d +r +r/a +r/b +r/sub +r/sub/x +r/sub/y",
    );
}

#[test]
fn a_new_name_brings_the_file_it_names() {
    check(|root| fs::hard_link(root.join("f"), root.join("d/z")).unwrap(), "+d +d/z +f");
    check(
        |root| {
            fs::write(root.join("n1"), "new").unwrap();
            fs::hard_link(root.join("n1"), root.join("n2")).unwrap();
        },
        "+n1 +n2",
    );
}

#[test]
fn a_name_less_is_no_change_of_the_others() {
    check(|root| fs::remove_file(root.join("h")).unwrap(), "-h");
}

#[test]
fn sockets_do_not_exist() {
    let socket = |root: &Path, path: &str| {
        mknodat(CWD, root.join(path), FileType::Socket, Mode::RUSR, 0).unwrap();
    };
    check(|root| socket(root, "new"), "");
    check(
        |root| {
            fs::remove_file(root.join("f")).unwrap();
            socket(root, "f");
        },
        "-f",
    );
}

#[test]
fn the_root_counts_by_mode_owner_and_attributes() {
    check(|root| fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap(), "+");
    check(|root| tree::set_xattr(&root.join("."), "user.r", b"1"), "+");
    check(|root| tree::set_mtime(&root.join("."), "99"), "");
}

#[test]
fn reserved_names_are_refused_by_both() {
    for (path, kind) in [(".wh.x", "file"), ("d/.wh..wh..opq", "file"), (".wh.dir", "dir")] {
        let both = Both::new(BASE);
        both.edit(|root| tree::make_more(root, &format!("{kind} {path}")));
        for result in [both.overlay(), both.plain()] {
            assert!(matches!(result, Err(Error::ReservedName { .. })), "{path}");
        }
    }
}

#[test]
fn a_device_that_overlay_takes_for_a_whiteout_is_refused() {
    let both = Both::new(BASE);
    mknodat(CWD, both.plain.join("zero"), FileType::CharacterDevice, Mode::RUSR, 0).unwrap();
    assert!(fs::symlink_metadata(both.plain.join("zero")).unwrap().file_type().is_char_device());
    assert!(matches!(both.plain(), Err(Error::WhiteoutDevice { .. })));
}

#[test]
fn whiteouts_in_attributes_and_in_user_namespaces_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    let [lower, upper] = ["lower", "upper"].map(|name| dir.path().join(name));
    for path in [&lower, &upper] {
        fs::create_dir(path).unwrap();
    }
    tree::make(&lower, "dir d\nfile d/a\nfile d/b\nfile x\nfile y");
    tree::make(
        &upper,
        "dir d xattr:user.overlay.opaque=y mtime=1\nfile d/b\nfile x xattr:user.overlay.whiteout=y\nchar y dev=0:0",
    );
    let (upper, lower) = (Root::open(upper).unwrap(), Root::open(lower).unwrap());
    let changes = overlay_changes(&upper, &lower, OverlayXattrs::User).unwrap();
    assert_eq!(text(&changes), "+d -d/a -x -y");
    let layer = bytes(&upper, &changes);
    assert!(!layer.windows(7).any(|window| window == b"overlay"));
}

#[test]
fn data_that_is_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [lower, upper] = ["lower", "upper"].map(|name| dir.path().join(name));
    for (name, entry) in [
        ("metacopy", "file f xattr:user.overlay.metacopy="),
        ("redirect", "dir f xattr:user.overlay.redirect=/x"),
    ] {
        for path in [&lower, &upper] {
            drop(fs::remove_dir_all(path));
            fs::create_dir(path).unwrap();
        }
        tree::make(&upper, entry);
        let (upper, lower) = (Root::open(&upper).unwrap(), Root::open(&lower).unwrap());
        let result = overlay_changes(&upper, &lower, OverlayXattrs::User);
        assert!(matches!(result, Err(Error::OverlayFeature { .. })), "{name}");
    }
}

#[test]
fn an_index_follows_step_after_step() {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), BASE);
    let root = Root::open(dir.path()).unwrap();
    let index = Index::scan(&root).unwrap();
    fs::write(dir.path().join("f"), "one").unwrap();
    let (first, index) = index.changes(&root).unwrap();
    fs::remove_file(dir.path().join("l")).unwrap();
    let (second, index) = index.changes(&root).unwrap();
    let (third, _) = index.changes(&root).unwrap();
    assert_eq!((text(&first), text(&second), text(&third)), ("+f".into(), "-l".into(), String::new()));
}

#[test]
fn names_of_any_bytes_are_changes() {
    let both = Both::new("dir d");
    both.edit(|root| {
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"d/\xff\n")), "x").unwrap();
        symlink("/", root.join("d/slash")).unwrap();
    });
    assert_eq!(both.overlay().unwrap().len(), 3);
    both.changes();
}

#[test]
fn an_edit_in_the_same_tick_as_the_index_is_seen() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (file, root) = (dir.path().join("f"), Root::open(dir.path()).unwrap());
        fs::write(&file, "old").unwrap();
        tree::set_mtime(&file, "1");
        let index = Index::scan(&root).unwrap();
        fs::write(&file, "new").unwrap();
        tree::set_mtime(&file, "1");
        assert_eq!(text(&index.changes(&root).unwrap().0), "+f", "round {round}");
    }
}

/// What a step may do to a tree, by paths that it may find or not.
#[derive(Debug, Clone)]
enum Edit {
    Write(&'static str, u8),
    Restore(&'static str),
    Mode(&'static str, u32),
    MakeDir(&'static str),
    Remove(&'static str),
    Symlink(&'static str),
    Rename(&'static str, &'static str),
    Link(&'static str, &'static str),
    Attribute(&'static str),
}

impl Edit {
    fn apply(&self, root: &Path) -> bool {
        let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        match *self {
            Self::Write(path, content) => fs::write(root.join(path), [content; 3]).is_ok(),
            Self::Restore(path) => {
                let exists = root.join(path).symlink_metadata().is_ok();
                if exists {
                    tree::set_mtime(&root.join(path), "1700000000");
                }
                exists
            }
            Self::Mode(path, mode) => {
                fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).is_ok()
            }
            Self::MakeDir(path) => fs::create_dir(root.join(path)).is_ok(),
            Self::Remove(path) if is_dir(&root.join(path)) => fs::remove_dir_all(root.join(path)).is_ok(),
            Self::Remove(path) => fs::remove_file(root.join(path)).is_ok(),
            Self::Symlink(path) => symlink("a", root.join(path)).is_ok(),
            // Directories of a lower layer cannot be renamed on an overlay.
            Self::Rename(from, to) => {
                !is_dir(&root.join(from)) && fs::rename(root.join(from), root.join(to)).is_ok()
            }
            Self::Link(from, to) => fs::hard_link(root.join(from), root.join(to)).is_ok(),
            Self::Attribute(path) => {
                let flags = rustix::fs::XattrFlags::empty();
                !root.join(path).is_symlink()
                    && rustix::fs::setxattr(root.join(path), "user.p", b"1", flags).is_ok()
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let path = || {
        prop::sample::select(vec!["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "d/e/b", "n", "n/a", "n/d"])
    };
    prop_oneof![
        3 => (path(), b'a'..b'c').prop_map(|(path, content)| Edit::Write(path, content)),
        2 => path().prop_map(Edit::Restore),
        1 => (path(), prop::sample::select(vec![0o644, 0o755])).prop_map(|(path, mode)| Edit::Mode(path, mode)),
        2 => path().prop_map(Edit::MakeDir),
        3 => path().prop_map(Edit::Remove),
        1 => path().prop_map(Edit::Symlink),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Link(from, to)),
        1 => path().prop_map(Edit::Attribute),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_edits_give_the_same_layer_from_both(edits in prop::collection::vec(edit(), 1..14)) {
        let both = Both::new(
            "file a data=aaa\nfile b data=bbb\ndir d\nfile d/a data=ccc\nfile d/b data=ddd\ndir d/e\nfile d/e/a data=eee\nlink d/e/b to=a",
        );
        for edit in &edits {
            let done = std::cell::RefCell::new(Vec::new());
            both.edit(|root| done.borrow_mut().push(edit.apply(root)));
            let done = done.into_inner();
            prop_assert_eq!(done[0], done[1], "{:?} of {:?}", edit, edits);
        }
        both.changes();
    }
}

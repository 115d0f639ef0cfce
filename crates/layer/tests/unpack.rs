//! Archives into trees: layers with whiteouts, every dialect of tar, and archives that mean harm.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod options;
mod tree;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use layer::{Adjust, Copier, Error, Limits, ModeChange, Root, UnpackOptions, Unpacked, unpack};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use tempfile::TempDir;

use options::LAYER;

use archive::{Archive, octal, record};

/// A root inside of a directory with a canary beside it, where attacks would end.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::write(dir.path().join("canary"), "alive").unwrap();
        Self { dir }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn apply(&self, tar: &[u8], options: &UnpackOptions<'_>) -> Result<Unpacked, Error> {
        unpack(tar, &Root::open(self.root()).unwrap(), Path::new(""), options)
    }

    fn layer(&self, archive: Archive) -> Result<Unpacked, Error> {
        self.apply(&archive.finish(), &LAYER)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root().join(path)).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Nothing but the root and the canary exists, and the canary is as it was.
    fn assert_contained(&self) {
        let mut names: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["canary", "root"]);
        let canary = fs::symlink_metadata(self.dir.path().join("canary")).unwrap();
        assert_eq!(canary.nlink(), 1);
        assert_eq!(fs::read_to_string(self.dir.path().join("canary")).unwrap(), "alive");
    }
}

#[test]
fn names_that_climb_out_are_refused() {
    for name in ["../x", "a/../../x", "/../x", "..", "./../x", "a/b/../../../canary"] {
        for archive in
            [Archive::new().file(name, "evil"), Archive::new().hard_link("x", name), Archive::new().dir(name)]
        {
            let place = Place::new();
            assert!(matches!(place.layer(archive), Err(Error::Escape { .. })), "{name}");
            place.assert_contained();
        }
    }
}

#[test]
fn a_pax_path_is_judged_like_any_other() {
    let place = Place::new();
    let archive = Archive::new().pax(&[("path", b"../x")]).file("innocent", "evil");
    assert!(matches!(place.layer(archive), Err(Error::Escape { .. })));
    place.assert_contained();
}

#[test]
fn absolute_and_dotted_names_start_in_the_root() {
    let place = Place::new();
    place
        .layer(Archive::new().file("/abs", "1").file("./dot", "2").file("d/../back", "3").file("//s//t", "4"))
        .unwrap();
    assert_eq!((place.read("abs"), place.read("dot")), ("1".into(), "2".into()));
    assert_eq!((place.read("back"), place.read("s/t")), ("3".into(), "4".into()));
    place.assert_contained();
}

#[test]
fn links_in_the_way_are_followed_inside_of_the_root() {
    for target in ["../../..", "/", "../..", "/../.."] {
        let place = Place::new();
        place.layer(Archive::new().symlink("a", target)).unwrap();
        place.layer(Archive::new().file("a/builder", "x")).unwrap();
        assert_eq!(place.read("builder"), "x", "{target}");
        place.assert_contained();
    }
}

#[test]
fn a_link_between_two_entries_of_one_layer_leads_nowhere_else() {
    let place = Place::new();
    let archive =
        Archive::new().dir("a").file("a/x", "1").symlink("a", "/b").file("a/y", "2").hard_link("z", "a/y");
    place.layer(archive).unwrap();
    assert_eq!((place.read("b/y"), place.read("z")), ("2".into(), "2".into()));
    assert_eq!(fs::read_link(place.root().join("a")).unwrap(), Path::new("/b"));
    place.assert_contained();
}

#[test]
fn a_benign_link_to_a_directory_works() {
    let place = Place::new();
    let archive = Archive::new().dir("etc/ssl/certs").symlink("usr/lib/ssl/certs", "/etc/ssl/certs");
    place.layer(archive).unwrap();
    place.layer(Archive::new().file("usr/lib/ssl/certs/ca.pem", "ca")).unwrap();
    assert_eq!(place.read("etc/ssl/certs/ca.pem"), "ca");
}

#[test]
fn a_loop_of_links_is_an_error() {
    let place = Place::new();
    let archive = Archive::new().symlink("a", "b").symlink("b", "a").file("a/x", "1");
    assert!(matches!(place.layer(archive), Err(Error::Io { .. })));
}

#[test]
fn files_are_made_new_and_never_written_through() {
    let place = Place::new();
    fs::hard_link(place.dir.path().join("canary"), place.root().join("hard")).unwrap();
    symlink("../canary", place.root().join("soft")).unwrap();
    place.layer(Archive::new().file("hard", "evil").file("soft", "evil")).unwrap();
    assert_eq!((place.read("hard"), place.read("soft")), ("evil".into(), "evil".into()));
    place.assert_contained();
}

#[test]
fn hard_links_stay_inside_and_need_a_target() {
    let place = Place::new();
    let archive =
        Archive::new().dir("d").file("d/f", "1").hard_link("abs", "/d/f").hard_link("./rel", "./d/f");
    place.layer(archive).unwrap();
    let inode = |path| fs::symlink_metadata(place.root().join(path)).unwrap().ino();
    assert_eq!((inode("abs"), inode("rel")), (inode("d/f"), inode("d/f")));
    let missing = place.layer(Archive::new().hard_link("x", "nowhere"));
    assert!(matches!(missing, Err(Error::LinkTarget { .. })));
    // A link of a name to itself must not lose the file.
    place.layer(Archive::new().hard_link("d/f", "d/f")).unwrap();
    assert_eq!(place.read("d/f"), "1");
    // A link to a link is a link to the link.
    place.layer(Archive::new().symlink("s", "/d/f").hard_link("t", "s")).unwrap();
    assert_eq!(inode("s"), inode("t"));
    assert_ne!(inode("s"), inode("d/f"));
}

#[test]
fn the_last_of_several_entries_wins() {
    let place = Place::new();
    let archive = Archive::new().file("x", "1").file("x", "2").dir("y").file("y/z", "1").file("y", "file");
    place.layer(archive.symlink("w", "x").dir("w").file("w/v", "3")).unwrap();
    assert_eq!(
        (place.read("x"), place.read("y"), place.read("w/v")),
        ("2".into(), "file".into(), "3".into())
    );
}

#[test]
fn entries_come_in_any_order() {
    let place = Place::new();
    let dir =
        |archive: Archive, name, mode| archive.header(b'5', name, "", 0, |h| octal(&mut h[100..108], mode));
    let archive = dir(Archive::new().file("a/b/c", "1"), "a/b", 0o500);
    place.layer(dir(archive, "a/", 0o1777)).unwrap();
    let mode = |path| fs::metadata(place.root().join(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode("a"), mode("a/b")), (0o1777, 0o500));
    assert_eq!(fs::metadata(place.root().join("a/b")).unwrap().mtime(), 0);
}

#[test]
fn forgotten_parents_are_made_the_same_every_time() {
    let place = Place::new();
    place.layer(Archive::new().file("p/q/r", "1")).unwrap();
    let metadata = fs::metadata(place.root().join("p/q")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.mtime()), (0o755, 0, 0));
}

#[test]
fn directories_that_a_layer_does_not_mention_keep_their_time() {
    let place = Place::new();
    tree::make(&place.root(), "dir d mtime=77.5\nfile d/x\nfile d/y");
    place.layer(Archive::new().file("d/new", "1").file("d/.wh.x", "")).unwrap();
    assert_eq!(place.names("d"), ["new", "y"]);
    assert_eq!(fs::metadata(place.root().join("d")).unwrap().mtime(), 77);
}

#[test]
fn whiteouts_remove_what_lay_below_whatever_their_order() {
    for late in [false, true] {
        let place = Place::new();
        tree::make(&place.root(), "dir d\nfile d/old\ndir d/sub\nfile d/sub/x\nfile gone");
        let new = |archive: Archive| archive.file("d/new", "1").dir("d/sub").file("d/sub/y", "2");
        let opaque =
            |archive: Archive| archive.file("d/.wh..wh..opq", "").file(".wh.gone", "").file(".wh.never", "");
        place.layer(if late { opaque(new(Archive::new())) } else { new(opaque(Archive::new())) }).unwrap();
        assert_eq!(place.names(""), ["d"]);
        assert_eq!(place.names("d"), ["new", "sub"]);
        assert_eq!(place.names("d/sub"), ["y"], "late: {late}");
    }
}

#[test]
fn a_whiteout_does_not_remove_what_its_own_layer_brings() {
    let place = Place::new();
    tree::make(&place.root(), "file f data=old\ndir d\nfile d/old");
    let archive =
        Archive::new().file("f", "new").file(".wh.f", "").dir("d").file("d/new", "1").file(".wh.d", "");
    place.layer(archive).unwrap();
    assert_eq!(place.read("f"), "new");
    assert_eq!(place.names("d"), ["new"]);
}

#[test]
fn whiteouts_reach_nothing_outside() {
    for name in [".wh..", ".wh...", ".wh.", "d/.wh..."] {
        let place = Place::new();
        tree::make(&place.root(), "dir d");
        assert!(matches!(place.layer(Archive::new().file(name, "")), Err(Error::Entry { .. })), "{name}");
        place.assert_contained();
    }
    let place = Place::new();
    place
        .layer(Archive::new().symlink("up", "../..").file("up/.wh.canary", "").file("up/.wh.root", ""))
        .unwrap();
    place.assert_contained();
}

#[test]
fn whiteouts_are_plain_names_in_archives_that_are_no_layers() {
    let place = Place::new();
    tree::make(&place.root(), "file x");
    place.apply(&Archive::new().file(".wh.x", "").finish(), &UnpackOptions::default()).unwrap();
    assert_eq!(place.names(""), [".wh.x", "x"]);
}

#[test]
fn a_directory_takes_new_attributes_and_keeps_what_is_in_it() {
    let place = Place::new();
    tree::make(&place.root(), "dir d mode=700 xattr:user.old=1\nfile d/x");
    place.layer(Archive::new().pax(&[("mtime", b"12.5"), ("uid", b"3000000000")]).dir("d")).unwrap();
    let metadata = fs::metadata(place.root().join("d")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o755, 3_000_000_000));
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (12, 500_000_000));
    assert_eq!(place.names("d"), ["x"]);
}

#[test]
fn the_root_entry_describes_the_root_of_a_layer_only() {
    let entry = || Archive::new().header(b'5', "./", "", 0, |h| octal(&mut h[100..108], 0o711)).finish();
    let place = Place::new();
    place.apply(&entry(), &LAYER).unwrap();
    assert_eq!(fs::metadata(place.root()).unwrap().mode() & 0o7777, 0o711);
    let place = Place::new();
    let before = fs::metadata(place.root()).unwrap().mode();
    place.apply(&entry(), &UnpackOptions::default()).unwrap();
    assert_eq!(fs::metadata(place.root()).unwrap().mode(), before);
}

#[test]
fn attributes_survive_in_every_spelling() {
    let place = Place::new();
    let archive = Archive::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", &tree::CAP_NET_RAW),
            ("SCHILY.xattr.user.a", b"x\n17 path=SMUGGLED\n"),
            ("SCHILY.xattr.security.selinux", b"label"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("mtime", b"-1.25"),
        ])
        .header(b'0', "caps", "", 0, |header| octal(&mut header[100..108], 0o6755))
        .header(b'0', "base256", "", 0, |header| {
            header[108..116].copy_from_slice(&[0x80, 0, 0, 0, 0xb2, 0xd0, 0x5e, 0]);
            header[136..148].copy_from_slice(&[0xff; 12]);
        });
    place.layer(archive).unwrap();
    let text = tree::describe(&place.root());
    let caps = CAPS_ESCAPED;
    assert_eq!(
        text,
        format!(
            "base256 10 mode=644 owner=3000000000:0 mtime=-1.000000000 size=0 crc=00000000\n\
             caps 10 mode=6755 owner=0:0 mtime=-2.750000000 size=0 crc=00000000 security.capability={caps} \
             user.a=x\\n17 path=SMUGGLED\\n\n"
        )
    );
}

const CAPS_ESCAPED: &str = r"\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

#[test]
fn headers_of_other_kinds_than_files_have_no_content() {
    // As in Go: a size in them is not skipped, so the next block is the next header.
    for flag in [b'1', b'2', b'5', b'6', b'3'] {
        let place = Place::new();
        tree::make(&place.root(), "file target");
        let archive = Archive::new()
            .header(flag, "odd", if flag == b'1' || flag == b'2' { "target" } else { "" }, 512, |header| {
                octal(&mut header[329..337], 1);
                octal(&mut header[337..345], 3);
            })
            .file("next", "seen");
        place.layer(archive).unwrap();
        assert_eq!(place.read("next"), "seen", "flag {}", char::from(flag));
    }
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = "n".repeat(200);
    let place = Place::new();
    let archive = Archive::new()
        .entry(b'L', "././@LongLink", "", format!("{long}1\0").as_bytes())
        .file("short", "gnu")
        .pax(&[("path", format!("{long}2").as_bytes())])
        .file("short", "pax")
        .header(b'0', "name", "", 0, |header| header[345..351].copy_from_slice(b"prefix"))
        .entry(b'\0', "v7/", "", b"")
        .entry(b'K', "././@LongLink", "", format!("{long}1\0").as_bytes())
        .hard_link("hard", "cut");
    place.layer(archive).unwrap();
    assert_eq!(
        (place.read(&format!("{long}1")), place.read(&format!("{long}2"))),
        ("gnu".into(), "pax".into())
    );
    assert_eq!(place.read("hard"), "gnu");
    assert!(place.root().join("prefix/name").exists());
    assert!(place.root().join("v7").is_dir());
}

#[test]
fn sparse_files_are_put_together() {
    let place = Place::new();
    let pax_one = Archive::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"one"),
            ("GNU.sparse.realsize", b"2000000"),
        ])
        .header(b'0', "GNUSparseFile.1/one", "", 512 + 5, |_| ())
        .raw(b"2\n0\n2\n1000000\n3\n")
        .raw(b"abcde");
    let pax_both = pax_one
        .pax(&[
            ("GNU.sparse.map", b"0,2,1000000,3"),
            ("GNU.sparse.size", b"1000003"),
            ("GNU.sparse.name", b"01"),
        ])
        .entry(b'0', "GNUSparseFile.1/01", "", b"abcde");
    let old = pax_both
        .header(b'S', "old", "", 5, |header| {
            header[257..265].copy_from_slice(b"ustar  \0");
            for (at, value) in [(386, 0), (398, 2), (410, 1_000_000), (422, 3)] {
                octal(&mut header[at..at + 12], value);
            }
            octal(&mut header[483..495], 1_000_003);
        })
        .raw(b"abcde");
    place.layer(old.file("after", "end")).unwrap();
    for (name, size) in [("one", 2_000_000), ("01", 1_000_003), ("old", 1_000_003)] {
        let content = fs::read(place.root().join(name)).unwrap();
        assert_eq!(
            (content.len(), &content[..3], &content[1_000_000..1_000_003]),
            (size, &b"ab\0"[..], &b"cde"[..])
        );
        assert!(fs::metadata(place.root().join(name)).unwrap().blocks() * 512 < 100_000, "{name} has holes");
    }
    assert_eq!(place.read("after"), "end");
}

/// As GNU tar writes it: the hole at the end is a run of no bytes behind it.
#[test]
fn a_sparse_file_that_ends_in_a_hole_has_its_whole_size() {
    for (map, data) in [(&b"5000,0"[..], &b""[..]), (b"0,2,5000,0", b"ab")] {
        let place = Place::new();
        let archive = Archive::new()
            .pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", b"5000"), ("GNU.sparse.name", b"hole")])
            .entry(b'0', "x", "", data)
            .file("after", "end");
        place.layer(archive).unwrap();
        let content = fs::read(place.root().join("hole")).unwrap();
        assert_eq!((content.len(), &content[..data.len()]), (5000, data), "{}", map.escape_ascii());
        assert_eq!(place.read("after"), "end");
    }
}

#[test]
fn broken_sparse_maps_are_refused() {
    let maps: [&[u8]; 6] =
        [b"0,9", b"0,2,1,3", b"10,5,0,0", b"0,5,99999999,0", b"0", b"18446744073709551615,5"];
    for map in maps {
        let place = Place::new();
        let archive = Archive::new()
            .pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", b"1000")])
            .entry(b'0', "x", "", b"abcde");
        assert!(place.layer(archive).is_err(), "{}", map.escape_ascii());
    }
}

#[test]
fn malformed_headers_are_refused() {
    let pax = |data: &[u8]| Archive::new().entry(b'x', "x", "", data).file("f", "");
    let cases = [
        ("a bad checksum", {
            let mut bytes = Archive::new().file("f", "").cut();
            bytes[148] = b'7';
            Archive::new().raw(&bytes)
        }),
        ("a record too long", pax(b"99 path=x\n")),
        ("a record without length", pax(b"path=x\n")),
        ("a record without end", pax(b"8 path=x")),
        ("a size in words", pax(&record("size", b"many"))),
        ("a negative id", pax(&record("uid", b"-1"))),
        ("a time in words", pax(&record("mtime", b"yesterday"))),
        ("an id that no system has", pax(&record("gid", b"4294967295"))),
        ("a huge id", pax(&record("uid", b"99999999999"))),
        ("a NUL in the name", pax(&record("path", b"a\0b"))),
        ("two extended headers", Archive::new().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("f", "")),
        ("an unknown type", Archive::new().entry(b'V', "volume", "", b"")),
        ("a link without target", Archive::new().symlink("l", "")),
        ("a device 0:0", Archive::new().entry(b'3', "c", "", b"")),
        ("an extended header alone", Archive::new().pax(&[("path", b"a")])),
    ];
    for (what, archive) in cases {
        assert!(Place::new().layer(archive).is_err(), "{what}");
    }
}

#[test]
fn archives_that_end_early_are_refused() {
    let whole = Archive::new().pax(&[("mtime", b"1.5")]).file("f", &"x".repeat(1000)).cut();
    for cut in [100, 512, 600, 1024, 1500, 1536, 1537, 2048, 2559] {
        assert!(Place::new().apply(&whole[..cut], &LAYER).is_err(), "{cut}");
    }
    // Without the two zero blocks, but complete: accepted by everybody.
    Place::new().apply(&whole, &LAYER).unwrap();
    Place::new().apply(b"", &LAYER).unwrap();
}

#[test]
fn limits_hold() {
    let limits = |entries, bytes| UnpackOptions { limits: Limits { entries, bytes }, ..LAYER };
    let three = Archive::new().file("a", "1").file("b", "2").file("c", "3").finish();
    assert!(matches!(
        Place::new().apply(&three, &limits(2, 1 << 20)),
        Err(Error::TooManyEntries { limit: 2 })
    ));
    assert!(matches!(Place::new().apply(&three, &limits(3, 2000)), Err(Error::TooManyBytes { limit: 2000 })));
    let exact = three.len() as u64;
    assert_eq!(Place::new().apply(&three, &limits(3, exact)).unwrap(), Unpacked { entries: 3, bytes: 3 });
    // A global header costs an entry, so that a bomb of them ends as well.
    let globals =
        (0..10).fold(Archive::new(), |archive, _| archive.entry(b'g', "g", "", &record("comment", b"x")));
    assert!(matches!(
        Place::new().apply(&globals.finish(), &limits(5, 1 << 20)),
        Err(Error::TooManyEntries { .. })
    ));
}

#[test]
fn header_bombs_are_refused_without_reading_them() {
    struct Endless;
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(b'1');
            Ok(buffer.len())
        }
    }
    let place = Place::new();
    let root = Root::open(place.root()).unwrap();
    for flag in [b'x', b'L', b'K', b'g'] {
        let header = Archive::new().header(flag, "bomb", "", (8 << 30) - 512, |_| ()).cut();
        let bomb = std::io::Read::chain(&header[..], Endless);
        assert!(matches!(unpack(bomb, &root, Path::new(""), &LAYER), Err(Error::Malformed { .. })));
    }
    let sparse = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")];
    let header = Archive::new().pax(&sparse).header(b'0', "bomb", "", (8 << 30) - 512, |_| ()).cut();
    let bomb = std::io::Read::chain(&header[..], Endless);
    assert!(matches!(unpack(bomb, &root, Path::new(""), &LAYER), Err(Error::Malformed { .. })));
}

#[test]
fn owners_and_modes_can_be_overridden() {
    let place = Place::new();
    let adjust = Adjust { owner: Some((5, 6)), mode: Some(ModeChange(&|_, _| 0o700)) };
    let options = UnpackOptions { adjust, ..UnpackOptions::default() };
    place.apply(&Archive::new().file("p/f", "").symlink("l", "f").finish(), &options).unwrap();
    for path in ["p", "p/f", "l"] {
        let metadata = fs::symlink_metadata(place.root().join(path)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (5, 6), "{path}");
    }
    assert_eq!(fs::metadata(place.root().join("p/f")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn archives_unpack_into_a_directory_of_the_root() {
    let place = Place::new();
    tree::make(&place.root(), "dir real\nlink dest to=/real");
    let root = Root::open(place.root()).unwrap();
    let archive = Archive::new().file("a", "1").hard_link("b", "/a").finish();
    unpack(&archive[..], &root, Path::new("dest"), &UnpackOptions::default()).unwrap();
    assert_eq!(place.names("real"), ["a", "b"]);
}

/// Does something without the right to give files away and to make devices.
fn without_rights<T>(task: impl FnOnce() -> T) -> T {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let all = capabilities(None).unwrap();
    let mut fewer = all;
    fewer.effective -= CapabilitySet::CHOWN | CapabilitySet::MKNOD;
    // Capabilities are a thread's own.
    set_capabilities(None, fewer).unwrap();
    let done = task();
    set_capabilities(None, all).unwrap();
    done
}

/// A file system without extended attributes, mounted nowhere.
fn ramfs() -> OwnedFd {
    let context = fsopen("ramfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_create(&context).unwrap();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

fn device() -> Archive {
    Archive::new().header(b'3', "null", "", 0, |header| {
        octal(&mut header[329..337], 1);
        octal(&mut header[337..345], 3);
    })
}

#[test]
fn what_the_kernel_refuses_is_named_with_a_cure() {
    let ramfs = ramfs();
    let root = Root::open(format!("/proc/self/fd/{}", ramfs.as_raw_fd())).unwrap();
    let [chown, device] = without_rights(|| {
        let archives = [Archive::new().pax(&[("uid", b"70000")]).file("etc/shadow", ""), device()];
        archives.map(|archive| unpack(&archive.finish()[..], &root, Path::new(""), &LAYER).unwrap_err())
    });
    assert_eq!(chown.to_string(), "cannot give `etc/shadow` to uid 70000, gid 0");
    assert_eq!(device.to_string(), "cannot make the device node `null` (1:3)");
    for error in [chown, device] {
        let cause = std::error::Error::source(&error).unwrap();
        assert!(cause.to_string().contains("os error 1"), "{cause}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_device_that_the_kernel_refuses_is_one_of_the_tree_all_the_same() {
    let place = Place::new();
    without_rights(|| place.layer(device())).unwrap();
    let on_disk = fs::symlink_metadata(place.dir.path().join("root/null")).unwrap();
    assert!(on_disk.is_file() && on_disk.len() == 0);
    let copy = Place::new();
    let [from, to] = [&place, &copy].map(|place| Root::open(place.root()).unwrap());
    let mut copier = Copier::new(&from, &to, Adjust::default());
    copier.copy(Path::new("null"), Path::new("null")).unwrap();
    copier.finish().unwrap();
    assert_eq!(fs::symlink_metadata(copy.dir.path().join("root/null")).unwrap().rdev(), 0x103);
}

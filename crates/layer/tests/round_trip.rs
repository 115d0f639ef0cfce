//! Trees into layers and back, and into the hands of other readers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod options;
mod tree;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use layer::{
    Changeset, Compression, Encoding, Error, PackOptions, Packed, Root, Timestamps, decode, pack, unpack,
};
use tempfile::TempDir;

use options::{LAYER, PLAIN};

const EVERYTHING: &str = "
    dir bin mode=755 mtime=1600000000.123456789
    file bin/su mode=4755 data=su owner=0:7
    file bin/ping mode=755 data=ping
    hard bin/ping6 to=bin/ping
    link bin/sh to=/usr/bin/dash owner=3:4 mtime=5.000000006
    dir tmp mode=1777
    dir shared mode=2775 owner=100:200
    file shared/big-id owner=4000000000:4294967294 data=x
    file shared/notes xattr:user.comment=hello,world xattr:user.empty= data=x
    dir annotated xattr:user.kind=directory
    file old mtime=-100.250000000 data=old
    file new mtime=9000000000.000000000
    fifo pipe mode=600
    char null mode=666 dev=1:3
    block disk mode=660 owner=0:6 dev=259:1048575
    hole sparse size=3000000 data=middle
    file empty
    file a-b
    dir a
    file a/b
    file a.b
";

fn tree(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    tree::make(dir.path(), text);
    dir
}

fn everything() -> TempDir {
    let dir = tree(EVERYTHING);
    tree::set_xattr(&dir.path().join("bin/ping"), "security.capability", &tree::CAP_NET_RAW);
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(140));
    fs::create_dir(dir.path().join("d".repeat(120))).unwrap();
    fs::write(dir.path().join(&long), "long").unwrap();
    fs::hard_link(dir.path().join(&long), dir.path().join("long-link")).unwrap();
    std::os::unix::fs::symlink("t".repeat(300), dir.path().join("long-target")).unwrap();
    let raw = std::ffi::OsStr::from_bytes(b"not-utf8-\xff\xfe");
    fs::write(dir.path().join(raw), "raw").unwrap();
    let raw_long = [b"\xff", "r".repeat(200).as_bytes()].concat();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&raw_long)), "raw").unwrap();
    fs::write(dir.path().join("new\nline"), "newline").unwrap();
    tree::set_mtime(&dir.path().join("d".repeat(120)), "1.5");
    tree::set_mtime(dir.path(), "1700000000");
    dir
}

fn write(dir: &Path, options: &PackOptions) -> (Vec<u8>, Packed) {
    let root = Root::open(dir).unwrap();
    let mut bytes = Vec::new();
    let packed = pack(&root, &Changeset::everything(&root).unwrap(), options, &mut bytes).unwrap();
    (bytes, packed)
}

fn read(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (_, tar) = decode(bytes).unwrap();
    unpack(tar, &Root::open(dir.path()).unwrap(), Path::new(""), &LAYER).unwrap();
    dir
}

fn with(compression: Compression) -> PackOptions {
    PackOptions { compression, ..PLAIN }
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let dir = everything();
    for compression in [Compression::None, Compression::Gzip(6), Compression::Zstd(3)] {
        let (bytes, packed) = write(dir.path(), &with(compression));
        assert_eq!((packed.digest, packed.size), (oci::Digest::of(&bytes), bytes.len() as u64));
        let mut tar = Vec::new();
        decode(&bytes[..]).unwrap().1.read_to_end(&mut tar).unwrap();
        assert_eq!((packed.diff_id.0, packed.diff_size), (oci::Digest::of(&tar), tar.len() as u64));
        assert_eq!(tree::describe(read(&bytes).path()), tree::describe(dir.path()));
    }
}

#[test]
fn what_was_unpacked_packs_to_the_same_bytes() {
    let (bytes, _) = write(everything().path(), &PLAIN);
    let (again, _) = write(read(&bytes).path(), &PLAIN);
    assert!(bytes == again);
}

#[test]
fn entries_are_in_the_order_of_their_paths() {
    let dir = tree("file a-b\ndir a\nfile a/b\nfile a.b\nfile B");
    let (bytes, _) = write(dir.path(), &PLAIN);
    let mut archive = tar::Archive::new(&bytes[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|e| String::from_utf8(e.unwrap().path_bytes().to_vec()).unwrap())
        .collect();
    assert_eq!(names, ["./", "B", "a/", "a/b", "a-b", "a.b"]);
}

#[test]
fn plain_entries_are_plain_ustar() {
    let dir = tree("dir d\nfile d/f mode=4755 owner=1000:2000 data=x");
    let (bytes, _) = write(dir.path(), &PLAIN);
    assert!(!bytes.windows(10).any(|window| window == b"PaxHeaders"));
    let mut archive = tar::Archive::new(&bytes[..]);
    let entry = archive.entries().unwrap().nth(2).unwrap().unwrap();
    let header = entry.header();
    assert!(header.as_ustar().is_some());
    assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap()), (1000, 2000, 0o4755));
    assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
}

#[test]
fn other_readers_see_the_same_tree() {
    let dir = everything();
    let (bytes, _) = write(dir.path(), &PLAIN);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("layer.tar");
    fs::write(&file, &bytes).unwrap();
    let out = place.path().join("out");
    fs::create_dir(&out).unwrap();
    run(
        "tar",
        &[
            "--xattrs",
            "--xattrs-include=*",
            "--numeric-owner",
            "--warning=no-timestamp",
            "-xpf",
            path(&file),
            "-C",
            path(&out),
        ],
    );
    assert_eq!(tree::describe(&out), tree::describe(dir.path()));
    let script = "import sys, tarfile\nfor m in tarfile.open(sys.argv[1]): print(m.type, m.mode, m.uid, m.gid, m.size)";
    run("python3", &["-c", script, path(&file)]);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the judges are programs")]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{program} {arguments:?}: {stderr}");
}

#[test]
fn times_are_kept_clamped_or_forced() {
    let dir = tree("file early mtime=10.5\nfile late mtime=30.5");
    let times = |timestamps| {
        let (bytes, _) = write(dir.path(), &PackOptions { timestamps, ..PLAIN });
        let text = tree::describe(read(&bytes).path());
        text.lines().map(|line| line.split("mtime=").nth(1).unwrap()[..5].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(times(Timestamps::Keep), ["10.00", "30.00"].map(str::to_owned));
    assert_eq!(times(Timestamps::Clamp(20)), ["10.00", "20.00"].map(str::to_owned));
    assert_eq!(times(Timestamps::Force(40)), ["40.00", "40.00"].map(str::to_owned));
}

/// Bytes that compress a little, the same everywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 97) as u8
    };
    (0..length).map(|_| next()).collect()
}

const PINNED: [&str; 4] = [
    "sha256:85d3c1c688283a489cbe5e428c541dfdf12a1a414202eb2123a262a936228ecb",
    "sha256:2a94ef0cbe3ba4ba7d54a29c40d478facb835a7021da375a7d581b6f71f66205",
    "sha256:e78bc7667d3ffde22a2168ab26b1e2e7b174adc16cb09980be0300944c53a522",
    "sha256:2ff0956caba9e257673da3568f4c83e1c045092415a25178063f39f2e71975a6",
];

#[test]
fn the_bytes_of_a_layer_are_pinned() {
    // A change of any of these digests changes the digest of every image: say so in the changelog.
    let dir = tree(EVERYTHING);
    fs::write(dir.path().join("noise"), noise(5 * 1024 * 1024 + 17)).unwrap();
    tree::set_mtime(&dir.path().join("noise"), "1");
    tree::set_mtime(dir.path(), "1700000000");
    let digest = |compression| write(dir.path(), &with(compression)).1.digest.to_string();
    let digests =
        [Compression::None, Compression::Gzip(6), Compression::Gzip(1), Compression::Zstd(3)].map(digest);
    assert_eq!(digests, PINNED);
}

#[test]
fn the_number_of_threads_does_not_show() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("noise"), noise(9 * 1024 * 1024)).unwrap();
    let digest = |threads| write(dir.path(), &PackOptions { threads, ..with(Compression::Gzip(1)) }).1.digest;
    let one = digest(1);
    assert_eq!([digest(2), digest(7), digest(0)], [one; 3]);
}

#[test]
fn gzip_is_one_member_at_every_length() {
    let root_entry = 512;
    for length in [0, 1, 511, (1 << 20) - root_entry - 512, (1 << 20) - 3 * 512, (2 << 20) - 512 * 4, 3 << 20]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), noise(length)).unwrap();
        let (plain, _) = write(dir.path(), &PLAIN);
        let (bytes, _) = write(dir.path(), &with(Compression::Gzip(6)));
        // `GzDecoder` reads one member and no more.
        let mut gzip = flate2::bufread::GzDecoder::new(&bytes[..]);
        let mut decoded = Vec::new();
        gzip.read_to_end(&mut decoded).unwrap();
        assert!(decoded == plain, "{length}");
        assert!(gzip.into_inner().is_empty());
    }
}

#[test]
fn names_are_divided_wherever_ustar_allows_it() {
    for (dirs, name) in
        [(99, 100), (154, 99), (154, 100), (155, 100), (156, 100), (50, 101), (1, 98), (1, 99)]
    {
        let dir = tempfile::tempdir().unwrap();
        let parent = "d".repeat(dirs);
        fs::create_dir(dir.path().join(&parent)).unwrap();
        fs::write(dir.path().join(&parent).join("n".repeat(name)), "x").unwrap();
        tree::set_mtime(&dir.path().join(&parent).join("n".repeat(name)), "1");
        let (bytes, _) = write(dir.path(), &PLAIN);
        assert_eq!(tree::describe(read(&bytes).path()), tree::describe(dir.path()), "{dirs} {name}");
    }
}

#[test]
fn a_file_beyond_eight_gibibytes_is_written_right() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("huge")).unwrap();
    file.write_all_at(b"end", 8 << 30).unwrap();
    let mut head = Vec::new();
    let root = Root::open(dir.path()).unwrap();
    // Hashing all of it would take long, and the header is what matters.
    let result = pack(&root, &Changeset::everything(&root).unwrap(), &PLAIN, Head(&mut head));
    assert!(matches!(result, Err(Error::WriteArchive { .. })));
    let text = String::from_utf8_lossy(&head);
    assert!(text.contains("size=8589934595\n"), "{text}");
}

/// Takes the beginning of what is written.
struct Head<'a>(&'a mut Vec<u8>);

impl Write for Head<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() > 1 << 20 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_output_is_reported_by_every_compression() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("noise"), noise(8 << 20)).unwrap();
    let root = Root::open(dir.path()).unwrap();
    let changes = Changeset::everything(&root).unwrap();
    for compression in [Compression::None, Compression::Gzip(1), Compression::Zstd(1)] {
        let result = pack(&root, &changes, &with(compression), Head(&mut Vec::new()));
        assert!(matches!(result, Err(Error::WriteArchive { .. })), "{compression:?}");
    }
}

#[test]
fn an_attribute_that_tar_cannot_hold_is_an_error() {
    let dir = tree("file f");
    tree::set_xattr(&dir.path().join("f"), "user.a=b", b"x");
    let root = Root::open(dir.path()).unwrap();
    let result = pack(&root, &Changeset::everything(&root).unwrap(), &PLAIN, std::io::sink());
    assert!(matches!(result, Err(Error::Unrepresentable { .. })));
}

#[test]
fn every_encoding_is_known_by_its_content() {
    let (tar, _) = write(tree("file f data=x").path(), &PLAIN);
    let gzip = |level| write(tree("file f data=x").path(), &with(Compression::Gzip(level))).0;
    let dir = tempfile::tempdir().unwrap();
    let encoded = |program: &str| {
        let file = dir.path().join("x");
        fs::write(&file, &tar).unwrap();
        run(program, &["-k", "-q", path(&file)]);
        let made =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some());
        let bytes = fs::read(made.as_ref().unwrap()).unwrap();
        fs::remove_file(made.unwrap()).unwrap();
        bytes
    };
    let cases = [
        (Encoding::Plain, tar.clone()),
        (Encoding::Gzip, gzip(6)),
        (Encoding::Bzip2, encoded("bzip2")),
        (Encoding::Xz, encoded("xz")),
        (Encoding::Zstd, encoded("zstd")),
    ];
    for (encoding, bytes) in cases {
        let mut file = std::io::Cursor::new(bytes.clone());
        assert_eq!(layer::probe_archive(&mut file).unwrap(), Some(encoding));
        assert_eq!(file.position(), 0);
        assert_eq!(tree::describe(read(&bytes).path()).lines().count(), 1);
        // Cut short: an archive by its start, an error when it is read.
        let (_, mut reader) = decode(&bytes[..bytes.len() - 9]).unwrap();
        assert!(reader.read_to_end(&mut Vec::new()).is_err() || encoding == Encoding::Plain);
    }
}

#[test]
fn what_holds_no_tar_is_no_archive() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(&noise(4096)).unwrap();
    let cases: [Vec<u8>; 6] = [
        vec![],
        vec![0; 1024],
        noise(4096),
        gzip.finish().unwrap(),
        b"\x1f\x8bbroken".to_vec(),
        b"BZh9".to_vec(),
    ];
    for bytes in cases {
        assert_eq!(layer::probe_archive(&mut std::io::Cursor::new(bytes)).unwrap(), None);
    }
}

#[test]
fn several_gzip_members_are_read_as_one() {
    let (tar, _) = write(tree("file f data=x").path(), &PLAIN);
    let member = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    let bytes = [member(&tar[..600]), member(&tar[600..])].concat();
    assert_eq!(tree::describe(read(&bytes).path()).lines().count(), 1);
}

/// Changes a file as soon as its first bytes arrive.
struct Meddler<'a> {
    file: &'a Path,
    length: u64,
    seen: usize,
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.seen += bytes.len();
        if self.seen > 100_000 {
            fs::OpenOptions::new().write(true).open(self.file)?.set_len(self.length)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_shrinks_or_grows_meanwhile_is_an_error_that_names_it() {
    for length in [0, 200_000, 5_000_000] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("busy");
        fs::write(&file, noise(1 << 20)).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let changes = Changeset::everything(&root).unwrap();
        let result = pack(&root, &changes, &PLAIN, Meddler { file: &file, length, seen: 0 });
        assert!(matches!(result, Err(Error::Changed { path }) if path == Path::new("busy")), "{length}");
    }
}

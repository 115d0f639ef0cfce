//! How fast trees become layers and layers trees. `cargo bench -p layer`; nothing here is timed in CI.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use layer::{
    Changeset, Compression, Forbidden, Index, PackOptions, Root, Timestamps, UnpackOptions, decode, pack,
    unpack,
};
use tempfile::TempDir;

/// 2000 files of 16 KiB whose content compresses about as programs do.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut state = 7_u64;
    for number in 0..2000 {
        let parent = dir.path().join(format!("d{}", number % 50));
        fs::create_dir_all(&parent).expect("a directory");
        let content: Vec<u8> = (0..16 * 1024)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if state >> 63 == 0 { b' ' } else { (state >> 40) as u8 }
            })
            .collect();
        fs::write(parent.join(format!("f{number}")), content).expect("a file");
    }
    dir
}

fn benchmark(criterion: &mut Criterion) {
    let dir = tree();
    let root = Root::open(dir.path()).expect("the tree");
    let changes = Changeset::everything(&root).expect("a listing");
    let options =
        |compression| PackOptions { compression, timestamps: Timestamps::Keep, threads: 2, forbidden: None };
    let mut group = criterion.benchmark_group("layer");
    group.throughput(Throughput::Bytes(2000 * 16 * 1024)).sample_size(10);
    let compressions = [
        ("none", Compression::None),
        ("gzip-1", Compression::Gzip(1)),
        ("gzip-6", Compression::Gzip(6)),
        ("zstd-3", Compression::Zstd(3)),
    ];
    for (name, compression) in compressions {
        let pack = || pack(&root, &changes, &options(compression), std::io::sink()).expect("a layer");
        group.bench_function(format!("pack/{name}"), |bencher| bencher.iter(pack));
    }
    let strings =
        (1..=4).map(|number| (number.to_string(), format!("a string {number} of usual size").into_bytes()));
    let searched =
        PackOptions { forbidden: Some(Arc::new(Forbidden::new(strings))), ..options(Compression::None) };
    let pack_searched = || pack(&root, &changes, &searched, std::io::sink()).expect("a layer");
    group.bench_function("pack/none/4 forbidden", |bencher| bencher.iter(pack_searched));
    let mut layer = Vec::new();
    pack(&root, &changes, &options(Compression::Gzip(6)), &mut layer).expect("a layer");
    group.bench_function("unpack", |bencher| bencher.iter(|| unpack_new(&layer)));
    group.bench_function("index", |bencher| bencher.iter(|| Index::scan(&root).expect("an index")));
    let index = Index::scan(&root).expect("an index");
    group.bench_function("changes", |bencher| bencher.iter(|| index.changes(&root).expect("changes")));
    group.finish();
}

fn unpack_new(layer: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = Root::open(dir.path()).expect("the tree");
    let (_, tar) = decode(layer).expect("gzip");
    unpack(tar, &root, Path::new(""), &UnpackOptions::default()).expect("a tree");
    dir
}

criterion_group!(benches, benchmark);
criterion_main!(benches);

//! How long a file of 50,000 lines takes to parse, and an ignore file to match.

use std::hint::black_box;

use containerfile::ignore::IgnoreFile;
use containerfile::{Source, parse};
use criterion::{Criterion, criterion_group, criterion_main};

/// Ten lines of ordinary text.
const BLOCK: &str = "\
# install what the build needs
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked apt-get update \\
    # comment inside
    && apt-get install -y --no-install-recommends gcc make \\
    && rm -rf /var/lib/apt/lists/*
COPY --from=build --chown=1000:1000 dist/app dist/lib /usr/local/lib/
ENV PATH=\"/opt/bin:$PATH\" LANG=C.UTF-8
RUN <<EOF
echo done
EOF
";

fn parse_file(criterion: &mut Criterion) {
    let source = Source::new("Containerfile", format!("FROM debian:13 AS build\n{}", BLOCK.repeat(5_000)));
    assert!(source.text().lines().count() > 50_000, "the file is as long as the name says");
    criterion.bench_function("parse 50,000 lines", |bencher| {
        bencher.iter(|| parse(black_box(&source)));
    });
}

fn match_paths(criterion: &mut Criterion) {
    let rules =
        IgnoreFile::parse(".dockerignore", "node_modules\n**/*.tmp\n*.md\n!README.md\nsrc/**/test_*\n");
    let rules = rules.expect("invariant: the patterns are valid");
    criterion.bench_function("match a path of 5 elements against 5 rules", |bencher| {
        bencher.iter(|| rules.matches(black_box("src/app/handlers/user/test_login.py")).is_some());
    });
}

criterion_group!(benches, parse_file, match_paths);
criterion_main!(benches);

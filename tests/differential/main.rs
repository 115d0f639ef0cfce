//! Our image against that of Debian's buildah, for Containerfiles out of a generator: file by file and key by key.
//!
//! buildah is no judge of what BuildKit means; where the two disagree, `allowed` says so with the reason. Whatever else
//! differs is a fault. Start reading at `images_are_those_of_buildah_but_for_listed_reasons`.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]
#![expect(clippy::disallowed_methods, reason = "archives and attributes are made by their own tools")]

mod allowed;
mod comparison;
mod context;
mod generator;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use test_support::{Buildah, ImageTree, TestBuilder};

use comparison::{Difference, compare};
use generator::Case;

const CASES: u64 = 280;
const WORKERS: usize = 2;

/// Both builders with their base images, and the context.
struct Rivals {
    builder: TestBuilder,
    buildah: Buildah,
}

impl Rivals {
    fn new() -> Self {
        let this = Self { builder: TestBuilder::new(env!("CARGO_BIN_EXE_builder")), buildah: Buildah::new() };
        context::make(&this.context());
        for (name, text) in context::IGNORE {
            this.builder.file(name, text);
        }
        this.builder.file("base", context::BASE).file("key", "hunter2");
        let arguments = ["-f", "base", "-t", "localhost/base:1", "context"];
        this.builder.run(&[&["build"], arguments.as_slice()].concat()).success();
        let (file, context) = (this.path("base"), this.path("context"));
        this.buildah.build(&["--format=docker", "-f", &file, "-t", "localhost/base:1", &context]);
        this
    }

    fn context(&self) -> PathBuf {
        self.builder.dir().join("context")
    }

    fn path(&self, name: &str) -> String {
        self.builder.dir().join(name).display().to_string()
    }

    fn differences(&self, case: &Case) -> Vec<Difference> {
        let name = format!("case-{}", case.number);
        self.builder.file(&name, &case.containerfile);
        let secret = format!("--secret=id=key,src={}", self.path("key"));
        let mut arguments = vec!["-f".to_owned(), self.path(&name), secret];
        arguments.extend(case.ignore_file.map(|file| format!("--ignorefile={}", self.path(file))));
        arguments.push(self.path("context"));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let theirs = self.buildah.image(&self.builder.dir().join(format!("{name}-theirs")), &arguments);
        compare(&self.ours(&name, &arguments), &theirs)
    }

    fn ours(&self, name: &str, arguments: &[&str]) -> Result<ImageTree, String> {
        let image = self.builder.dir().join(format!("{name}-ours"));
        let output = format!("type=oci,tar=false,dest={}", image.display());
        let output = self.builder.run(&[&["build", "-o", &output], arguments].concat());
        if output.code() != 0 {
            assert_ne!(output.code(), 101, "a panic\n{output}");
            let error = output.stderr.lines().find(|line| line.starts_with("error"));
            return Err(error.unwrap_or("no error line").to_owned());
        }
        let tree = ImageTree::from_layout(&image);
        fs::remove_dir_all(image).unwrap();
        Ok(tree)
    }
}

/// Calls `work` with each number below [`CASES`], on several threads, and returns the results.
fn for_each_case<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let worker = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        numbers.take_while(|number| *number < CASES).map(&work).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn images_are_those_of_buildah_but_for_listed_reasons() {
    let rivals = Rivals::new();
    let results = for_each_case(|number| {
        let case = Case::new(number);
        let differences = rivals.differences(&case);
        (case, differences)
    });
    let mut used = vec![false; allowed::RULES.len()];
    let mut report = String::new();
    for (case, differences) in &results {
        let mut unknown = Vec::new();
        for difference in differences {
            match allowed::RULES.iter().position(|rule| (rule.covers)(case, difference)) {
                Some(rule) => used[rule] = true,
                None => unknown.push(difference.to_string()),
            }
        }
        if !unknown.is_empty() {
            write!(
                report,
                "case {} ({:?})\n{}  {}\n\n",
                case.number,
                case.ignore_file,
                case.containerfile,
                unknown.join("\n  ")
            )
            .unwrap();
        }
    }
    assert!(report.is_empty(), "differences without a reason:\n{report}");
    let idle = allowed::RULES.iter().zip(used).filter(|(_, used)| !used).map(|(rule, _)| rule.reason);
    assert_eq!(idle.collect::<Vec<_>>(), [""; 0], "reasons that no case needs");
}

//! How long a build takes to find out how to work, and how long doctor takes to find out everything.
//!
//! `cargo bench -p sandbox`, as root and as a user: `setpriv --reuid=1000 --regid=1000 --clear-groups BENCH`. A plain
//! loop, as processes with several threads can probe nothing.
#![expect(clippy::print_stdout, reason = "a table is what it is for")]

use std::time::{Duration, Instant};

use sandbox::{Facts, Feature, ProbeSettings, Requested};

/// An odd number, for the median.
const ROUNDS: usize = 101;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let probe = || sandbox::probe(dir.path(), &ProbeSettings::default()).expect("the state of this process");
    println!("{:32}{:>10}{:>10}", "", "least", "median");
    row("a build's choice", || drop(choose(&probe())));
    row("every fact", || {
        let facts = probe();
        for feature in Feature::ALL {
            facts.fact(feature);
        }
    });
    for feature in Feature::ALL {
        row(&feature.to_string(), || {
            probe().fact(feature);
        });
    }
    println!("{}", choose(&probe()));
}

fn choose(facts: &Facts) -> sandbox::Choice {
    sandbox::choose(facts, Requested::default()).expect("a choice")
}

fn row(name: &str, task: impl Fn()) {
    let mut times: Vec<_> = (0..ROUNDS).map(|_| time(&task)).collect();
    times.sort_unstable();
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    println!("{name:32}{:>10}{:>10}", shown(times[0]), shown(times[ROUNDS / 2]));
}

fn time(task: &impl Fn()) -> Duration {
    let start = Instant::now();
    task();
    start.elapsed()
}

//! How long builds took, as the table of README.md.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use test_support::{Output, Profile};

use crate::image::Image;
use crate::workload::{COPY, PACKAGES, RUN, USERS, Workload};

/// A build that was done.
struct Build {
    workload: &'static str,
    profile: &'static str,
    isolation: String,
    time: Duration,
}

/// All so far.
static BUILDS: Mutex<Vec<Build>> = Mutex::new(Vec::new());

/// Adds the builds of a workload in all profiles, and prints the table of all builds so far.
///
/// A time is that of the container, from its start to its end.
pub(crate) fn print_with(workload: &Workload, images: &[&Image]) {
    let mut builds = BUILDS.lock().unwrap();
    builds.extend(images.iter().map(|image| Build {
        workload: workload.name,
        profile: image.profile.name,
        isolation: isolation(&image.output),
        time: image.output.elapsed,
    }));
    let columns = [&COPY, &RUN, &USERS, &PACKAGES].map(|workload| workload.name);
    let mut table = format!("| pod | isolation | {} |\n|---|---|--:|--:|--:|--:|\n", columns.join(" | "));
    for Profile { name, meaning, .. } in Profile::ALL {
        let of_profile = || builds.iter().filter(|build| build.profile == name);
        let isolation = of_profile().next().map_or("", |build| &build.isolation);
        let times = columns.map(|column| {
            let build = of_profile().find(|build| build.workload == column);
            build.map(|build| format!("{:.1} s", build.time.as_secs_f64())).unwrap_or_default()
        });
        writeln!(table, "| `{name}`: {meaning} | {isolation} | {} |", times.join(" | ")).unwrap();
    }
    println!("{table}");
}

/// What the first line of a build says of it.
fn isolation(output: &Output) -> String {
    let line = output.stderr.lines().find_map(|line| line.strip_prefix("isolation: "));
    line.and_then(|line| line.split(',').next()).unwrap_or_default().to_owned()
}

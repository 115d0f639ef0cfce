//! What all displays for people share: numbers, names and sizes of what goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::{Pushed, StepId};
use oci::Digest;

use super::lines::Lines;

/// Something that begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activity {
    /// A step by its number.
    Step(usize),
    /// A layer of a base image that is fetched.
    Pull(Digest),
    /// A push to a name.
    Push(String),
}

/// Something that goes on.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its number in the display, counted from 1.
    pub number: usize,
    /// When it began, counted from the start of the program.
    pub since: Duration,
    /// What it is called.
    pub title: String,
    /// Output of its processes, standard output and standard error apart.
    pub output: [Lines; 2],
}

/// All that goes on.
#[derive(Debug, Default)]
pub(crate) struct Activities {
    running: BTreeMap<Activity, Running>,
    begun: usize,
}

impl Activities {
    /// Notes that something begins, and gives its number.
    pub(crate) fn begin(&mut self, activity: Activity, title: String, at: Duration) -> usize {
        self.begun += 1;
        let running = Running { number: self.begun, since: at, title, output: Default::default() };
        self.running.insert(activity, running);
        self.begun
    }

    /// What goes on under this name.
    pub(crate) fn get(&mut self, activity: &Activity) -> Option<&mut Running> {
        self.running.get_mut(activity)
    }

    /// Notes that something has ended.
    pub(crate) fn end(&mut self, activity: &Activity) -> Option<Running> {
        self.running.remove(activity)
    }

    /// The push that goes on; there is one at a time.
    pub(crate) fn push(&self) -> Option<&Running> {
        self.running
            .iter()
            .find(|(activity, _)| matches!(activity, Activity::Push(_)))
            .map(|(_, running)| running)
    }

    /// Everything that never ended.
    pub(crate) fn drain(&mut self) -> Vec<Running> {
        std::mem::take(&mut self.running).into_values().collect()
    }
}

/// `[build 2/4]`, or `[2/4]` in a stage without a name.
pub(crate) fn step_name(step: &StepId) -> String {
    let StepId { stage_name, number, total, .. } = step;
    if stage_name.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("[{number}/{total}]")
    } else {
        format!("[{stage_name} {number}/{total}]")
    }
}

/// The beginning of a digest, which is enough to tell it from others.
pub(crate) fn short(digest: &Digest) -> String {
    digest.hex()[..12].to_owned()
}

/// `812 B`, `28.2 MB`: powers of ten, as registries show them.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut tenths = bytes.saturating_mul(10);
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

/// Seconds with one digit behind the point.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}

/// What became of a blob that was to be pushed.
pub(crate) fn pushed(how: Pushed) -> &'static str {
    match how {
        Pushed::Present => "already there",
        Pushed::Mounted => "mounted",
        Pushed::Uploaded => "uploaded",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (28_230_000, "28.2 MB"),
            (999_999_999, "999.9 MB"),
            (u64::MAX, "1844674.4 TB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_stage_without_a_name_is_not_named() {
        let mut step = StepId { stage: 0, stage_name: "build".to_owned(), number: 2, total: 4 };
        assert_eq!(step_name(&step), "[build 2/4]");
        step.stage_name = "0".to_owned();
        assert_eq!(step_name(&step), "[2/4]");
    }
}

//! Progress for people who watch: what runs moves at the bottom, with its last lines; what is done stays above.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::time::Duration;

use engine::{Event, Stream};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Display;
use super::lines::{one_line, title};
use super::steps::{Activities, Activity, pushed, seconds, short, size, step_name};
use crate::report::Report;

/// How many lines of a running step are shown.
const TAIL: usize = 5;

/// Longer lines are cut, so that a step never takes more room than that.
const WIDTH: usize = 160;

/// Moving lines on standard error.
pub(super) struct Terminal {
    bars: MultiProgress,
    /// Where lines go that stay.
    out: Box<dyn Write + Send>,
    activities: Activities,
    shown: BTreeMap<Activity, Shown>,
}

struct Shown {
    bar: ProgressBar,
    tail: VecDeque<String>,
}

impl Terminal {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { bars: MultiProgress::new(), out, activities: Activities::default(), shown: BTreeMap::new() }
    }

    /// A line that stays.
    fn line(&mut self, line: &str) {
        let out = &mut self.out;
        self.bars.suspend(|| {
            // Nobody can be told that standard error is closed.
            writeln!(out, "{line}").ok();
        });
    }

    fn begin(&mut self, activity: Activity, title: String, at: Duration) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{spinner:.cyan} {prefix} {elapsed:.dim}{msg}");
        bar.set_style(style.expect("invariant: the template is well-formed"));
        bar.set_prefix(cut(&title));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.activities.begin(activity.clone(), title, at);
        self.shown.insert(activity, Shown { bar, tail: VecDeque::new() });
    }

    /// Ends an activity; the line that stays is its title and what `outcome` makes of the time it took.
    fn end(&mut self, activity: &Activity, at: Duration, outcome: impl FnOnce(&str) -> String) {
        if let Some(shown) = self.shown.remove(activity) {
            shown.bar.finish_and_clear();
            self.bars.remove(&shown.bar);
        }
        if let Some(running) = self.activities.end(activity) {
            let took = format!("{}s", seconds(at.saturating_sub(running.since)));
            self.line(&format!("{} {}", running.title, outcome(&took)));
        }
    }

    fn output(&mut self, step: usize, stream: Stream, bytes: &[u8]) {
        let activity = Activity::Step(step);
        let (Some(running), Some(shown)) = (self.activities.get(&activity), self.shown.get_mut(&activity))
        else {
            return;
        };
        for line in running.output[usize::from(stream == Stream::Stderr)].push(bytes) {
            if shown.tail.len() == TAIL {
                shown.tail.pop_front();
            }
            shown.tail.push_back(cut(&line));
        }
        let tail: Vec<_> = shown.tail.iter().map(String::as_str).collect();
        shown.bar.set_message(format!("\n    {}", tail.join("\n    ")));
    }

    fn image_event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::ImageBuilt { config, .. } => self.line(&format!("image {config}")),
            Event::Tagged { reference } => self.line(&format!("tagged {reference}")),
            Event::Exported { destination } => self.line(&format!("written to {}", one_line(destination))),
            Event::PushStarted { reference } => {
                let name = reference.to_string();
                self.begin(Activity::Push(name.clone()), format!("push {name}"), at);
            }
            Event::BlobPushed { digest, size: bytes, how } => {
                let push = self.shown.iter().find(|(activity, _)| matches!(activity, Activity::Push(_)));
                if let Some((_, shown)) = push {
                    let message = format!("\n    {} {} {}", short(digest), size(*bytes), pushed(*how));
                    shown.bar.set_message(message);
                }
            }
            Event::PushFinished { reference, digest } => {
                let activity = Activity::Push(reference.to_string());
                self.end(&activity, at, |took| format!("{took} {digest}"));
            }
            _ => {}
        }
    }
}

impl Display for Terminal {
    fn event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Warning { source, diagnostic } => {
                self.line(Report::of_diagnostic(diagnostic, source).to_text().trim_end());
            }
            Event::Resolved { name, digest } => self.line(&format!("{name} is {digest}")),
            Event::PullStarted { digest, size: bytes } => {
                let title = format!("pull {} {}", short(digest), size(*bytes));
                self.begin(Activity::Pull(*digest), title, at);
            }
            Event::PullFinished { digest, .. } => {
                self.end(&Activity::Pull(*digest), at, str::to_owned);
            }
            Event::StepStarted { step, text } => {
                self.begin(Activity::Step(step.number), format!("{} {}", step_name(step), title(text)), at);
            }
            Event::StepOutput { step, stream, bytes } => self.output(step.number, *stream, bytes),
            Event::StepWaiting { what, .. } => self.line(&format!("waiting for {}", one_line(what))),
            Event::StepFinished { step, cached } => {
                let outcome = |took: &str| if *cached { "CACHED".to_owned() } else { took.to_owned() };
                self.end(&Activity::Step(step.number), at, outcome);
            }
            other => self.image_event(other, at),
        }
    }

    fn note(&mut self, note: &str, _: Duration) {
        self.line(&one_line(note));
    }

    fn finish(&mut self, _: Duration) {
        for shown in std::mem::take(&mut self.shown).into_values() {
            shown.bar.finish_and_clear();
        }
        self.activities.drain();
    }
}

fn cut(line: &str) -> String {
    line.chars().take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::script;

    #[test]
    fn what_is_done_stays_in_sight() {
        insta::assert_snapshot!(script::play(|out| Terminal::new(Box::new(out))), @r#"
        isolation: namespaces, identity: root
        warning[FromAsCasing]: `as` and `FROM` differ in case
         --> Containerfile:1:16
          |
        1 | FROM debian:13 as build
          |                ^^
        docker.io/library/debian:13 is sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2
        pull cae662172fd4 48.5 MB 0.1s
        [build 1/3] COPY . /src CACHED
        [build 2/3] RUN <<EOF … 0.4s
        image sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910
        tagged q.io/me/app:1
        push q.io/me/app:1 0.3s sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
        written to out.tar
        "#);
    }
}

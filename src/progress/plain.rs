//! Progress for logs: lines that are never taken back, in BuildKit's form.
//!
//! What begins gets a number, and every line about it starts with that: `#2 [build 2/4] RUN make`, `#2 0.8 output`
//! with the seconds since its beginning, `#2 DONE 1.2s` or `#2 CACHED`.

use std::io::Write;
use std::time::Duration;

use engine::{Event, Stream};

use super::Display;
use super::lines::{Lines, one_line, title};
use super::steps::{Activities, Activity, Running, pushed, seconds, short, size, step_name};
use crate::report::Report;

/// Lines to a writer.
pub(super) struct Plain {
    out: Box<dyn Write + Send>,
    activities: Activities,
}

impl Plain {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, activities: Activities::default() }
    }

    fn line(&mut self, line: &str) {
        // Nobody can be told that standard error is closed.
        writeln!(self.out, "{line}").ok();
    }

    fn begin(&mut self, activity: Activity, title: String, at: Duration) {
        let line = title.clone();
        let number = self.activities.begin(activity, title, at);
        self.line(&format!("#{number} {line}"));
    }

    /// Ends an activity with a line that `outcome` makes of the time it took.
    fn end(&mut self, activity: &Activity, at: Duration, outcome: impl FnOnce(&str) -> String) {
        if let Some(running) = self.activities.end(activity) {
            let took = format!("{}s", seconds(at.saturating_sub(running.since)));
            let line = format!("#{} {}", running.number, outcome(&took));
            self.rest(running, at);
            self.line(&line);
        }
    }

    /// What was written without an end of line.
    fn rest(&mut self, mut running: Running, at: Duration) {
        let elapsed = seconds(at.saturating_sub(running.since));
        for line in running.output.iter_mut().filter_map(Lines::take) {
            self.line(&format!("#{} {elapsed} {line}", running.number));
        }
    }

    fn output(&mut self, step: usize, stream: Stream, bytes: &[u8], at: Duration) {
        let Some(running) = self.activities.get(&Activity::Step(step)) else { return };
        let (number, elapsed) = (running.number, seconds(at.saturating_sub(running.since)));
        let lines = running.output[usize::from(stream == Stream::Stderr)].push(bytes);
        for line in lines {
            self.line(&format!("#{number} {elapsed} {line}"));
        }
    }

    fn image_event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::LayerPacked { digest, size: bytes } => {
                self.line(&format!("layer {} {}", short(digest), size(*bytes)));
            }
            Event::ImageBuilt { manifest, config } => {
                self.line(&format!("image {config}"));
                self.line(&format!("manifest {manifest}"));
            }
            Event::Tagged { reference } => self.line(&format!("tagged {reference}")),
            Event::Exported { destination } => self.line(&format!("written to {}", one_line(destination))),
            Event::PushStarted { reference } => {
                let name = reference.to_string();
                self.begin(Activity::Push(name.clone()), format!("push {name}"), at);
            }
            Event::BlobPushed { digest, size: bytes, how } => {
                let number = self.activities.push().map_or(0, |push| push.number);
                self.line(&format!("#{number} {} {} {}", short(digest), size(*bytes), pushed(*how)));
            }
            Event::PushFinished { reference, digest } => {
                let activity = Activity::Push(reference.to_string());
                self.end(&activity, at, |took| format!("DONE {took} {digest}"));
            }
            _ => {}
        }
    }
}

impl Display for Plain {
    fn event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Warning { source, diagnostic } => {
                let text = Report::of_diagnostic(diagnostic, source).to_text();
                write!(self.out, "{text}").ok();
            }
            Event::Resolved { name, digest } => self.line(&format!("{name} is {digest}")),
            Event::PullStarted { digest, size: bytes } => {
                let title = format!("pull {} {}", short(digest), size(*bytes));
                self.begin(Activity::Pull(*digest), title, at);
            }
            Event::PullFinished { digest, .. } => {
                self.end(&Activity::Pull(*digest), at, |took| format!("DONE {took}"));
            }
            Event::StepStarted { step, text } => {
                self.begin(Activity::Step(step.number), format!("{} {}", step_name(step), title(text)), at);
            }
            Event::StepOutput { step, stream, bytes } => self.output(step.number, *stream, bytes, at),
            Event::StepWaiting { step, what } => {
                let running = self.activities.get(&Activity::Step(step.number));
                let number = running.map_or(0, |running| running.number);
                self.line(&format!("#{number} waiting for {}", one_line(what)));
            }
            Event::StepFinished { step, cached } => {
                let outcome = |took: &str| if *cached { "CACHED".to_owned() } else { format!("DONE {took}") };
                self.end(&Activity::Step(step.number), at, outcome);
            }
            other => self.image_event(other, at),
        }
    }

    fn note(&mut self, note: &str, _: Duration) {
        self.line(&one_line(note));
    }

    fn finish(&mut self, at: Duration) {
        for running in self.activities.drain() {
            self.rest(running, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::script;

    #[test]
    fn a_build_is_told_in_numbered_lines() {
        insta::assert_snapshot!(script::play(|out| Plain::new(Box::new(out))), @r#"
        isolation: namespaces, identity: root
        warning[FromAsCasing]: `as` and `FROM` differ in case
         --> Containerfile:1:16
          |
        1 | FROM debian:13 as build
          |                ^^
        docker.io/library/debian:13 is sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2
        #1 pull cae662172fd4 48.5 MB
        #1 DONE 0.1s
        #2 [build 1/3] COPY . /src
        #2 CACHED
        #3 [build 2/3] RUN <<EOF …
        #3 0.1 cc a.c
        #3 0.2 warning: x
        #3 0.3 cc b.c
        #3 0.4 100%
        #3 DONE 0.4s
        layer dac1d7cfa950 812 B
        image sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910
        manifest sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
        tagged q.io/me/app:1
        #4 push q.io/me/app:1
        #4 dac1d7cfa950 812 B uploaded
        #4 cae662172fd4 48.5 MB mounted
        #4 DONE 0.3s sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
        written to out.tar
        #5 [build 3/3] RUN false
        #5 7.1 no end of line
        "#);
    }
}

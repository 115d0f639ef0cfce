//! Progress for programs: a JSON object a line.
//!
//! Every object has `event`, which says what the other fields are, and `time`, the seconds since the start. The names
//! are those of the variants and fields of [`Line`] and do not change; objects and fields may be added.

use std::io::Write;
use std::time::Duration;

use engine::{Event, Pushed, StepId, Stream};
use oci::{Digest, Reference};
use serde::Serialize;

use super::Display;
use super::steps::Activity;
use crate::report::Report;

/// Objects to a writer.
pub(super) struct Json {
    out: Box<dyn Write + Send>,
    outputs: Outputs,
}

/// Lines that are not complete yet, by step and stream.
type Outputs = std::collections::BTreeMap<(Activity, bool), (Step, super::lines::Lines)>;

#[derive(Serialize)]
struct Timed<'a> {
    time: f64,
    #[serde(flatten)]
    line: Line<'a>,
}

#[derive(Clone, Serialize)]
struct Step {
    stage: String,
    number: usize,
    total: usize,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Note { text: &'a str },
    Warning { report: Report<'a> },
    Resolved { reference: String, digest: Digest },
    PullStarted { digest: Digest, size: u64 },
    PullFinished { digest: Digest, size: u64 },
    StepStarted { step: Step, text: &'a str },
    StepOutput { step: Step, stream: &'static str, line: &'a str },
    StepWaiting { step: Step, what: &'a str },
    StepFinished { step: Step, cached: bool },
    LayerPacked { digest: Digest, size: u64 },
    ImageBuilt { manifest: Digest, config: Digest },
    Tagged { reference: &'a Reference },
    PushStarted { reference: &'a Reference },
    BlobPushed { digest: Digest, size: u64, how: &'static str },
    PushFinished { reference: &'a Reference, digest: Digest },
    Exported { destination: &'a str },
}

impl Json {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, outputs: Outputs::new() }
    }

    fn line(&mut self, line: Line<'_>, at: Duration) {
        // Milliseconds are enough, and keep the text short.
        let timed = Timed { time: (at.as_secs_f64() * 1000.0).round() / 1000.0, line };
        let json = serde_json::to_string(&timed).expect("invariant: our lines have string keys");
        // Nobody can be told that standard error is closed.
        writeln!(self.out, "{json}").ok();
    }

    fn output(&mut self, id: &StepId, stream: Stream, bytes: &[u8], at: Duration) {
        let key = (Activity::Step(id.number), stream == Stream::Stderr);
        let (_, lines) =
            self.outputs.entry(key).or_insert_with(|| (step(id), super::lines::Lines::default()));
        for line in lines.push(bytes) {
            self.line(
                Line::StepOutput { step: step(id), stream: name(stream == Stream::Stderr), line: &line },
                at,
            );
        }
    }

    /// Tells lines without an end, of one step or of all.
    fn rest(&mut self, of: Option<usize>, at: Duration) {
        let ended = |key: &(Activity, bool)| of.is_none_or(|number| key.0 == Activity::Step(number));
        for ((_, is_stderr), (step, mut lines)) in
            self.outputs.extract_if(.., |key, _| ended(key)).collect::<Vec<_>>()
        {
            if let Some(line) = lines.take() {
                self.line(Line::StepOutput { step, stream: name(is_stderr), line: &line }, at);
            }
        }
    }
}

fn step(id: &StepId) -> Step {
    Step { stage: id.stage_name.clone(), number: id.number, total: id.total }
}

fn name(is_stderr: bool) -> &'static str {
    if is_stderr { "stderr" } else { "stdout" }
}

fn how(pushed: Pushed) -> &'static str {
    match pushed {
        Pushed::Present => "present",
        Pushed::Mounted => "mounted",
        Pushed::Uploaded => "uploaded",
    }
}

/// The line of an event; step output and what is not known here have none of their own.
fn line(event: &Event) -> Option<Line<'_>> {
    Some(match event {
        Event::Warning { source, diagnostic } => {
            Line::Warning { report: Report::of_diagnostic(diagnostic, source) }
        }
        Event::Resolved { name, digest } => Line::Resolved { reference: name.to_string(), digest: *digest },
        Event::PullStarted { digest, size } => Line::PullStarted { digest: *digest, size: *size },
        Event::PullFinished { digest, size } => Line::PullFinished { digest: *digest, size: *size },
        Event::StepStarted { step: id, text } => Line::StepStarted { step: step(id), text },
        Event::StepWaiting { step: id, what } => Line::StepWaiting { step: step(id), what },
        Event::StepFinished { step: id, cached } => Line::StepFinished { step: step(id), cached: *cached },
        Event::LayerPacked { digest, size } => Line::LayerPacked { digest: *digest, size: *size },
        Event::ImageBuilt { manifest, config } => Line::ImageBuilt { manifest: *manifest, config: *config },
        Event::Tagged { reference } => Line::Tagged { reference },
        Event::PushStarted { reference } => Line::PushStarted { reference },
        Event::BlobPushed { digest, size, how: pushed } => {
            Line::BlobPushed { digest: *digest, size: *size, how: how(*pushed) }
        }
        Event::PushFinished { reference, digest } => Line::PushFinished { reference, digest: *digest },
        Event::Exported { destination } => Line::Exported { destination },
        _ => return None,
    })
}

impl Display for Json {
    fn event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::StepOutput { step, stream, bytes } => self.output(step, *stream, bytes, at),
            Event::StepFinished { step, .. } => self.rest(Some(step.number), at),
            _ => {}
        }
        if let Some(line) = line(event) {
            self.line(line, at);
        }
    }

    fn note(&mut self, note: &str, at: Duration) {
        self.line(Line::Note { text: note }, at);
    }

    fn finish(&mut self, at: Duration) {
        self.rest(None, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::script;

    #[test]
    fn every_event_is_an_object_with_stable_names() {
        insta::assert_snapshot!(script::play(|out| Json::new(Box::new(out))), @r#"
        {"time":0.0,"event":"note","text":"isolation: namespaces, identity: root"}
        {"time":0.0,"event":"warning","report":{"severity":"warning","code":"FromAsCasing","message":"`as` and `FROM` differ in case","file":"Containerfile","line":1,"column":16,"notes":[],"causes":[],"hint":null}}
        {"time":0.1,"event":"resolved","reference":"docker.io/library/debian:13","digest":"sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2"}
        {"time":0.2,"event":"pull-started","digest":"sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2","size":48500000}
        {"time":0.3,"event":"pull-finished","digest":"sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2","size":48500000}
        {"time":0.4,"event":"step-started","step":{"stage":"build","number":1,"total":3},"text":"COPY . /src"}
        {"time":0.5,"event":"step-finished","step":{"stage":"build","number":1,"total":3},"cached":true}
        {"time":0.6,"event":"step-started","step":{"stage":"build","number":2,"total":3},"text":"RUN <<EOF\nmake\nEOF"}
        {"time":0.7,"event":"step-output","step":{"stage":"build","number":2,"total":3},"stream":"stdout","line":"cc a.c"}
        {"time":0.8,"event":"step-output","step":{"stage":"build","number":2,"total":3},"stream":"stderr","line":"warning: x"}
        {"time":0.9,"event":"step-output","step":{"stage":"build","number":2,"total":3},"stream":"stdout","line":"cc b.c"}
        {"time":1.0,"event":"step-output","step":{"stage":"build","number":2,"total":3},"stream":"stdout","line":"100%"}
        {"time":1.0,"event":"step-finished","step":{"stage":"build","number":2,"total":3},"cached":false}
        {"time":1.1,"event":"layer-packed","digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":812}
        {"time":1.2,"event":"image-built","manifest":"sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f","config":"sha256:b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910"}
        {"time":1.3,"event":"tagged","reference":"q.io/me/app:1"}
        {"time":1.4,"event":"push-started","reference":"q.io/me/app:1"}
        {"time":1.5,"event":"blob-pushed","digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","size":812,"how":"uploaded"}
        {"time":1.6,"event":"blob-pushed","digest":"sha256:cae662172fd450bb0cd710a769079c05bfc5d8e35efa6576edc7d0377afdd4a2","size":48500000,"how":"mounted"}
        {"time":1.7,"event":"push-finished","reference":"q.io/me/app:1","digest":"sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f"}
        {"time":1.8,"event":"exported","destination":"out.tar"}
        {"time":1.9,"event":"step-started","step":{"stage":"build","number":3,"total":3},"text":"RUN false"}
        {"time":9.0,"event":"step-output","step":{"stage":"build","number":3,"total":3},"stream":"stderr","line":"no end of line"}
        "#);
    }
}

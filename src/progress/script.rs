//! A small build as the engine tells it, for the tests of the displays.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use containerfile::{Diagnostic, Source, Span};
use engine::{Event, Pushed, StepId, Stream};
use oci::Digest;

use super::Display;

/// A writer whose text can be read.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a display writes of the build.
pub(super) fn play<D: Display>(display: impl FnOnce(Shared) -> D) -> String {
    let out = Shared::default();
    let mut display = display(out.clone());
    display.note("isolation: namespaces, identity: root", Duration::ZERO);
    for (number, event) in (0..).zip(events()) {
        display.event(&event, Duration::from_millis(100 * number));
    }
    display.finish(Duration::from_secs(9));
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    anstream::adapter::strip_str(&text).to_string()
}

fn step(number: usize) -> StepId {
    StepId { stage: 0, stage_name: "build".to_owned(), number, total: 3 }
}

fn output(number: usize, stream: Stream, text: &str) -> Event {
    Event::StepOutput { step: step(number), stream, bytes: text.as_bytes().to_vec() }
}

fn events() -> Vec<Event> {
    let source = Arc::new(Source::new("Containerfile", "FROM debian:13 as build\n"));
    let diagnostic = Diagnostic::warning("FromAsCasing", "`as` and `FROM` differ in case", Span::new(15, 17));
    let (base, layer) = (Digest::of(b"base"), Digest::of(b"layer"));
    let name: oci::Reference = "q.io/me/app:1".parse().unwrap();
    vec![
        Event::Warning { source, diagnostic },
        Event::Resolved { name: "debian:13".parse::<oci::Reference>().unwrap().into(), digest: base },
        Event::PullStarted { digest: base, size: 48_500_000 },
        Event::PullFinished { digest: base, size: 48_500_000 },
        Event::StepStarted { step: step(1), text: "COPY . /src".to_owned() },
        Event::StepFinished { step: step(1), cached: true },
        Event::StepStarted { step: step(2), text: "RUN <<EOF\nmake\nEOF".to_owned() },
        output(2, Stream::Stdout, "cc a.c\ncc "),
        output(2, Stream::Stderr, "\u{1b}[33mwarning\u{1b}[0m: x\n"),
        output(2, Stream::Stdout, "b.c\n10%\r100%"),
        Event::StepFinished { step: step(2), cached: false },
        Event::LayerPacked { digest: layer, size: 812 },
        Event::ImageBuilt { manifest: Digest::of(b"manifest"), config: Digest::of(b"config") },
        Event::Tagged { reference: name.clone() },
        Event::PushStarted { reference: name.clone() },
        Event::BlobPushed { digest: layer, size: 812, how: Pushed::Uploaded },
        Event::BlobPushed { digest: base, size: 48_500_000, how: Pushed::Mounted },
        Event::PushFinished { reference: name, digest: Digest::of(b"manifest") },
        Event::Exported { destination: "out.tar".to_owned() },
        Event::StepStarted { step: step(3), text: "RUN false".to_owned() },
        output(3, Stream::Stderr, "no end of line"),
    ]
}

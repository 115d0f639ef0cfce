//! What the processes of a step write: told as events, its last lines kept for the error, both without the secrets.

use std::collections::VecDeque;

use crate::Shared;
use crate::event::{Event, StepId, Stream};
use crate::secret::{Mask, MaskedStream};

/// How much of the output of a failing step its error shows.
const LAST_LINES: usize = 10;
const LAST_LINE_BYTES: usize = 400;

/// The output of one step.
pub(super) struct Output<'a> {
    shared: &'a Shared,
    step: &'a StepId,
    stdout: MaskedStream,
    stderr: MaskedStream,
    tail: Tail,
}

impl<'a> Output<'a> {
    pub(super) fn new(shared: &'a Shared, step: &'a StepId, mask: &Mask) -> Self {
        Self { shared, step, stdout: mask.stream(), stderr: mask.stream(), tail: Tail::default() }
    }

    /// Takes what a process wrote.
    pub(super) fn write(&mut self, stream: sandbox::Stream, bytes: &[u8]) {
        let (stream, masked) = match stream {
            sandbox::Stream::Stdout => (Stream::Stdout, self.stdout.push(bytes)),
            sandbox::Stream::Stderr => (Stream::Stderr, self.stderr.push(bytes)),
        };
        self.show(stream, masked);
    }

    /// Shows what was waiting; returns the last lines.
    pub(super) fn finish(mut self) -> Vec<String> {
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        self.show(Stream::Stdout, stdout);
        self.show(Stream::Stderr, stderr);
        self.tail.lines()
    }

    fn show(&mut self, stream: Stream, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.tail.push(&bytes);
            self.shared.event(Event::StepOutput { step: self.step.clone(), stream, bytes });
        }
    }
}

/// The last lines of a step's output.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    /// Whether the last line has not ended yet.
    open: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.open {
                self.lines.push_back(Vec::new());
            }
            if self.lines.len() > LAST_LINES {
                self.lines.pop_front();
            }
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            if let Some(line) = self.lines.back_mut() {
                let room = LAST_LINE_BYTES.saturating_sub(line.len());
                line.extend_from_slice(&text[..text.len().min(room)]);
            }
            self.open = !piece.ends_with(b"\n");
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_bounded_and_joins_pieces() {
        let mut tail = Tail::default();
        tail.push(b"one\ntw");
        tail.push(b"o\n\n");
        assert_eq!(tail.lines(), ["one", "two", ""]);
        for number in 0..100 {
            tail.push(format!("{number}\n").as_bytes());
        }
        assert_eq!(tail.lines().first().map(String::as_str), Some("90"));
        tail.push(&vec![b'x'; 100_000]);
        assert_eq!(tail.lines().last().map(String::len), Some(LAST_LINE_BYTES));
    }
}

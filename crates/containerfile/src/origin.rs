//! Where the bytes of a text came from that was put together from several files.
//!
//! The text is a row of runs. A run is a piece of a file as it stands there, or stands in for a piece of a file
//! that meant something else. Knows no syntax.

use crate::{Position, Span};

/// A text that somebody wrote, with its name and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    name: String,
    text: String,
    /// Offset of the first byte of each line.
    line_starts: Vec<usize>,
}

/// The files, and which bytes came from which.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Origin {
    files: Vec<File>,
    /// In the order of the text; the first one starts at 0.
    runs: Vec<Run>,
    /// Where Containerfiles start that are complete in themselves, but for the first one.
    parts: Vec<usize>,
}

/// Bytes of the text from `at` up to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    at: usize,
    /// Index of the file.
    file: usize,
    /// Offset in the file.
    start: usize,
    /// How many bytes of the file the run stands in for; `None` if it is a copy of them.
    replaced: Option<usize>,
}

impl File {
    pub(crate) fn new(name: String, text: String) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { name, text, line_starts }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset; an offset past the end counts as the end.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        Position { line, column: self.text[start..offset].chars().count() + 1 }
    }

    /// Where the line ends that holds `offset`, without its line ending.
    fn line_end(&self, offset: usize) -> usize {
        self.text[offset..].find(['\r', '\n']).map_or(self.text.len(), |length| offset + length)
    }
}

impl Origin {
    /// A text that is the whole of `file`.
    pub(crate) fn of_file(file: File) -> Self {
        let mut origin = Self::default();
        let file = origin.add(file);
        origin.push(0, file, 0, None);
        origin
    }

    /// Adds a file and gives its number.
    pub(crate) fn add(&mut self, file: File) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// The number of files.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// Tells that the text comes from byte `start` of `file` from `at` on.
    ///
    /// It is a copy, or stands in for `replaced` bytes.
    pub(crate) fn push(&mut self, at: usize, file: usize, start: usize, replaced: Option<usize>) {
        if let Some(last) = self.runs.last()
            && (last.file, last.replaced, replaced) == (file, None, None)
            && last.start + (at - last.at) == start
        {
            return;
        }
        self.runs.push(Run { at, file, start, replaced });
    }

    /// Puts another text behind this one, whose length is `at`.
    pub(crate) fn append(&mut self, at: usize, other: Self) {
        let files = self.files.len();
        self.files.extend(other.files);
        self.runs.extend(other.runs.into_iter().map(|run| Run {
            at: at + run.at,
            file: files + run.file,
            ..run
        }));
        self.parts.push(at);
        self.parts.extend(other.parts.into_iter().map(|part| at + part));
    }

    pub(crate) fn parts(&self) -> &[usize] {
        &self.parts
    }

    /// The file that `span` starts in, and the place there; it is cut at the end of its line if it ends elsewhere.
    pub(crate) fn trace(&self, span: Span) -> (&File, Span) {
        let (file, start) = self.before(span.start);
        let first = &self.files[file];
        let start = first.text.floor_char_boundary(start);
        // From the last byte, not from the end: the end may belong to the next run.
        let (last, end) = if span.is_empty() { (file, start) } else { self.after(span.end - 1) };
        if last == file && end >= start {
            (first, Span::new(start, first.text.ceil_char_boundary(end)))
        } else {
            (first, Span::new(start, first.line_end(start)))
        }
    }

    fn run(&self, offset: usize) -> Run {
        // Of several runs at one offset all but the last are empty.
        let index = self.runs.partition_point(|run| run.at <= offset).saturating_sub(1);
        self.runs.get(index).copied().unwrap_or(Run { at: 0, file: 0, start: 0, replaced: None })
    }

    /// File and offset of the byte at `offset`.
    fn before(&self, offset: usize) -> (usize, usize) {
        let run = self.run(offset);
        (run.file, run.start + run.replaced.map_or(offset - run.at, |_| 0))
    }

    /// File and offset behind the byte at `offset`.
    fn after(&self, offset: usize) -> (usize, usize) {
        let run = self.run(offset);
        (run.file, run.start + run.replaced.unwrap_or(offset - run.at + 1))
    }
}

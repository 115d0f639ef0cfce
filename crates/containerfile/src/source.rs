//! A named text: what spans point into. Does no I/O; whoever read the bytes gives them here.
//!
//! The text may have been put together from several files: `origin` then knows where each byte came from, and
//! [`Source::excerpt`] leads from a span back to what the user wrote.

use std::borrow::Cow;
use std::ops::Range;

use crate::origin::{File, Origin};
use crate::{Diagnostic, Span};

/// The text of a Containerfile (or of an `ONBUILD` trigger) and the name it has in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The text that is parsed.
    file: File,
    lossy: bool,
    /// Where the text came from, unless it is one file as it was read.
    origin: Option<Origin>,
    /// What was to be said of it before it is parsed.
    warnings: Vec<Diagnostic>,
}

/// A place as people count: both numbers start at 1, columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line number.
    pub line: usize,
    /// Column number.
    pub column: usize,
}

/// What a message shows of a span: a range of the file that the user wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt<'a> {
    /// The file's name.
    pub name: &'a str,
    /// The whole text of the file.
    pub text: &'a str,
    /// The bytes of that text.
    pub span: Span,
    /// Where they start in the file.
    pub position: Position,
}

impl Source {
    /// No honest Containerfile or ignore file has more bytes. Parsing goes on for any length; who reads one may stop
    /// there.
    pub const MAX_SIZE: u64 = 16 << 20;

    /// Takes text that is known to be UTF-8. A byte order mark at its start is dropped.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self { file: File::new(name.into(), text), lossy: false, origin: None, warnings: Vec::new() }
    }

    /// Takes bytes as they were read. A byte order mark at their start is dropped.
    ///
    /// Bytes that are not UTF-8 become U+FFFD; [`parse`](crate::parse) accepts them in comments, where old
    /// files hold author names in other encodings, and reports them anywhere else.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lossy = matches!(text, Cow::Owned(_));
        Self { lossy, ..Self::new(name, text) }
    }

    /// Puts several Containerfiles one after the other, as buildah does with several `-f`.
    ///
    /// No line, continuation or heredoc goes on from one file to the next, and each has its own directives. The
    /// name is that of the first.
    pub fn join(sources: impl IntoIterator<Item = Self>) -> Self {
        let mut sources = sources.into_iter();
        let first = sources.next().unwrap_or_else(|| Self::new("", ""));
        sources.fold(first, Self::and)
    }

    fn and(self, other: Self) -> Self {
        let lossy = self.lossy || other.lossy;
        let at = self.text().len();
        let moved = other.warnings.into_iter().map(|it| Diagnostic { span: it.span.moved(at), ..it });
        let warnings = self.warnings.into_iter().chain(moved).collect();
        let mut text = self.file.text().to_owned();
        let mut origin = self.origin.unwrap_or_else(|| Origin::of_file(self.file.clone()));
        origin.append(text.len(), other.origin.unwrap_or_else(|| Origin::of_file(other.file.clone())));
        text.push_str(other.file.text());
        Self::assembled(self.file.name().to_owned(), text, lossy, origin, warnings)
    }

    /// A text made from files.
    pub(crate) fn assembled(
        name: String,
        text: String,
        lossy: bool,
        origin: Origin,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        Self { file: File::new(name, text), lossy, origin: Some(origin), warnings }
    }

    /// The name for messages, such as `Containerfile` or `ONBUILD trigger of debian:13`.
    pub fn name(&self) -> &str {
        self.file.name()
    }

    /// The text that spans point into.
    pub fn text(&self) -> &str {
        self.file.text()
    }

    /// The Containerfiles of which the text was [joined](Self::join), as ranges of it.
    pub(crate) fn parts(&self) -> Vec<Range<usize>> {
        let later = self.origin.as_ref().map_or(&[][..], Origin::parts).iter().copied();
        let starts = std::iter::once(0).chain(later.clone());
        starts.zip(later.chain([self.text().len()])).map(|(start, end)| start..end).collect()
    }

    /// What was to be said of the text before it is parsed.
    pub(crate) fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The text as a file of another one.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Whether bytes were replaced because they are not UTF-8.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lossy
    }

    /// The text under `span`; empty when the span is not of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text().get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column of a byte offset in the file it came from; an offset past the end counts as the end.
    pub fn position(&self, offset: usize) -> Position {
        self.excerpt(Span::at(offset)).position
    }

    /// The file that `span` came from, and its place there.
    ///
    /// A span that goes from one file into another ends where its first line does.
    pub fn excerpt(&self, span: Span) -> Excerpt<'_> {
        let (file, span) = match &self.origin {
            Some(origin) => origin.trace(span),
            None => (&self.file, span),
        };
        Excerpt { name: file.name(), text: file.text(), span, position: file.position(span.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_mark_is_dropped() {
        assert_eq!(Source::from_bytes("f", b"\xef\xbb\xbfFROM a").text(), "FROM a");
    }

    #[test]
    fn positions_count_characters_from_one() {
        let source = Source::new("f", "FROM a\nRUN é x");
        let at = |offset| {
            let position = source.position(offset);
            (position.line, position.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(6), (1, 7));
        assert_eq!(at(7), (2, 1));
        assert_eq!(at(14), (2, 7));
        assert_eq!(at(12), (2, 5), "inside é counts as its start");
        assert_eq!(at(999), (2, 8));
    }

    #[test]
    fn foreign_span_slices_to_nothing() {
        assert_eq!(Source::new("f", "é").slice(Span::new(1, 2)), "");
    }

    #[test]
    fn spans_of_joined_files_lead_back_to_their_own() {
        let files = [("a", "FROM x"), ("b", "RUN b\nRUN c"), ("c", ""), ("d", "RUN d\n")];
        let source = Source::join(files.map(|(name, text)| Source::new(name, text)));
        assert_eq!(source.text(), "FROM xRUN b\nRUN cRUN d\n");
        assert_eq!(source.parts(), [0..6, 6..17, 17..17, 17..23]);
        let at = |start, end| {
            let excerpt = source.excerpt(Span::new(start, end));
            (excerpt.name, &excerpt.text[excerpt.span.start..excerpt.span.end], excerpt.position.line)
        };
        assert_eq!(at(0, 6), ("a", "FROM x", 1));
        assert_eq!(at(6, 11), ("b", "RUN b", 1));
        assert_eq!(at(12, 17), ("b", "RUN c", 2));
        assert_eq!(at(16, 23), ("b", "c", 2), "a span that goes on in another file");
        assert_eq!(at(17, 22), ("d", "RUN d", 1));
        assert_eq!(at(99, 99), ("d", "", 2));
    }
}

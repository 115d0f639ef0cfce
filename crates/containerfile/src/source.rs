//! A named text: what spans point into. Does no I/O; whoever read the bytes gives them here.

use std::borrow::Cow;

use crate::Span;

/// The text of a Containerfile (or of an `ONBUILD` trigger) and the name it has in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Offset of the first byte of each line.
    line_starts: Vec<usize>,
    lossy: bool,
}

/// A place as people count: both numbers start at 1, columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line number.
    pub line: usize,
    /// Column number.
    pub column: usize,
}

impl Source {
    /// Takes text that is known to be UTF-8. A byte order mark at its start is dropped.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { name: name.into(), text, line_starts, lossy: false }
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

    /// The name for messages, such as `Containerfile` or `ONBUILD trigger of debian:13`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that spans point into.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether bytes were replaced because they are not UTF-8.
    pub(crate) fn is_lossy(&self) -> bool {
        self.lossy
    }

    /// The text under `span`; empty when the span is not of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column of a byte offset; an offset past the end counts as the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        Position { line, column: self.text[start..offset].chars().count() + 1 }
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
}

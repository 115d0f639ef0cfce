//! Physical lines → logical lines: continuations joined, comments and blank lines taken out.
//!
//! A logical line remembers where each of its bytes came from, so that everything cut from it later has a
//! [`Span`]. Knows no instruction.

use crate::fragment::Fragment;
use crate::{Escape, Span, Spanned};

/// The text of one instruction, without continuation marks and comment lines.
#[derive(Debug, Clone)]
pub(crate) struct LogicalLine {
    text: String,
    runs: Vec<Run>,
    /// Comments that stand above, back to the instruction before or to an empty one; without `#` and outer blanks.
    pub(crate) comments: Vec<Spanned<String>>,
    /// The first blank line inside a continuation.
    pub(crate) empty_continuation: Option<Span>,
}

/// Bytes that follow each other both in the logical line and in the source.
#[derive(Debug, Clone, Copy)]
struct Run {
    logical: usize,
    source: usize,
}

impl LogicalLine {
    /// The whole line without outer white space.
    pub(crate) fn fragment(&self) -> Fragment<'_> {
        Fragment::new(self, 0, self.text.len()).trim()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The source range that covers the bytes `start..end` of the logical line.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let first = self.source_offset(start);
        // From the last byte, not from the end: the end may belong to the next run.
        let last = if end > start { self.source_offset(end - 1) + 1 } else { first };
        Span::new(first, last)
    }

    fn source_offset(&self, logical: usize) -> usize {
        let index = self.runs.partition_point(|run| run.logical <= logical).saturating_sub(1);
        self.runs.get(index).map_or(0, |run| run.source + (logical - run.logical))
    }

    fn push(&mut self, text: &str, source: usize) {
        // An empty run would share its logical offset with the next one.
        if !text.is_empty() || self.runs.is_empty() {
            self.runs.push(Run { logical: self.text.len(), source });
        }
        self.text.push_str(text);
    }
}

/// Reads a text line by line, logical or physical.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    offset: usize,
}

/// One line of the file, as heredoc bodies need it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PhysicalLine<'a> {
    /// With its line ending.
    pub(crate) raw: &'a str,
    /// Offset of its first byte.
    pub(crate) start: usize,
}

impl<'a> PhysicalLine<'a> {
    /// Without its line ending, `\n` or `\r\n`.
    pub(crate) fn content(&self) -> &'a str {
        self.raw.trim_end_matches(['\r', '\n'])
    }
}

impl<'a> Lines<'a> {
    /// Starts at byte `offset` of `text`.
    pub(crate) fn new(text: &'a str, offset: usize) -> Self {
        Self { text, offset }
    }

    /// Offset of the first byte that has not been read.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The next line of the file.
    pub(crate) fn next_physical(&mut self) -> Option<PhysicalLine<'a>> {
        let rest = self.text.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        let line = PhysicalLine { raw: &rest[..length], start: self.offset };
        self.offset += length;
        Some(line)
    }

    /// The next instruction's text.
    pub(crate) fn next_logical(&mut self, escape: Escape) -> Option<LogicalLine> {
        let mut comments = Vec::new();
        loop {
            let physical = self.next_physical()?;
            let content = physical.content().trim_start();
            let start = physical.start + (physical.content().len() - content.len());
            if content.is_empty() {
                // As in BuildKit, a blank line does not part a comment from its instruction.
            } else if let Some(comment) = content.strip_prefix('#') {
                collect_comment(&mut comments, comment, start + 1);
            } else {
                return Some(self.join(content, start, escape, comments));
            }
        }
    }

    fn join(
        &mut self,
        first: &str,
        start: usize,
        escape: Escape,
        comments: Vec<Spanned<String>>,
    ) -> LogicalLine {
        let mut line =
            LogicalLine { text: String::new(), runs: Vec::new(), comments, empty_continuation: None };
        let Some(continued) = strip_continuation(first, escape) else {
            line.push(first, start);
            return line;
        };
        line.push(continued, start);
        while let Some(physical) = self.next_physical() {
            let content = physical.content();
            let trimmed = content.trim_start();
            if trimmed.is_empty() {
                line.empty_continuation.get_or_insert(Span::at(physical.start));
            } else if trimmed.starts_with('#') {
                // A comment inside an instruction vanishes with its line.
            } else if let Some(continued) = strip_continuation(content, escape) {
                line.push(continued, physical.start);
            } else {
                line.push(content, physical.start);
                break;
            }
        }
        line
    }
}

/// An empty comment line separates what stands above it from the instruction.
fn collect_comment(comments: &mut Vec<Spanned<String>>, comment: &str, start: usize) {
    let text = comment.trim();
    if text.is_empty() {
        comments.clear();
        return;
    }
    let start = start + (comment.len() - comment.trim_start().len());
    comments.push(Spanned::new(text.to_owned(), Span::new(start, start + text.len())));
}

/// The line without its continuation mark, or nothing if the instruction ends here.
///
/// The mark is the escape character as the last one before blanks, unless another escape stands before it.
fn strip_continuation(line: &str, escape: Escape) -> Option<&str> {
    let rest = line.trim_end_matches([' ', '\t']).strip_suffix(escape.as_char())?;
    (!rest.ends_with(escape.as_char())).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(text: &str, escape: Escape) -> Vec<String> {
        let mut lines = Lines::new(text, 0);
        std::iter::from_fn(|| lines.next_logical(escape))
            .map(|line| line.fragment().as_str().to_owned())
            .collect()
    }

    #[test]
    fn continuations_are_joined() {
        for (text, expected) in [
            ("RUN a\nRUN b\n", vec!["RUN a", "RUN b"]),
            ("RUN a\r\nRUN b\r\n", vec!["RUN a", "RUN b"]),
            ("  RUN a \\\n  && b", vec!["RUN a   && b"]),
            ("RUN a\\\nb", vec!["RUN ab"]),
            ("RUN a \\ \t\nb", vec!["RUN a b"]),
            ("RUN a \\\r\n b\r\n", vec!["RUN a  b"]),
            ("RUN a \\\n# comment\n  # comment \\\n b", vec!["RUN a  b"]),
            ("RUN a \\\n\n\n b", vec!["RUN a  b"]),
            ("RUN a \\\\\nRUN b", vec!["RUN a \\\\", "RUN b"]),
            ("RUN a \\", vec!["RUN a"]),
            ("RUN a # no comment\n", vec!["RUN a # no comment"]),
            ("RUN a \\x\n", vec!["RUN a \\x"]),
            ("\n\n# only comments\n", vec![]),
            ("RUN \\\n\\\n a", vec!["RUN  a"]),
        ] {
            assert_eq!(logical(text, Escape::Backslash), expected, "{text:?}");
        }
        assert_eq!(logical("RUN a `\n b \\\nRUN c", Escape::Backtick), ["RUN a  b \\", "RUN c"]);
    }

    #[test]
    fn spans_point_at_the_physical_text() {
        let text = "RUN one \\\n  # comment\n  two";
        let line = Lines::new(text, 0).next_logical(Escape::Backslash).unwrap();
        let two = line.text().find("two").unwrap();
        let span = line.span(two, two + 3);
        assert_eq!(&text[span.start..span.end], "two");
        assert_eq!(line.span(4, two + 3), Span::new(4, text.len()));
        assert_eq!(line.span(4, 7), Span::new(4, 7));
    }

    #[test]
    fn blank_lines_in_a_continuation_are_remembered() {
        let text = "RUN a \\\n\n b";
        let line = Lines::new(text, 0).next_logical(Escape::Backslash).unwrap();
        assert_eq!(line.empty_continuation, Some(Span::at(8)));
    }

    #[test]
    fn comments_belong_to_the_instruction_below() {
        let text = "# lost\n  #\n# kept one\n\n#kept two\nARG a\n# lost\n#\nARG b";
        let mut lines = Lines::new(text, 0);
        let comments: Vec<String> = lines
            .next_logical(Escape::Backslash)
            .unwrap()
            .comments
            .into_iter()
            .map(|comment| {
                assert_eq!(&text[comment.span.start..comment.span.end], comment.value);
                comment.value
            })
            .collect();
        assert_eq!(comments, ["kept one", "kept two"]);
        assert!(lines.next_logical(Escape::Backslash).unwrap().comments.is_empty());
    }
}

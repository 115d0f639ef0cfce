//! Here-documents: finding `<<NAME` in a logical line and reading bodies from the lines after it.
//!
//! The rules are BuildKit's, not the shell's: the operator must start a word (after digits for a file
//! descriptor), so `cat<<EOF` is none, and the word up to the next blank is the name. Only RUN, COPY, ADD and
//! ONBUILD of these have heredocs, and only outside the exec form.

use std::borrow::Cow;
use std::ops::Range;

use crate::logical_line::Lines;
use crate::{Diagnostic, Span};

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; for COPY and ADD also the name of the file.
    pub name: String,
    /// The lines up to the delimiter, exactly as they stand in the file.
    pub body: String,
    /// Whether variables in the body are expanded: no part of the delimiter is quoted.
    pub expand: bool,
    /// Whether leading tabs are taken off each line: `<<-`.
    pub strip_tabs: bool,
    /// Where `<<NAME` stands.
    pub span: Span,
    /// Where the body stands.
    pub body_span: Span,
}

impl Heredoc {
    /// The body, without leading tabs where `<<-` asks for that.
    pub fn content(&self) -> Cow<'_, str> {
        if !self.strip_tabs {
            return Cow::Borrowed(&self.body);
        }
        Cow::Owned(self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect())
    }
}

/// A `<<NAME` whose body has not been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    name: String,
    expand: bool,
    strip_tabs: bool,
    /// Where it stands in the scanned text.
    pub(crate) range: Range<usize>,
}

impl Operator {
    /// Reads the body; `span` is where the operator stands in the source.
    pub(crate) fn read_body(self, lines: &mut Lines<'_>, span: Span) -> Result<Heredoc, Diagnostic> {
        let start = lines.offset();
        let mut body = String::new();
        let mut near_miss = false;
        while let Some(line) = lines.next_physical() {
            let content = line.content();
            let content = if self.strip_tabs { content.trim_start_matches('\t') } else { content };
            if content == self.name {
                let body_span = Span::new(start, line.start);
                let Self { name, expand, strip_tabs, .. } = self;
                return Ok(Heredoc { name, body, expand, strip_tabs, span, body_span });
            }
            near_miss |= content.trim() == self.name;
            body.push_str(line.raw);
        }
        let message = format!("heredoc `{}` is never ended", self.name);
        let diagnostic = Diagnostic::error(message, span).with_label("starts here");
        Err(if near_miss {
            diagnostic.with_hint(format!("take away the blanks around the line `{}`", self.name))
        } else {
            diagnostic.with_hint(format!("end it with a line that holds `{}` alone", self.name))
        })
    }
}

/// The heredoc operators of a command, in order; none if a quote or a brace is never closed.
pub(crate) fn operators(text: &str) -> Vec<Operator> {
    if !text.contains("<<") {
        return Vec::new();
    }
    let Some(words) = shell_words(text) else { return Vec::new() };
    words.into_iter().filter_map(|range| operator(&text[range.clone()], range)).collect()
}

/// Reads a word as `[n]<<[-] NAME`.
fn operator(word: &str, range: Range<usize>) -> Option<Operator> {
    let rest = word.trim_start_matches(|digit: char| digit.is_ascii_digit()).strip_prefix("<<")?;
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.contains('<') {
        return None;
    }
    let (name, quoted) = unquote(rest)?;
    (!name.is_empty()).then_some(Operator { name, expand: !quoted, strip_tabs, range })
}

/// Takes off quotes and escapes; tells whether there were quotes. `None` if it is not one word.
fn unquote(text: &str) -> Option<(String, bool)> {
    let mut name = String::new();
    let mut quoted = false;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                quoted = true;
            }
            (None, '\\') => name.extend(characters.next()),
            (None, blank) if blank.is_whitespace() => return None,
            _ => name.push(character),
        }
    }
    quote.is_none().then_some((name, quoted))
}

/// Ranges of the words of a shell command: quotes, escapes, `${…}` and `$((…))` hold a word together, and so
/// do the blanks between `<<` and its name.
fn shell_words(text: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let length = if character.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(start..at);
            }
            character.len_utf8()
        } else {
            start.get_or_insert(at);
            unit_length(&text[at..], character)?
        };
        at += length;
    }
    words.extend(start.map(|start| start..text.len()));
    Some(words)
}

/// The length of what belongs together at the start of `text`, which starts with `first`.
fn unit_length(text: &str, first: char) -> Option<usize> {
    let after = &text[first.len_utf8()..];
    Some(match first {
        '\'' => after.find('\'')? + 2,
        '"' => double_quoted_length(after)? + 1,
        '\\' => 1 + after.chars().next().map_or(0, char::len_utf8),
        '$' if after.starts_with("((") => after.find("))")? + 3,
        '$' if after.starts_with('{') => after.find('}')? + 2,
        '<' if after.starts_with('<') => {
            let dash = usize::from(after[1..].starts_with('-'));
            let name = after[1 + dash..].trim_start_matches([' ', '\t', '\r']);
            text.len() - name.len()
        }
        _ => first.len_utf8(),
    })
}

/// The length of a double quoted string after its opening quote, closing quote included.
fn double_quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes()
        .position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })
        .map(|end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        operators(text).into_iter().map(|operator| operator.name).collect()
    }

    #[test]
    fn operators_are_found() {
        for (text, expected) in [
            ("<<EOF", vec!["EOF"]),
            ("<<-EOF", vec!["EOF"]),
            ("<< EOF", vec!["EOF"]),
            ("<<- EOF", vec!["EOF"]),
            ("<< -EOF", vec!["-EOF"]),
            ("<<  EOF  > foo", vec!["EOF"]),
            ("4<<EOF", vec!["EOF"]),
            ("cat <<EOF > f", vec!["EOF"]),
            ("python3 <<EOF", vec!["EOF"]),
            ("<<EOF python3", vec!["EOF"]),
            ("<<a <<b /d/", vec!["a", "b"]),
            ("<<'EOF'", vec!["EOF"]),
            ("<<\"EOF\"", vec!["EOF"]),
            ("<<E\"O\"F", vec!["EOF"]),
            ("<<eo\\'f", vec!["eo'f"]),
            ("<<'one two'", vec!["one two"]),
            ("<<$EOF", vec!["$EOF"]),
            ("echo \"a b\" <<EOF", vec!["EOF"]),
            ("echo 'it' \\' <<EOF", vec!["EOF"]),
            ("echo ${x:-a b} <<EOF", vec!["EOF"]),
            ("", vec![]),
            ("EOF", vec![]),
            ("<<", vec![]),
            ("<<-", vec![]),
            ("<EOF", vec![]),
            ("<<<EOF", vec![]),
            ("cat <<< x", vec![]),
            ("cat<<EOF", vec![]),
            ("'<<EOF'", vec![]),
            ("\"<<EOF\"", vec![]),
            ("echo it's <<EOF", vec![]),
            ("echo $((1 << 2))", vec![]),
            ("<<''", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn quoted_delimiter_turns_expansion_off() {
        for (text, expand) in [
            ("<<EOF", true),
            ("<<'EOF'", false),
            ("<<\"EOF\"", false),
            ("<<E'O'F", false),
            ("<<eo\\'f", true),
        ] {
            assert_eq!(operators(text)[0].expand, expand, "{text}");
        }
    }

    #[test]
    fn bodies_are_kept_as_written() {
        let read = |operator: &str, text: &str| {
            let mut lines = Lines::new(text, 0);
            let heredoc = operators(operator).remove(0).read_body(&mut lines, Span::at(0)).unwrap();
            let content = heredoc.content().into_owned();
            (heredoc.body, content, text[lines.offset()..].to_owned())
        };
        for (operator, text, body, content, rest) in [
            ("<<E", "a\nE\nrest", "a\n", "a\n", "rest"),
            ("<<E", "E", "", "", ""),
            ("<<E", "# a\\\n E\nE\n", "# a\\\n E\n", "# a\\\n E\n", ""),
            ("<<E", "a\r\nE\r\nrest", "a\r\n", "a\r\n", "rest"),
            ("<<-E", "\t\ta\n\tE\n", "\t\ta\n", "a\n", ""),
        ] {
            assert_eq!(read(operator, text), (body.into(), content.into(), rest.into()), "{text:?}");
        }
    }

    #[test]
    fn missing_end_names_the_cure() {
        let hint = |text: &str| {
            let mut lines = Lines::new(text, 0);
            operators("<<EOF").remove(0).read_body(&mut lines, Span::at(0)).unwrap_err().hint.unwrap()
        };
        assert_eq!(&*hint("a\n  EOF\n"), "take away the blanks around the line `EOF`");
        assert_eq!(&*hint("a\n"), "end it with a line that holds `EOF` alone");
    }
}

//! A stream of bytes cut into lines of text that are safe to show.

/// A line that does not end is cut here.
const LIMIT: usize = 16 << 10;

/// What a process has written and not yet ended with a newline.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes bytes in and gives back the lines that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") || self.rest.len() >= LIMIT {
                lines.extend(self.take());
            }
        }
        lines
    }

    /// The line that has begun, if any.
    pub(crate) fn take(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.rest);
        (!bytes.is_empty()).then(|| text(&bytes))
    }
}

/// What a terminal would show of a line in the end: of a progress meter that rewrites itself, the last state.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|byte| *byte == b'\r').find(|part| !part.is_empty()).unwrap_or_default();
    one_line(&String::from_utf8_lossy(last))
}

/// Text without escape sequences and control characters, on one line.
pub(crate) fn one_line(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

/// The first line of an instruction; a heredoc has more.
pub(crate) fn title(text: &str) -> String {
    let mut lines = text.lines();
    let first = one_line(lines.next().unwrap_or_default());
    if lines.next().is_some() { format!("{first} …") } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_when_they_are_complete() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"a"), [] as [&str; 0]);
        assert_eq!(lines.push(b"b\nc\n\nd"), ["ab", "c", ""]);
        assert_eq!(lines.take().as_deref(), Some("d"));
        assert_eq!(lines.take(), None);
    }

    #[test]
    fn nothing_in_a_line_drives_a_terminal() {
        for (written, shown) in [
            (b"10%\r50%\r100%\n".as_slice(), "100%"),
            (b"dos\r\n", "dos"),
            (b"\x1b[31mred\x1b[0m\x07\n", "red"),
            (b"\x1b]0;title\x07text\n", "text"),
            (b"a\tb\xff\n", "a b\u{fffd}"),
        ] {
            assert_eq!(Lines::default().push(written), [shown], "{written:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let lines = Lines::default().push(&vec![b'x'; 3 * LIMIT]);
        assert!(!lines.is_empty() && lines.iter().all(|line| line.len() <= 3 * LIMIT));
    }

    #[test]
    fn a_title_is_one_line() {
        assert_eq!(title("RUN <<EOF\nmake\nEOF"), "RUN <<EOF …");
        assert_eq!(title("RUN make"), "RUN make");
    }
}

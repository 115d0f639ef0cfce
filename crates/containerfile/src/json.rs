//! The exec form: is the text a JSON array, and is it one of strings? (RFC 8259, as Go's `encoding/json` reads.)
//!
//! Text that is not JSON is no error, it is the shell form; only an array of something else than strings is.

use crate::fragment::Fragment;
use crate::{Diagnostic, Word};

/// Values nested deeper are not JSON to us; Go has such a limit as well.
const MAX_DEPTH: usize = 200;

/// Parses an array of strings. `None` means that the text is not a JSON array.
pub(crate) fn parse_array(text: Fragment<'_>) -> Result<Option<Vec<Word>>, Diagnostic> {
    let mut parser = Parser { bytes: text.as_str().as_bytes(), text, at: 0 };
    parser.skip_space();
    if !parser.eat(b'[') {
        return Ok(None);
    }
    let Some(elements) = parser.array_rest() else { return Ok(None) };
    parser.skip_space();
    if parser.at != parser.bytes.len() {
        return Ok(None);
    }
    let mut words = Vec::with_capacity(elements.len());
    for element in elements {
        match element {
            Element::String(word) => words.push(word),
            Element::Other(fragment) => {
                let message = "an array in exec form holds strings only";
                return Err(Diagnostic::error(message, fragment.span())
                    .with_label("not a string")
                    .with_hint("put it in double quotes"));
            }
        }
    }
    Ok(Some(words))
}

enum Element<'a> {
    String(Word),
    Other(Fragment<'a>),
}

struct Parser<'a> {
    text: Fragment<'a>,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// The elements after `[` up to and including `]`.
    fn array_rest(&mut self) -> Option<Vec<Element<'a>>> {
        let mut elements = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Some(elements);
        }
        loop {
            self.skip_space();
            let start = self.at;
            elements.push(if self.peek() == Some(b'"') {
                let text = self.string()?;
                Element::String(Word::new(text, self.text.slice(start, self.at).span()))
            } else {
                self.value(0)?;
                Element::Other(self.text.slice(start, self.at))
            });
            self.skip_space();
            if self.eat(b']') {
                return Some(elements);
            }
            self.expect(b',')?;
        }
    }

    /// Skips any value; `None` if there is none.
    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'[' => self.sequence(b']', |parser| parser.value(depth + 1)),
            b'{' => self.sequence(b'}', |parser| {
                parser.string()?;
                parser.skip_space();
                parser.expect(b':')?;
                parser.value(depth + 1)
            }),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Skips an opening bracket, items between commas, and `close`.
    fn sequence(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.skip_space();
        if self.eat(close) {
            return Some(());
        }
        loop {
            self.skip_space();
            item(self)?;
            self.skip_space();
            if self.eat(close) {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let plain =
                self.bytes[self.at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            text.push_str(self.text.slice(self.at, self.at + plain).as_str());
            self.at += plain;
            if self.eat(b'"') {
                return Some(text);
            }
            self.expect(b'\\')?;
            text.push(self.escaped()?);
        }
    }

    /// The character that the escape sequence after `\` stands for.
    fn escaped(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += 1;
        Some(match character {
            b'"' | b'\\' | b'/' => char::from(character),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// A `\uXXXX` escape, or two of them that form a surrogate pair; half a pair becomes U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            self.at = back;
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        let value = digits
            .iter()
            .try_fold(0, |value, digit| char::from(*digit).to_digit(16).map(|digit| value * 16 + digit))?;
        self.at += 4;
        Some(value)
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Escape;
    use crate::logical_line::Lines;

    fn array(text: &str) -> Result<Option<Vec<String>>, Diagnostic> {
        let line = Lines::new(text, 0).next_logical(Escape::Backtick).unwrap();
        let words = parse_array(line.fragment())?;
        Ok(words.map(|words| words.iter().map(|word| word.text().to_owned()).collect()))
    }

    #[test]
    fn arrays_of_strings_are_exec_form() {
        for (text, expected) in [
            (r"[]", vec![]),
            (r#"["a"]"#, vec!["a"]),
            (r#"[ "a" , "b c" ]  "#, vec!["a", "b c"]),
            (r#"["\"\\\/\b\f\n\r\t"]"#, vec!["\"\\/\u{8}\u{c}\n\r\t"]),
            (r#"["\u00e9\ud83d\ude00\ud83dx"]"#, vec!["é😀\u{fffd}x"]),
            (r#"["한국어"]"#, vec!["한국어"]),
        ] {
            assert_eq!(array(text).unwrap().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_shell_form() {
        for text in [
            "echo a",
            "['a']",
            r#"["a",]"#,
            r#"["a""#,
            r#"["a"] b"#,
            r#"["a]"#,
            r"[ -f x ] && y",
            r#"["\x"]"#,
            r#"["\u12"]"#,
            r#"["a" "b"]"#,
            "[01]",
            "[1.]",
            "[tru]",
            "[",
            "[[[",
        ] {
            assert_eq!(array(text).unwrap(), None, "{text}");
        }
        assert_eq!(array(&"[".repeat(100_000)).unwrap(), None);
    }

    #[test]
    fn other_values_are_errors() {
        for text in [r#"["a", 1]"#, "[null]", "[[\"a\"]]", r#"[{"a": [1, -0.5e+3]}]"#, "[true, false]"] {
            let diagnostic = array(text).unwrap_err();
            assert_eq!(diagnostic.message, "an array in exec form holds strings only", "{text}");
        }
    }
}

//! Wildcards in COPY and ADD sources: exactly Go's `filepath.Match`.
//!
//! `*` is any text and `?` any character, both without `/`; `[a-z]` and `[^a-z]` are one character of a set;
//! `\` escapes. Names are bytes, as files have them; a byte that is not UTF-8 counts as one character.

use std::fmt;

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
}

/// A pattern with a set that is never closed or is empty, or with nothing after its last `\`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad pattern `{}`", self.pattern)
    }
}

impl std::error::Error for BadPattern {}

/// Whether `text` has a character that makes it a pattern.
pub fn has_meta(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

impl Glob {
    /// Parses a pattern.
    pub fn parse(pattern: &str) -> Result<Self, BadPattern> {
        tokenize(pattern)
            .map(|tokens| Self { tokens })
            .ok_or_else(|| BadPattern { pattern: pattern.to_owned() })
    }

    /// Whether the pattern matches all of `name`, which may be one path element or a path with slashes.
    pub fn matches(&self, name: impl AsRef<[u8]>) -> bool {
        let name = symbols(name.as_ref());
        let (mut token, mut at) = (0, 0);
        // Where to go on after the last star takes one more character. Earlier stars need no second try:
        // what stands behind them has matched as early as it can.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match self.tokens.get(token) {
                Some(Token::Star) => {
                    retry = Some((token + 1, at));
                    token += 1;
                    continue;
                }
                Some(single) if name.get(at).is_some_and(|symbol| single.matches(*symbol)) => {
                    (token, at) = (token + 1, at + 1);
                    continue;
                }
                None if at == name.len() => return true,
                _ => {}
            }
            match retry {
                Some((after, from)) if name.get(from).is_some_and(|symbol| *symbol != SLASH) => {
                    (token, at) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                _ => return false,
            }
        }
    }
}

/// A character of a name; bytes that are not UTF-8 lie above all characters.
pub(crate) type Symbol = u32;

pub(crate) const SLASH: Symbol = '/' as Symbol;

/// Decodes a name.
pub(crate) fn symbols(name: &[u8]) -> Vec<Symbol> {
    const INVALID: Symbol = 0x11_0000;
    let mut symbols = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        symbols.extend(chunk.valid().chars().map(Symbol::from));
        symbols.extend(chunk.invalid().iter().map(|byte| INVALID + Symbol::from(*byte)));
    }
    symbols
}

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`.
    Star,
    /// `?`.
    Any,
    /// A character that is meant as it is.
    Literal(char),
    /// `[…]`.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    /// Whether the element takes this one character.
    pub(crate) fn matches(&self, symbol: Symbol) -> bool {
        match self {
            Self::Star | Self::Any => symbol != SLASH,
            Self::Literal(literal) => Symbol::from(*literal) == symbol,
            Self::Set { negated, ranges } => {
                let inside = ranges
                    .iter()
                    .any(|(low, high)| (Symbol::from(*low)..=Symbol::from(*high)).contains(&symbol));
                inside != *negated
            }
        }
    }
}

/// Parses a pattern; `None` if it is a bad one.
pub(crate) fn tokenize(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        tokens.push(match character {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Literal(characters.next()?),
            '[' => set(&mut characters)?,
            literal => Token::Literal(literal),
        });
    }
    Some(tokens)
}

fn set(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Some(Token::Set { negated, ranges });
        }
        let low = set_member(characters)?;
        let high = if characters.next_if_eq(&'-').is_some() { set_member(characters)? } else { low };
        ranges.push((low, high));
    }
}

fn set_member(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        member => Some(member),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_like_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[!a]", "a", true),
            ("*x", "xxx", true),
            ("**", "a/b", false),
            ("*.txt", ".txt", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for pattern in
            ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "ab\\", "[]", "[a\\"]
        {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn names_need_not_be_utf8() {
        assert!(Glob::parse("a?b*").unwrap().matches(b"a\xffb\xfe"));
        assert!(!Glob::parse("\u{fffd}").unwrap().matches(b"\xff"));
    }

    #[test]
    fn only_patterns_have_meta() {
        assert!(has_meta("*.c") && has_meta("a[b]") && has_meta("a\\*") && has_meta("?"));
        assert!(!has_meta("a/b-c.d"));
    }

    #[test]
    fn many_stars_are_no_blow_up() {
        let pattern = "a*".repeat(1000);
        assert!(!Glob::parse(&format!("{pattern}b")).unwrap().matches("a".repeat(10_000)));
    }
}

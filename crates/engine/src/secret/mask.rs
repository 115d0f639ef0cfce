//! Hiding secret values in what a build says of itself.
//!
//! A value is hidden as it is, a value of several lines line by line. What a step makes of it, such as its base64, is
//! another text and is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use containerfile::PREDEFINED_ARGS;

use super::Secret;
use crate::error::{Cause, Error};

/// What stands in the place of a value.
const STARS: &[u8] = b"***";

/// Shorter lines would hide half of what an honest step says.
const SHORTEST: usize = 4;

/// What must not be shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask(Option<Arc<Patterns>>);

struct Patterns {
    automaton: NFA,
    /// The length of the longest one in bytes.
    longest: usize,
}

impl std::fmt::Debug for Patterns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Patterns(***)")
    }
}

impl Mask {
    /// Hides the lines of all `secrets`, and the passwords of proxies among `build_args`.
    pub(crate) fn new(
        secrets: &BTreeMap<String, Secret>,
        build_args: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let of_secrets = secrets.values().flat_map(|secret| secret.bytes().split(|byte| *byte == b'\n'));
        let of_proxies = build_args.iter().filter(|(name, _)| PREDEFINED_ARGS.contains(&name.as_str()));
        let passwords = of_proxies.filter_map(|(_, url)| Some(password(url)?.as_bytes()));
        let patterns: BTreeSet<_> = of_secrets
            .map(<[u8]>::trim_ascii)
            .chain(passwords)
            .filter(|pattern| pattern.len() >= SHORTEST)
            .collect();
        let Some(longest) = patterns.iter().map(|pattern| pattern.len()).max() else {
            return Ok(Self::default());
        };
        let automaton = NFA::new(patterns).map_err(|source| Cause::Mask { source })?;
        Ok(Self(Some(Arc::new(Patterns { automaton, longest }))))
    }

    /// `text` without the secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut shown = stream.push(text.as_bytes());
        shown.extend(stream.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// For bytes that come piece by piece.
    pub(crate) fn stream(&self) -> MaskedStream {
        let start = self.0.as_ref().map(|patterns| patterns.start()).unwrap_or_default();
        MaskedStream {
            patterns: self.0.clone(),
            start,
            state: start,
            held: Vec::new(),
            hidden: Vec::new(),
            is_inside: false,
        }
    }
}

impl Patterns {
    fn start(&self) -> StateID {
        self.automaton.start_state(Anchored::No).expect("invariant: an NFA searches from everywhere")
    }
}

/// The password of `scheme://user:password@host`.
fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(authority.rsplit_once('@')?.0.split_once(':')?.1)
}

/// Bytes on their way out. What may be the beginning of a secret waits for what comes next, at most until its line ends:
/// no pattern holds a line feed.
#[derive(Debug)]
pub(crate) struct MaskedStream {
    patterns: Option<Arc<Patterns>>,
    start: StateID,
    state: StateID,
    /// What has come since the automaton was in its start state, and is not shown yet.
    held: Vec<u8>,
    /// Which parts of it are secret, in order and apart from each other.
    hidden: Vec<Range<usize>>,
    /// Whether `held` begins inside a secret whose stars are shown already.
    is_inside: bool,
}

impl MaskedStream {
    /// Takes what comes next; returns what can be shown now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(patterns) = self.patterns.clone() else { return bytes.to_vec() };
        let automaton = &patterns.automaton;
        let mut shown = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.state = automaton.next_state(Anchored::No, self.state, *byte);
            if self.state == self.start && self.held.is_empty() {
                shown.push(*byte);
                continue;
            }
            self.held.push(*byte);
            if automaton.is_match(self.state) {
                let matches = 0..automaton.match_len(self.state);
                let lengths =
                    matches.map(|index| automaton.pattern_len(automaton.match_pattern(self.state, index)));
                self.hide(lengths.max().unwrap_or_default());
            }
            if self.state == self.start {
                self.release(self.held.len(), &mut shown);
            } else if self.held.len() > 2 * patterns.longest {
                // No match that is still to end begins before the last `longest` bytes.
                self.release(self.held.len() - patterns.longest, &mut shown);
            }
        }
        shown
    }

    /// Ends the stream; returns what was waiting.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut shown = Vec::new();
        self.release(self.held.len(), &mut shown);
        self.state = self.start;
        shown
    }

    /// Hides the last `length` bytes.
    fn hide(&mut self, length: usize) {
        let mut range = self.held.len() - length..self.held.len();
        while let Some(last) = self.hidden.pop_if(|last| last.end >= range.start) {
            range.start = range.start.min(last.start);
        }
        self.hidden.push(range);
    }

    /// Shows the first `count` bytes that are held, secrets as stars.
    fn release(&mut self, count: usize, shown: &mut Vec<u8>) {
        let mut at = 0;
        for range in self.hidden.iter().take_while(|range| range.start < count) {
            shown.extend_from_slice(&self.held[at..range.start]);
            if !(self.is_inside && range.start == 0) {
                shown.extend_from_slice(STARS);
            }
            at = range.end.min(count);
        }
        shown.extend_from_slice(&self.held[at..count]);
        self.held.drain(..count);
        self.is_inside = self.hidden.iter().any(|range| range.start < count && count < range.end);
        self.hidden.retain(|range| range.end > count);
        for range in &mut self.hidden {
            *range = range.start.saturating_sub(count)..range.end - count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(secrets: &[&[u8]]) -> Mask {
        let named = secrets.iter().enumerate();
        let secrets = named.map(|(id, bytes)| (id.to_string(), Secret::new(bytes.to_vec()).unwrap()));
        Mask::new(&secrets.collect(), &BTreeMap::new()).unwrap()
    }

    /// What is shown of `text` when it comes in pieces of `size` bytes.
    fn shown(mask: &Mask, text: &str, size: usize) -> String {
        let mut stream = mask.stream();
        let mut shown: Vec<u8> = text.as_bytes().chunks(size).flat_map(|piece| stream.push(piece)).collect();
        shown.extend(stream.finish());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn values_are_hidden_however_they_come() {
        let secrets: [&[u8]; 6] =
            [b"hunter2\n", b"hunter22x", b"abc", b"  one line\r\n\nkey\n  two lines", b"", b"aaaa"];
        let mask = mask(&secrets);
        for (text, expected) in [
            ("the password is hunter2.", "the password is ***."),
            ("hunter2hunter2", "***"),
            ("hunter22x hunter22y", "*** ***2y"),
            ("hunthunter2hunter", "hunt***hunter"),
            ("hunter\n2", "hunter\n2"),
            ("abc key", "abc key"),
            ("one line\n> two lines", "***\n> ***"),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "***b"),
            ("aaab aaa", "aaab aaa"),
            ("", ""),
            ("grüße hunter2", "grüße ***"),
        ] {
            for size in 1..=text.len().max(1) {
                assert_eq!(shown(&mask, text, size), expected, "{text} by {size}");
            }
            assert_eq!(mask.text(text), expected);
        }
    }

    /// All places of all values become stars, those side by side or over each other together.
    fn oracle(secrets: &[&[u8]], text: &str) -> String {
        let mut is_hidden = vec![false; text.len()];
        for secret in secrets {
            for at in (0..text.len()).filter(|at| text.as_bytes()[*at..].starts_with(secret)) {
                is_hidden[at..at + secret.len()].fill(true);
            }
        }
        let mut shown = String::new();
        for (at, letter) in text.char_indices() {
            if !is_hidden[at] {
                shown.push(letter);
            } else if at == 0 || !is_hidden[at - 1] {
                shown.push_str("***");
            }
        }
        shown
    }

    #[test]
    fn every_text_of_two_letters_is_masked_as_its_oracle_says() {
        let secrets: [&[u8]; 5] = [b"aaba", b"abab", b"bbbbb", b"abbab", b"baab"];
        let mask = mask(&secrets);
        for bits in 0..1_u32 << 13 {
            let text: String = (0..13).map(|bit| if bits >> bit & 1 == 0 { 'a' } else { 'b' }).collect();
            let expected = oracle(&secrets, &text);
            for size in [1, 3, 13] {
                assert_eq!(shown(&mask, &text, size), expected, "{text} by {size}");
            }
        }
    }

    #[test]
    fn only_what_may_become_a_secret_waits() {
        let mut stream = mask(&[b"hunter2"]).stream();
        assert_eq!(stream.push(b"Password: "), b"Password: ");
        assert_eq!(stream.push(b"hunt"), b"");
        assert_eq!(stream.push(b"ing\nhunter"), b"hunting\n");
        assert_eq!(stream.push(b"2"), b"");
        assert_eq!(stream.push(b"\n"), b"***\n");
        assert_eq!(stream.push(b"hunt"), b"");
        assert_eq!(stream.finish(), b"hunt");
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut stream = mask(&[b"aaaaaaab"]).stream();
        let shown: usize = (0..1000).map(|_| stream.push(&[b'a'; 100]).len()).sum();
        assert!(shown > 99_900 && stream.held.len() <= 16);
        let mut stream = mask(&[b"aaaa"]).stream();
        let shown: Vec<u8> = (0..1000).flat_map(|_| stream.push(&[b'a'; 100])).collect();
        assert_eq!((shown.as_slice(), stream.finish()), (STARS, Vec::new()));
    }

    #[test]
    fn the_largest_secret_can_be_hidden() {
        let value: String = (0..Secret::MAX_SIZE).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
        let mask = mask(&[value.as_bytes()]);
        assert_eq!(shown(&mask, &format!("<{value}>"), 4096), "<***>");
    }

    #[test]
    fn passwords_of_proxies_are_hidden() {
        let proxies = BTreeMap::from([
            ("HTTP_PROXY".to_owned(), "http://me:pass:w@rd@proxy:3128/a@b".to_owned()),
            ("https_proxy".to_owned(), "http://proxy:3128".to_owned()),
            ("OTHER".to_owned(), "http://me:other@proxy".to_owned()),
        ]);
        let mask = Mask::new(&BTreeMap::new(), &proxies).unwrap();
        assert_eq!(mask.text("http://me:pass:w@rd@proxy:3128 other"), "http://me:***@proxy:3128 other");
        assert_eq!(password("http://me@host:80"), None);
    }
}

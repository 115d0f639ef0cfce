//! Byte strings that a layer must not hold, searched for while it is written.
//!
//! What they are and why they are forbidden is the caller's business; here they have names.

use memchr::memmem::Finder;

/// Byte strings that no entry of a layer may hold, in its name, link target, extended attributes or content.
#[derive(Clone)]
pub struct Forbidden {
    strings: Vec<(String, Finder<'static>)>,
    /// The length of the longest one.
    longest: usize,
}

impl std::fmt::Debug for Forbidden {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.strings.iter().map(|(name, _)| name)).finish()
    }
}

impl Forbidden {
    /// Forbids each string; errors call it by its name. Empty ones are passed over, as they are everywhere.
    pub fn new(strings: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let strings: Vec<_> = strings
            .into_iter()
            .filter(|(_, string)| !string.is_empty())
            .map(|(name, string)| (name, Finder::new(&string).into_owned()))
            .collect();
        let longest = strings.iter().map(|(_, finder)| finder.needle().len()).max().unwrap_or_default();
        Self { strings, longest }
    }

    /// The name of a string that is in `bytes`.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<&str> {
        let found = self.strings.iter().find(|(_, finder)| finder.find(bytes).is_some());
        found.map(|(name, _)| name.as_str())
    }

    /// A search in bytes that come piece by piece.
    pub(super) fn search(&self) -> Search<'_> {
        Search { forbidden: self, seam: Vec::new() }
    }
}

/// A search that finds what lies across pieces, too.
pub(super) struct Search<'a> {
    forbidden: &'a Forbidden,
    /// The end of what has come: one byte less than the longest string.
    seam: Vec<u8>,
}

impl<'a> Search<'a> {
    /// The name of a string that ends in `piece`, which comes after all pieces before.
    pub(super) fn piece(&mut self, piece: &[u8]) -> Option<&'a str> {
        let reach = self.forbidden.longest.saturating_sub(1);
        let beginning = &piece[..piece.len().min(reach)];
        let across = if self.seam.is_empty() {
            None
        } else {
            self.seam.extend_from_slice(beginning);
            self.forbidden.find(&self.seam)
        };
        let found = across.or_else(|| self.forbidden.find(piece));
        if piece.len() >= reach {
            self.seam.clear();
            self.seam.extend_from_slice(&piece[piece.len() - reach..]);
        } else {
            if self.seam.is_empty() {
                self.seam.extend_from_slice(beginning);
            }
            let surplus = self.seam.len().saturating_sub(reach);
            self.seam.drain(..surplus);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(strings: &[&str]) -> Forbidden {
        Forbidden::new(strings.iter().map(|string| ((*string).to_owned(), string.as_bytes().to_vec())))
    }

    /// What is found in `text` when it comes in pieces of `size` bytes.
    fn found(forbidden: &Forbidden, text: &str, size: usize) -> Option<String> {
        let mut search = forbidden.search();
        text.as_bytes().chunks(size).find_map(|piece| search.piece(piece)).map(str::to_owned)
    }

    #[test]
    fn strings_are_found_however_they_are_cut() {
        let forbidden = forbidden(&["hunter2", "a long string that spans pieces", ""]);
        for (text, expected) in [
            ("", None),
            ("hunter", None),
            ("hunter2", Some("hunter2")),
            ("the hunter has hunter2, then more", Some("hunter2")),
            ("hunter hunter 2", None),
            ("xx a long string that spans pieces.", Some("a long string that spans pieces")),
            ("a long string that spans piece", None),
            ("hunter2 and a long string that spans piecez", Some("hunter2")),
        ] {
            for size in 1..=text.len().max(1) {
                assert_eq!(found(&forbidden, text, size).as_deref(), expected, "{text} by {size}");
            }
        }
    }

    #[test]
    fn a_search_keeps_less_than_the_longest_string() {
        let forbidden = forbidden(&["a long string that spans pieces"]);
        let mut search = forbidden.search();
        for size in [1, 5, 100, 3, 30, 31, 0, 7] {
            assert_eq!(search.piece(&vec![b'a'; size]), None);
            assert!(search.seam.len() < forbidden.longest);
        }
    }

    #[test]
    fn nothing_forbidden_finds_nothing() {
        assert_eq!(found(&forbidden(&[]), "anything", 3), None);
        assert_eq!(found(&forbidden(&["x"]), "axb", 1).as_deref(), Some("x"));
        assert_eq!(format!("{:?}", Forbidden::new([("id".to_owned(), b"hunter2".to_vec())])), "[\"id\"]");
    }
}

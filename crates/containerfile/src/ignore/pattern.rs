//! One pattern of an ignore file: moby's `patternmatcher`, with a state set in place of a regular expression.
//!
//! Three spellings are not patterns to moby but plain comparisons (`a/b`, `dir/**`, `**/name`), and the last
//! one has a rule of its own (`**name` is any path that ends in `name`). Everything else is simulated as a
//! state set: time is the product of the two lengths, whatever the pattern.

use crate::glob::{self, SLASH, Symbol, Token};

/// A path, decoded once for all patterns.
pub(super) struct Path<'a> {
    bytes: &'a [u8],
    symbols: Vec<Symbol>,
}

impl<'a> Path<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, symbols: glob::symbols(bytes) }
    }

    /// The directories that lead to the path, outermost first, and the path itself.
    fn levels(&self) -> impl Iterator<Item = &'a [u8]> {
        let ends = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let bytes = self.bytes;
        ends.chain([bytes.len()]).map(move |end| &bytes[..end])
    }
}

/// A parsed pattern, without `!`.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// The path itself.
    Exact(String),
    /// `dir/**`: everything that starts with the text (`dir/`).
    Prefix(String),
    /// `**/name` or `**name`: everything that ends in the text, and `name` for `/name`.
    Suffix(String),
    States(States),
}

impl Pattern {
    /// Parses a pattern that has no outer blanks. `None` if Go's `filepath.Match` would refuse it.
    pub(super) fn parse(written: &str) -> Option<Self> {
        if written.is_empty() {
            return None;
        }
        let clean = clean(written);
        let clean = if clean.len() > 1 { clean.trim_start_matches('/') } else { &clean };
        let tokens = glob::tokenize(clean)?;
        let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '\\']);
        Some(if is_plain(clean) {
            Self::Exact(clean.to_owned())
        } else if let Some(suffix) = clean.strip_prefix("**").filter(|suffix| is_plain(suffix)) {
            Self::Suffix(suffix.to_owned())
        } else if let Some(prefix) = clean.strip_suffix("**").filter(|prefix| is_plain(prefix)) {
            Self::Prefix(prefix.to_owned())
        } else {
            Self::States(States::new(&tokens))
        })
    }

    pub(super) fn matches(&self, path: &Path<'_>) -> bool {
        match self {
            Self::States(states) => states.matches(&path.symbols),
            plain => plain.compares(path.bytes),
        }
    }

    /// Whether the pattern matches each directory that leads to the path, and the path itself.
    pub(super) fn matches_levels(&self, path: &Path<'_>) -> Vec<bool> {
        match self {
            Self::States(states) => states.matches_levels(&path.symbols),
            plain => path.levels().map(|level| plain.compares(level)).collect(),
        }
    }

    /// The comparison that a pattern without states is.
    fn compares(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => {
                path.ends_with(suffix.as_bytes())
                    || suffix.strip_prefix('/').is_some_and(|name| path == name.as_bytes())
            }
            Self::States(_) => false,
        }
    }

    /// Whether some path below `dir` can match.
    pub(super) fn may_match_below(&self, dir: &Path<'_>) -> bool {
        let below = |text: &str| {
            let (text, dir) = (text.as_bytes(), dir.bytes);
            dir.is_empty() || text.strip_prefix(dir).is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
        };
        match self {
            Self::Exact(exact) => below(exact),
            Self::Prefix(prefix) => {
                below(prefix) || [dir.bytes, b"/"].concat().starts_with(prefix.as_bytes())
            }
            Self::Suffix(_) => true,
            Self::States(states) => states.may_match_below(&dir.symbols),
        }
    }
}

/// A pattern as a list of states; a path matches if it can lead from the first state past the last one.
#[derive(Debug, Clone)]
pub(super) struct States {
    states: Vec<State>,
}

#[derive(Debug, Clone)]
enum State {
    /// One character.
    One(Token),
    /// `*`: any number of characters, none of them `/`.
    Run,
    /// `**` at the end: any text.
    Rest,
    /// `**` elsewhere: nothing, or any text that ends in `/`. The next state is its [`State::Inside`].
    Directories,
    /// Some of a [`State::Directories`] has been read.
    Inside,
}

impl States {
    fn new(tokens: &[Token]) -> Self {
        let mut states = Vec::with_capacity(tokens.len());
        let mut rest = tokens;
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match (token, after) {
                (Token::Star, [Token::Star, after @ ..]) => {
                    rest = after.strip_prefix(&[Token::Literal('/')]).unwrap_or(after);
                    if rest.is_empty() {
                        states.push(State::Rest);
                    } else {
                        states.extend([State::Directories, State::Inside]);
                    }
                }
                (Token::Star, _) => states.push(State::Run),
                (single, _) => states.push(State::One(single.clone())),
            }
        }
        Self { states }
    }

    fn matches(&self, path: &[Symbol]) -> bool {
        self.run(path, |_, _| {})[self.states.len()]
    }

    /// One pass: where a slash comes next, the states so far answer for the directory.
    fn matches_levels(&self, path: &[Symbol]) -> Vec<bool> {
        let mut levels = Vec::new();
        let live = self.run(path, |symbol, live| {
            if symbol == SLASH {
                levels.push(live[self.states.len()]);
            }
        });
        levels.push(live[self.states.len()]);
        levels
    }

    fn may_match_below(&self, dir: &[Symbol]) -> bool {
        let mut below = dir.to_vec();
        if !below.is_empty() {
            below.push(SLASH);
        }
        // The end state alone can take nothing more.
        self.run(&below, |_, _| {})[..self.states.len()].contains(&true)
    }

    /// The states that `path` can lead to; `visit` sees each character and the states before it.
    fn run(&self, path: &[Symbol], mut visit: impl FnMut(Symbol, &[bool])) -> Vec<bool> {
        let mut live = vec![false; self.states.len() + 1];
        let mut next = live.clone();
        live[0] = true;
        self.skip_empty(&mut live);
        for symbol in path {
            visit(*symbol, &live);
            next.fill(false);
            for (index, state) in self.states.iter().enumerate().filter(|(index, _)| live[*index]) {
                match state {
                    State::One(token) => next[index + 1] |= token.matches(*symbol),
                    State::Run => next[index] |= *symbol != SLASH,
                    State::Rest => next[index] = true,
                    // Taken care of by its `Inside`, which is live whenever it is.
                    State::Directories => {}
                    State::Inside => {
                        next[index] = true;
                        next[index + 1] |= *symbol == SLASH;
                    }
                }
            }
            self.skip_empty(&mut next);
            std::mem::swap(&mut live, &mut next);
        }
        live
    }

    /// Makes live what can be reached without reading anything.
    fn skip_empty(&self, live: &mut [bool]) {
        for (index, state) in self.states.iter().enumerate() {
            if !live[index] {
                continue;
            }
            match state {
                State::Run | State::Rest => live[index + 1] = true,
                State::Directories => {
                    live[index + 1] = true;
                    live[index + 2] = true;
                }
                State::One(_) | State::Inside => {}
            }
        }
    }
}

/// Go's `filepath.Clean`: no `.`, no `..` that something stands before, no double or trailing slash.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut elements: Vec<&str> = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." if elements.last().is_some_and(|last| *last != "..") => {
                elements.pop();
            }
            ".." if rooted => {}
            element => elements.push(element),
        }
    }
    let joined = elements.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_like_go() {
        for (path, expected) in [
            ("a//b/./c/", "a/b/c"),
            ("./a", "a"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            (".", "."),
            ("/", "/"),
            ("a/..", "."),
            ("**/", "**"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}

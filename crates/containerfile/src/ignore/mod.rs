//! Ignore files (`.dockerignore`, `.containerignore`) and `--exclude` lists.
//!
//! Parsing is that of moby's `ignorefile`, matching that of moby's `patternmatcher` as BuildKit walks a context
//! with it: a pattern that matches a directory also matches what is below it, and the last pattern that matches
//! decides. Every decision names its pattern and line, so that an error can say what hides a file.

mod pattern;

use std::fmt;

use pattern::Pattern;

/// The rules of one ignore file, or of one list of patterns.
#[derive(Debug, Clone)]
pub struct IgnoreFile {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// The line it stands in, from 1; for a list, its place in the list.
    line: usize,
    /// As written, without outer blanks.
    written: String,
    /// `!`: matching paths are let in again.
    exception: bool,
    pattern: Pattern,
}

/// What the rules say of a path, and which of them says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether the path is left out.
    pub excluded: bool,
    /// The line of the deciding pattern, from 1.
    pub line: usize,
    /// The deciding pattern as it is written.
    pub pattern: &'a str,
}

/// Which rules have matched a directory; what is below it inherits that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// One per rule.
    rules: Vec<bool>,
}

/// A line of an ignore file that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidIgnoreFile {
    /// Name of the file.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub pattern: String,
}

impl fmt::Display for InvalidIgnoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: bad pattern `{}`", self.name, self.line, self.pattern)
    }
}

impl std::error::Error for InvalidIgnoreFile {}

impl IgnoreFile {
    /// Parses the text of an ignore file; `name` is for messages.
    ///
    /// A byte order mark, blank lines and lines that start with `#` are skipped.
    pub fn parse(name: &str, text: &str) -> Result<Self, InvalidIgnoreFile> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
        Self::build(name, lines)
    }

    /// Takes patterns that do not come from a file, such as those of `--exclude`; `#` has no meaning in them.
    pub fn from_patterns<'a>(
        name: &str,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidIgnoreFile> {
        Self::build(name, patterns.into_iter().enumerate())
    }

    fn build<'a>(
        name: &str,
        lines: impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<Self, InvalidIgnoreFile> {
        let mut rules = Vec::new();
        for (index, line) in lines {
            let written = line.trim();
            if written.is_empty() {
                continue;
            }
            let line = index + 1;
            let invalid = || InvalidIgnoreFile { name: name.to_owned(), line, pattern: written.to_owned() };
            let (exception, path) = match written.strip_prefix('!') {
                Some(path) => (true, path.trim()),
                None => (false, written),
            };
            let pattern = Pattern::parse(path).ok_or_else(invalid)?;
            rules.push(Rule { line, written: written.to_owned(), exception, pattern });
        }
        Ok(Self { name: name.to_owned(), rules })
    }

    /// The name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is no rule at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the rules say of `path`: relative to the context, elements separated by `/`, no `.` or `..`.
    /// `None` means that no rule matches, so that the path is in.
    pub fn matches(&self, path: impl AsRef<[u8]>) -> Option<Decision<'_>> {
        let path = pattern::Path::new(path.as_ref());
        let levels: Vec<Vec<bool>> =
            self.rules.iter().map(|rule| rule.pattern.matches_levels(&path)).collect();
        let depth = levels.first().map_or(0, Vec::len);
        let matched = (0..depth)
            .fold(self.root(), |directory, level| self.step(&directory, |index, _| levels[index][level]));
        self.decision(&matched)
    }

    /// The state of the context's root directory, for [`IgnoreFile::matches_below`].
    pub fn root(&self) -> Matched {
        Matched { rules: vec![false; self.rules.len()] }
    }

    /// Matches `path` (whole, from the context's root) when the state of its directory is known.
    ///
    /// A walker keeps one state per directory and so looks at each path once. The state must be one that this
    /// very file gave.
    pub fn matches_below(&self, directory: &Matched, path: impl AsRef<[u8]>) -> Matched {
        let path = pattern::Path::new(path.as_ref());
        self.step(directory, |_, pattern| pattern.matches(&path))
    }

    /// From the state of a directory to that of what stands in it.
    fn step(&self, directory: &Matched, matches: impl Fn(usize, &Pattern) -> bool) -> Matched {
        let mut excluded = false;
        let mut rules = vec![false; self.rules.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            let inherited = directory.rules.get(index).copied().unwrap_or(false);
            // As patternmatcher does it: a rule that would change nothing is not asked, and what is below a
            // directory does not inherit an answer that was not given.
            if inherited || (rule.exception == excluded && matches(index, &rule.pattern)) {
                rules[index] = true;
                excluded = !rule.exception;
            }
        }
        Matched { rules }
    }

    /// What a state says of its path.
    pub fn decision(&self, matched: &Matched) -> Option<Decision<'_>> {
        let index = matched.rules.iter().rposition(|matches| *matches)?;
        let rule = self.rules.get(index)?;
        Some(Decision { excluded: !rule.exception, line: rule.line, pattern: &rule.written })
    }

    /// Whether an exception (`!`) may let in something below the excluded directory `dir`; if not, a walker
    /// need not enter it.
    pub fn may_include_below(&self, dir: impl AsRef<[u8]>) -> bool {
        let dir = pattern::Path::new(dir.as_ref());
        self.rules.iter().any(|rule| rule.exception && rule.pattern.may_match_below(&dir))
    }
}

#[cfg(test)]
mod tests;

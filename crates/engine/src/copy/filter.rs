//! What the ignore file leaves of the build context.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use containerfile::Source;
use containerfile::ignore::{IgnoreFile, Matched};

use crate::error::{Cause, Error, IgnoreRule};

/// Tells which paths of a source may be seen.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    rules: Option<IgnoreFile>,
}

/// The states of the directories that a walk is in.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    filter: &'a Filter,
    /// A directory and what the rules said of it; each inside the one before.
    above: Vec<(PathBuf, Matched)>,
}

/// What a walk does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// Leaves it out, with all that is in it.
    Skip,
    /// Leaves it out, but not all that is in it.
    Pass,
    /// Takes it.
    Take,
}

impl Filter {
    /// The filter that hides nothing.
    pub(crate) const fn all() -> Self {
        Self { rules: None }
    }

    /// The filter of an ignore file.
    pub(crate) fn parse(text: &Source) -> Result<Self, Error> {
        let rules = IgnoreFile::parse(text.name(), text.text()).map_err(|error| Cause::InvalidArgument {
            what: "pattern",
            text: error.pattern.clone(),
            why: format!("in line {} of {}", error.line, error.name),
        })?;
        Ok(Self { rules: Some(rules).filter(|rules| !rules.is_empty()) })
    }

    /// The filter of patterns that come from no file.
    pub(crate) fn of_patterns(patterns: &[String]) -> Result<Self, Error> {
        let rules = IgnoreFile::from_patterns("--exclude", patterns.iter().map(String::as_str));
        let rules = rules.map_err(|error| Cause::InvalidArgument {
            what: "pattern",
            text: error.pattern,
            why: "it cannot be understood".to_owned(),
        })?;
        Ok(Self { rules: Some(rules).filter(|rules| !rules.is_empty()) })
    }

    /// The rule that hides `path`, if one does.
    pub(crate) fn hidden_by(&self, path: &Path) -> Option<IgnoreRule> {
        let rules = self.rules.as_ref()?;
        if path.as_os_str().is_empty() {
            return None;
        }
        let decision = rules.matches(path.as_os_str().as_bytes()).filter(|decision| decision.excluded)?;
        Some(IgnoreRule {
            file: rules.name().to_owned(),
            line: decision.line,
            pattern: decision.pattern.to_owned(),
        })
    }

    /// Whether the rules let in `path`. An excluded directory is let in while something below it may be.
    pub(crate) fn allows(&self, path: &Path, is_dir: bool) -> bool {
        let Some(rules) = &self.rules else { return true };
        self.hidden_by(path).is_none() || (is_dir && rules.may_include_below(path.as_os_str().as_bytes()))
    }

    /// Begins a walk of the context from its root or a directory in it.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk { filter: self, above: Vec::new() }
    }
}

impl Walk<'_> {
    /// As [`Filter::allows`], looking at each path once. Paths must come in the order of a walk.
    pub(crate) fn allows(&mut self, path: &Path, is_dir: bool) -> bool {
        self.visit(path, is_dir) != Visit::Skip
    }

    /// What the rules say of `path`. Paths must come in the order of a walk.
    pub(crate) fn visit(&mut self, path: &Path, is_dir: bool) -> Visit {
        let Some(rules) = &self.filter.rules else { return Visit::Take };
        let matched = self.matched(rules, path);
        let excluded = rules.decision(&matched).is_some_and(|decision| decision.excluded);
        self.above.push((path.to_owned(), matched));
        match excluded {
            false => Visit::Take,
            true if is_dir && rules.may_include_below(path.as_os_str().as_bytes()) => Visit::Pass,
            true => Visit::Skip,
        }
    }

    fn matched(&mut self, rules: &IgnoreFile, path: &Path) -> Matched {
        while self.above.last().is_some_and(|(dir, _)| !path.starts_with(dir) || dir == path) {
            self.above.pop();
        }
        let mut state = self.above.last().map_or_else(|| rules.root(), |(_, matched)| matched.clone());
        let known = self.above.last().map_or(0, |(dir, _)| dir.components().count());
        // A walk that begins below the root has not seen the directories above it.
        let mut prefix: PathBuf = path.components().take(known).collect();
        let missing: Vec<_> = path.components().skip(known).collect();
        let (last, between) = missing.split_last().expect("invariant: a path in a walk is not the root");
        for name in between {
            prefix.push(name);
            state = rules.matches_below(&state, prefix.as_os_str().as_bytes());
            self.above.push((prefix.clone(), state.clone()));
        }
        prefix.push(last);
        rules.matches_below(&state, prefix.as_os_str().as_bytes())
    }
}

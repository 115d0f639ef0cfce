//! `Containerfile.in`: what `cpp -E -traditional -undef` makes of it for buildah, without cpp.
//!
//! A line that starts with `#` and the name of a directive is one; any other is text, so that comments and parser
//! directives stay. Directives vanish, also between continued lines. Unlike cpp's, `/*` is a comment only where a
//! line starts with it, because elsewhere it is a glob; and what cpp would warn of and go on is an error.
//!
//! Files are read by the caller, who confines them. Start reading at [`preprocess`]; `groups` is which lines count,
//! `condition` the expression behind `#if`, `macros` and `expansion` what names stand for.

mod condition;
mod directive;
mod expansion;
mod flags;
mod groups;
mod macros;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use flags::{CppFlags, InvalidCppFlag};

use self::directive::Directive;
use self::expansion::{Problem, Replacement, Scanner};
use self::groups::Groups;
use crate::origin::Origin;
use crate::{Diagnostic, Severity, Source, Span};

/// Files that include each other without an end stop here.
const MAX_DEPTH: usize = 64;

/// No honest Containerfile is made of more files, or of more bytes.
const MAX_FILES: usize = 4096;
const MAX_BYTES: usize = 16 << 20;

/// A text that is none at all should not fill the screen.
const MAX_ERRORS: usize = 50;

/// Reads the file at a path relative to the build context; nothing if it is not there.
///
/// Errors: why it cannot be read.
pub type ReadInclude<'a> = dyn FnMut(&str) -> Result<Option<Source>, String> + 'a;

/// A text that could not be preprocessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprocessed {
    /// What the diagnostics point into.
    pub source: Source,
    /// What is wrong, warnings too.
    pub diagnostics: Vec<Diagnostic>,
}

/// Preprocesses `source`, which stands in the directory `dir` of the build context; empty for the context itself.
///
/// Spans of the result lead back to the lines of the files. Bounded in depth, files and bytes.
///
/// Errors: everything that is wrong.
pub fn preprocess(
    source: Source,
    dir: &str,
    flags: &CppFlags,
    read: &mut ReadInclude<'_>,
) -> Result<Source, Box<Unprocessed>> {
    let name = source.name().to_owned();
    let mut preprocessor = Preprocessor {
        flags: flags.clone(),
        read,
        text: String::new(),
        origin: Origin::default(),
        lossy: false,
        diagnostics: Vec::new(),
        errors: 0,
        budget: MAX_BYTES,
        depth: 0,
    };
    preprocessor.file(source, dir);
    let Preprocessor { text, origin, lossy, diagnostics, errors, .. } = preprocessor;
    if errors > 0 {
        let source = Source::assembled(name, text, lossy, origin, Vec::new());
        return Err(Box::new(Unprocessed { source, diagnostics }));
    }
    Ok(Source::assembled(name, text, lossy, origin, diagnostics))
}

struct Preprocessor<'a, 'r> {
    flags: CppFlags,
    read: &'a mut ReadInclude<'r>,
    text: String,
    origin: Origin,
    lossy: bool,
    diagnostics: Vec<Diagnostic>,
    /// How many of them are errors.
    errors: usize,
    /// How many bytes may still be read or come of macros.
    budget: usize,
    depth: usize,
}

/// A file that is being read.
#[derive(Clone, Copy)]
struct Open<'t> {
    /// Its number in the origin.
    file: usize,
    text: &'t str,
    dir: &'t str,
}

impl Preprocessor<'_, '_> {
    fn file(&mut self, source: Source, dir: &str) {
        self.lossy |= source.is_lossy();
        self.budget = self.budget.saturating_sub(source.text().len());
        let text = source.text().to_owned();
        let file = self.origin.add(source.into_file());
        let open = Open { file, text: &text, dir };
        let mut groups = Groups::default();
        let mut scanner = Scanner::default();
        let mut at = 0;
        while at < text.len() && self.budget > 0 && self.errors < MAX_ERRORS {
            at = self.next(open, at, &mut groups, &mut scanner);
        }
        if self.budget == 0 {
            // Every file that was open stops here; it is told once.
            if self.depth == 0 {
                let message = format!("includes and macros make more than {MAX_BYTES} bytes");
                self.complain(open, 0..0, message, "a file may include itself");
            }
        } else if let Some(start) = groups.open().filter(|_| at == text.len()) {
            self.complain(open, start, "this is never ended", "write `#endif` where it ends");
        }
    }

    /// Takes a directive, a comment or a line of text at `at`; gives the offset behind it.
    fn next(&mut self, open: Open<'_>, at: usize, groups: &mut Groups, scanner: &mut Scanner) -> usize {
        let rest = &open.text[at..];
        if let Some(line) = directive::parse(rest) {
            let range = at..at + line.length;
            if let Err(message) = self.directive(open, &line.directive, range.clone(), groups) {
                self.complain(open, range.clone(), message, directive::HINT);
            }
            return range.end;
        }
        if let Some(length) = comment(rest).filter(|_| !scanner.in_line()) {
            return at + length;
        }
        let end = rest.find('\n').map_or(open.text.len(), |newline| at + newline + 1);
        if groups.count() {
            self.line(open, at..end, scanner);
        }
        end
    }

    fn directive(
        &mut self,
        open: Open<'_>,
        directive: &Directive,
        range: Range<usize>,
        groups: &mut Groups,
    ) -> Result<(), String> {
        let (macros, budget) = (&mut self.flags.macros, &mut self.budget);
        match directive {
            Directive::If(condition) => groups.start(range, || condition.holds(macros, budget)),
            Directive::Elif(condition) => groups.alternative(|| condition.holds(macros, budget)),
            Directive::Else => groups.otherwise(),
            Directive::Endif => groups.end(),
            _ if !groups.count() => Ok(()),
            Directive::Define(definition) => {
                if let Some(name) = macros.define(definition)? {
                    self.warn(open, range, format!("`{name}` stood for something else before"));
                }
                Ok(())
            }
            Directive::Undef(name) => macros.undefine(name),
            Directive::Include(name) => self.include(open, name, range),
            Directive::Warning(message) => {
                self.warn(open, range, message.clone());
                Ok(())
            }
            Directive::Error(message) => Err(message.clone()),
        }
    }

    fn include(&mut self, open: Open<'_>, name: &str, range: Range<usize>) -> Result<(), String> {
        let name = self.flags.macros.expand(name, &mut self.budget)?;
        let (name, quoted) = directive::included(&name)?;
        if self.depth == MAX_DEPTH || self.origin.files() == MAX_FILES {
            return Err("too many files include each other".to_owned());
        }
        let beside = [open.dir, ""].into_iter().filter(|_| quoted);
        let dirs = beside.chain(self.flags.dirs.iter().map(String::as_str));
        let mut paths: Vec<String> = dirs.map(|dir| join(dir, name)).collect();
        paths.dedup();
        for path in &paths {
            let found = (self.read)(path).map_err(|why| format!("cannot include `{path}`: {why}"))?;
            if let Some(source) = found {
                self.depth += 1;
                self.file(source, path.rsplit_once('/').map_or("", |(dir, _)| dir));
                self.depth -= 1;
                return Ok(());
            }
        }
        let missing = Diagnostic::error(format!("there is no file `{name}`"), self.keep(open, range));
        let looked = |path: &String| format!("looked for `{path}` in the build context");
        self.fail(paths.iter().map(looked).fold(missing, Diagnostic::with_note));
        Ok(())
    }

    fn line(&mut self, open: Open<'_>, range: Range<usize>, scanner: &mut Scanner) {
        let line = &open.text[range.clone()];
        let mut at = range.start;
        match scanner.line(line, &self.flags.macros, &mut self.budget) {
            Ok(replacements) => {
                for Replacement { range: replaced, text } in replacements {
                    let replaced = range.start + replaced.start..range.start + replaced.end;
                    self.copy(open, at..replaced.start);
                    at = replaced.end;
                    self.origin.push(self.text.len(), open.file, replaced.start, Some(replaced.len()));
                    self.text.push_str(&text);
                }
            }
            Err(Problem { message, range: wrong }) => {
                let start = self.text.len() + wrong.start;
                self.fail(Diagnostic::error(message, Span::new(start, start + wrong.len())));
            }
        }
        self.copy(open, at..range.end);
        if !line.ends_with('\n') {
            self.end_line(open, range.end);
        }
    }

    fn copy(&mut self, open: Open<'_>, range: Range<usize>) {
        self.origin.push(self.text.len(), open.file, range.start, None);
        self.text.push_str(&open.text[range]);
    }

    /// Ends a line that does not end at `at` of its file.
    fn end_line(&mut self, open: Open<'_>, at: usize) {
        self.origin.push(self.text.len(), open.file, at, Some(0));
        self.text.push('\n');
    }

    /// Keeps the first line of a directive as a comment, so that a span can point at it.
    fn keep(&mut self, open: Open<'_>, range: Range<usize>) -> Span {
        let start = self.text.len();
        let line = open.text[range.clone()].lines().next().unwrap_or_default();
        let end = range.start + line.len();
        self.copy(open, range.start..end);
        let span = Span::new(start, self.text.len());
        self.end_line(open, end);
        span
    }

    fn complain(&mut self, open: Open<'_>, range: Range<usize>, message: impl Into<String>, hint: &str) {
        let span = self.keep(open, range);
        self.fail(Diagnostic::error(message, span).with_hint(hint));
    }

    fn fail(&mut self, error: Diagnostic) {
        self.errors += 1;
        self.diagnostics.push(error);
    }

    fn warn(&mut self, open: Open<'_>, range: Range<usize>, message: String) {
        let span = self.keep(open, range);
        self.diagnostics.push(Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message, span) });
    }
}

/// The length of a comment at the start of a line, with what is left of its last line if that is blank.
fn comment(rest: &str) -> Option<usize> {
    let inside = rest.trim_start_matches([' ', '\t']).strip_prefix("/*")?;
    let end = rest.len() - inside.len() + inside.find("*/")? + 2;
    let after = rest[end..].trim_start_matches([' ', '\t', '\r']);
    Some(if after.starts_with('\n') { rest.len() - after.len() + 1 } else { end })
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() || name.starts_with('/') { name.to_owned() } else { format!("{dir}/{name}") }
}

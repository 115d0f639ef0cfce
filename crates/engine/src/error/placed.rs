//! An error: what failed, and where in the user's text.

use std::fmt;
use std::sync::Arc;

use containerfile::{Source, Span};

use super::Cause;

/// As many errors are told at once; a text that is full of them should not fill the screen.
const MOST: usize = 50;

/// A position in the user's text.
#[derive(Debug, Clone)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// The bytes meant.
    pub span: Span,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// Facts about what stands there, one line each.
    pub notes: Vec<String>,
}

impl Place {
    /// The bytes `span` of `source`, of which nothing more is to be said.
    pub fn new(source: &Arc<Source>, span: Span) -> Self {
        Self { source: Arc::clone(source), span, label: None, notes: Vec::new() }
    }

    /// Says `words` beside the caret too.
    pub(crate) fn and_label(mut self, words: String) -> Self {
        self.label = Some(match self.label {
            Some(label) => format!("{label}; {words}"),
            None => words,
        });
        self
    }
}

/// A failed build, push, pull or export.
#[derive(Debug)]
pub struct Error {
    /// What failed.
    pub cause: Box<Cause>,
    /// Where in the user's text, if that is known.
    pub place: Option<Box<Place>>,
}

impl Error {
    /// Points the error at `place`, unless it points somewhere already.
    pub fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert_with(|| Box::new(place));
        self
    }

    /// One error for all of `errors`, if there are any. They are in the order of the text.
    pub(crate) fn all(mut errors: Vec<Self>) -> Result<(), Self> {
        errors.truncate(MOST);
        match errors.pop() {
            None => Ok(()),
            Some(last) if errors.is_empty() => Err(last),
            Some(last) => {
                errors.push(last);
                Err(Cause::Several { errors }.into())
            }
        }
    }

    /// Facts that help to understand the error, one line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes_of_cause();
        notes.extend(self.place.iter().flat_map(|place| place.notes.iter().cloned()));
        notes
    }

    fn notes_of_cause(&self) -> Vec<String> {
        match self.cause.as_ref() {
            Cause::MissingSource { ignored_by: Some(rule), path, .. } => {
                vec![format!("`{path}` is excluded by {}:{} (`{}`)", rule.file, rule.line, rule.pattern)]
            }
            Cause::WrongChecksum { found, .. } => vec![format!("what was fetched has {found}")],
            Cause::RunFailed { last_output, .. } if !last_output.is_empty() => {
                last_output.iter().map(|line| format!("last output: {line}")).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        self.cause.hint()
    }

    /// The exit code of a builder that ends with this error: that of a failed RUN, else 1.
    pub fn exit_code(&self) -> u8 {
        match *self.cause {
            Cause::RunFailed { code, .. } => code,
            Cause::Cancelled => 130,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause.as_ref(), formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.cause.as_ref())
    }
}

impl<C: Into<Cause>> From<C> for Error {
    fn from(cause: C) -> Self {
        Self { cause: Box::new(cause.into()), place: None }
    }
}

//! What is wrong with a text, where, and what would cure it. Rendering is the command line's business.

use std::fmt;

use crate::Span;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The text builds, but probably not as its author thinks.
    Warning,
    /// The text has no meaning.
    Error,
}

/// A message that points into a [`Source`](crate::Source).
///
/// Texts follow the house rule: lower case, no full stop, user input in backquotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The lint rule that speaks, by BuildKit's name, such as `StageNameCasing`.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub message: String,
    /// Where it is wrong.
    pub span: Span,
    /// What to write under the span, when it says more than the message.
    pub label: Option<Box<str>>,
    /// Facts that help to understand, one line each.
    pub notes: Vec<String>,
    /// What to do about it.
    pub hint: Option<Box<str>>,
}

impl Diagnostic {
    /// An error without label, notes and hint.
    pub fn error(message: impl Into<String>, span: Span) -> Self {
        Self {
            severity: Severity::Error,
            code: None,
            message: message.into(),
            span,
            label: None,
            notes: Vec::new(),
            hint: None,
        }
    }

    /// A warning of the lint rule `code`.
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self { severity: Severity::Warning, code: Some(code), ..Self::error(message, span) }
    }

    /// Sets the text under the span.
    pub fn with_label(self, label: impl Into<Box<str>>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Adds a note.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the cure.
    pub fn with_hint(self, hint: impl Into<Box<str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Sets the cure to "did you mean …?" where there is something close enough to mean.
    pub fn with_suggestion(self, suggestion: Option<&str>) -> Self {
        match suggestion {
            Some(suggestion) => self.with_hint(format!("did you mean `{suggestion}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

//! What is told of a failure or a warning: the words, the place in the user's text, the causes, the cure.
//!
//! Every message that is no progress goes through a [`Report`]. Must not know how a command works. How a report looks
//! is in `text`; as JSON it is serialised as it is.

mod text;

use std::io::Write as _;

use containerfile::{Diagnostic, Excerpt, Severity, Source, Span};
use engine::Cause;
use serde::Serialize;

use crate::error::Error;

/// How reports are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// A message with all that belongs to it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report<'a> {
    severity: &'static str,
    /// The lint rule that speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: String,
    #[serde(flatten)]
    place: Option<Place<'a>>,
    notes: Vec<String>,
    causes: Vec<String>,
    hint: Option<String>,
}

/// Bytes of the user's text. In JSON: the file with line and column, both counted from 1, and the
/// label.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    source: &'a Source,
    span: Span,
    label: Option<&'a str>,
}

impl Serialize for Place<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Position<'a> {
            file: &'a str,
            line: usize,
            column: usize,
            #[serde(skip_serializing_if = "Option::is_none")]
            label: Option<&'a str>,
        }
        let Excerpt { name: file, position, .. } = self.source.excerpt(self.span);
        let label = self.label;
        Position { file, line: position.line, column: position.column, label }.serialize(serializer)
    }
}

impl<'a> Report<'a> {
    /// What is told of an error: several reports for a text with several mistakes.
    pub(crate) fn of_error(error: &'a Error) -> Vec<Self> {
        if let Error::Engine(error) = error {
            return Self::of_engine(error);
        }
        if let Some((source, diagnostics)) = error.diagnostics() {
            return diagnostics.iter().map(|diagnostic| Self::of_diagnostic(diagnostic, source)).collect();
        }
        vec![Self::of(error, None, Vec::new(), error.hint())]
    }

    fn of_engine(error: &'a engine::Error) -> Vec<Self> {
        match &*error.cause {
            Cause::Syntax { source_text, diagnostics } => {
                diagnostics.iter().map(|diagnostic| Self::of_diagnostic(diagnostic, source_text)).collect()
            }
            Cause::Several { errors } => errors.iter().flat_map(Self::of_engine).collect(),
            _ => {
                let place = error.place.as_ref().map(|place| Place {
                    source: &place.source,
                    span: place.span,
                    label: place.label.as_deref(),
                });
                vec![Self::of(error, place, error.notes(), error.hint())]
            }
        }
    }

    fn of(
        error: &dyn std::error::Error,
        place: Option<Place<'a>>,
        notes: Vec<String>,
        hint: Option<String>,
    ) -> Self {
        let (severity, message) = ("error", error.to_string());
        Self { severity, code: None, message, place, notes, causes: causes(error), hint }
    }

    /// What is told of a diagnostic in `source`.
    pub(crate) fn of_diagnostic(diagnostic: &'a Diagnostic, source: &'a Source) -> Self {
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            place: Some(Place { source, span: diagnostic.span, label: diagnostic.label.as_deref() }),
            notes: diagnostic.notes.clone(),
            causes: Vec::new(),
            hint: diagnostic.hint.as_deref().map(str::to_owned),
        }
    }

    /// The report as text with ANSI styles, ending in a newline.
    pub(crate) fn to_text(&self) -> String {
        text::render(self)
    }
}

/// Why it happened, outermost first; a cause that only repeats what is said already is left out.
fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
            said = text;
        }
        next = cause.source();
    }
    causes
}

/// Writes what is told of an error to standard error.
pub(crate) fn print(error: &Error, style: Style) {
    let mut out = anstream::stderr().lock();
    for (number, report) in Report::of_error(error).iter().enumerate() {
        let between = if number > 0 { "\n" } else { "" };
        let text = match style {
            Style::Text => format!("{between}{}", report.to_text()),
            Style::Json => format!("{}\n", serde_json::json!({ "event": "error", "report": report })),
        };
        // Nobody can be told that standard error is closed.
        out.write_all(text.as_bytes()).ok();
    }
}

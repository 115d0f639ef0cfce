//! Shell form and exec form, of RUN, CMD, ENTRYPOINT and HEALTHCHECK.

use super::Request;
use crate::fragment::Fragment;
use crate::{Diagnostic, Spanned, json};

/// A command in one of its two forms. Neither is expanded by the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// Text for the stage's shell, continuations joined; may be empty.
    Shell(Spanned<String>),
    /// The arguments of a process; may be empty.
    Exec(Vec<String>),
}

impl CommandLine {
    /// Reads the exec form where the text is a JSON array, else the shell form.
    pub(super) fn read(text: Fragment<'_>) -> Result<Self, Diagnostic> {
        Ok(match json::parse_array(text)? {
            Some(words) => Self::Exec(words.iter().map(|word| word.text().to_owned()).collect()),
            None => Self::Shell(Spanned::new(text.as_str().to_owned(), text.span())),
        })
    }

    /// Whether nothing stands there at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(text) => text.value.is_empty(),
            Self::Exec(arguments) => arguments.is_empty(),
        }
    }
}

/// CMD and ENTRYPOINT.
pub(super) fn parse(mut request: Request<'_>) -> Result<CommandLine, Diagnostic> {
    request.take_flags(&[])?;
    CommandLine::read(request.arguments)
}

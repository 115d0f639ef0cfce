//! The top of the syntax tree.

use crate::instruction::{ArgDeclaration, Instruction};
use crate::{Diagnostic, Directives, Span, Spanned, Word};

/// A parsed Containerfile; it has at least one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerfile {
    /// The `# key=value` lines at the top.
    pub directives: Directives,
    /// The ARGs before the first FROM, which only FROM sees by itself.
    pub global_args: Vec<ArgDeclaration>,
    /// In the order written; a stage's index is its number.
    pub stages: Vec<Stage>,
    /// What lint rules say of the text, those too that do not [speak](crate::CheckOptions::speaks) here. In the order
    /// of the text.
    pub warnings: Vec<Diagnostic>,
}

/// One FROM and the instructions up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its base.
    pub from: From,
    /// The name after `AS`, in lower case; the span shows it as written.
    pub name: Option<Spanned<String>>,
    /// The text of a comment `# <name> …` right above.
    pub description: Option<String>,
    /// The comments right above FROM.
    pub comments: Vec<Spanned<String>>,
    /// What follows FROM.
    pub instructions: Vec<Statement>,
    /// From FROM to the last instruction.
    pub span: Span,
}

/// `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, a stage, a named context or `scratch`.
    pub image: Word,
    /// `--platform=`.
    pub platform: Option<Word>,
    /// `--after=` (buildah), repeatable: stages to build before this one.
    pub after: Vec<Word>,
    /// The logical line: `FROM alpine AS build`.
    pub text: String,
    /// All of it.
    pub span: Span,
    /// The word FROM.
    pub keyword: Span,
    /// The word AS.
    pub as_keyword: Option<Span>,
}

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The instruction.
    pub instruction: Instruction,
    /// The logical line, for history and progress: continuations and comments taken out, else as written, and
    /// without heredoc bodies.
    pub text: String,
    /// The comments right above.
    pub comments: Vec<Spanned<String>>,
    /// From keyword to the end of the logical line, without heredoc bodies.
    pub span: Span,
    /// The keyword.
    pub keyword: Span,
}

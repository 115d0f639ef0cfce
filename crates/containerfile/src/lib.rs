//! The Containerfile language: text in, stages and instructions out, with spans and diagnostics.
//!
//! The syntax tree covers the whole language of the Dockerfile reference (BuildKit's meaning) and the
//! spellings that only buildah knows. What a builder cannot carry out is for the builder to refuse; this
//! crate never drops anything it has read.
//!
//! It must not know the file system, the network, OCI or any other crate of the workspace. Every function is
//! a pure function of its arguments, total (no panic on any input), and close to linear in the input.
//!
//! Where to start reading: [`parse`], then [`Containerfile`], [`Instruction`] and [`Word::expand`]. The way of
//! the text is `logical_line` (continuations) → `heredoc` → `flags`, `words`, `json` (lexing) → `instruction`
//! (one parser each).

mod chmod;
mod diagnostic;
mod directives;
mod expand;
mod flags;
mod fragment;
pub mod glob;
mod heredoc;
pub mod ignore;
mod instruction;
mod json;
mod lint;
mod logical_line;
mod origin;
mod parser;
mod predefined;
mod preprocess;
mod source;
mod span;
mod stage;
mod suggest;
mod word;
mod words;

pub use chmod::{Chmod, InvalidChmod};
pub use diagnostic::{Diagnostic, Severity};
pub use directives::{CheckOptions, Directives, Escape, InvalidCheckOption, RuleSet};
pub use expand::{Expanded, ExpandedWords};
pub use heredoc::Heredoc;
pub use instruction::{
    Add, ArgDeclaration, BindMount, CacheMount, CommandLine, Copy, Device, Healthcheck, HealthcheckOptions,
    Instruction, Invocation, Mount, MountFlag, MountOption, MountSpec, Network, Onbuild, Pair, Run,
    SecretMount, Security, Sharing, SshMount, TmpfsMount, csv_fields,
};
pub use parser::{parse, parse_onbuild_trigger};
pub use predefined::{PLATFORM_ARGS, PREDEFINED_ARGS};
pub use preprocess::{CppFlags, InvalidCppFlag, ReadInclude, Unprocessed, preprocess};
pub use source::{Excerpt, Position, Source};
pub use span::{Span, Spanned};
pub use stage::{Containerfile, From, Stage, Statement};
pub use suggest::closest;
pub use word::Word;

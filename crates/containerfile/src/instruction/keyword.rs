//! The words that instructions start with.

use crate::fragment::Fragment;
use crate::{Diagnostic, Escape, suggest};

/// An instruction's keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    const ALL: [Self; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Onbuild,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// In upper case.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

    /// Whether `<<NAME` means something in its arguments.
    pub(crate) fn takes_heredocs(self) -> bool {
        matches!(self, Self::Add | Self::Copy | Self::Run)
    }

    /// Reads a keyword; letter case does not count.
    pub(crate) fn parse(word: Fragment<'_>, escape: Escape) -> Result<Self, Diagnostic> {
        let text = word.as_str();
        Self::find(text).ok_or_else(|| {
            let names = Self::ALL.into_iter().map(Self::as_str);
            let diagnostic = Diagnostic::error(format!("unknown instruction `{text}`"), word.span());
            match suggest::closest(text, names) {
                Some(suggestion) => diagnostic.with_suggestion(Some(suggestion)),
                None => diagnostic.with_hint(format!(
                    "if it belongs to the instruction above, end the line above with `{}`",
                    escape.as_char()
                )),
            }
        })
    }

    /// The keyword that `text` spells.
    pub(crate) fn find(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.as_str().eq_ignore_ascii_case(text))
    }
}

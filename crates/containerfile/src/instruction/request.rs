//! What a parser of one instruction is given.

use std::ops::Range;

use super::Keyword;
use crate::flags::{self, Flags, Known, RawFlag};
use crate::fragment::Fragment;
use crate::{Diagnostic, Escape, Heredoc, Span, Spanned};

/// One instruction, cut into keyword, flags and arguments.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) keyword: Keyword,
    /// The instruction without heredoc bodies.
    pub(crate) line: Fragment<'a>,
    pub(crate) keyword_span: Span,
    flags: Vec<RawFlag>,
    /// What follows the flags, without outer blanks.
    pub(crate) arguments: Fragment<'a>,
    /// In order, each with the range of its operator in the logical line.
    pub(crate) heredocs: Vec<(Range<usize>, Heredoc)>,
    /// The comments right above.
    pub(crate) comments: &'a [Spanned<String>],
    pub(crate) escape: Escape,
    pub(crate) warnings: &'a mut Vec<Diagnostic>,
}

impl<'a> Request<'a> {
    /// Cuts a logical line. The heredocs are added by whoever can read the lines that follow.
    pub(crate) fn new(
        line: Fragment<'a>,
        comments: &'a [Spanned<String>],
        escape: Escape,
        warnings: &'a mut Vec<Diagnostic>,
    ) -> Result<Self, Diagnostic> {
        let (word, rest) = line.split_word();
        let keyword = Keyword::parse(word, escape)?;
        let (flags, arguments) = flags::split(rest, escape);
        let keyword_span = word.span();
        Ok(Self {
            keyword,
            line,
            keyword_span,
            flags,
            arguments,
            heredocs: Vec::new(),
            comments,
            escape,
            warnings,
        })
    }

    /// The instruction that ONBUILD holds.
    pub(crate) fn nested(self) -> Result<Self, Diagnostic> {
        if self.arguments.is_empty() {
            return Err(self.error("ONBUILD needs an instruction"));
        }
        let nested = Self::new(self.arguments, self.comments, self.escape, self.warnings)?;
        Ok(Self { heredocs: self.heredocs, ..nested })
    }

    /// Checks the flags against those that the instruction has, and hands them over.
    pub(crate) fn take_flags(&mut self, known: &[Known]) -> Result<Flags, Diagnostic> {
        Flags::check(std::mem::take(&mut self.flags), self.keyword.as_str(), known)
    }

    /// An error that points at the whole instruction.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message, self.line.span())
    }

    /// The heredocs without their places.
    pub(crate) fn take_heredocs(&mut self) -> Vec<Heredoc> {
        std::mem::take(&mut self.heredocs).into_iter().map(|(_, heredoc)| heredoc).collect()
    }
}

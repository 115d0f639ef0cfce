//! Text → [`Containerfile`]: puts logical lines, heredoc bodies and instruction parsers together.
//!
//! A wrong instruction does not end the parse; what comes after it is read as well, so that one run shows all
//! mistakes.

use std::ops::Range;

use crate::heredoc::operators;
use crate::instruction::{self, ArgDeclaration, Instruction, Keyword, Request};
use crate::logical_line::{Lines, LogicalLine};
use crate::{
    Containerfile, Diagnostic, Directives, Escape, Heredoc, Source, Span, Stage, Statement, directives, json,
    lint,
};

/// A text that is no Containerfile at all should not fill the screen.
const MAX_ERRORS: usize = 50;

/// Parses a Containerfile.
///
/// Errors: everything that is wrong, in the order of the text, at most 50 of them.
pub fn parse(source: &Source) -> Result<Containerfile, Vec<Diagnostic>> {
    let (directives, starts) =
        check_text(source).and_then(|()| directives::parse(source)).map_err(|e| vec![e])?;
    let mut parser = Parser::new(source, directives.escape);
    parser.warnings.extend(directives::foreign_syntax(&directives));
    for instructions in starts {
        parser.lines = Lines::new(&source.text()[..instructions.end], instructions.start);
        while parser.errors.len() < MAX_ERRORS
            && let Some(line) = parser.lines.next_logical(directives.escape)
        {
            parser.line(&line);
        }
    }
    parser.finish(directives)
}

/// Parses an ONBUILD trigger from the config of a base image: exactly one instruction.
///
/// The source names its origin, as in `ONBUILD trigger of debian:13`. The escape character is `\`, whatever it
/// was in the file that the trigger was written in.
pub fn parse_onbuild_trigger(source: &Source) -> Result<Statement, Vec<Diagnostic>> {
    check_text(source).map_err(|error| vec![error])?;
    let mut parser = Parser::new(source, Escape::default());
    let mut statements = Vec::new();
    while let Some(line) = parser.lines.next_logical(Escape::default()) {
        match parser.statement(&line) {
            Ok(Parsed::Statement(statement)) => statements.push(statement),
            Ok(Parsed::Stage(stage)) => {
                return Err(vec![Diagnostic::error("ONBUILD cannot trigger FROM", stage.span)]);
            }
            Err(error) => return Err(vec![error]),
        }
    }
    let whole = Span::new(0, source.text().len());
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => match statement.instruction {
            Instruction::Onbuild(_) | Instruction::Maintainer(_) => {
                let message = format!("ONBUILD cannot trigger {}", statement.instruction.name());
                Err(vec![Diagnostic::error(message, statement.span)])
            }
            _ => Ok(statement),
        },
        _ => Err(vec![Diagnostic::error("an ONBUILD trigger must be one instruction", whole)]),
    }
}

/// What is not text cannot be parsed, and each of its lines would be an error.
fn check_text(source: &Source) -> Result<(), Diagnostic> {
    match source.text().find('\0') {
        Some(at) => Err(Diagnostic::error("this is not a text file", Span::new(at, at + 1))
            .with_label("a NUL character")
            .with_hint("save it as UTF-8")),
        None => directives::foreign_file(source.text()).map_or(Ok(()), Err),
    }
}

struct Parser<'a> {
    source: &'a Source,
    escape: Escape,
    lines: Lines<'a>,
    stages: Vec<Stage>,
    global_args: Vec<ArgDeclaration>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Whether instructions belong to a stage, be it one that has an error.
    in_stage: bool,
}

enum Parsed {
    Stage(Stage),
    Statement(Statement),
}

impl<'a> Parser<'a> {
    fn new(source: &'a Source, escape: Escape) -> Self {
        Self {
            source,
            escape,
            lines: Lines::new(source.text(), 0),
            stages: Vec::new(),
            global_args: Vec::new(),
            errors: Vec::new(),
            warnings: source.warnings().to_vec(),
            in_stage: false,
        }
    }

    fn line(&mut self, line: &LogicalLine) {
        let keyword = Keyword::find(line.fragment().split_word().0.as_str());
        let statement = self.statement(line);
        let is_stray = !self.in_stage && keyword.is_some_and(|keyword| keyword != Keyword::Arg);
        self.in_stage |= keyword == Some(Keyword::From);
        match statement {
            Ok(Parsed::Stage(stage)) => self.stages.push(stage),
            Ok(Parsed::Statement(statement)) if is_stray => {
                let message = format!("{} stands before the first FROM", statement.instruction.name());
                self.errors
                    .push(Diagnostic::error(message, statement.span).with_hint("start with `FROM <image>`"));
                // Once is enough: what follows would say the same.
                self.in_stage = true;
            }
            Ok(Parsed::Statement(statement)) => self.place(statement),
            Err(error) => self.errors.push(error),
        }
    }

    fn place(&mut self, statement: Statement) {
        match (self.stages.last_mut(), statement.instruction) {
            (Some(stage), instruction) => {
                stage.span = stage.span.to(statement.span);
                stage.instructions.push(Statement { instruction, ..statement });
            }
            (None, Instruction::Arg(declarations)) => self.global_args.extend(declarations),
            // The stage itself has an error, so there will be no result.
            (None, _) => {}
        }
    }

    fn statement(&mut self, line: &LogicalLine) -> Result<Parsed, Diagnostic> {
        let fragment = line.fragment();
        let span = fragment.span();
        // The bodies come first: whatever is wrong with the instruction, they are not instructions.
        let heredocs = self.heredocs(line)?;
        if let Some(at) = self.wrong_byte(fragment.as_str()) {
            return Err(not_utf8(fragment.slice(at.start, at.end).span()));
        }
        if let Some(span) = line.empty_continuation {
            let message = "empty continuation line";
            self.warnings.push(
                Diagnostic::warning("NoEmptyContinuation", message, span)
                    .with_hint("remove it, or make it a comment"),
            );
        }
        let mut request = Request::new(fragment, &line.comments, self.escape, &mut self.warnings)?;
        request.heredocs = heredocs;
        let keyword = request.keyword_span;
        if request.keyword == Keyword::From {
            return instruction::parse_from(request).map(Parsed::Stage);
        }
        let instruction = instruction::parse(request)?;
        let (text, comments) = (fragment.as_str().to_owned(), line.comments.clone());
        Ok(Parsed::Statement(Statement { instruction, text, comments, span, keyword }))
    }

    /// Reads the bodies of the heredocs that a line announces.
    fn heredocs(&mut self, line: &LogicalLine) -> Result<Vec<(Range<usize>, Heredoc)>, Diagnostic> {
        if !line.text().contains("<<") {
            return Ok(Vec::new());
        }
        let mut ignored = Vec::new();
        let Ok(mut request) = Request::new(line.fragment(), &[], self.escape, &mut ignored) else {
            return Ok(Vec::new());
        };
        if request.keyword == Keyword::Onbuild {
            match request.nested() {
                Ok(nested) => request = nested,
                Err(_) => return Ok(Vec::new()),
            }
        }
        let arguments = request.arguments;
        if !request.keyword.takes_heredocs() || !matches!(json::parse_array(arguments), Ok(None)) {
            return Ok(Vec::new());
        }
        let mut heredocs = Vec::new();
        for operator in operators(arguments.as_str()) {
            let fragment = arguments.slice(operator.range.start, operator.range.end);
            let heredoc = operator.read_body(&mut self.lines, fragment.span())?;
            if let Some(at) = self.wrong_byte(&heredoc.body) {
                let start = heredoc.body_span.start;
                return Err(not_utf8(Span::new(start + at.start, start + at.end)));
            }
            heredocs.push((fragment.range(), heredoc));
        }
        Ok(heredocs)
    }

    /// Where a byte that is not UTF-8 stands in `text`; only comments may hold such.
    fn wrong_byte(&self, text: &str) -> Option<Range<usize>> {
        let at = text.find(char::REPLACEMENT_CHARACTER).filter(|_| self.source.is_lossy())?;
        Some(at..at + char::REPLACEMENT_CHARACTER.len_utf8())
    }

    fn finish(mut self, directives: Directives) -> Result<Containerfile, Vec<Diagnostic>> {
        if self.errors.is_empty() && self.stages.is_empty() {
            let message = "there is no FROM instruction";
            self.errors.push(
                Diagnostic::error(message, Span::at(self.source.text().len()))
                    .with_hint("start with `FROM <image>`; `FROM scratch` is an empty one"),
            );
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let mut containerfile = Containerfile {
            directives,
            global_args: self.global_args,
            stages: self.stages,
            warnings: self.warnings,
        };
        containerfile.warnings.extend(lint::check(self.source, &containerfile));
        containerfile.warnings.sort_by_key(|warning| warning.span);
        Ok(containerfile)
    }
}

fn not_utf8(span: Span) -> Diagnostic {
    Diagnostic::error("this is not UTF-8", span).with_hint("save the file as UTF-8")
}

#[cfg(test)]
mod tests;

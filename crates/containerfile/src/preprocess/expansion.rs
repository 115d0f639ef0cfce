//! Puts what names stand for in their place, as a traditional preprocessor does: text for text, not in quotes.

use std::ops::Range;

use super::macros::{Macro, Macros, identifier};

/// Macros that call each other deeper than this are a mistake.
const MAX_DEPTH: usize = 100;

/// What an expansion costs in work, counted in bytes.
const EXPANSION: usize = 64;

/// Bytes of a line and what comes in their place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// What is wrong with the use of a macro, and where in the text.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) range: Range<usize>,
}

/// Goes from line to line: quotes stay open over the end of a continued line.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    quote: Option<char>,
    is_continued: bool,
}

impl Scanner {
    /// Whether the next line goes on with the one before it.
    pub(super) fn in_line(&self) -> bool {
        self.is_continued
    }

    /// The replacements in one line of text, in their order.
    pub(super) fn line(
        &mut self,
        line: &str,
        macros: &Macros,
        budget: &mut usize,
    ) -> Result<Vec<Replacement>, Problem> {
        // A comment, which may stand between lines that belong together.
        if line.trim_start().starts_with('#') {
            return Ok(Vec::new());
        }
        let mut expander = Expander { macros, budget, active: Vec::new(), depth: 0 };
        let replacements = expander.replacements(line, &mut self.quote);
        self.is_continued = line.trim_end().ends_with('\\');
        if !self.is_continued {
            self.quote = None;
        }
        replacements
    }
}

impl Macros {
    /// The whole of `text` with names replaced.
    pub(super) fn expand(&self, text: &str, budget: &mut usize) -> Result<String, String> {
        let mut expander = Expander { macros: self, budget, active: Vec::new(), depth: 0 };
        expander.expanded(text).map_err(|problem| problem.message)
    }
}

struct Expander<'a> {
    macros: &'a Macros,
    /// How many bytes macros may still make.
    budget: &'a mut usize,
    /// The macros whose bodies are being expanded.
    active: Vec<String>,
    depth: usize,
}

impl Expander<'_> {
    fn expanded(&mut self, text: &str) -> Result<String, Problem> {
        self.spend(text.len() + EXPANSION)?;
        self.depth += 1;
        let replacements = self.replacements(text, &mut None)?;
        self.depth -= 1;
        let (mut out, mut at) = (String::new(), 0);
        for replacement in replacements {
            out.push_str(&text[at..replacement.range.start]);
            out.push_str(&replacement.text);
            at = replacement.range.end;
        }
        out.push_str(&text[at..]);
        Ok(out)
    }

    fn replacements(&mut self, text: &str, quote: &mut Option<char>) -> Result<Vec<Replacement>, Problem> {
        let mut replacements = Vec::new();
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            let name = if quote.is_none() { identifier(&text[at..]) } else { "" };
            if name.is_empty() {
                at += skip(&text[at..], character, quote);
                continue;
            }
            let end = at + name.len();
            let replacement = self.invocation(name, text, at..end)?;
            at = replacement.as_ref().map_or(end, |replacement| replacement.range.end);
            replacements.extend(replacement);
        }
        Ok(replacements)
    }

    /// What comes in the place of `name` at `range` of `text` and its arguments, if it is a macro.
    fn invocation(
        &mut self,
        name: &str,
        text: &str,
        range: Range<usize>,
    ) -> Result<Option<Replacement>, Problem> {
        let Some(found) = self.macros.find(name) else { return Ok(None) };
        let problem = |message: String| Problem { message, range: range.clone() };
        let (arguments, end) = match &found.parameters {
            None => (Vec::new(), range.end),
            Some(parameters) => match arguments(text, range.end) {
                None => return Ok(None),
                Some(Err(message)) => return Err(problem(format!("the arguments of `{name}` {message}"))),
                Some(Ok((arguments, end))) => (fitting(name, parameters, arguments).map_err(problem)?, end),
            },
        };
        if self.active.iter().any(|active| active == name) {
            return Err(problem(format!("`{name}` stands for itself")));
        }
        if self.depth == MAX_DEPTH {
            return Err(problem(format!("`{name}` is too deep inside of other macros")));
        }
        let text = self.replaced(name, found, &arguments);
        let text = text.map_err(|inner| Problem { range: range.clone(), ..inner })?;
        Ok(Some(Replacement { range: range.start..end, text }))
    }

    fn replaced(&mut self, name: &str, found: &Macro, arguments: &[&str]) -> Result<String, Problem> {
        let arguments: Vec<String> =
            arguments.iter().map(|argument| self.expanded(argument)).collect::<Result<_, _>>()?;
        let parameters = found.parameters.as_deref().unwrap_or_default();
        let body = substitute(&found.body, parameters, &arguments, *self.budget).ok_or_else(too_much)?;
        self.active.push(name.to_owned());
        let text = self.expanded(&body)?;
        self.active.pop();
        Ok(text)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        *self.budget = self.budget.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

fn too_much() -> Problem {
    Problem { message: "the macros of this file make too much text".to_owned(), range: 0..0 }
}

/// The length of what starts with `character` and is no identifier; follows quotes.
fn skip(rest: &str, character: char, quote: &mut Option<char>) -> usize {
    match (character, *quote) {
        ('\\', _) if rest[1..].starts_with(['\\', '"', '\'']) => return 2,
        ('"' | '\'', None) => *quote = Some(character),
        (_, Some(open)) if open == character => *quote = None,
        _ => {}
    }
    character.len_utf8()
}

/// The arguments in parentheses behind byte `at`, and the offset behind them; `None` if there are none.
fn arguments(text: &str, at: usize) -> Option<Result<(Vec<&str>, usize), &'static str>> {
    let list = text[at..].trim_start_matches([' ', '\t']).strip_prefix('(')?;
    let start = text.len() - list.len();
    let (mut arguments, mut depth, mut quote) = (Vec::new(), 0_usize, None);
    let (mut first, mut at) = (start, start);
    while let Some(character) = text[at..].chars().next() {
        match character {
            '(' if quote.is_none() => depth += 1,
            ')' if quote.is_none() && depth == 0 => {
                arguments.push(&text[first..at]);
                return Some(Ok((arguments, at + 1)));
            }
            ')' if quote.is_none() => depth -= 1,
            ',' if quote.is_none() && depth == 0 => {
                arguments.push(&text[first..at]);
                first = at + 1;
            }
            _ => {}
        }
        at += skip(&text[at..], character, &mut quote);
    }
    Some(Err("have no `)` on this line"))
}

/// The arguments, if they are as many as the parameters.
fn fitting<'t>(name: &str, parameters: &[String], arguments: Vec<&'t str>) -> Result<Vec<&'t str>, String> {
    match (parameters.len(), arguments.as_slice()) {
        (0, [""]) => Ok(Vec::new()),
        (wanted, given) if wanted == given.len() => Ok(arguments),
        (wanted, given) => Err(format!("`{name}` takes {wanted} arguments, not {}", given.len())),
    }
}

/// The body with arguments in the place of parameters, in quotes too; nothing if that is much longer than `limit`.
fn substitute(body: &[String], parameters: &[String], arguments: &[String], limit: usize) -> Option<String> {
    let (mut out, mut quote) = (String::new(), None);
    for piece in body {
        let mut at = 0;
        while let Some(character) = piece[at..].chars().next() {
            let name = identifier(&piece[at..]);
            let argument = parameters.iter().zip(arguments).find(|(parameter, _)| *parameter == name);
            let length = if name.is_empty() { skip(&piece[at..], character, &mut quote) } else { name.len() };
            match argument {
                Some((_, argument)) if quote == Some('"') => out.push_str(&argument.replace('"', "\\\"")),
                Some((_, argument)) => out.push_str(argument),
                None => out.push_str(&piece[at..at + length]),
            }
            at += length;
            if out.len() > limit {
                return None;
            }
        }
    }
    Some(out)
}

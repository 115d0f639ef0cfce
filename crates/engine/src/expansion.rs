//! Words of a text → their values; and for errors, what became of a word and why.

use std::sync::Arc;

use containerfile::{Diagnostic, Escape, Source, Span, Word};

use crate::error::{Cause, Error, Place};
use crate::remote::without_user;
use crate::scope::{Globals, Scope};

/// As many characters of a value are shown beside a caret.
const SHOWN: usize = 80;

/// Whose variables a word sees.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Variables<'a> {
    /// Those before the first FROM.
    Globals(&'a Globals),
    /// Those of one moment of a stage.
    Stage(&'a Scope, &'a Globals),
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        match self {
            Self::Globals(globals) => globals.get(name),
            Self::Stage(scope, _) => scope.get(name),
        }
    }

    /// Why `name` has no value, where an ARG is the reason.
    fn why_unset(&self, name: &str) -> Option<String> {
        let (declared, is_global) = match self {
            Self::Globals(globals) => (globals.declared(name), false),
            Self::Stage(scope, globals) => (scope.declared(name), globals.get(name).is_some()),
        };
        match declared {
            Some(line) => Some(format!("{line} declares `{name}` without a value")),
            None if is_global => {
                Some(format!("`{name}` has a value outside of stages; `ARG {name}` gives it to this one"))
            }
            None => None,
        }
    }
}

/// Expands the words of one text with the values of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expander<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) escape: Escape,
    pub(crate) variables: Variables<'a>,
}

impl Expander<'_> {
    /// The value of `word`.
    pub(crate) fn word(&self, word: &Word) -> Result<String, Error> {
        self.value(word).map_err(|diagnostic| self.error(diagnostic))
    }

    /// The values of `word`, split at blanks.
    pub(crate) fn words(&self, word: &Word) -> Result<Vec<String>, Error> {
        let expanded = word.expand_words(&|name| self.variables.get(name), self.escape);
        expanded
            .map(|expanded| expanded.words)
            .map_err(|diagnostic| self.error(self.explained(diagnostic, word)))
    }

    /// The value of `word`, for whoever wants to go on with the diagnostic.
    pub(crate) fn value(&self, word: &Word) -> Result<String, Diagnostic> {
        let expanded = word.expand(&|name| self.variables.get(name), self.escape);
        expanded.map(|expanded| expanded.value).map_err(|diagnostic| self.explained(diagnostic, word))
    }

    /// The diagnostic of `word`, with the ARGs that left variables of it without the value that `${v:?}` asks for.
    fn explained(&self, diagnostic: Diagnostic, word: &Word) -> Diagnostic {
        // If all had values, nothing could be wrong but the text itself.
        let all = word.expand(&|_| Some("1".to_owned()), self.escape);
        let mentioned = all.map(|expanded| expanded.defined).unwrap_or_default();
        let unset = mentioned.iter().filter(|name| self.variables.get(name).is_none());
        unset.filter_map(|name| self.variables.why_unset(name)).fold(diagnostic, Diagnostic::with_note)
    }

    /// A failed expansion as the error it is.
    pub(crate) fn error(&self, diagnostic: Diagnostic) -> Error {
        Cause::Syntax { source_text: Arc::clone(self.source), diagnostics: vec![diagnostic] }.into()
    }

    /// The place of `word`. If there are variables in it, it says what they made of it, and which ARG left one empty.
    pub(crate) fn place(&self, word: &Word) -> Place {
        let mut place = self.at(word.span());
        let Ok(expanded) = word.expand(&|name| self.variables.get(name), self.escape) else { return place };
        let unset: Vec<&str> = expanded.undefined.iter().map(String::as_str).collect();
        place.label = match (expanded.value.as_str(), unset.as_slice(), expanded.defined.is_empty()) {
            (_, [], true) => None,
            ("", [], false) => Some("expanded to nothing".to_owned()),
            ("", unset, _) => Some(format!("no value for `{}`", unset.join("`, `"))),
            (value, ..) => Some(format!("expanded to `{}`", shown(value))),
        };
        place.notes = unset.into_iter().filter_map(|name| self.variables.why_unset(name)).collect();
        place
    }

    /// The place of `span`, of which nothing more is to be said.
    pub(crate) fn at(&self, span: Span) -> Place {
        Place::new(self.source, span)
    }
}

/// A value in few characters, and without the password of a URL.
fn shown(value: &str) -> String {
    let value = without_user(value);
    let mut characters = value.chars();
    let mut shown: String =
        characters.by_ref().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use containerfile::{Instruction, parse};
    use oci::Platform;

    use super::*;

    /// Label and notes of the first word that a WORKDIR behind `text` would have.
    fn told(text: &str, word: &str) -> (Option<String>, Vec<String>) {
        let source = Arc::new(Source::new("Containerfile", text));
        let file = parse(&source).unwrap();
        let args = BTreeMap::from([("GIVEN".to_owned(), "given".to_owned())]);
        let escape = Escape::default();
        let globals = Globals::new(&args, &Platform::host(), "", &file.global_args, escape, &source).unwrap();
        let mut scope = Scope::default();
        for statement in &file.stages[0].instructions {
            if let Instruction::Arg(declarations) = &statement.instruction {
                for declaration in declarations {
                    scope.declare(declaration, &globals, escape, &source).unwrap();
                }
            }
        }
        let expander = Expander { source: &source, escape, variables: Variables::Stage(&scope, &globals) };
        let place = expander.place(&Word::new(word, Span::at(0)));
        (place.label, place.notes)
    }

    #[test]
    fn a_place_says_what_became_of_its_word() {
        for (word, label) in [
            ("plain", None),
            ("'quoted'", None),
            ("a-$GIVEN", Some("expanded to `a-given`")),
            ("a-$UNSET", Some("expanded to `a-`")),
            ("$UNSET$OTHER", Some("no value for `OTHER`, `UNSET`")),
            ("$EMPTY", Some("expanded to nothing")),
            ("https://me:$GIVEN@host/x", Some("expanded to `https://host/x`")),
            ("${", None),
        ] {
            let found = told("FROM scratch\nARG GIVEN\nARG EMPTY=\n", word).0;
            assert_eq!(found.as_deref(), label, "{word}");
        }
    }

    #[test]
    fn a_place_names_the_arg_that_left_a_variable_empty() {
        let text = "ARG GLOBAL=1\nFROM scratch\nARG A\nARG GIVEN B\n";
        for (word, notes) in [
            (
                "$A$B",
                vec![
                    "Containerfile:3 declares `A` without a value",
                    "Containerfile:4 declares `B` without a value",
                ],
            ),
            ("$GIVEN", vec![]),
            ("$NOWHERE", vec![]),
            ("$GLOBAL", vec!["`GLOBAL` has a value outside of stages; `ARG GLOBAL` gives it to this one"]),
            (
                "$TARGETARCH",
                vec!["`TARGETARCH` has a value outside of stages; `ARG TARGETARCH` gives it to this one"],
            ),
        ] {
            assert_eq!(told(text, word).1, notes, "{word}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(shown("a\nb"), "a b");
        assert_eq!(shown(&"x".repeat(SHOWN + 1)), "x".repeat(SHOWN) + "…");
    }
}

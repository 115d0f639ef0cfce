//! Lint rules of the variables that FROM mentions, by BuildKit's names and with BuildKit's conditions.

use containerfile::{Containerfile, Diagnostic, Escape, PLATFORM_ARGS, Word, closest};
use oci::Reference;

use crate::scope::Globals;

const UNDEFINED: &str = "UndefinedArgInFrom";
const INVALID_DEFAULT: &str = "InvalidDefaultArgInFrom";

/// What is said of all FROMs. `defaults` is what they see without any build argument.
pub(super) fn warnings(file: &Containerfile, globals: &Globals, defaults: &Globals) -> Vec<Diagnostic> {
    let escape = file.directives.escape;
    let words =
        file.stages.iter().flat_map(|stage| std::iter::once(&stage.from.image).chain(&stage.from.platform));
    let undefined = words.flat_map(|word| undefined(file, word, globals));
    let invalid = file.stages.iter().filter_map(|stage| invalid_default(&stage.from.image, defaults, escape));
    undefined.chain(invalid).collect()
}

/// FROM sees the ARGs before the first one, and no others.
fn undefined(file: &Containerfile, word: &Word, globals: &Globals) -> Vec<Diagnostic> {
    let declared: Vec<&str> = file.global_args.iter().map(|declaration| declaration.name.text()).collect();
    let Ok(expanded) = word.expand(&|name| globals.get(name), file.directives.escape) else {
        return Vec::new();
    };
    let unknown = expanded.undefined.iter().filter(|name| !declared.contains(&name.as_str()));
    let warning = |name: &String| {
        let message = format!("FROM mentions `{name}`, which no ARG before the first FROM declares");
        let close = closest(name, declared.iter().copied().chain(PLATFORM_ARGS));
        let warning = Diagnostic::warning(UNDEFINED, message, word.span());
        match close {
            Some(_) => warning.with_suggestion(close),
            None => warning.with_hint(format!("write `ARG {name}=…` before the first FROM")),
        }
    };
    unknown.map(warning).collect()
}

/// A file should build without build arguments.
fn invalid_default(image: &Word, defaults: &Globals, escape: Escape) -> Option<Diagnostic> {
    let value = image.expand(&|name| defaults.get(name), escape).ok()?.value;
    if !image.text().contains('$') || value.parse::<Reference>().is_ok() {
        return None;
    }
    let message = "without build arguments, this is no name of an image".to_owned();
    let warning = Diagnostic::warning(INVALID_DEFAULT, message, image.span());
    let note = if value.is_empty() { "it is empty then".to_owned() } else { format!("it is `{value}` then") };
    Some(warning.with_note(note).with_hint("give the ARG a default"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use containerfile::{Source, parse};
    use oci::Platform;

    use super::*;

    fn codes(text: &str, build_args: &[(&str, &str)]) -> Vec<&'static str> {
        let source = Source::new("Containerfile", text);
        let file = parse(&source).unwrap();
        let globals = |args: &[(&str, &str)]| {
            let args: BTreeMap<_, _> = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Globals::new(&args, &Platform::host(), "", &file.global_args, Escape::default(), &source).unwrap()
        };
        let warnings = warnings(&file, &globals(build_args), &globals(&[]));
        warnings.into_iter().filter_map(|warning| warning.code).collect()
    }

    #[test]
    fn from_must_mention_declared_arguments() {
        assert_eq!(codes("FROM a:${TAG:-1}", &[]), [UNDEFINED]);
        assert_eq!(codes("FROM --platform=$BULIDPLATFORM a", &[]), [UNDEFINED]);
        assert_eq!(codes("FROM a\nARG TAG=1\nFROM a:${TAG:-1}", &[]), [UNDEFINED]);
        assert!(codes("ARG TAG=1\nFROM --platform=$BUILDPLATFORM a:$TAG", &[]).is_empty());
    }

    #[test]
    fn a_base_needs_a_default_that_is_an_image() {
        assert_eq!(codes("ARG BASE\nFROM $BASE", &[("BASE", "a")]), [INVALID_DEFAULT]);
        assert_eq!(codes("ARG TAG\nFROM a:$TAG", &[("TAG", "1")]), [INVALID_DEFAULT]);
        assert!(codes("ARG TAG\nFROM a${TAG:+:$TAG}", &[("TAG", "1")]).is_empty());
        assert!(codes("ARG BASE=b\nFROM $BASE", &[]).is_empty());
    }
}

//! What is worth a warning before a build: what the text itself gives cause for, and build arguments that it does not
//! know.

use std::collections::{BTreeMap, BTreeSet};

use containerfile::{Containerfile, Diagnostic, Instruction, PLATFORM_ARGS, PREDEFINED_ARGS, closest};

/// The lint rule of build arguments that no ARG declares.
const UNDECLARED: &str = "UndeclaredBuildArg";

/// Read by builders themselves.
const OF_BUILDERS: &str = "SOURCE_DATE_EPOCH";

/// The warnings that `# check=` leaves.
pub(crate) fn warnings(file: &Containerfile, build_args: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let skipped = |warning: &Diagnostic| {
        let check = file.directives.check.as_ref();
        check.is_some_and(|check| warning.code.is_some_and(|code| check.value.skip.contains(code)))
    };
    let all = file.warnings.iter().cloned().chain(undeclared(file, build_args));
    all.filter(|warning| !skipped(warning)).collect()
}

/// A misspelt `--build-arg` changes nothing, which nobody wants. What an ONBUILD of a base declares is not known yet.
fn undeclared(file: &Containerfile, build_args: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let declared = declared(file);
    let is_known = |name: &str| {
        declared.contains(name)
            || name == OF_BUILDERS
            || name.starts_with("BUILDKIT_")
            || PREDEFINED_ARGS.contains(&name)
            || PLATFORM_ARGS.contains(&name)
    };
    let Some(span) = file.stages.first().map(|stage| stage.from.image.span()) else { return Vec::new() };
    let unknown = build_args.keys().filter(|name| !is_known(name));
    let warning = |name: &String| {
        let close = closest(name, declared.iter().copied());
        let message = format!("no ARG declares the build argument `{name}`");
        let warning = Diagnostic::warning(UNDECLARED, message, span);
        match close {
            Some(_) => warning.with_suggestion(close),
            None => warning.with_hint(format!("write `ARG {name}` into the stage that uses it")),
        }
    };
    unknown.map(warning).collect()
}

/// The names of all ARGs, those of triggers too.
fn declared(file: &Containerfile) -> BTreeSet<&str> {
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    let in_stages = instructions.filter_map(|statement| match &statement.instruction {
        Instruction::Arg(declarations) => Some(declarations),
        Instruction::Onbuild(onbuild) => match onbuild.instruction.as_ref() {
            Instruction::Arg(declarations) => Some(declarations),
            _ => None,
        },
        _ => None,
    });
    file.global_args.iter().chain(in_stages.flatten()).map(|declaration| declaration.name.text()).collect()
}

#[cfg(test)]
mod tests {
    use containerfile::{Source, parse};

    use super::*;

    fn messages(text: &str, build_args: &[&str]) -> Vec<String> {
        let file = parse(&Source::new("Containerfile", text)).unwrap();
        let build_args = build_args.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        warnings(&file, &build_args).into_iter().map(|warning| warning.message).collect()
    }

    #[test]
    fn build_arguments_that_nothing_declares_are_told() {
        let told = |text, name: &'static str| !messages(text, &[name]).is_empty();
        assert!(told("FROM scratch\nENV A=b", "A"));
        assert!(told("FROM scratch\nARG A", "a"));
        assert!(!told("FROM scratch\nARG A", "A"));
        assert!(!told("ARG A=x\nFROM $A", "A"));
        assert!(!told("FROM scratch\nONBUILD ARG A", "A"));
        for name in ["HTTP_PROXY", "no_proxy", "TARGETARCH", "SOURCE_DATE_EPOCH", "BUILDKIT_SYNTAX"] {
            assert!(!told("FROM scratch", name), "{name}");
        }
        assert!(!told("# check=skip=UndeclaredBuildArg\nFROM scratch", "A"));
    }
}

//! What is worth a warning before a build: what the text itself gives cause for, and what comes of it with the build
//! arguments given.

mod from;
mod rules;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use containerfile::{
    CheckOptions, Containerfile, Diagnostic, Instruction, InvalidCheckOption, PLATFORM_ARGS, PREDEFINED_ARGS,
    closest,
};

use crate::scope::Globals;

pub(crate) use rules::is_buildkits;
pub(crate) use stages::warnings as stage_warnings;

/// The lint rule of build arguments that no ARG declares.
const UNDECLARED: &str = "UndeclaredBuildArg";

/// Read by builders themselves.
const OF_BUILDERS: &str = "SOURCE_DATE_EPOCH";

/// The build argument that stands in for `# check=`.
pub(crate) const CHECK: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// Which rules speak, and how loudly: the build argument decides if it is given, else the directive.
pub(crate) fn check_options(
    file: &Containerfile,
    build_args: &BTreeMap<String, String>,
) -> Result<CheckOptions, InvalidCheckOption> {
    match build_args.get(CHECK) {
        Some(text) => CheckOptions::parse(text),
        None => Ok(file.directives.check.as_ref().map(|check| check.value.clone()).unwrap_or_default()),
    }
}

/// The warnings that `check` leaves. `defaults` is what FROM sees without any build argument; nothing, if it needs one.
pub(crate) fn warnings(
    file: &Containerfile,
    build_args: &BTreeMap<String, String>,
    globals: &Globals,
    defaults: Option<&Globals>,
    check: &CheckOptions,
) -> Vec<Diagnostic> {
    let of_from = from::warnings(file, globals, defaults.unwrap_or(globals));
    let all = file
        .warnings
        .iter()
        .cloned()
        .chain(rules::warnings(file))
        .chain(of_from)
        .chain(undeclared(file, build_args));
    all.filter(|warning| warning.code.is_none_or(|code| check.speaks(code))).collect()
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
        undeclared(&file, &build_args).into_iter().map(|warning| warning.message).collect()
    }

    #[test]
    fn the_build_argument_stands_in_for_the_directive() {
        let file = parse(&Source::new("Containerfile", "# check=error=true\nFROM scratch")).unwrap();
        let given = |text: &str| check_options(&file, &BTreeMap::from([(CHECK.to_owned(), text.to_owned())]));
        assert!(check_options(&file, &BTreeMap::new()).unwrap().error);
        assert!(!given("skip=all").unwrap().error);
        assert!(given("skip=all").unwrap().skip.contains("UndeclaredBuildArg"));
        assert!(given("loud").is_err());
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
    }
}

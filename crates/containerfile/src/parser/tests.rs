//! Whole files: what they parse to, and what is said of wrong ones.

use super::*;

fn parsed(text: &str) -> Containerfile {
    parse(&Source::new("Containerfile", text)).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

/// The messages of all errors, each with the text it points at.
fn errors(text: &str) -> Vec<(String, String)> {
    let source = Source::new("Containerfile", text);
    let errors = parse(&source).expect_err(text);
    errors.iter().map(|error| (error.message.clone(), source.slice(error.span).to_owned())).collect()
}

fn first(text: &str) -> Instruction {
    parsed(&format!("FROM a\n{text}")).stages[0].instructions[0].instruction.clone()
}

#[test]
fn stages_are_named_in_lower_case() {
    let file = parsed("ARG V=1 W\nFROM --platform=$P a:$V AS Build\nRUN x\nFROM build\n");
    assert_eq!(file.global_args.len(), 2);
    assert_eq!(file.stages.len(), 2);
    assert_eq!(file.stages[0].name.as_ref().unwrap().value, "build");
    assert_eq!(file.stages[0].from.image.text(), "a:$V");
    assert_eq!(file.stages[0].from.platform.as_ref().unwrap().text(), "$P");
    assert_eq!(file.stages[0].from.text, "FROM --platform=$P a:$V AS Build");
    assert_eq!(file.stages[1].name, None);
}

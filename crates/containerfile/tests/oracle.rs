//! Compares with another parser, `parse-dockerfile`, on the part of the language that it gets right (one
//! instruction after the other: its kind and where it starts).
//!
//! It knows one heredoc a RUN at most, takes CRLF and unknown escapes differently, and wants FROM first; the
//! generator stays clear of that.

use containerfile::{Source, parse};
use proptest::prelude::*;

fn instruction() -> impl Strategy<Value = String> {
    let word = "[a-z][a-z0-9/.]{0,6}";
    prop_oneof![
        (word, word).prop_map(|(a, b)| format!("COPY {a} {b}")),
        (word, word, word).prop_map(|(a, b, c)| format!("ADD --chown={a} {b} {c}")),
        (word, word).prop_map(|(a, b)| format!("RUN {a} \\\n  # comment\n  && {b}")),
        word.prop_map(|a| format!("RUN <<EOF\n{a}\n# kept\nEOF")),
        word.prop_map(|a| format!("RUN --mount=type=cache,target=/{a} [\"{a}\"]")),
        (word, word).prop_map(|(a, b)| format!("ENV {a}=\"{b} x\" z='y'")),
        word.prop_map(|a| format!("LABEL {a}=1")),
        word.prop_map(|a| format!("ARG {a}=\\\n1")),
        word.prop_map(|a| format!("cmd {a}")),
        word.prop_map(|a| format!("ENTRYPOINT [ \"{a}\" , \"b\" ]")),
        word.prop_map(|a| format!("ONBUILD RUN {a}")),
        word.prop_map(|a| format!("HEALTHCHECK --interval=5s CMD {a}")),
        word.prop_map(|a| format!("# {a}\n\nUSER {a}")),
        word.prop_map(|a| format!("WORKDIR /{a}")),
        word.prop_map(|a| format!("FROM {a}")),
        Just("VOLUME [\"/a\"]".to_owned()),
        Just("EXPOSE 80 443".to_owned()),
        Just("STOPSIGNAL SIGINT".to_owned()),
        Just("SHELL [\"sh\"]".to_owned()),
    ]
}

/// Keyword and offset of each instruction.
fn ours(text: &str) -> Vec<(String, usize)> {
    let file = parse(&Source::new("Containerfile", text)).expect("the generator makes valid files");
    file.stages
        .iter()
        .flat_map(|stage| {
            let from = ("FROM".to_owned(), stage.from.span.start);
            let rest = stage.instructions.iter().map(|s| (s.instruction.name().to_owned(), s.span.start));
            std::iter::once(from).chain(rest)
        })
        .collect()
}

macro_rules! keyword_span {
    ($instruction:expr, $($variant:ident $field:ident),*) => {
        match $instruction {
            $(parse_dockerfile::Instruction::$variant(it) => it.$field.span.clone(),)*
            other => panic!("not generated: {other:?}"),
        }
    };
}

fn theirs(text: &str) -> Vec<(String, usize)> {
    let file = parse_dockerfile::parse(text).expect("the generator makes files it knows");
    let spans = file.instructions.iter().map(|instruction| {
        keyword_span!(
            instruction, Add add, Arg arg, Cmd cmd, Copy copy, Entrypoint entrypoint, Env env, Expose expose,
            From from, Healthcheck healthcheck, Label label, Onbuild onbuild, Run run, Shell shell,
            Stopsignal stopsignal, User user, Volume volume, Workdir workdir
        )
    });
    spans.map(|span| (text[span.clone()].to_uppercase(), span.start)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn instructions_start_where_another_parser_sees_them(instructions in prop::collection::vec(instruction(), 0..12)) {
        let text = format!("FROM a\n{}\n", instructions.join("\n"));
        prop_assert_eq!(ours(&text), theirs(&text));
    }
}

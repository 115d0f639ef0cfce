//! Whole files: what they parse to, and what is said of wrong ones.

use super::*;
use crate::Invocation;

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

#[test]
fn every_instruction_is_parsed() {
    for (text, name) in [
        ("ADD a b", "ADD"),
        ("ARG a", "ARG"),
        ("CMD a", "CMD"),
        ("COPY a b", "COPY"),
        ("ENTRYPOINT [\"a\"]", "ENTRYPOINT"),
        ("ENV a=b", "ENV"),
        ("EXPOSE 80 443/udp", "EXPOSE"),
        ("HEALTHCHECK NONE", "HEALTHCHECK"),
        ("LABEL a=b", "LABEL"),
        ("MAINTAINER Joe <joe@example.com>", "MAINTAINER"),
        ("ONBUILD RUN a", "ONBUILD"),
        ("RUN a", "RUN"),
        ("SHELL [\"/bin/bash\", \"-c\"]", "SHELL"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL"),
        ("USER a:b", "USER"),
        ("VOLUME /a /b", "VOLUME"),
        ("WORKDIR /a b", "WORKDIR"),
        ("workdir /", "WORKDIR"),
        ("Run\ttrue", "RUN"),
    ] {
        assert_eq!(first(text).name(), name);
    }
}

#[test]
fn wrong_instructions_say_what_and_where() {
    for (text, message, at) in [
        ("RNU a", "unknown instruction `RNU`", "RNU"),
        ("&& b", "unknown instruction `&&`", "&&"),
        ("ADD a", "ADD needs at least one source and a destination", "ADD a"),
        ("COPY [\"a\"]", "COPY needs at least one source and a destination", "COPY [\"a\"]"),
        ("COPY", "COPY needs at least one source and a destination", "COPY"),
        ("COPY --form=b a b", "unknown flag `--form` for COPY", "--form"),
        ("COPY a <<EOF\nEOF", "COPY cannot write to a heredoc", "<<EOF"),
        ("ARG", "ARG needs at least one argument", "ARG"),
        ("ARG =x", "ARG needs a name before `=`", "=x"),
        ("ARG --x a", "unknown flag `--x` for ARG", "--x"),
        ("CMD --x a", "unknown flag `--x` for CMD", "--x"),
        ("CMD [\"a\", 1]", "an array in exec form holds strings only", "1"),
        ("RUN []", "RUN in exec form needs a program", "RUN []"),
        ("RUN --network=hots a", "unknown network mode `hots`", "hots"),
        ("RUN --security=x a", "unknown security mode `x`", "x"),
        ("ENV", "ENV needs at least one argument", "ENV"),
        ("ENV a", "ENV `a` has no value", "a"),
        ("ENV a=b c", "ENV needs `name=value`, but `c` has no `=`", "c"),
        ("ENV a=b =c", "ENV needs a name before `=`", "=c"),
        ("LABEL", "LABEL needs at least one argument", "LABEL"),
        ("EXPOSE", "EXPOSE needs at least one argument", "EXPOSE"),
        ("VOLUME", "VOLUME needs at least one argument", "VOLUME"),
        ("VOLUME []", "VOLUME needs at least one argument", "VOLUME []"),
        ("VOLUME [\" \"]", "a volume path cannot be empty", "\" \""),
        ("USER", "USER needs an argument", "USER"),
        ("WORKDIR", "WORKDIR needs an argument", "WORKDIR"),
        ("STOPSIGNAL", "STOPSIGNAL needs an argument", "STOPSIGNAL"),
        ("MAINTAINER", "MAINTAINER needs an argument", "MAINTAINER"),
        ("SHELL sh -c", "SHELL needs a JSON array with at least one string", "SHELL sh -c"),
        ("SHELL []", "SHELL needs a JSON array with at least one string", "SHELL []"),
        ("HEALTHCHECK", "HEALTHCHECK needs `CMD <command>` or `NONE`", "HEALTHCHECK"),
        ("HEALTHCHECK CMD", "HEALTHCHECK CMD needs a command", "HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments", "x"),
        ("HEALTHCHECK TCP 80", "unknown kind of health check `TCP`", "TCP"),
        ("HEALTHCHECK --interval=5 CMD a", "invalid duration `5`", "5"),
        ("HEALTHCHECK --timeout=1us CMD a", "a duration cannot be shorter than 1ms", "1us"),
        ("HEALTHCHECK --retries=-1 CMD a", "invalid number of retries `-1`", "-1"),
        ("ONBUILD", "ONBUILD needs an instruction", "ONBUILD"),
        ("ONBUILD ONBUILD RUN a", "ONBUILD cannot trigger another ONBUILD", "ONBUILD RUN a"),
        ("ONBUILD FROM a", "ONBUILD cannot trigger FROM", "FROM a"),
        ("ONBUILD MAINTAINER a", "ONBUILD cannot trigger MAINTAINER", "MAINTAINER a"),
        ("ONBUILD COYP a b", "unknown instruction `COYP`", "COYP"),
        ("RUN <<EOF\na", "heredoc `EOF` is never ended", "<<EOF"),
        ("FROM", "FROM needs an image", "FROM"),
        ("FROM a b", "unexpected `b` after the image of FROM", "b"),
        ("FROM a AS", "unexpected `AS` after the image of FROM", "AS"),
        ("FROM a AS b c", "unexpected `AS` after the image of FROM", "AS"),
        ("FROM a AS 1b", "invalid stage name `1b`", "1b"),
        ("FROM a AS b/c", "invalid stage name `b/c`", "b/c"),
        ("FROM --platfrom=x a", "unknown flag `--platfrom` for FROM", "--platfrom"),
    ] {
        assert_eq!(errors(&format!("FROM a\n{text}")), [(message.to_owned(), at.to_owned())], "{text}");
    }
}

#[test]
fn several_errors_are_reported_in_one_run() {
    let found = errors("FROM\nRNU a\nCOPY b\nRUN fine\nENV c");
    let messages: Vec<&str> = found.iter().map(|(message, _)| message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "FROM needs an image",
            "unknown instruction `RNU`",
            "COPY needs at least one source and a destination",
            "ENV `c` has no value",
        ]
    );
    assert_eq!(errors(&format!("FROM a\n{}", "x\n".repeat(10_000))).len(), MAX_ERRORS);
}

#[test]
fn a_file_needs_from_first() {
    for (text, message, at) in [
        ("", "there is no FROM instruction", ""),
        ("# nothing\n", "there is no FROM instruction", ""),
        ("ARG a\n", "there is no FROM instruction", ""),
        ("RUN a\nRUN b\nFROM c", "RUN stands before the first FROM", "RUN a"),
        ("FROM a\0", "this is not a text file", "\0"),
    ] {
        assert_eq!(errors(text), [(message.to_owned(), at.to_owned())], "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_utf8_may_stand_in_comments_only() {
    let parse_bytes = |bytes: &[u8]| parse(&Source::from_bytes("Containerfile", bytes));
    assert!(parse_bytes(b"# J\xfcrgen\nFROM a\nRUN a \\\n# \xff\n b\n").is_ok());
    for bytes in [&b"FROM a\nRUN \xff"[..], b"FROM a\nRUN <<E\n\xff\nE\n", b"FROM \xffa"] {
        let errors = parse_bytes(bytes).unwrap_err();
        assert_eq!(errors[0].message, "this is not UTF-8");
        assert_eq!(errors[0].span.len(), 3);
    }
}

#[test]
fn line_that_lost_its_continuation_gets_a_hint() {
    let error = parse(&Source::new("f", "FROM a\nRUN b\n  && c")).unwrap_err().remove(0);
    let hint = error.hint.unwrap();
    assert_eq!(&*hint, "if it belongs to the instruction above, end the line above with `\\`");
}

#[test]
fn statements_carry_their_logical_text() {
    let file = parsed("FROM a\n# why\nRUN  echo a \\\n  # not this\n  && echo b\nCOPY <<E /f\nbody\nE\n");
    let texts: Vec<&str> = file.stages[0].instructions.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts, ["RUN  echo a   && echo b", "COPY <<E /f"]);
    assert_eq!(file.stages[0].instructions[0].comments[0].value, "why");
}

#[test]
fn heredocs_become_invocations() {
    let invocation = |text: &str| match first(text) {
        Instruction::Run(run) => match run.invocation() {
            Invocation::Exec(arguments) => format!("exec {arguments:?}"),
            Invocation::Shell(text) => format!("shell {text:?}"),
            Invocation::Script { name, content } => format!("script {name} {content:?}"),
        },
        other => panic!("{other:?}"),
    };
    for (text, expected) in [
        ("RUN a b", r#"shell "a b""#),
        ("RUN", r#"shell """#),
        ("RUN [\"a\", \"b c\"]", r#"exec ["a", "b c"]"#),
        ("RUN ['a']", r#"shell "['a']""#),
        ("RUN <<E\na\nb\nE", r#"shell "a\nb\n""#),
        ("RUN <<E\nE", r#"shell """#),
        ("RUN <<-E\n\ta\n\tE", r#"shell "a\n""#),
        ("RUN  --mount=type=tmpfs,target=/t <<E\na\nE", r#"shell "a\n""#),
        ("RUN <<'E'\n#!/bin/x\na $b\nE", r##"script E "#!/bin/x\na $b\n""##),
        ("RUN python3 <<E\na\nE", r#"shell "python3 <<E\na\nE""#),
        ("RUN <<E python3\na\nE", r#"shell "<<E python3\na\nE""#),
        ("RUN cat <<E >f && cat <<-'F'\na\nE\n\tb\nF", r#"shell "cat <<E >f && cat <<-'F'\na\nE\n\tb\nF""#),
    ] {
        assert_eq!(invocation(text), expected, "{text}");
    }
}

#[test]
fn onbuild_keeps_text_for_the_config() {
    for (text, expected) in [
        ("ONBUILD RUN a \\\n && b", "RUN a  && b"),
        ("onbuild  copy --from=x a b", "copy --from=x a b"),
        ("ONBUILD RUN <<'E'\na\nE", "RUN <<'E'\na\nE"),
    ] {
        let Instruction::Onbuild(onbuild) = first(text) else { panic!("{text}") };
        assert_eq!(onbuild.text, expected);
        // What is stored must be read back as the same instruction.
        let trigger =
            parse_onbuild_trigger(&Source::new("ONBUILD trigger of a", onbuild.text.clone())).unwrap();
        assert_eq!(trigger.instruction.name(), onbuild.instruction.name());
    }
}

#[test]
fn onbuild_trigger_is_exactly_one_instruction() {
    for (text, message) in [
        ("", "an ONBUILD trigger must be one instruction"),
        ("RUN a\nRUN b", "an ONBUILD trigger must be one instruction"),
        ("FROM a", "ONBUILD cannot trigger FROM"),
        ("ONBUILD RUN a", "ONBUILD cannot trigger ONBUILD"),
        ("MAINTAINER a", "ONBUILD cannot trigger MAINTAINER"),
        ("RNU a", "unknown instruction `RNU`"),
    ] {
        let errors = parse_onbuild_trigger(&Source::new("trigger", text)).unwrap_err();
        assert_eq!(errors[0].message, message, "{text:?}");
    }
}

#[test]
fn descriptions_come_from_comments() {
    let file = parsed(
        "# v is the version\nARG v=1\n# base holds tools\nFROM a AS base\n# x is one\n# y is two\nARG x y\n",
    );
    assert_eq!(file.global_args[0].description.as_deref(), Some("is the version"));
    assert_eq!(file.stages[0].description.as_deref(), Some("holds tools"));
    let Instruction::Arg(args) = &file.stages[0].instructions[0].instruction else { panic!() };
    let descriptions: Vec<_> = args.iter().map(|arg| arg.description.as_deref().unwrap()).collect();
    assert_eq!(descriptions, ["is one", "is two"]);
}

fn joined(texts: &[&str]) -> Source {
    let name = |number: usize| ["a", "b", "c"][number];
    Source::join(texts.iter().enumerate().map(|(number, text)| Source::new(name(number), *text)))
}

#[test]
fn joined_files_are_one_containerfile() {
    let source =
        joined(&["# escape=`\nFROM a\nRUN a `", "# escape=`\n  `\nRUN b", "# escape=`\nFROM b\nRUN <<E\nx"]);
    let errors = parse(&source).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].message, "heredoc `E` is never ended");
    assert_eq!(source.excerpt(errors[0].span).name, "c");

    let source =
        joined(&["# syntax=x\nARG v\nFROM a\nENV a=b", "# check=skip=A\nRUN b", "# check=skip=B\nFROM b"]);
    let file = parse(&source).unwrap();
    let of = |stage: usize| file.stages[stage].instructions.len();
    assert_eq!((file.stages.len(), of(0), of(1), file.global_args.len()), (2, 2, 0, 1));
    let check = file.directives.check.unwrap().value;
    assert!(check.skip.contains("A") && check.skip.contains("B") && file.directives.syntax.is_some());

    let errors = parse(&joined(&["# escape=`\nFROM a", "RUN b"])).unwrap_err();
    assert_eq!(errors[0].message, "this file and the one before it have different escape characters");
}

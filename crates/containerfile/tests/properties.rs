//! Whatever the input: no panic, spans inside the text and on character boundaries, time in proportion.

use std::time::{Duration, Instant};

use containerfile::glob::Glob;
use containerfile::ignore::IgnoreFile;
use containerfile::{Diagnostic, Escape, Source, Span, Word, parse, parse_onbuild_trigger};
use proptest::prelude::*;

/// Pieces that mean something, put together at random, reach further than random characters.
fn soup() -> impl Strategy<Value = String> {
    const PIECES: [&str; 48] = [
        "FROM a",
        "FROM",
        " AS b",
        "RUN",
        "COPY",
        "ADD",
        "ENV",
        "ARG",
        "LABEL",
        "ONBUILD ",
        "HEALTHCHECK",
        "CMD",
        "SHELL",
        "VOLUME",
        "EXPOSE",
        "\n",
        "\r\n",
        "\n",
        "\n",
        " ",
        " ",
        "\t",
        "\\",
        "\\\n",
        "`",
        "#",
        "# escape=`",
        "<<EOF",
        "<<-'E'",
        "EOF",
        "E",
        "\"",
        "'",
        "$",
        "${",
        "}",
        ":-",
        "/",
        "=",
        "[",
        "]",
        ",",
        "--",
        "--mount=",
        "type=cache,target=/x",
        "é",
        "\u{feff}",
        "한",
    ];
    prop::collection::vec(
        prop_oneof![4 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned), 1 => ".{0,3}"],
        0..40,
    )
    .prop_map(|pieces| pieces.concat())
}

fn assert_inside(source: &Source, span: Span) {
    assert!(span.start <= span.end, "{span:?}");
    assert!(source.text().get(span.start..span.end).is_some(), "{span:?} in {:?}", source.text());
}

fn assert_spans(source: &Source, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        assert_inside(source, diagnostic.span);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parse_never_panics_and_spans_are_inside(text in soup(), from_first in any::<bool>()) {
        let text = if from_first { format!("FROM a\n{text}") } else { text };
        let source = Source::from_bytes("Containerfile", text.as_bytes());
        match parse(&source) {
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                assert_spans(&source, &errors);
            }
            Ok(file) => {
                assert_spans(&source, &file.warnings);
                for stage in &file.stages {
                    assert_inside(&source, stage.span);
                    assert_inside(&source, stage.from.image.span());
                    for statement in &stage.instructions {
                        assert_inside(&source, statement.span);
                        assert_inside(&source, statement.keyword);
                        prop_assert!(source.slice(statement.keyword).eq_ignore_ascii_case(statement.instruction.name()));
                    }
                }
            }
        }
        let _parsed = parse_onbuild_trigger(&source);
    }

    #[test]
    fn parse_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = Source::from_bytes("Containerfile", &bytes);
        if let Err(errors) = parse(&source) {
            assert_spans(&source, &errors);
        }
    }

    #[test]
    fn expansion_never_panics_and_errors_point_inside(text in "[$\\{\\}:\\-+?#%/*'\"\\\\ a-cé\n]{0,40}", value in "[ab*?é/]{0,10}") {
        let source = Source::new("f", text.clone());
        let word = Word::new(text.clone(), Span::new(0, text.len()));
        let scope = |name: &str| (name != "b").then(|| value.clone());
        for escape in [Escape::Backslash, Escape::Backtick] {
            if let Err(error) = word.expand(&scope, escape) {
                assert_inside(&source, error.span);
            }
            if let Ok(words) = word.expand_words(&scope, escape) {
                prop_assert!(words.words.iter().all(|word| !word.is_empty()));
            }
        }
    }

    #[test]
    fn plain_words_expand_to_themselves(text in "[a-z0-9/.:@=<> -]{0,30}") {
        let word = Word::new(text.clone(), Span::new(0, text.len()));
        prop_assert!(word.is_literal(Escape::Backslash));
        prop_assert_eq!(word.expand(&|_| None, Escape::Backslash).unwrap().value, text);
    }

    #[test]
    fn ignore_rules_take_any_text(patterns in "[a-c/*?!\\[\\]\\\\. \n#-]{0,40}", path in "[a-c]{1,3}(/[a-c]{1,3}){0,3}") {
        let Ok(file) = IgnoreFile::parse(".dockerignore", &patterns) else { return Ok(()) };
        let decision = file.matches(&path);
        let mut state = file.root();
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            state = file.matches_below(&state, &path[..end]);
            let directory = &path[..end];
            // A walker that prunes must not lose anything.
            let pruned = file.decision(&state).is_some_and(|d| d.excluded) && !file.may_include_below(directory);
            if pruned {
                prop_assert!(decision.is_some_and(|d| d.excluded), "{patterns:?} {path} {directory}");
            }
        }
        prop_assert_eq!(file.decision(&state), decision);
    }

    #[test]
    fn globs_agree_with_a_simple_matcher(pattern in "[ab*?/]{0,8}", name in "[ab/]{0,8}") {
        prop_assert_eq!(Glob::parse(&pattern).unwrap().matches(&name), simple(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn globs_take_any_bytes(pattern in ".{0,20}", name in prop::collection::vec(any::<u8>(), 0..20)) {
        if let Ok(glob) = Glob::parse(&pattern) {
            glob.matches(name);
        }
    }
}

/// Tries everything.
fn simple(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            simple(rest, name)
                || name.split_first().is_some_and(|(n, tail)| *n != b'/' && simple(pattern, tail))
        }
        (Some((b'?', rest)), Some((n, tail))) => *n != b'/' && simple(rest, tail),
        (Some((p, rest)), Some((n, tail))) => p == n && simple(rest, tail),
        _ => false,
    }
}

/// Far beyond linear work would take minutes; the limit is loose, so that a busy machine does not fail it.
#[test]
fn hostile_files_take_linear_time() {
    let size = 200_000;
    for (name, text) in [
        ("continuations", format!("FROM a\nRUN {}", "x \\\n".repeat(size))),
        ("comments", format!("FROM a\nRUN x \\\n{}", "# x\n".repeat(size))),
        ("operators", format!("FROM a\nRUN {}", "<<".repeat(size))),
        ("heredocs", format!("FROM a\nRUN {}", " <<E".repeat(size))),
        ("quotes", format!("FROM a\nRUN << {}", "'".repeat(size + 1))),
        ("dollars", format!("FROM a\nRUN << {}", "$((".repeat(size))),
        ("braces", format!("FROM a\nRUN << {}", "${".repeat(size))),
        ("brackets", format!("FROM a\nRUN {}", "[".repeat(size))),
        ("words", format!("FROM a\nCOPY {}", "x ".repeat(size))),
        ("pairs", format!("FROM a\nENV {}", "a=b ".repeat(size))),
        ("one stage a line", "FROM a\n".repeat(size)),
        ("options", format!("FROM a\nRUN --mount={} x", "rw,".repeat(size))),
    ] {
        let source = Source::new("Containerfile", text);
        let start = Instant::now();
        let _parsed = parse(&source);
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
    }
}

//! What is the same as with cpp is in `fixtures/containerfile-in`; here is what is said, bounded, or our own.

use std::collections::BTreeMap;

use super::*;

fn run(files: &[(&str, &str)], flags: &[&str]) -> Result<Source, Box<Unprocessed>> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let flags = CppFlags::parse(flags.iter().copied()).unwrap();
    let mut read = |path: &str| match path {
        "unreadable" => Err("permission denied".to_owned()),
        _ => Ok(files.get(path).map(|text| Source::new(path, *text))),
    };
    preprocess(Source::new("Containerfile.in", files["Containerfile.in"]), "", &flags, &mut read)
}

fn text(input: &str) -> String {
    run(&[("Containerfile.in", input)], &[]).unwrap().text().to_owned()
}

/// File and line, the text there, and the message of each diagnostic.
fn told(source: &Source, diagnostics: &[Diagnostic]) -> Vec<String> {
    let line = |diagnostic: &Diagnostic| {
        let excerpt = source.excerpt(diagnostic.span);
        let text = &excerpt.text[excerpt.span.start..excerpt.span.end];
        format!("{}:{} {text:?} {}", excerpt.name, excerpt.position.line, diagnostic.message)
    };
    diagnostics.iter().map(line).collect()
}

fn wrong(input: &str) -> Vec<String> {
    let failed = run(&[("Containerfile.in", input)], &[]).unwrap_err();
    told(&failed.source, &failed.diagnostics)
}

#[test]
fn comments_and_parser_directives_stay() {
    for input in [
        "# syntax=docker/dockerfile:1\n# a comment\nFROM x\n",
        "#unknown\n#!/bin/sh\n#\n  # define X 1\nX\n",
        "RUN rm -rf /var/lib/apt/lists/*\nCOPY a/* */b /c/\n",
        "RUN ls \\\n  /* \\\n  */\n",
        "/* never ended\n",
    ] {
        assert_eq!(text(input), input);
    }
}

#[test]
fn directives_may_stand_between_continued_lines() {
    let input = "#define X y\nRUN a \\\n#ifdef X\n  X \\\n# it's X \\\n#else\n  z \\\n#endif\n  X\n";
    assert_eq!(text(input), "RUN a \\\n  y \\\n# it's X \\\n  y\n");
    assert_eq!(text("#define X y\nRUN 'a \\\n X' X\nRUN 'a\nRUN X"), "RUN 'a \\\n X' y\nRUN 'a\nRUN y\n");
    assert_eq!(text("#define X y\r\nRUN X\r\n#if 1\r\nX\r\n#endif\r\n"), "RUN y\r\ny\r\n");
}

#[test]
fn flags_define_undefine_and_name_directories() {
    let input = "#include <x>\n#ifdef A\nA B F(1)\n#endif\nC";
    let files = [("Containerfile.in", input), ("lib/x", "RUN x")];
    let flags = ["-traditional", "-DA", "-D", "B=b c", "-DF(x)=<x>", "-DC", "-UC", "-Ilib/"];
    assert_eq!(run(&files, &flags).unwrap().text(), "RUN x\n1 b c <1>\nC\n");
    for (flag, why) in [("-Wall", "known are -D, -U, -I and -iquote"), ("-D", "its value is missing")] {
        let error = CppFlags::parse([flag]).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid preprocessor flag `{flag}`: {why}"));
    }
    assert!(CppFlags::parse(["-D1"]).is_err());
}

#[test]
fn spans_lead_back_to_the_files_that_were_written() {
    let files = [
        ("Containerfile.in", "#define BASE debian:13\nFROM BASE AS x\n#include \"a\"\nRUN BASE end"),
        ("a", "RNU BASE\n"),
    ];
    let source = run(&files, &[]).unwrap();
    let at = |needle: &str| {
        let start = source.text().find(needle).unwrap();
        let excerpt = source.excerpt(Span::new(start, start + needle.len()));
        (excerpt.name, excerpt.position.line, &excerpt.text[excerpt.span.start..excerpt.span.end])
    };
    assert_eq!(at("debian:13 AS x"), ("Containerfile.in", 2, "BASE AS x"));
    assert_eq!(at("bian"), ("Containerfile.in", 2, "BASE"));
    assert_eq!(at("FROM debian:13"), ("Containerfile.in", 2, "FROM BASE"));
    assert_eq!(at("RNU debian:13"), ("a", 1, "RNU BASE"));
    assert_eq!(at("end"), ("Containerfile.in", 4, "end"));
    let errors = crate::parse(&source).unwrap_err();
    assert_eq!(told(&source, &errors), ["a:1 \"RNU\" unknown instruction `RNU`"]);
}

#[test]
fn warnings_go_on_and_errors_stop() {
    let source =
        run(&[("Containerfile.in", "FROM a\n#warning careful: b\n#define X 1\n#define X 2\n")], &[]).unwrap();
    let file = crate::parse(&source).unwrap();
    let expected = [
        "Containerfile.in:2 \"#warning careful: b\" careful: b",
        "Containerfile.in:4 \"#define X 2\" `X` stood for something else before",
    ];
    assert_eq!(told(&source, &file.warnings), expected);
    let joined = Source::join([Source::new("first", "FROM b\n"), source]);
    assert_eq!(told(&joined, &crate::parse(&joined).unwrap().warnings), expected);
}

#[test]
fn each_mistake_is_told_with_its_line() {
    for (input, message) in [
        ("#error stop here\n", "stop here"),
        ("#if\n#endif\n", "a number or a name is missing at the end"),
        ("#if 1 +\n#endif\n", "a number or a name is missing at the end"),
        ("#if 1 2\n#endif\n", "`2` has no meaning in a condition"),
        ("#if (1\n#endif\n", "a `)` is missing"),
        ("#if 09\n#endif\n", "`09` is no whole number"),
        ("#if 4/0\n#endif\n", "this divides by zero"),
        ("#if \"a\"\n#endif\n", "a number is expected before `\"`"),
        ("#if 1 ? 2\n#endif\n", "`?` has no `:`"),
        ("#if defined(X\n#endif\n", "`defined(` has no `)`"),
        ("# if you like\n#endif\n", "`like` has no meaning in a condition"),
        ("#else\n", "there is no `#if` for this `#else`"),
        ("#elif 1\n", "there is no `#if` for this `#elif`"),
        ("#endif\n", "there is no `#if` for this `#endif`"),
        ("#ifdef\n#endif\n", "a name is missing, of letters, digits and `_`"),
        ("#define 3\n", "a name is missing, of letters, digits and `_`"),
        ("#define defined\n", "`defined` cannot be defined"),
        ("#define F(x\n", "the parameters have no `)`"),
        ("#define F(x, 1)\n", "`1` is no name for a parameter"),
        ("#define F(x,x)\n", "there are two parameters `x`"),
        ("#include foo\n", "`#include` needs a file name in quotes"),
        ("#include \"nope\"\n", "there is no file `nope`"),
        ("#include \"unreadable\"\n", "cannot include `unreadable`: permission denied"),
        ("#if 1\nRUN x\n", "this is never ended"),
    ] {
        let first = input.lines().next().unwrap();
        assert_eq!(wrong(input), [format!("Containerfile.in:1 {first:?} {message}")], "{input}");
    }
    assert_eq!(
        wrong("#if 1\n#else\n#else\n#endif\n"),
        ["Containerfile.in:3 \"#else\" this is the second `#else`"]
    );
    assert_eq!(wrong("#if 1\n#else\n#elif 1\n#endif\n").len(), 1);
}

#[test]
fn misused_macros_are_shown_where_they_are_used() {
    for (input, message) in [
        ("#define A A b\nRUN A", "\"A\" `A` stands for itself"),
        ("#define B C\n#define C B\nx B", "\"B\" `B` stands for itself"),
        ("#define F(x) x\nRUN F(1, 2)", "\"F\" `F` takes 1 arguments, not 2"),
        ("#define F(x) x\nRUN F(1 \\\n)", "\"F\" the arguments of `F` have no `)` on this line"),
    ] {
        let line =
            input.find("RUN").or(input.find("x B")).map(|at| input[..at].matches('\n').count() + 1).unwrap();
        assert_eq!(wrong(input), [format!("Containerfile.in:{line} {message}")], "{input}");
    }
}

#[test]
fn hostile_files_end_soon() {
    let wide: Vec<_> = (1..40).map(|n| format!("#define A{n} A{0} A{0}\n", n - 1)).collect();
    for input in [
        format!("#define A0 x\n{}A39\n", wide.concat()),
        format!("#define F(x) x x\n{}1{}\n", "F(".repeat(50), ")".repeat(50)),
        format!("#define F(x) x\n{}1{}\n", "F(".repeat(100_000), ")".repeat(100_000)),
        format!("#if {}1\n#endif\n", "!".repeat(1_000_000)),
        format!("#if {}1\n#endif\n", "(".repeat(1_000_000)),
        format!("#if {}1\n#endif\n", "1?".repeat(1_000_000)),
        "#include \"Containerfile.in\"\n".to_owned(),
        "#include \"Containerfile.in\"\n#include \"Containerfile.in\"\n".to_owned(),
        format!("#define F(x) {}\nF({})\n", "x ".repeat(100_000), "y".repeat(100_000)),
    ] {
        assert!(run(&[("Containerfile.in", &input)], &[]).is_err(), "{}", &input[..60.min(input.len())]);
    }
    let chain: Vec<_> = (1..100_000).map(|n| format!("#define A{n} A{}\n", n - 1)).collect();
    assert!(run(&[("Containerfile.in", &format!("{}A99999\n", chain.concat()))], &[]).is_err());
}

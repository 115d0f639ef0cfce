//! What must hold for any bytes: no panic, spans inside of their text, and a few rules.
//!
//! Each function is a fuzz target, and `tests/corpus.rs` runs it on the inputs in `fixtures/fuzz`. To look for more,
//! with cargo-fuzz, from the crate `containerfile`:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir ../../target/fuzz parse ../../fixtures/fuzz/parse
//! ```
//!
//! An input of several texts has the byte 0x1e between them.

use containerfile::glob::Glob;
use containerfile::ignore::IgnoreFile;
use containerfile::{CppFlags, Diagnostic, Escape, Instruction, Source, Span, Word};

/// Between the texts of one input.
const SEPARATOR: u8 = 0x1e;

/// Parses Containerfiles, joined if there are several.
pub fn parse(data: &[u8]) {
    let files = data.split(|byte| *byte == SEPARATOR);
    check_parse(&Source::join(files.map(|file| Source::from_bytes("file", file))));
}

/// Preprocesses the first text, which may include the others under the names `0`, `1` and so on.
pub fn preprocess(data: &[u8]) {
    let files: Vec<&[u8]> = data.split(|byte| *byte == SEPARATOR).collect();
    let source = |name: &str| {
        let bytes = files.get(name.rsplit('/').next()?.parse::<usize>().ok()?)?;
        Some(Source::from_bytes(name, bytes))
    };
    let first = source("0").unwrap_or_else(|| Source::new("0", ""));
    match containerfile::preprocess(first, "", &CppFlags::default(), &mut |name| Ok(source(name))) {
        Ok(source) => check_parse(&source),
        Err(failed) => check_diagnostics(&failed.source, &failed.diagnostics),
    }
}

/// Expands the first text; the others are values of variables, the first one's for names of one letter.
pub fn expand(data: &[u8]) {
    let texts: Vec<String> = data
        .split(|byte| *byte == SEPARATOR)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let Some((text, values)) = texts.split_first() else { return };
    let scope = |name: &str| values.get(name.len().saturating_sub(1)).cloned();
    let source = Source::new("word", text.clone());
    let word = Word::new(source.text(), Span::new(0, source.text().len()));
    for escape in [Escape::Backslash, Escape::Backtick] {
        match word.expand(&scope, escape) {
            Ok(expanded) if word.is_literal(escape) => assert_eq!(expanded.value, word.text()),
            Ok(expanded) => assert!(expanded.defined.is_disjoint(&expanded.undefined)),
            Err(error) => check_diagnostics(&source, &[error]),
        }
        match word.expand_words(&scope, escape) {
            Ok(expanded) => assert!(expanded.words.iter().all(|word| !word.is_empty())),
            Err(error) => check_diagnostics(&source, &[error]),
        }
    }
}

/// Matches a path, the first text, against an ignore file, the second, and each of its lines as a glob.
pub fn ignore(data: &[u8]) {
    let mut texts = data.split(|byte| *byte == SEPARATOR);
    let (path, patterns) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let patterns = String::from_utf8_lossy(patterns);
    for line in patterns.lines() {
        if let Ok(glob) = Glob::parse(line) {
            glob.matches(path);
        }
    }
    let elements: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|element| !matches!(*element, b"" | b"." | b"..")).collect();
    let path = elements.join(&b'/');
    if let Ok(file) = IgnoreFile::parse(".dockerignore", &patterns) {
        check_ignore(&file, &path);
    }
}

/// A walker that keeps states and prunes finds what a look at the whole path finds.
fn check_ignore(file: &IgnoreFile, path: &[u8]) {
    let decision = file.matches(path);
    let mut state = file.root();
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    for end in ends.chain([path.len()]) {
        let directory = &path[..end];
        state = file.matches_below(&state, directory);
        let is_excluded = file.decision(&state).is_some_and(|decision| decision.excluded);
        if is_excluded && !file.may_include_below(directory) {
            assert!(decision.is_some_and(|decision| decision.excluded), "pruned at {directory:?}");
        }
    }
    assert_eq!(file.decision(&state), decision);
}

fn check_parse(source: &Source) {
    let file = match containerfile::parse(source) {
        Ok(file) => file,
        Err(errors) => {
            assert!(!errors.is_empty());
            return check_diagnostics(source, &errors);
        }
    };
    check_diagnostics(source, &file.warnings);
    for stage in &file.stages {
        check_span(source, stage.span);
        check_span(source, stage.from.image.span());
        for statement in &stage.instructions {
            check_span(source, statement.span);
            check_span(source, statement.keyword);
            check_instruction(source, &statement.instruction);
        }
    }
}

fn check_instruction(source: &Source, instruction: &Instruction) {
    let words: Vec<&Word> = match instruction {
        Instruction::Copy(copy) => copy.sources.iter().chain([&copy.destination]).collect(),
        Instruction::Add(add) => add.sources.iter().chain([&add.destination]).collect(),
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| [&pair.key, &pair.value]).collect()
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().collect(),
        Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => vec![word],
        Instruction::Onbuild(onbuild) => {
            let trigger = Source::new("trigger", onbuild.text.clone());
            if let Err(errors) = containerfile::parse_onbuild_trigger(&trigger) {
                check_diagnostics(&trigger, &errors);
            }
            return check_instruction(source, &onbuild.instruction);
        }
        _ => Vec::new(),
    };
    for word in words {
        check_span(source, word.span());
    }
}

fn check_diagnostics(source: &Source, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty());
        check_span(source, diagnostic.span);
    }
}

fn check_span(source: &Source, span: Span) {
    assert!(source.text().get(span.start..span.end).is_some(), "{span:?} in {:?}", source.text());
    let excerpt = source.excerpt(span);
    let place = excerpt.span;
    assert!(excerpt.text.get(place.start..place.end).is_some(), "{place:?} in {:?}", excerpt.text);
    assert!(excerpt.position.line <= excerpt.text.matches('\n').count() + 1);
}

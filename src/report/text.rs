//! A report for people: the message, an excerpt of their text, notes, causes, and the cure.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anstyle::{AnsiColor, Style};

use super::{Place, Report};

/// Longer lines of an excerpt are cut.
const WIDTH: usize = 140;

const BOLD: Style = Style::new().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

pub(super) fn render(report: &Report<'_>) -> String {
    let mut text = message_and_place(report);
    text.push('\n');
    for cause in &report.causes {
        writeln!(text, "  {BOLD}caused by:{BOLD:#} {}", indented(cause))
            .expect("invariant: a string takes all text");
    }
    if let Some(hint) = &report.hint {
        writeln!(text, "{HINT}hint:{HINT:#} {}", indented(hint)).expect("invariant: a string takes all text");
    }
    text
}

fn message_and_place(report: &Report<'_>) -> String {
    let level = if report.severity == "error" { Level::ERROR } else { Level::WARNING };
    let message = printable(&report.message);
    let title = level.primary_title(message);
    let title = match report.code {
        Some(code) => title.id(code),
        None => title,
    };
    let notes = report.notes.iter().map(|note| Level::NOTE.message(printable(note)));
    let group = match &report.place {
        Some(place) => title.element(snippet(place)).elements(notes),
        None => Group::with_title(title).elements(notes),
    };
    Renderer::styled().term_width(WIDTH).render(&[group])
}

fn snippet<'a>(place: &Place<'a>) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let excerpt = place.source.excerpt(place.span);
    let span = excerpt.span.start..excerpt.span.end;
    let annotation = AnnotationKind::Primary.span(span).label(place.label.map(printable));
    Snippet::source(excerpt.text).path(excerpt.name).annotation(annotation)
}

/// Text of other people's files and servers, without what could drive the user's terminal.
fn printable(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn indented(text: &str) -> String {
    printable(text).replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use containerfile::{Source, Span};
    use engine::{Cause, IgnoreRule};

    use super::*;
    use crate::error::Error;

    fn text(error: impl Into<Error>) -> String {
        let error = error.into();
        let reports = Report::of_error(&error);
        anstream::adapter::strip_str(&reports.iter().map(Report::to_text).collect::<String>()).to_string()
    }

    #[test]
    fn an_error_shows_line_caret_note_and_hint() {
        let source =
            Arc::new(Source::new("Containerfile", "FROM scratch\n\nCOPY dist/app /usr/local/bin/\n"));
        let cause = Cause::MissingSource {
            instruction: "COPY",
            path: "dist/app".to_owned(),
            place: "the build context".to_owned(),
            ignored_by: Some(IgnoreRule { file: ".dockerignore".into(), line: 3, pattern: "dist/".into() }),
            similar: None,
        };
        let place = engine::Place {
            label: Some("it is ignored".to_owned()),
            ..engine::Place::new(&source, Span::new(19, 27))
        };
        insta::assert_snapshot!(text(engine::Error::from(cause).at(place)), @r#"
        error: COPY source `dist/app` is not in the build context
         --> Containerfile:3:6
          |
        3 | COPY dist/app /usr/local/bin/
          |      ^^^^^^^^ it is ignored
          |
          = note: `dist/app` is excluded by .dockerignore:3 (`dist/`)
        hint: remove line 3 of .dockerignore, or add `!dist/app` after it
        "#);
    }

    #[test]
    fn a_text_with_several_mistakes_gives_several_reports() {
        let source = Arc::new(Source::new("Containerfile", "FROM scratch\nRNU make\nCOPY a\n"));
        let diagnostics = containerfile::parse(&source).unwrap_err();
        insta::assert_snapshot!(text(engine::Error::from(Cause::Syntax { source_text: source, diagnostics })), @r#"
        error: unknown instruction `RNU`
         --> Containerfile:2:1
          |
        2 | RNU make
          | ^^^
        hint: did you mean `RUN`?
        error: COPY needs at least one source and a destination
         --> Containerfile:3:1
          |
        3 | COPY a
          | ^^^^^^
        hint: write `COPY <source>… <destination>`
        "#);
    }

    #[test]
    fn a_failed_step_shows_its_last_output() {
        let source = Arc::new(Source::new("Containerfile", "FROM a\nRUN make \\\n  all\n"));
        let cause = Cause::RunFailed {
            code: 127,
            stage: "build".to_owned(),
            number: 4,
            total: 9,
            last_output: vec!["/bin/sh: make: not found\u{1b}[31m".to_owned()],
        };
        let place = engine::Place::new(&source, Span::new(7, 23));
        insta::assert_snapshot!(text(engine::Error::from(cause).at(place)), @r#"
        error: RUN failed with exit code 127 in stage `build`, step 4 of 9
         --> Containerfile:2:1
          |
        2 | / RUN make \
        3 | |   all
          | |_____^
          |
          = note: last output: /bin/sh: make: not found
        "#);
    }

    #[test]
    fn causes_are_told_outermost_first() {
        let source = std::io::Error::from_raw_os_error(13);
        let error = crate::settings::Error::Io { operation: "read", path: "/x".into(), source };
        insta::assert_snapshot!(text(error), @r#"
        error: cannot read `/x`
          caused by: Permission denied (os error 13)
        "#);
    }

    #[test]
    fn a_message_without_a_place_still_has_notes_and_a_hint() {
        let known = "`build`, `test`".into();
        let cause = Cause::UnknownStage { name: "deploy".to_owned(), known, close: None };
        insta::assert_snapshot!(text(engine::Error::from(cause)), @r#"
        error: there is no stage `deploy`
        hint: the stages are `build`, `test`
        "#);
    }
}

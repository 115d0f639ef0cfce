//! Each rule, where it speaks and where it does not.

use std::sync::Arc;

use containerfile::Source;

use super::*;
use crate::options::BuildOptions;

fn told(text: &str, ignore: &str) -> Vec<(&'static str, String)> {
    let source = Arc::new(Source::new("Containerfile", text));
    let plan = Plan::new(&source, &BuildOptions::default()).unwrap();
    let filter = Filter::parse(&Source::new(".dockerignore", ignore)).unwrap();
    let warnings = warnings(&plan, &Bases::default(), &filter);
    warnings
        .into_iter()
        .map(|warning| (warning.code.unwrap(), source.slice(warning.span).to_owned()))
        .collect()
}

#[test]
fn each_rule_points_at_its_cause() {
    for (text, code, at) in [
        ("FROM scratch\nCOPY $NONE /x", "UndefinedVar", "$NONE"),
        ("FROM scratch\nENV FOO=1\nLABEL a=${FO}", "UndefinedVar", "${FO}"),
        ("FROM scratch AS a\nENV B=1\nFROM a\nUSER $C", "UndefinedVar", "$C"),
        ("ARG G=1\nFROM scratch\nENV X=$G", "UndefinedVar", "$G"),
        ("FROM scratch\nWORKDIR app", "WorkdirRelativePath", "app"),
        ("FROM scratch\nCOPY secret /x", "CopyIgnoredFile", "secret"),
        ("FROM scratch\nADD ./dir/secret /x", "CopyIgnoredFile", "./dir/secret"),
        ("FROM scratch\nCOPY a b /dest", "SeveralSourcesIntoFile", "/dest"),
        ("FROM scratch\nCOPY --link a /bin/a", "LinkThroughSymlink", "/bin/a"),
        ("FROM scratch\nVOLUME /data\nCOPY a /data/a", "WriteAfterVolume", "/data/a"),
        ("FROM scratch\nVOLUME /data\nRUN echo >/data/a", "WriteAfterVolume", "RUN"),
        ("FROM scratch\nARG A=1\nCOPY <<'E' /a\n$A\nE", "QuotedHeredoc", "<<'E'"),
    ] {
        assert_eq!(told(text, "**/secret\n"), [(code, at.to_owned())], "{text}");
    }
}

#[test]
fn ordinary_text_is_silent() {
    for text in [
        "FROM scratch\nARG A\nENV B=$A P=$PATH:/x\nCOPY ${A:-x} /x",
        "ARG G=1\nFROM scratch\nARG G\nENV X=$G",
        "FROM scratch AS a\nENV B=1\nWORKDIR /a\nFROM a\nUSER $B\nWORKDIR b",
        // What an image sets is not known here.
        "FROM alpine\nENV X=$SET_BY_IMAGE",
        "FROM scratch\nWORKDIR /app\nWORKDIR sub",
        "FROM scratch AS x\nFROM scratch\nCOPY --from=x secret /y",
        "FROM scratch\nCOPY a b /dest/\nCOPY a /dest\nCOPY --link a /usr/bin/a\nCOPY a /bin/a",
        "FROM scratch\nCOPY a /data/a\nRUN echo >/data/a\nVOLUME /data\nRUN echo >/database",
        "FROM scratch\nARG A=1\nCOPY <<E /a\n$A\nE\nCOPY <<'E' /b\n$OTHER\nE",
        "FROM scratch\nRUN echo $UNSET",
    ] {
        assert!(told(text, "**/secret\n").is_empty(), "{text}: {:?}", told(text, "**/secret\n"));
    }
}

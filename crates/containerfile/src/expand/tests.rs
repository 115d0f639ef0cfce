//! Tables of words and their values; the cases follow the Dockerfile reference and POSIX sh.

use super::substitution::MAX_ADDED;
use super::*;
use crate::Span;

fn scope(name: &str) -> Option<String> {
    let value = match name {
        "HOME" => "/home",
        "NAME" => "app",
        "EMPTY" => "",
        "FILE" => "archive.tar.gz",
        "URL" => "http://a/b/c",
        "STARS" => "a**b",
        "SPACES" => " x  y ",
        "한국" => "korea",
        _ => return None,
    };
    Some(value.to_owned())
}

fn word(text: &str) -> Word {
    Word::new(text, Span::new(0, text.len()))
}

fn expand(text: &str) -> Result<String, String> {
    word(text)
        .expand(&scope, Escape::Backslash)
        .map(|expanded| expanded.value)
        .map_err(|diagnostic| diagnostic.message)
}

#[test]
fn quotes_and_escapes_are_taken_off() {
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("a'b c'd", "ab cd"),
        (r#"a"b c"d"#, "ab cd"),
        (r"a\ b", "a b"),
        (r"a\tb", "atb"),
        (r"a\\b", r"a\b"),
        (r"end\", "end"),
        (r#""a\tb""#, r"a\tb"),
        (r#""a\\b\"c""#, r#"a\b"c"#),
        (r"'a\b'", r"a\b"),
        (r#""it's""#, "it's"),
        (r#"'"x"'"#, r#""x""#),
        ("'$HOME'", "$HOME"),
        (r"\$HOME", "$HOME"),
        (r#""\$HOME""#, "$HOME"),
        (r"\\$HOME", r"\/home"),
        (r"\${HOME}", "${HOME}"),
        ("안'녕'", "안녕"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn variables_are_replaced() {
    for (text, expected) in [
        ("$HOME", "/home"),
        ("${HOME}x", "/homex"),
        ("\"$HOME\"", "/home"),
        ("\"'$HOME'\"", "'/home'"),
        ("$HOME_", ""),
        ("$missing.", "."),
        ("$한국", "korea"),
        ("$", "$"),
        ("$.", "$."),
        ("a$ b", "a$ b"),
        ("$1x", "x"),
        ("$123", ""),
        ("$@@@", "@@"),
        ("${-}${#}${?}${*}", ""),
        ("$$", ""),
        ("${aaa}}", "}"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn alternatives_tell_unset_from_empty() {
    for (text, expected) in [
        ("${X:-d}", "d"),
        ("${X-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NAME:-d}", "app"),
        ("${X:+a}", ""),
        ("${X+a}", ""),
        ("${EMPTY:+a}", ""),
        ("${EMPTY+a}", "a"),
        ("${NAME:+a}", "a"),
        ("${NAME:?no}", "app"),
        ("${EMPTY?no}", ""),
        ("${X:-}", ""),
        ("${X:-$HOME}", "/home"),
        ("${X:-${Y:-${Z:-deep}}}", "deep"),
        ("${X:-a b}", "a b"),
        ("${X:-\\$HOME:}", "$HOME:"),
        ("${X:-a\\}b}", "a}b"),
        ("${X:-'}'}", "}"),
        ("${HOME:+${NAME}:}", "app:"),
        ("${1:-one}", "one"),
        ("${@:-all}", "all"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn patterns_trim_prefixes_and_suffixes() {
    for (text, expected) in [
        ("${FILE%.*}", "archive.tar"),
        ("${FILE%%.*}", "archive"),
        ("${FILE#*.}", "tar.gz"),
        ("${FILE##*.}", "gz"),
        ("${FILE#archive}", ".tar.gz"),
        ("${FILE%gz}", "archive.tar."),
        ("${FILE#nope}", "archive.tar.gz"),
        ("${FILE##*}", ""),
        ("${FILE#*}", "archive.tar.gz"),
        ("${FILE%%*}", ""),
        ("${FILE#????????}", "tar.gz"),
        ("${URL##*/}", "c"),
        ("${URL#*//}", "a/b/c"),
        ("${STARS#a\\*}", "*b"),
        ("${STARS%\\*?}", "a*"),
        ("${STARS##*\\*}", "b"),
        ("${FILE%.$X*}", "archive.tar"),
        ("${X#a}", ""),
        ("${FILE#}", "archive.tar.gz"),
        ("${FILE##}", "archive.tar.gz"),
        ("${FILE#*a*r}", "chive.tar.gz"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn patterns_are_replaced() {
    for (text, expected) in [
        ("${FILE/./-}", "archive-tar.gz"),
        ("${FILE//./-}", "archive-tar-gz"),
        ("${FILE/.*/}", "archive"),
        ("${FILE//a/}", "rchive.tr.gz"),
        ("${FILE//[aeiou]/x}", "archive.tar.gz"),
        ("${URL/http:\\/\\//https:}", "https:a/b/c"),
        ("${URL//\\//\\/}", "http:\\/\\/a\\/b\\/c"),
        ("${FILE/nope/x}", "archive.tar.gz"),
        ("${NAME///-}", "-a-p-p-"),
        ("${NAME/$X/ww}", "wwapp"),
        ("${NAME//*/x}", "x"),
        ("${NAME//p/pp}", "apppp"),
        ("${NAME/$X}", "app"),
        ("${NAME/p}", "ap"),
        ("${NAME//p}", "a"),
        ("${NAME/#a/x}", "xpp"),
        ("${NAME/#p/x}", "app"),
        ("${NAME/%p/x}", "apx"),
        ("${NAME/%a/x}", "app"),
        ("${X/a/b}", ""),
        ("${NAME/a/$HOME}", "/homepp"),
        ("${EMPTY//a/b}", ""),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_has_no_meaning_is_an_error() {
    for (text, message) in [
        ("'a", "the quote `'` is never closed"),
        ("\"a", "the quote `\"` is never closed"),
        ("it's", "the quote `'` is never closed"),
        ("${HOME", "`${` is never closed"),
        ("${X:-${Y}", "`${` is never closed"),
        ("${X:", "`${` is never closed"),
        ("${}", "`${` is not followed by a name"),
        ("${:-x}", "`${` is not followed by a name"),
        ("${{a}", "`${` is not followed by a name"),
        ("${.}", "`${` is not followed by a name"),
        ("${X=a}", "unsupported modifier `=` in `${…}`"),
        ("${X:=a}", "unsupported modifier `:=` in `${…}`"),
        ("${X:#a}", "unsupported modifier `:#` in `${…}`"),
        ("${X:1:2}", "unsupported modifier `:1` in `${…}`"),
        ("${X^^}", "unsupported modifier `^` in `${…}`"),
        ("${X:?}", "`X` is not set"),
        ("${X?set it to $NAME}", "`X` is not set: set it to app"),
        ("${EMPTY:?}", "`EMPTY` is empty"),
        ("${NAME#\\x}", "invalid pattern `\\x`: `x` cannot be escaped in it"),
        ("${NAME/}", "there is nothing to replace"),
        ("${NAME//}", "there is nothing to replace"),
    ] {
        assert_eq!(expand(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn errors_point_into_the_word() {
    let source = "LABEL a=x${Y:?no}";
    let word = Word::new("x${Y:?no}", Span::new(8, source.len()));
    let span = word.expand(&scope, Escape::Backslash).unwrap_err().span;
    assert_eq!(&source[span.start..span.end], "${Y:?no}");
}

#[test]
fn mentioned_variables_are_reported() {
    let expanded = word("$HOME ${X:-$Y} '$Z'").expand(&scope, Escape::Backslash).unwrap();
    assert_eq!(expanded.defined.into_iter().collect::<Vec<_>>(), ["HOME"]);
    assert_eq!(expanded.undefined.into_iter().collect::<Vec<_>>(), ["X", "Y"]);
}

#[test]
fn words_are_split_after_expansion() {
    for (text, expected) in [
        ("a b", vec!["a", "b"]),
        ("a${SPACES}b", vec!["a", "x", "y", "b"]),
        ("a\"${SPACES}\"b", vec!["a x  y b"]),
        ("$SPACES", vec!["x", "y"]),
        ("$X", vec![]),
        ("\"\"", vec![]),
        (r"a\ b", vec!["a b"]),
        ("\" a \"", vec![" a "]),
    ] {
        assert_eq!(word(text).expand_words(&scope, Escape::Backslash).unwrap().words, expected, "{text}");
    }
}

#[test]
fn escape_directive_changes_the_escape() {
    let value = word(r"C:\dir`$HOME").expand(&scope, Escape::Backtick).unwrap().value;
    assert_eq!(value, r"C:\dir$HOME");
}

#[test]
fn heredoc_keeps_quotes_and_replaces_variables() {
    let heredoc = |expand, strip_tabs| Heredoc {
        name: "EOF".to_owned(),
        body: "\t'$NAME' \"${X:-d}\" \\$NAME\n".to_owned(),
        expand,
        strip_tabs,
        span: Span::at(0),
        body_span: Span::at(0),
    };
    let value = |heredoc: Heredoc| heredoc.expand(&scope).unwrap().value;
    assert_eq!(value(heredoc(true, false)), "\t'app' \"d\" $NAME\n");
    assert_eq!(value(heredoc(true, true)), "'app' \"d\" $NAME\n");
    assert_eq!(value(heredoc(false, false)), "\t'$NAME' \"${X:-d}\" \\$NAME\n");
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = format!("{}{}", "${X:-".repeat(100_000), "}".repeat(100_000));
    assert_eq!(expand(&deep), Err("variables are nested too deeply".to_owned()));
    let big = |_: &str| Some("x".repeat(MAX_ADDED / 2));
    let message = word("$a$a$a").expand(&big, Escape::Backslash).unwrap_err().message;
    assert_eq!(message, "the expanded value is larger than 1 MiB");
    let message = word("${a//x/yyyy}").expand(&big, Escape::Backslash).unwrap_err().message;
    assert_eq!(message, "the expanded value is larger than 1 MiB");
}

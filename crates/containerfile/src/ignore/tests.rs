//! Tables of patterns and paths, after the reference's section on ignore files and moby's rules.

use super::*;

fn excluded(patterns: &str, path: &str) -> bool {
    IgnoreFile::parse(".dockerignore", patterns)
        .unwrap()
        .matches(path)
        .is_some_and(|decision| decision.excluded)
}

#[test]
fn single_patterns_match_like_moby() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("dir/**", "dir", false),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir", "a/b/dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/myfile", true),
        ("**file*", "dir/myfile", false),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/*.txt", "file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a**b", "a/x/b", true),
        ("a**b", "axb", false),
        ("a**b", "ab", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a\\\\", "a\\", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("*", "a/b/c", true),
        ("*/c", "a/b/c", false),
        ("*/*/c", "a/b/c", true),
        ("docs", "docs/README.md", true),
        ("docs", "documents", false),
        ("/docs", "docs/a", true),
        ("docs/", "docs/a", true),
        ("./docs", "docs", true),
        ("a/../docs", "docs", true),
        (".", "a", false),
        ("/", "a", false),
        ("한*", "한국어", true),
    ] {
        assert_eq!(excluded(pattern, path), expected, "{pattern} {path}");
    }
}

#[test]
fn last_match_wins() {
    for (patterns, path, expected) in [
        ("*.go\n!a.go", "a.go", false),
        ("!a.go\n*.go", "a.go", true),
        ("docs\n!docs/README.md", "docs/README.md", false),
        ("docs\n!docs/README.md", "docs/other", true),
        ("docs/*\n!docs/README.md", "docs/README.md", false),
        ("**\n!util/web", "util/web/foo", false),
        ("**\n!util/web\nutil/web/foo", "util/web/foo", true),
        ("*\n!src\nsrc/*.tmp", "src/a.tmp", true),
        ("*\n!src\nsrc/*.tmp", "src/a.c", false),
        ("**\n!dist/*.whl", "dist/a-1.0+x.whl", false),
        ("a/b\n!a", "a/b/c", true),
    ] {
        assert_eq!(excluded(patterns, path), expected, "{patterns:?} {path}");
    }
}

#[test]
fn decision_names_line_and_pattern() {
    let file =
        IgnoreFile::parse(".dockerignore", "\u{feff}# comment\r\n\r\n  dist/ \r\n ! dist/keep\r\n").unwrap();
    let decision = file.matches("dist/app").unwrap();
    assert_eq!((decision.excluded, decision.line, decision.pattern), (true, 3, "dist/"));
    let decision = file.matches("dist/keep").unwrap();
    assert_eq!((decision.excluded, decision.line, decision.pattern), (false, 4, "! dist/keep"));
    assert_eq!(file.matches("src"), None);
}

#[test]
fn comment_must_start_the_line() {
    assert!(!excluded("#a", "#a"));
    assert!(excluded(" #a", "#a"));
    assert!(IgnoreFile::from_patterns("--exclude", ["#a"]).unwrap().matches("#a").is_some());
}

#[test]
fn bad_pattern_names_its_line() {
    for (text, line) in [("a\n!\n", 2), ("[", 1), ("a\n\nb\\\n", 3), ("! ", 1)] {
        let invalid = IgnoreFile::parse("f", text).unwrap_err();
        assert_eq!(invalid.line, line, "{text:?}");
    }
    assert_eq!(IgnoreFile::parse("f", "[a").unwrap_err().to_string(), "f:1: bad pattern `[a`");
}

#[test]
fn excluded_directory_is_entered_only_for_an_exception_below() {
    for (patterns, dir, expected) in [
        ("a", "a", false),
        ("a\n!a/b", "a", true),
        ("a\n!a/b/c", "a/b", true),
        ("a\n!a/b/c", "a/x", false),
        ("a\n!a/b", "a/b", false),
        ("a\n!ab", "a", false),
        ("a\n!a/**", "a", true),
        ("a\n!a/**", "a/b", true),
        ("a\n!b/**", "a", false),
        ("a\n!**/keep", "a", true),
        ("a\n!a/*.txt", "a", true),
        ("a\n!a/*.txt", "a/b", false),
        ("a\n!*/b/x", "a/b", true),
        ("a\n!b/*", "a", false),
        ("a\n!a/b**/c", "a/bx/y", true),
        ("*\n!src", "", true),
    ] {
        let file = IgnoreFile::parse("f", patterns).unwrap();
        assert_eq!(file.may_include_below(dir), expected, "{patterns:?} {dir}");
    }
}

#[test]
fn walking_gives_the_same_answers() {
    let file = IgnoreFile::parse("f", "a\n!a/b\na/b/c*\n**/x").unwrap();
    let mut state = file.root();
    for path in ["a", "a/b", "a/b/cd", "a/b/cd/x"] {
        state = file.matches_below(&state, path);
        assert_eq!(file.decision(&state), file.matches(path), "{path}");
    }
}

#[test]
fn hostile_patterns_take_no_exponential_time() {
    let pattern = format!("{}b", "**/a*".repeat(200));
    let path = "a/".repeat(2000);
    assert!(!excluded(&pattern, path.trim_end_matches('/')));
}

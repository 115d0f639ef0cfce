//! What `--check` tells of a Containerfile, and what `# check=` makes of it.

use test_support::TestBuilder;

const WARNED: &str = "FROM scratch AS Build\nCOPY b /\n";

fn new_builder(containerfile: &str) -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Containerfile", containerfile).file("b", "b");
    builder
}

/// Exit code and all that was said.
fn run(containerfile: &str, arguments: &[&str]) -> (i32, String) {
    let output = new_builder(containerfile).run(arguments);
    (output.code(), output.to_string())
}

#[test]
fn a_check_tells_warnings_and_builds_nothing() {
    for flag in ["--check", "--call=check", "--call=lint"] {
        let builder = new_builder(WARNED);
        let output = builder.run(&["build", flag, "."]);
        let text = output.to_string();
        assert_eq!(output.code(), 1, "{text}");
        assert!(text.contains("StageNameCasing") && text.contains("has 1 warning"), "{text}");
        assert!(!text.contains("sha256:"), "{text}");
    }
    let (code, text) = run("FROM scratch\nCOPY b /\n", &["build", "--check", "."]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("no warnings"), "{text}");
}

#[test]
fn a_check_asks_no_registry() {
    let (code, text) = run("FROM 127.0.0.1:1/none:1\nRUN x\n", &["build", "--check", "--retry=0", "."]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_check_fails_for_errors_too() {
    let (code, text) = run("FROM scratch\nRNU x\n", &["build", "--check", "."]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("did you mean `RUN`?"), "{text}");
}

#[test]
fn warnings_fail_a_build_where_the_file_says_so() {
    let (code, text) = run(&format!("# check=error=true\n{WARNED}"), &["build", "."]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("StageNameCasing") && text.contains("has 1 warning"), "{text}");
    let skipped = format!("# check=skip=StageNameCasing;error=true\n{WARNED}");
    let (code, text) = run(&skipped, &["build", "."]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_build_argument_stands_in_for_the_directive() {
    let build = |containerfile: &str, value: &str| {
        run(containerfile, &["build", "--build-arg", &format!("BUILDKIT_DOCKERFILE_CHECK={value}"), "."])
    };
    assert_eq!(build(WARNED, "error=true").0, 1);
    let (code, text) = build(&format!("# check=error=true\n{WARNED}"), "skip=all");
    assert!(code == 0 && !text.contains("StageNameCasing"), "{text}");
    let (code, text) = build(WARNED, "loud");
    assert!(code == 1 && text.contains("`loud`"), "{text}");
}

#[test]
fn an_experimental_rule_is_switched_on_by_directive_and_build_argument() {
    const RULE: &str = "InvalidDefinitionDescription";
    let undescribed = "FROM scratch\n# something\nARG A\nCOPY b /\n";
    let check = |directive: &str, argument: Option<&str>| {
        let argument = argument.map(|value| format!("--build-arg=BUILDKIT_DOCKERFILE_CHECK={value}"));
        let arguments: Vec<_> =
            ["build", "--check"].into_iter().chain(argument.as_deref()).chain(["."]).collect();
        let (code, text) = run(&format!("{directive}{undescribed}"), &arguments);
        assert_eq!(code == 1, text.contains(RULE), "{text}");
        code == 1
    };
    assert!(!check("", None));
    assert!(check("# check=experimental=all\n", None));
    assert!(check("", Some("experimental=InvalidDefinitionDescription")));
    assert!(check("", Some("experimental=all")));
    assert!(!check("", Some("experimental=RuleOfTomorrow")));
    // The argument alone counts, and `skip` is for other rules.
    assert!(!check("# check=experimental=all\n", Some("skip=StageNameCasing")));
    assert!(check("", Some("skip=all;experimental=all")));
}

#[test]
fn a_build_knows_what_its_base_sets() {
    let builder = new_builder("");
    builder.file("Base", "FROM scratch\nENV SET=1\n");
    builder.run(&["build", "-f", "Base", "-t", "localhost/base:1", "."]).success();
    builder.file("Containerfile", "FROM localhost/base:1\nLABEL a=$SET b=$SETT\n");
    let output = builder.run(&["build", "."]).success();
    assert_eq!(output.stderr.matches("warning[UndefinedVar]").count(), 1, "{output}");
    assert!(output.stderr.contains("hint: did you mean `$SET`?"), "{output}");
    // Without the image there is nothing to say.
    builder.run(&["build", "--check", "."]).success();
    let output = builder.run(&["build", "--platform=linux/s390x", "."]).success();
    assert!(output.stderr.contains("warning[InvalidBaseImagePlatform]"), "{output}");
}

#[test]
fn what_the_ignore_file_hides_is_told_by_a_check() {
    let builder = new_builder("");
    builder.file("secret", "").file(".dockerignore", "# none\nsec*\n");
    builder.file("Containerfile", "FROM scratch\nCOPY secret /x\nCOPY a /y\n");
    let output = builder.run(&["build", "--check", "."]).exits(1);
    assert_eq!(output.stderr.matches("warning[").count(), 1, "{output}");
    assert!(output.stderr.contains("it is excluded by .dockerignore:2 (`sec*`)"), "{output}");
}

#[test]
fn rules_of_our_own_fail_no_build() {
    let builder = new_builder("");
    let text = "# check=error=true\nFROM scratch\nVOLUME /v\nCOPY <<EOF /v/a\nx\nEOF\n";
    builder.file("Containerfile", text);
    let output = builder.run(&["build", "--build-arg=SPARE=1", "."]).success();
    assert!(output.stderr.contains("warning[WriteAfterVolume]"), "{output}");
    assert!(output.stderr.contains("warning[UndeclaredBuildArg]"), "{output}");
    builder.run(&["build", "--check", "."]).exits(1);
    builder.file("Containerfile", text.replace("true", "true;skip=WriteAfterVolume"));
    builder.run(&["build", "--check", "."]).success();
}

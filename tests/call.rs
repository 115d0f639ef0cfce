//! What a Containerfile offers, told without building anything.

use serde_json::json;
use test_support::TestBuilder;

const TEXT: &str = "\
# BASE is what all starts from
ARG BASE=alpine
ARG UNUSED=1
# base has the tools
FROM $BASE AS base
# VERSION of the tools
ARG VERSION=1.2
RUN --mount=type=secret,id=token --mount=type=cache,target=/root/.cache --mount=type=ssh true
FROM scratch AS other
ARG OTHER
# app is what is deployed
FROM base AS app
ARG VERSION MODE
RUN --mount=type=secret,id=token,required --mount=type=cache,id=go-$MODE,target=/go true
";

fn builder() -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    builder.file("Containerfile", TEXT);
    builder
}

#[test]
fn an_outline_tells_what_a_target_asks_for() {
    let builder = builder();
    let output = builder.run(&["build", "--call=outline", "."]).success();
    assert_eq!(
        output.text(),
        "TARGET   DESCRIPTION\napp      is what is deployed\n\n\
         BUILD ARG   VALUE    DESCRIPTION\nBASE        alpine   is what all starts from\n\
         VERSION     1.2      of the tools\nMODE\n\n\
         SECRET   REQUIRED\ntoken    true\n\nSSH       REQUIRED\ndefault\n\nCACHE\n/root/.cache\ngo-\n",
        "{output}"
    );
    let json = builder
        .run(&["build", "--call=outline,format=json", "--target=other", "--build-arg=OTHER=x", "."])
        .success()
        .json();
    let location = json!({"ranges": [{"start": {"line": 10}, "end": {"line": 10}}]});
    assert_eq!(
        json,
        json!({"name": "other", "args": [{"name": "OTHER", "value": "x", "location": location}]})
    );
    assert!(!builder.root().exists(), "nothing is built");
}

#[test]
fn targets_are_the_stages() {
    let builder = builder();
    let output = builder.run(&["build", "--call=targets", "."]).success();
    assert_eq!(
        output.text(),
        "TARGET          BASE      DESCRIPTION\nbase            $BASE     has the tools\n\
         other           scratch\napp (default)   base      is what is deployed\n",
        "{output}"
    );
    let json = builder.run(&["build", "--call=targets,format=json", "."]).success().json();
    let last = &json["targets"][2];
    assert_eq!(
        (&last["name"], &last["default"], &last["base"]),
        (&json!("app"), &json!(true), &json!("base"))
    );
    assert_eq!(last["location"]["ranges"][0]["start"]["line"], 12);
}

#[test]
fn a_check_can_be_read_by_programs() {
    let builder = builder();
    builder.file("Containerfile", "FROM scratch\nWORKDIR app\n");
    let json = builder.run(&["build", "--call=check,format=json", "."]).exits(1).json();
    let warning = &json["warnings"][0];
    assert_eq!(warning["ruleName"], "WorkdirRelativePath");
    assert_eq!(warning["location"]["ranges"][0]["start"]["line"], 2);
    assert_eq!(json["sources"][0]["filename"], "Containerfile");
    builder.file("Containerfile", "FROM scratch\n");
    let json = builder.run(&["build", "--call=lint,format=json", "."]).success().json();
    assert_eq!(json["warnings"], json!([]));
    let output = builder.run(&["build", "--call=nonsense", "."]).exits(2);
    assert!(output.stderr.contains("known are build, check, outline and targets"), "{output}");
}

#[test]
fn what_must_be_fetched_first_is_told_of_as_well() {
    let builder = builder();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(builder.dir().join("Containerfile"), "Containerfile").unwrap();
    for stdin in [TEXT.as_bytes(), &tar.into_inner().unwrap()] {
        let arguments = ["build", "--call=targets,format=json", "-"];
        let json = builder.run_with_stdin(&arguments, stdin).success().json();
        assert_eq!(json["targets"][0]["name"], "base");
    }
}

//! What users read when a build cannot be done: exit code and text, word for word.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::{Auth, DockerRegistry, Fault, FaultyRegistry, Options, TestBuilder};

fn new_builder(containerfile: &str) -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    if !containerfile.is_empty() {
        builder.file("Containerfile", containerfile);
    }
    builder.file("a/file", "a").file("b", "b");
    fs::copy("/bin/busybox", builder.dir().join("busybox")).unwrap();
    builder
}

/// Exit code and standard error from the error on, without what differs from run to run.
fn text(builder: &TestBuilder, arguments: &[&str]) -> String {
    let output = builder.run(arguments);
    let shown = output.to_string();
    let error = shown.find("\nerror").map_or(shown.as_str(), |at| &shown[at + 1..]);
    format!("exit code {}\n{error}", output.code())
}

/// One test: a Containerfile, the arguments, and the snapshot of that name.
macro_rules! fails {
    ($($name:ident: $containerfile:expr, [$($argument:expr),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let builder = new_builder($containerfile);
            insta::assert_snapshot!(stringify!($name), text(&builder, &[$($argument),*]));
        }
    )*};
}

const BUSYBOX: &str = "FROM scratch\nCOPY busybox /bin/sh\n";

/// Everything that a plan can find wrong, in stages that are needed; what is wrong in others does not count, and what
/// comes of another error is not told.
const SEVERAL: &str = r"FROM --after=x scratch AS first
COPY --from=9 / /
ENV A=${EMPTY:?}
COPY --from=$A / /
FROM scratch AS spare
COPY --from=8 / /
FROM --platform=linux/not/a/platform UPPER AS last
COPY --from=last / /
ARG EMPTY
RUN --device=vendor.com/class=device --mount=from=first,target=/a --mount=from=${EMPTY},target=/b true
RUN --security=insecure true
";

fails! {
    // The language.
    unknown_instruction: "FROM scratch\nRNU echo\n", ["build", "."];
    several_errors_in_one_run: "FROM scratch\nCOPY\nFOO bar\nENV\nHEALTHCHECK --often CMD x\n", ["build", "."];
    no_from: "# nothing\n", ["build", "."];
    instruction_before_from: "RUN x\nFROM scratch\n", ["build", "."];
    heredoc_without_end: "FROM scratch\nCOPY <<EOF /x\nhello\n", ["build", "."];
    onbuild_of_onbuild: "FROM scratch\nONBUILD ONBUILD RUN x\n", ["build", "."];
    unset_required_variable: "FROM scratch\nENV A=\"${B:?must be set}\"\n", ["build", "."];
    invalid_port: "FROM scratch\nEXPOSE 80/foo\n", ["build", "."];
    invalid_signal: "FROM scratch\nSTOPSIGNAL SIGFOO\n", ["build", "."];
    // Stages and images.
    unknown_target: "FROM scratch AS one\nFROM scratch AS two\n", ["build", "--target", "three", "."];
    target_that_is_misspelt: "FROM scratch AS build\nFROM scratch\n", ["build", "--target", "biuld", "."];
    copy_from_a_later_stage: "FROM scratch\nCOPY --from=1 / /\nFROM scratch\n", ["build", "--target", "0", "."];
    copy_from_a_later_stage_by_name:
        "FROM scratch AS one\nCOPY --from=two / /\nFROM scratch AS two\n", ["build", "--target", "one", "."];
    several_errors_of_stages: SEVERAL, ["build", "--target", "last", "."];
    // A name that no image has may be a misspelt one of a stage.
    misspelt_stage_of_a_copy: "FROM scratch AS build\nFROM scratch\nCOPY --from=biuld / /\n", ["build", "--pull=never", "."];
    misspelt_stage_of_a_mount: "FROM scratch AS build\nFROM scratch\nRUN --mount=from=biuld,target=/x true\n", ["build", "--pull=never", "."];
    misspelt_stage_of_from: "FROM scratch AS build\nFROM biuld\n", ["build", "--pull=never", "."];
    misspelt_stage_in_a_variable: "ARG B=biuld\nFROM scratch AS build\nFROM $B\n", ["build", "--pull=never", "."];
    misspelt_build_context: "FROM scratch\nCOPY --from=modle / /\n",
        ["build", "--pull=never", "--build-context", "model=a", "."];
    image_of_another_name: "FROM scratch AS build\nFROM debian\n", ["build", "--pull=never", "."];
    invalid_image_name: "FROM UPPER/case:tag@x\n", ["build", "."];
    empty_image_name: "ARG BASE\nFROM ${BASE}\n", ["build", "."];
    variable_that_makes_no_image_name: "ARG BASE=UPPER\nFROM ${BASE}\n", ["build", "."];
    image_of_another_transport: "FROM docker-daemon:x:1\n", ["build", "."];
    image_that_may_not_be_pulled: "FROM localhost/none:1\n", ["build", "--pull=never", "."];
    platform_that_is_none: "FROM --platform=linux/not/a/platform scratch\n", ["build", "."];
    registry_out_of_reach: "FROM 127.0.0.1:1/none:1\n", ["build", "--retry", "0", "."];
    // What a variable became.
    expanded_source: "FROM scratch\nARG VERSION\nCOPY app-$VERSION.tar /\n", ["build", "."];
    required_argument_without_a_value: "ARG A\nFROM scratch\nARG B\nUSER ${B:?must be set}\n", ["build", "."];
    required_argument_of_from: "ARG BASE\nFROM ${BASE:?}\n", ["build", "."];
    expanded_destination: "FROM scratch\nARG DIR=/x\nCOPY b /x\nCOPY a $DIR\n", ["build", "."];
    expanded_owner: "FROM scratch\nARG OWNER=nobody\nCOPY --chown=$OWNER b /\n", ["build", "."];
    expanded_mode: "FROM scratch\nARG MODE\nCOPY --chmod=${MODE}9 b /\n", ["build", "."];
    expanded_from: "FROM scratch\nARG BUILD\nCOPY --from=$BUILD b /\n", ["build", "."];
    expanded_url: "FROM scratch\nARG HOST=127.0.0.1:1\nARG PASSWORD=hunter2\n\
        ADD http://me:$PASSWORD@$HOST/x /\n", ["build", "--retry=0", "."];
    expanded_checksum: "FROM scratch\nARG SUM=md5:1\nADD --checksum=$SUM http://127.0.0.1:1/x /\n", ["build", "."];
    expanded_directory: "FROM scratch\nCOPY b /x\nARG DIR=/x\nWORKDIR $DIR/y\n", ["build", "."];
    expanded_port: "FROM scratch\nENV PORT=http\nEXPOSE 80 $PORT\n", ["build", "."];
    expanded_volume: "FROM scratch\nARG DATA\nVOLUME [\"/a\", \"$DATA\"]\n", ["build", "."];
    expanded_user: "ARG NAME=me\nFROM scratch\nUSER $NAME\n", ["build", "."];
    expanded_signal: "FROM scratch\nARG SIGNAL=SIGFOO\nSTOPSIGNAL $SIGNAL\n", ["build", "."];
    expanded_platform: "ARG OS\nFROM --platform=$OS/amd64/a/b scratch\n", ["build", "."];
    expanded_source_of_a_mount: "FROM scratch\nARG DIR=none\nRUN --mount=target=/x,source=$DIR true\n", ["build", "."];
    expanded_target_of_a_mount: "FROM scratch\nARG DIR=/\nRUN --mount=target=$DIR,source=b true\n", ["build", "."];
    expanded_origin_of_a_mount: "FROM scratch\nARG N=7\nRUN --mount=target=/x,from=$N true\n", ["build", "."];
    expanded_option_of_a_mount:
        "FROM scratch\nARG SIZE\nRUN --mount=type=tmpfs,target=/x,size=${SIZE}q true\n", ["build", "."];
    long_value: "FROM scratch\nARG A=0123456789012345678901234567890123456789\nCOPY $A$A$A /\n", ["build", "."];
    // COPY and ADD.
    missing_source: "FROM scratch\nCOPY b none /x/\n", ["build", "."];
    missing_source_in_a_stage: "FROM scratch AS one\nFROM scratch\nCOPY --from=one /none /\n", ["build", "."];
    directory_over_a_file: "FROM scratch\nCOPY b /x\nCOPY a /x\n", ["build", "."];
    file_over_a_directory: "FROM scratch\nCOPY a /x/b\nCOPY b /x/\n", ["build", "."];
    invalid_mode: "FROM scratch\nCOPY --chmod=9 b /\n", ["build", "."];
    unknown_user_of_a_copy: "FROM scratch\nCOPY --chown=nobody b /\n", ["build", "."];
    url_in_copy: "FROM scratch\nCOPY https://example.com/x /\n", ["build", "."];
    // What is not supported yet is never ignored.
    run_device: "FROM scratch\nRUN --device=vendor.com/class=device true\n", ["build", "."];
    // RUN.
    mount_of_a_missing_source: "FROM scratch\nRUN --mount=target=/x,source=none true\n", ["build", "."];
    mount_over_the_root: "FROM scratch\nRUN --mount=target=/,source=b true\n", ["build", "."];
    required_secret: "FROM scratch\nRUN --mount=type=secret,id=x,required true\n", ["build", "."];
    insecure_run: "FROM scratch\nRUN --security=insecure true\n", ["build", "."];
    run_exit_code: "FROM scratch\nCOPY busybox /bin/sh\nRUN echo first; echo last; exit 7\n", ["build", "."];
    run_program_not_found: "FROM scratch\nRUN [\"/no/such/program\"]\n", ["build", "."];
    run_without_a_shell: "FROM scratch\nRUN true\n", ["build", "."];
    unknown_user_of_a_run: "FROM scratch\nCOPY busybox /bin/sh\nUSER nobody\nRUN true\n", ["build", "."];
    // The command line.
    secret_that_is_nowhere: "FROM scratch\n", ["build", "--secret", "id=x", "."];
    secret_without_an_id: "FROM scratch\n", ["build", "--secret", "hunter2", "."];
    ssh_without_an_agent: "FROM scratch\n", ["build", "--ssh", "default", "."];
    unknown_flag: "FROM scratch\n", ["build", "--no-cahce", "."];
    unknown_command: "", ["biuld"];
    no_containerfile: "", ["build", "."];
    named_containerfile_is_missing: "", ["build", "-f", "none", "."];
    context_is_missing: "", ["build", "none"];
    unwritable_store: "FROM scratch\n", ["build", "--root", "/proc/none", "."];
    store_is_a_file: "FROM scratch\n", ["build", "--root", "b", "."];
    build_argument_without_a_name: "FROM scratch\n", ["build", "--build-arg", "=x", "."];
    result_file_without_a_directory: "FROM scratch\n", ["build", "--iidfile", "none/id", "."];
    invalid_output: "FROM scratch\n", ["build", "-o", "type=ocl,dest=x", "."];
    invalid_tag: "FROM scratch\n", ["build", "-t", "UPPER", "."];
}

#[test]
fn a_name_that_an_image_has_is_nobodys_mistake() {
    let builder = new_builder("FROM scratch\nCOPY b /b\n");
    builder.run(&["build", "-t", "biuld", "."]).success();
    builder.file("Containerfile", "FROM scratch AS build\nFROM scratch\nCOPY --from=biuld /b /\n");
    let output = builder.run(&["build", "--pull=never", "."]).success();
    assert!(!output.stderr.contains("did you mean"), "{output}");
}

#[test]
fn a_misspelt_stage_is_suggested_whatever_the_registry_says() {
    let containerfile = "FROM scratch AS build\nFROM scratch\nCOPY --from=biuld / /\n";
    let builder = new_builder(containerfile).env("HTTPS_PROXY", "http://127.0.0.1:1");
    let shown = text(&builder, &["build", "--retry=0", "."]);
    assert!(shown.contains("error: cannot pull `docker.io/library/biuld:latest`"), "{shown}");
    assert!(shown.contains("^^^^^ did you mean the stage `build`?"), "{shown}");
}

#[test]
fn what_a_base_image_may_set_is_not_missed_too_early() {
    let builder = new_builder("FROM scratch\nENV SET=1\n");
    builder.run(&["build", "-t", "localhost/base:1", "."]).success();
    let text = "FROM scratch\nCOPY b /b\nFROM localhost/base:1\nENV A=${SET:?} B=${PATH:?}\nARG C=${SET:?}\nCOPY --from=0 b /b\n";
    builder.file("Containerfile", text);
    builder.run(&["build", "--pull=never", "."]).success();
    builder.file("Containerfile", "FROM scratch\nENV A=${PATH:?}\n");
    builder.run(&["build", "."]).success();
}

#[test]
fn several_errors_are_objects_of_their_own() {
    let builder = new_builder("FROM scratch\nCOPY --from=8 / /\nCOPY --from=$X / /\n");
    let output = builder.run(&["build", "--progress=json", "."]).exits(1);
    let errors: Vec<_> = output.stderr.lines().filter(|line| line.contains("\"event\":\"error\"")).collect();
    assert_eq!(errors.len(), 2, "{output}");
    assert!(errors[1].contains("\"label\":\"no value for `X`\""), "{output}");
}

#[test]
fn ignored_source() {
    let builder = new_builder("FROM scratch\nCOPY a/file /\n");
    builder.file(".dockerignore", "*.md\na\n");
    insta::assert_snapshot!("ignored_source", text(&builder, &["build", "."]));
}

#[test]
fn name_of_a_whiteout() {
    let builder = new_builder("FROM scratch\nCOPY a /x/\n");
    builder.file("a/.wh.file", "x");
    insta::assert_snapshot!("name_of_a_whiteout", text(&builder, &["build", "."]));
}

#[test]
fn image_and_credentials_unknown_to_the_registry() {
    let registry =
        DockerRegistry::start(Options { auth: Auth::Htpasswd("me", "secret"), ..Options::default() });
    let builder = new_builder(&format!("FROM {}/none:1\n", registry.host()));
    let shown = |flags: &[&str]| {
        let arguments = [&["build", "--tls-verify=false", "--retry=0"], flags, &["."]].concat();
        text(&builder, &arguments).replace(&registry.host(), "[REGISTRY]")
    };
    insta::assert_snapshot!("no_credentials", shown(&[]));
    insta::assert_snapshot!("wrong_credentials", shown(&["--creds=me:wrong"]));
    insta::assert_snapshot!("unknown_image", shown(&["--creds=me:secret"]));
}

#[test]
fn a_registry_without_tls() {
    let registry = DockerRegistry::start(Options::default());
    let builder = new_builder(&format!("FROM {}/none:1\n", registry.host()));
    let shown = text(&builder, &["build", "--retry=0", "."]).replace(&registry.host(), "[REGISTRY]");
    insta::assert_snapshot!("registry_without_tls", shown);
}

#[test]
fn a_layer_with_another_digest() {
    let registry = FaultyRegistry::start();
    let name = format!("{}/base:1", registry.host());
    new_builder(BUSYBOX).run(&["build", "--tls-verify=false", "--push", "-t", &name, "."]).success();
    registry.fault("GET /v2/base/blobs/", 10, Fault::Corrupt);
    let builder = new_builder(&format!("FROM {name}\nRUN true\n"));
    let shown = text(&builder, &["build", "--tls-verify=false", "--retry=0", "."]);
    insta::with_settings!({ filters => [("[0-9a-f]{64}", "[DIGEST]")] }, {
        insta::assert_snapshot!("wrong_digest", shown.replace(&registry.host(), "[REGISTRY]"));
    });
}

#[test]
fn a_context_of_somebody_else() {
    let builder = new_builder("FROM scratch\nCOPY a /a\n").as_user(54321, 54321);
    fs::set_permissions(builder.dir().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    insta::assert_snapshot!("unreadable_context", text(&builder, &["build", "."]));
}

#[test]
fn a_build_argument_that_nothing_declares() {
    let builder = new_builder("ARG BASE=scratch\nFROM ${BASE}\nARG VERSION\nRUN exit 7\n");
    let arguments = [
        "build",
        "--build-arg=BASE=scratch",
        "--build-arg=HTTP_PROXY=http://p",
        "--build-arg=VERSOIN=2",
        ".",
    ];
    let shown = builder.run(&arguments).exits(1).to_string();
    let warning = shown.find("warning").expect("a warning");
    insta::assert_snapshot!("undeclared_build_argument", &shown[warning..]);
}

#[test]
fn a_full_disk_is_named() {
    let builder = new_builder(BUSYBOX);
    let store = builder.dir().join("small");
    fs::create_dir(&store).unwrap();
    let mounted = rustix::mount::mount(
        "tmpfs",
        &store,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        Some(c"size=600k"),
    );
    mounted.unwrap();
    let store_path = store.display().to_string();
    let output = builder.run(&["build", "--root", &store_path, "."]);
    rustix::mount::unmount(&store, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(output.code(), 1, "{output}");
    assert!(output.stderr.contains("No space left on device"), "{output}");
    assert!(output.stderr.contains("hint: "), "{output}");
}

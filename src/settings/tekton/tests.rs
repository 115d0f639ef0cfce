//! The step's environment as the task makes it, and what is settled from it.

use super::*;

/// A workspace with a Dockerfile at its root, and the environment of the step.
struct Step {
    workspace: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Step {
    fn new() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let path = workspace.path().to_str().unwrap().to_owned();
        let mut step = Self { workspace, variables: Vec::new() };
        for (name, value) in [
            ("PARAMS_IMAGE", "docker://q.io/me/app:1"),
            ("PARAMS_DOCKERFILE", "./Dockerfile"),
            ("PARAMS_CONTEXT", "."),
            ("PARAMS_STORAGE_DRIVER", "vfs"),
            ("PARAMS_FORMAT", "oci"),
            ("PARAMS_BUILD_EXTRA_ARGS", ""),
            ("PARAMS_PUSH_EXTRA_ARGS", ""),
            ("PARAMS_SKIP_PUSH", "false"),
            ("PARAMS_TLS_VERIFY", "true"),
            ("PARAMS_VERBOSE", "false"),
            ("WORKSPACES_SOURCE_BOUND", "true"),
            ("WORKSPACES_SOURCE_PATH", &path),
            ("WORKSPACES_DOCKERCONFIG_BOUND", "false"),
            ("WORKSPACES_RHEL_ENTITLEMENT_BOUND", "false"),
            ("RESULTS_IMAGE_URL_PATH", "/tekton/results/IMAGE_URL"),
            ("RESULTS_IMAGE_DIGEST_PATH", "/tekton/results/IMAGE_DIGEST"),
        ] {
            step = step.with(name, value);
        }
        step.file("Dockerfile", "FROM root")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.workspace.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn settle(&self, build_args: &[&str]) -> Result<TektonSettings, Error> {
        let variables: Vec<_> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let args = TektonArgs { build_args: build_args.iter().map(|arg| (*arg).to_owned()).collect() };
        settle(&args, &GlobalArgs::default(), &Environment::of(&variables))
    }

    fn containerfile(&self) -> String {
        let settings = self.settle(&[""]).unwrap();
        let files = settings.build.files.local(&mut std::io::empty()).unwrap().unwrap();
        files.containerfile.text().to_owned()
    }

    fn refusal(&self) -> String {
        self.settle(&[]).unwrap_err().to_string()
    }
}

#[test]
fn the_defaults_of_the_task_build_and_push_the_image() {
    assert_eq!(Step::new().containerfile(), "FROM root");
    let settings = Step::new().settle(&[""]).unwrap();
    assert_eq!(settings.image.to_string(), "q.io/me/app:1");
    assert!(settings.push.is_some() && !settings.build.push && settings.notes.is_empty());
    assert_eq!(settings.global.storage_driver, crate::args::StorageDriver::Auto);
    let url = Content::Text("docker://q.io/me/app:1".to_owned());
    let contents: Vec<_> = settings.results.into_iter().map(|file| file.content).collect();
    assert_eq!(contents, [url, Content::Digest]);
}

#[test]
fn the_root_of_the_workspace_comes_before_the_context() {
    let step = Step::new()
        .with("PARAMS_CONTEXT", "sub")
        .file("sub/Dockerfile", "FROM sub")
        .file("sub/Other", "FROM other");
    assert_eq!(step.containerfile(), "FROM root");
    let step = step.with("PARAMS_DOCKERFILE", "/Other");
    assert_eq!(step.containerfile(), "FROM other");
    let step = step.without("PARAMS_DOCKERFILE").without("PARAMS_CONTEXT");
    let step = step.with("PARAMS_CONTAINERFILE_PATH", "Other").with("PARAMS_SUBDIRECTORY", "sub");
    assert_eq!(step.containerfile(), "FROM other");
    let step = step.without("PARAMS_CONTAINERFILE_PATH");
    assert_eq!(step.containerfile(), "FROM sub");
    let full = step.workspace.path().join("sub/Other").to_str().unwrap().to_owned();
    assert_eq!(step.with("DOCKERFILE_FULL", &full).containerfile(), "FROM other");
}

#[test]
fn a_dockerfile_that_links_out_of_the_workspace_is_not_read() {
    let step = Step::new().with("PARAMS_DOCKERFILE", "Link");
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(secret.path(), step.workspace.path().join("Link")).unwrap();
    assert!(step.refusal().starts_with("there is no Containerfile at `"), "{}", step.refusal());
}

#[test]
fn extra_arguments_are_split_as_xargs_does_and_read_as_flags() {
    let step = Step::new()
        .with(
            "PARAMS_BUILD_EXTRA_ARGS",
            r#"--build-arg "EXTRA=testing buildargs" --no-cache --tag 'r.io/b' --tls-verify=false"#,
        )
        .with("PARAMS_PUSH_EXTRA_ARGS", "--retry 7 --digestfile /d");
    let settings = step.settle(&["A=1", "EXTRA=later"]).unwrap();
    let options = settings.build.options;
    assert_eq!(options.build_args["A"], "1");
    assert_eq!(options.build_args["EXTRA"], "later");
    assert!(options.no_cache);
    let tags: Vec<_> = options.tags.iter().map(Reference::to_string).collect();
    assert_eq!(tags, ["r.io/b:latest", "q.io/me/app:1"]);
    assert_eq!(settings.build.registry.tls.verify, registry::Verify::Skipped);
    let push = settings.push.unwrap();
    assert_eq!(push.registry.tls.verify, registry::Verify::Required);
    assert_eq!((push.registry.retry.attempts, push.results.len()), (7, 1));
}

#[test]
fn credentials_of_the_workspace_are_read_in_place() {
    let secret = tempfile::tempdir().unwrap();
    let step = Step::new()
        .with("WORKSPACES_DOCKERCONFIG_BOUND", "true")
        .with("WORKSPACES_DOCKERCONFIG_PATH", secret.path().to_str().unwrap());
    assert!(
        step.refusal()
            .starts_with("neither `config.json` nor `.dockerconfigjson` is in the dockerconfig workspace")
    );
    for name in [".dockerconfigjson", "config.json"] {
        std::fs::write(secret.path().join(name), "{}").unwrap();
        let settings = step.settle(&[]).unwrap();
        let expected = secret.path().join(name);
        assert_eq!(settings.build.registry.credentials.auth_files[0], expected);
        assert_eq!(settings.push.unwrap().registry.credentials.auth_files[0], expected);
    }
}

#[test]
fn nothing_is_pushed_when_the_task_says_so_but_results_are_told() {
    let settings = Step::new().with("PARAMS_SKIP_PUSH", "true").settle(&[]).unwrap();
    assert!(settings.push.is_none());
    assert_eq!(settings.results.len(), 2);
}

#[test]
fn what_is_missing_or_not_supported_is_named() {
    for (step, expected) in [
        (Step::new().without("PARAMS_IMAGE"), "the variable PARAMS_IMAGE is not set"),
        (Step::new().with("WORKSPACES_SOURCE_BOUND", "false"), "the workspace `source` is not bound"),
        (Step::new().without("RESULTS_IMAGE_URL_PATH"), "the variable RESULTS_IMAGE_URL_PATH is not set"),
        (
            Step::new().with("WORKSPACES_RHEL_ENTITLEMENT_BOUND", "true"),
            "the variable WORKSPACES_RHEL_ENTITLEMENT_PATH is not set",
        ),
        (Step::new().with("PARAMS_BUILD_EXTRA_ARGS", "'"), "unmatched single quote in BUILD_EXTRA_ARGS"),
        (Step::new().with("PARAMS_BUILD_EXTRA_ARGS", "--cw x"), "--cw is not supported yet"),
        (
            Step::new().with("PARAMS_PUSH_EXTRA_ARGS", "other"),
            "invalid PUSH_EXTRA_ARGS `other`: it is no flag, and the task itself says what is pushed",
        ),
    ] {
        assert_eq!(step.refusal(), expected);
    }
    let error = Step::new().with("PARAMS_BUILD_EXTRA_ARGS", "--no-cahce").settle(&[]).unwrap_err();
    assert_eq!(error.to_string(), "BUILD_EXTRA_ARGS: unexpected argument '--no-cahce' found");
    assert_eq!(error.hint().as_deref(), Some("a similar argument exists: '--no-cache'"));
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn verbose_tells_what_was_settled() {
    let settings =
        Step::new().with("PARAMS_VERBOSE", "true").with("PARAMS_FORMAT", "docker").settle(&[]).unwrap();
    let starts: Vec<_> = settings.notes.iter().map(|note| note.split([':', ' ']).next().unwrap()).collect();
    assert_eq!(starts, ["FORMAT=docker", "Containerfile", "context", "image"]);
}

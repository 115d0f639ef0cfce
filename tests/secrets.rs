//! Secrets: seen by the step they are mounted for, and nowhere else.

#![expect(clippy::unwrap_used, reason = "a test has no better answer")]

use std::fs;
use std::path::Path;

use test_support::{Output, TestBuilder};

const VALUE: &str = "correct-horse-battery-staple";

/// A builder with a shell at /bin/sh, and the secret in the file `token` outside of the context.
fn new_builder(instructions: &str) -> TestBuilder {
    let builder = TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    let containerfile = format!("FROM scratch\nCOPY busybox /bin/sh\n{instructions}");
    builder.file("context/Containerfile", &containerfile).file("token", format!("{VALUE}\n"));
    fs::copy("/bin/busybox", builder.dir().join("context/busybox")).unwrap();
    builder
}

fn build(builder: &TestBuilder, flags: &[&str]) -> Output {
    let mut arguments = vec!["build", "--compression-format=uncompressed", "--secret", "id=token,src=token"];
    arguments.extend(flags);
    arguments.push("context");
    builder.run(&arguments)
}

/// The error of a build, from its first line on.
fn error(output: &Output) -> String {
    let shown = output.to_string();
    let start = shown.find("\nerror").unwrap_or_else(|| panic!("no error in {shown}"));
    shown[start + 1..].to_owned()
}

/// Fails if any file below `dir`, or its name, holds the secret.
fn assert_nowhere_in(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(!path.to_string_lossy().contains(VALUE), "{}", path.display());
        if path.is_symlink() {
            assert!(!fs::read_link(&path).unwrap().to_string_lossy().contains(VALUE), "{}", path.display());
        } else if path.is_dir() {
            assert_nowhere_in(&path);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
            assert!(!found, "{} holds the secret", path.display());
        }
    }
}

#[test]
fn a_layer_with_a_secret_fails_the_build_at_its_step() {
    for (instruction, found) in [
        ("COPY npmrc /root/.npmrc", "the content of `/root/.npmrc`"),
        (
            "RUN v=staple; echo 1 > /1; echo correct-horse-battery-$v > /app.conf",
            "the content of `/app.conf`",
        ),
        ("RUN v=staple; echo > /correct-horse-battery-$v.txt", "the name of `/***.txt`"),
        ("RUN v=staple; ln -s correct-horse-battery-$v /link", "the link target of `/link`"),
    ] {
        let builder = new_builder(&format!("{instruction}\nRUN true\nRUN true\n"));
        builder.file("context/npmrc", format!("//registry/:_authToken={VALUE}\n"));
        for flags in [&["--storage-driver=overlay"] as &[_], &["--storage-driver=vfs"]] {
            let output = build(&builder, flags);
            assert_eq!(output.code(), 1, "{output}");
            let error = error(&output);
            let message = format!("error: {found} holds the secret `token`, which must be in no layer");
            assert!(error.starts_with(&message), "{error}");
            assert!(
                error.contains("Containerfile:3:1") && error.contains("--allow-secret-in-layer"),
                "{error}"
            );
            assert!(!output.to_string().contains(VALUE), "{output}");
            let images = builder.run(&["images"]).success();
            assert!(!images.text().contains("sha256"), "{images}");
            assert_nowhere_in(&builder.root());
        }
    }
}

#[test]
fn the_last_layer_is_searched_too() {
    let builder = new_builder("COPY npmrc /\n");
    builder.file("context/npmrc", VALUE);
    let message = "error: the content of `/npmrc` holds the secret `token`";
    assert!(error(&build(&builder, &[])).starts_with(message));
}

#[test]
fn a_secret_in_a_layer_can_be_allowed_and_is_not_allowed_by_the_cache() {
    let builder = new_builder("COPY npmrc /\n");
    builder.file("context/npmrc", VALUE);
    build(&builder, &["--allow-secret-in-layer"]).success();
    let again = build(&builder, &["--allow-secret-in-layer"]).success();
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{again}");
    assert_eq!(build(&builder, &[]).code(), 1);
}

#[test]
fn short_values_are_not_searched_for() {
    let builder = new_builder("COPY word /\n");
    builder.file("context/word", "admin").file("token", "admin\n");
    build(&builder, &[]).success();
}

#[test]
fn what_steps_write_is_masked() {
    let builder = new_builder(
        r#"RUN a=correct-horse; b=-battery-staple; \
    echo one $a$b one; \
    printf "two $a"; sleep 0.2; echo "$b two" ; \
    echo three $a$b three >&2; \
    printf 'first line\nsecond li'; sleep 0.2; echo ne; \
    printf 'correct-'; \
    exit 3
"#,
    );
    builder.file("lines", "first line\nx\nsecond line\n");
    for style in ["plain", "json"] {
        let output = build(&builder, &["--secret", "id=lines,src=lines", "--progress", style]);
        assert_eq!(output.code(), 3, "{output}");
        let shown = output.to_string();
        for line in ["one *** one", "two *** two", "three *** three", "correct-"] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        for hidden in [VALUE, "first line", "second line"] {
            assert!(!shown.replace("printf 'first line\\n", "").contains(hidden), "{hidden} in {shown}");
        }
    }
}

#[test]
fn what_the_containerfile_says_is_masked_as_it_runs() {
    let builder = new_builder(&format!("RUN echo {VALUE}\n"));
    let output = build(&builder, &[]).success();
    assert!(output.stderr.contains("RUN echo ***"), "{output}");
    assert!(!output.to_string().contains(VALUE), "{output}");
}

#[test]
fn passwords_of_proxies_are_masked_and_left_out_of_the_image() {
    let builder = new_builder("RUN echo $http_proxy\n");
    let proxy = format!("http_proxy=http://me:{VALUE}@proxy:3128");
    let output =
        builder.run(&["build", "--build-arg", &proxy, "-o", "type=oci,dest=out/", "context"]).success();
    assert!(output.stderr.contains("http://me:***@proxy:3128"), "{output}");
    assert!(!output.to_string().contains(VALUE), "{output}");
    assert_nowhere_in(&builder.root());
    assert_nowhere_in(&builder.dir().join("out"));
}

#[test]
fn a_secret_mount_leaves_no_trace() {
    for driver in ["--storage-driver=overlay", "--storage-driver=vfs"] {
        let builder = new_builder(
            "RUN mkdir -p /dir/kept\n\
             RUN --mount=type=secret,id=token,target=/dir/kept/new/deep/token \\\n\
             --mount=type=secret,id=token,env=TOKEN \\\n\
             --mount=type=secret,id=token \\\n\
             cat /dir/kept/new/deep/token /run/secrets/token; echo $TOKEN\n\
             RUN ! test -e /run && ! test -e /dir/kept/new && ! env | grep TOKEN\n",
        );
        let flags =
            [driver, "--metadata-file=metadata.json", "-t", "localhost/app", "-o", "type=oci,dest=out/"];
        let output = build(&builder, &flags).success();
        assert_eq!(output.stderr.matches("***").count(), 3, "{output}");
        assert!(!output.to_string().contains(VALUE), "{output}");
        // Neither mount points nor the times of the directories above them.
        let config = builder.run(&["inspect", "localhost/app"]).success().json();
        let history = config["config"]["history"].as_array().unwrap();
        let is_empty: Vec<_> = history.iter().map(|step| step["empty_layer"] == true).collect();
        assert_eq!(is_empty, [false, false, true, true], "{history:?}");
        fs::remove_file(builder.dir().join("token")).unwrap();
        for dir in [builder.root(), builder.dir(), builder.home()] {
            assert_nowhere_in(&dir);
        }
    }
}

#[test]
fn a_failed_step_leaves_no_trace_of_a_secret() {
    for driver in ["--storage-driver=overlay", "--storage-driver=vfs"] {
        let builder =
            new_builder("RUN --mount=type=secret,id=token cp /run/secrets/token /leak; cat /leak; exit 1\n");
        let output = build(&builder, &[driver]).exits(1);
        assert!(output.to_string().contains("last output: ***"), "{output}");
        assert!(!output.to_string().contains(VALUE), "{output}");
        assert_nowhere_in(&builder.root());
    }
}

#[test]
fn a_copied_secret_is_found_in_the_layer_of_its_step() {
    let builder =
        new_builder("RUN --mount=type=secret,id=token cat /run/secrets/token | tr -d '\\n' > /conf\n");
    let error = error(&build(&builder, &[]));
    assert!(error.starts_with("error: the content of `/conf` holds the secret `token`"), "{error}");
}

#[test]
fn another_value_is_the_same_step() {
    let builder =
        new_builder("RUN --mount=type=secret,id=token test -s /run/secrets/token; echo done > /done\n");
    build(&builder, &[]).success();
    builder.file("token", "another value");
    let again = build(&builder, &[]).success();
    assert_eq!(again.stderr.matches("CACHED").count(), 2, "{again}");
}

#[test]
fn steps_do_not_see_the_environment_of_the_builder() {
    let builder =
        new_builder("RUN cat /proc/*/environ | tr '\\0' '\\n'; env; echo end\n").env("TOKEN", VALUE);
    let output = builder.run(&["build", "--secret", "id=TOKEN", "context"]).success();
    assert!(output.stderr.contains("end") && !output.stderr.contains("TOKEN="), "{output}");
    assert!(!output.to_string().contains("***"), "{output}");
}

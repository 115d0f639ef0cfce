//! Containerfiles that are more than one file: several `-f`, URLs among them, and `.in` files with what they
//! include.

use test_support::{FileServer, TestBuilder};

fn new_builder() -> TestBuilder {
    TestBuilder::new(env!("CARGO_BIN_EXE_builder"))
}

const OUT: [&str; 3] = ["build", "-o", "type=local,dest=../out"];

#[test]
fn several_files_are_built_as_one() {
    let builder = new_builder();
    builder.file("base", "FROM scratch AS base\nCOPY base /1").file("more", "COPY more /2\nFROM base");
    builder.run(&[&OUT[..], &["-f", "base", "-f", "more", "."]].concat()).success();
    assert_eq!(builder.read_exported("2"), "COPY more /2\nFROM base");
    builder.file("more", "COPY more /2\nRNU x\n");
    let told = builder.run(&["build", "-f", "base", "-f", "more", "."]).exits(1).to_string();
    assert!(told.contains(" --> more:2:1\n  |\n2 | RNU x\n"), "{told}");
}

#[test]
fn an_in_file_is_preprocessed_with_what_it_includes() {
    let builder = new_builder().env("BUILDAH_CPPFLAGS", "-DFROM_VARIABLE");
    builder.file("Containerfile.in", "FROM scratch\n#include \"lib/common\"\nCOPIED(NAME)\nEND\n");
    builder.file(
        "lib/common",
        "#define COPIED(to) COPY <<E /to\n#ifdef FROM_VARIABLE\nCOPIED(common)\nin common\nE\n#endif\n",
    );
    let flags = ["--cpp-flag=-DNAME=named", "--cpp-flag", "-DEND=E", "-f", "Containerfile.in"];
    builder.run(&[&OUT[..], &flags, &["."]].concat()).success();
    assert_eq!(builder.read_exported("common"), "in common\n");
    assert_eq!(builder.read_exported("named"), "");
}

#[test]
fn mistakes_point_into_the_file_that_was_written() {
    let builder = new_builder();
    builder.file("x.in", "FROM scratch\n#include \"part\"\n#include \"missing\"\n");
    builder.file("part", "#define COPIED COPY none /\n\n#warning take care\nCOPIED\n");
    let output = builder.run(&["build", "-f", "x.in", "."]).exits(1);
    let told = output.to_string();
    assert!(told.contains("error: there is no file `missing`\n --> x.in:3:1"), "{told}");
    builder.file("x.in", "FROM scratch\n#include \"part\"\n");
    let told = builder.run(&["build", "-f", "x.in", "."]).exits(1).to_string();
    assert!(told.contains("warning: take care\n --> part:3:1"), "{told}");
    assert!(told.contains(" --> part:4:1\n  |\n4 | COPIED\n"), "{told}");
}

#[test]
fn a_file_can_be_named_by_its_url_and_joined_with_others() {
    let server = FileServer::start(&[
        ("/base", &[], b"FROM scratch AS base\nCOPY . /1/\n"),
        ("/x.in", &[], b"#include \"part\"\nCOPIED\nRNU x\n"),
    ]);
    let builder = new_builder();
    builder.file("more", "FROM base\nCOPY more /2\n").file("part", "#define COPIED COPY part /3\n");
    builder.file(".dockerignore", "part\n");
    let base = server.url("/base");
    builder.run(&[&OUT[..], &["-f", &base, "-f", "more", "."]].concat()).success();
    assert!(builder.exported("1/more").is_file() && builder.exported("2").is_file());
    assert!(!builder.exported("1/part").exists(), "the ignore file of the context counts");
    let input = server.url("/x.in");
    let told = builder.run(&["build", "-f", &base, "-f", &input, "."]).exits(1).to_string();
    assert!(told.contains(&format!(" --> {input}:3:1\n  |\n3 | RNU x\n")), "{told}");
    let stages = builder.run(&["build", "--call=targets,format=json", "-f", &base, "."]).success().json();
    assert_eq!(stages["targets"][0]["name"], "base");
}

#[test]
fn a_file_by_its_url_is_a_text_of_bounded_size() {
    let large = vec![b'#'; 17 << 20];
    let server = FileServer::start(&[("/large", &[], &large), ("/binary", &[], b"FROM\0scratch\n")]);
    let builder = new_builder();
    for (path, message) in [
        ("/large", "invalid Containerfile `URL`: it is larger than 16777216 bytes"),
        ("/binary", "invalid Containerfile `URL`: it is not a text"),
        ("/none", "404"),
    ] {
        let url = server.url(path);
        let with_password = url.replace("http://", "http://me:hunter22@");
        let output = builder.run(&["build", "-f", &with_password, "."]).exits(1);
        assert!(output.stderr.contains(&message.replace("URL", &url)), "{output}");
        assert!(output.stderr.contains(&url) && !output.stderr.contains("hunter22"), "{output}");
    }
    let authorization = server.requests()[0].1.clone().unwrap_or_default();
    assert!(authorization.starts_with("Basic "), "{authorization}");
}

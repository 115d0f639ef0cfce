//! Containerfiles that are more than one file: several `-f`, and `.in` files with what they include.

use test_support::TestBuilder;

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

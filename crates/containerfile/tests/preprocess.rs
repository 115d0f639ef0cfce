//! Preprocesses `fixtures/containerfile-in/<case>/Containerfile.in` and compares with what cpp(1) made of it.
//!
//! The file `cpp` of a case is the output of `cpp -E -P -traditional -undef -nostdinc -iquote . - < Containerfile.in`
//! of GCC 14, without blanks at line ends. Blank lines and comments mean nothing in a Containerfile; cpp keeps and
//! drops others than we do.

use std::path::Path;

use containerfile::{CppFlags, Source};

#[test]
fn what_cpp_makes_of_a_file_we_make_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/containerfile-in");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 7, "fixtures are missing");
    for case in cases {
        let mut read = |path: &str| {
            let bytes = std::fs::read(case.join(path)).ok();
            Ok(bytes.map(|bytes| Source::from_bytes(path, &bytes)))
        };
        let source = read("Containerfile.in").unwrap().unwrap();
        let found = containerfile::preprocess(source, "", &CppFlags::default(), &mut read);
        let found = found.unwrap_or_else(|failed| panic!("{}: {:?}", case.display(), failed.diagnostics));
        let expected = std::fs::read_to_string(case.join("cpp")).unwrap();
        assert_eq!(lines(found.text()), lines(&expected), "{}", case.display());
    }
}

/// The lines that mean something.
fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| !line.is_empty() && !line.trim_start().starts_with('#')).collect()
}

//! Runs the fuzz targets on the inputs that were kept in `fixtures/fuzz/<target>/`.

#[path = "../fuzz/src/checks.rs"]
#[expect(unreachable_pub, reason = "it is the library of the fuzz targets")]
mod checks;

use std::path::Path;

type Check = fn(&[u8]);

#[test]
fn what_fuzzing_found_stays_harmless() {
    let targets: [(&str, Check); 4] = [
        ("parse", checks::parse),
        ("preprocess", checks::preprocess),
        ("expand", checks::expand),
        ("ignore", checks::ignore),
    ];
    for (name, check) in targets {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fuzz").join(name);
        let mut inputs: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "the inputs of {name} are missing");
        for input in inputs {
            check(&std::fs::read(&input).unwrap());
        }
    }
}

//! Fuzzes `checks::preprocess`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| containerfile_fuzz::preprocess(data));

//! Fuzzes `checks::expand`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| containerfile_fuzz::expand(data));

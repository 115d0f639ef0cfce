//! Fuzzes `checks::parse`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| containerfile_fuzz::parse(data));

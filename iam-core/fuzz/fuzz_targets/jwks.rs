//! Feeds `iam_fuzz::jwks` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::jwks::run(data));

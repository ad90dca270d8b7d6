//! Feeds `iam_fuzz::jws` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::jws::run(data));

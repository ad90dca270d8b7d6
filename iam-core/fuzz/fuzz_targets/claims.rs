//! Feeds `iam_fuzz::claims` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::claims::run(data));

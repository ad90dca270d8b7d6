//! Feeds `iam_fuzz::authorization::run` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::authorization::run(data));

//! Feeds `iam_fuzz::json` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::json::run(data));

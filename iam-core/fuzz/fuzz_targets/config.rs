//! Feeds `iam_fuzz::config::run` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::config::run(data));

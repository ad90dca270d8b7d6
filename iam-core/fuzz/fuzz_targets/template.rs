//! Feeds `iam_fuzz::template` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::template::run(data));

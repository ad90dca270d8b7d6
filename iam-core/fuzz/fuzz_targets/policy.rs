//! Feeds `iam_fuzz::policy::run` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::policy::run(data));

//! Feeds `iam_fuzz::tuple` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::tuple::run(data));

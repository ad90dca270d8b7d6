//! Feeds `iam_fuzz::upstream::kratos_flow` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::upstream::kratos_flow(data));

//! Feeds `iam_fuzz::upstream::hydra_introspection` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::upstream::hydra_introspection(data));

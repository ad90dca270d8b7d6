//! Feeds `iam_fuzz::upstream::keto_list` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::upstream::keto_list(data));

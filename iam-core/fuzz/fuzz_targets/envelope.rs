//! Feeds `iam_fuzz::envelope` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::envelope::run(data));

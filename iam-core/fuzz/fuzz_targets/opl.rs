//! Feeds `iam_fuzz::opl` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| iam_fuzz::opl::run(data));

//! Feeds `ory_dev::fuzz::keto_body` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::keto_body(data));

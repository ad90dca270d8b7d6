//! Feeds `ory_dev::fuzz::gateway_pattern` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::gateway_pattern(data));

//! Feeds `ory_dev::fuzz::gateway_path` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::gateway_path(data));

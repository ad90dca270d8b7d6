//! Feeds `ory_dev::fuzz::access_rules` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::access_rules(data));

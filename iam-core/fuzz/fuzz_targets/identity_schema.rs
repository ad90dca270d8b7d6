//! Feeds `ory_dev::fuzz::identity_schema` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::identity_schema(data));

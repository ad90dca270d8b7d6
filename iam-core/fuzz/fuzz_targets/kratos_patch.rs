//! Feeds `ory_dev::fuzz::kratos_patch` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::kratos_patch(data));

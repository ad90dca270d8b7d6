//! Feeds `ory_dev::fuzz::kratos_identity` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::kratos_identity(data));

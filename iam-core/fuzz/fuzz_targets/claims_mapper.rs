//! Feeds `ory_dev::fuzz::claims_mapper` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::claims_mapper(data));

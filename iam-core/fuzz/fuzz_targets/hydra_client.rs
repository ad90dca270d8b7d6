//! Feeds `ory_dev::fuzz::hydra_client` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::hydra_client(data));

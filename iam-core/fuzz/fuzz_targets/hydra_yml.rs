//! Feeds `ory_dev::fuzz::hydra_yml` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::hydra_yml(data));

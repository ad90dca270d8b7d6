//! Feeds `ory_dev::fuzz::oathkeeper_yml` from libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ory_dev::fuzz::oathkeeper_yml(data));

//! Tokens, key sets and used ids from the outside, through the public API: one module for each promise.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod support;

mod form;
mod algorithms;
mod pss;
mod claims;
mod gateway;
mod times;
mod key_sets;
mod key_store;
mod refresh;
mod token_cache;
mod replay;
mod recorded;
mod differential;

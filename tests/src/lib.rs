//! Black-box tests over HTTP and the public API.

/// The README, whose code is compiled as a test.
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Readme;

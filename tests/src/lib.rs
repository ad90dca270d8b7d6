//! Black-box tests over HTTP and the public API.
//!
//! # Requirements without a test
//!
//! The doc comment of a test contains the number of the requirement (R…) or the defect (D…) that it covers. The rows below
//! concern features that this version does not have; its configuration rejects the keys that would enable them. The test
//! `rows` compares the table with the sources, in both directions.
//!
//! | Row | Why there is no test |
//! |---|---|
//! | R006 | there is no HMAC envelope, so there are no keys for one |
//! | R031 | nothing is verified by comparing MACs: signatures are asymmetric |
//! | R055 | thumbprints of keys are neither shown nor used as ids |
//! | D10 | there are no session transports: a principal's tenant is a claim of its token |
//! | D11 | there are no session transports: a session's state is the gateway's to check |
//! | D12 | there is no HMAC envelope, so there is no encoding of its signature |
//! | D13 | there is no HMAC envelope, so there are no bytes to hash |
//! | D27 | there is one kind of request in Actix Web |

/// The README, whose code is compiled as a test.
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Readme;

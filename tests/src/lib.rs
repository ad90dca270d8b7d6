//! Black-box tests over HTTP and the public API.
//!
//! # Rows without a test, and why
//!
//! A test carries the number of the requirement (R…) or the defect (D…) that it covers in its doc comment. The rows below
//! are about features that this version does not have; its configuration refuses the keys that would switch them on. The
//! test `rows` holds the table to the sources, in both directions.
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

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
//! | R055 | thumbprints of keys are neither shown nor used as ids |
//! | D22 | an `Iam` has one builder: there is no second way of construction that could ignore a setting |
//! | D27 | there is one kind of request in Actix Web |

/// The README, whose code is compiled as a test.
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
#[non_exhaustive]
pub struct Readme;

//! What does the caller see of a refusal?

pub(crate) mod challenge;
pub(crate) mod error;
pub(crate) mod problem;

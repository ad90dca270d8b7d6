//! What the caller and the log see of a refusal.

pub(crate) mod alarm;
pub(crate) mod challenge;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod problem;

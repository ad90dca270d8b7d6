//! What does one tenant keep between requests?

pub(crate) mod keys;
pub(crate) mod replay;

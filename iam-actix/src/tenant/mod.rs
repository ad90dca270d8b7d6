//! The state that a tenant keeps between requests.

pub(crate) mod keys;
pub(crate) mod replay;

//! What generated code names. Not part of the public interface: it may change with every version.

pub use iam_core::requirement::RoutePolicy;
pub use iam_grammar::Permission;

pub use crate::policy::enforce::Enforce;

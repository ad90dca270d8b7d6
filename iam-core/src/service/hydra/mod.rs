//! Asks the OAuth 2 server.

mod introspect;

pub use self::introspect::{IntrospectedToken, Introspection, introspect};

#[cfg(test)]
mod tests;

use std::fmt;

use crate::jwt::Holder;

/// An identity that the gateway named in plain headers, with a proof that the gateway set them. *Verified.*
///
/// It has no expiry, no audience and no id of its own: the proof holds for the request that carries it.
pub struct Forwarded {
    holder: Holder,
    roles: Vec<String>,
    /// The further headers of the configuration, in lower case, with their values.
    values: Vec<(String, Vec<u8>)>,
}

impl Forwarded {
    pub(crate) fn new(subject: &str, roles: Vec<String>, values: Vec<(String, Vec<u8>)>) -> Self {
        Self {
            holder: Holder::of(subject, None),
            roles,
            values,
        }
    }

    /// Returns the identity's id.
    pub fn subject(&self) -> &str {
        self.holder.subject()
    }

    /// Returns the roles that the configured header names.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Returns the value of one of the configured `headers`, without regard to case, as the gateway sent it. An empty value, and what
    /// a Go template prints for nothing, are absent.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let value = self
            .values
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        value.map(|(_, value)| value.as_slice())
    }

    /// Returns the actor's name in audit events.
    pub(crate) fn actor(&self) -> &str {
        self.holder.actor()
    }
}

/// Prints nothing of the headers, which are personal data.
impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

/// What stands for an issuer where a subject belongs to one.
pub(crate) const ISSUER: &str = "headers";

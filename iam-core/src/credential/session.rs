//! Which session credential does a request carry?

use std::fmt;

use secrecy::{ExposeSecret as _, SecretSlice};

use super::{CredentialError, Presented, bare, bearer, cookie, cookie::MAX_CREDENTIAL};
use crate::request::RequestHead;

/// The header of a session token that is not in `Authorization`.
pub(crate) const SESSION_TOKEN: &str = "x-session-token";

/// The one session credential of a request. *Unverified.*
///
/// `Debug` shows the carrier only.
#[derive(Clone)]
pub struct SessionCredential {
    carrier: SessionCarrier,
    bytes: SecretSlice<u8>,
}

/// What carried a session credential.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each carrier is forwarded to Kratos in its own way"
)]
pub enum SessionCarrier {
    /// The session cookie. A browser sends it by itself, so the CSRF check counts.
    Cookie,
    /// `Authorization: Bearer` or `X-Session-Token`: the same token in either.
    Token,
}

/// The places where a transport reads a session credential.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carriers<'c> {
    /// The name of the session cookie.
    pub(crate) cookie: Option<&'c str>,
    pub(crate) token: bool,
}

impl SessionCredential {
    /// Reads the one credential that the carriers hold. Other headers and cookies are not looked at.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Missing`] when no carrier holds one; [`CredentialError::Ambiguous`] when two carriers hold one, whether good
    /// or malformed, or one carrier occurs twice; [`CredentialError::Malformed`] for bytes that no session credential has.
    pub(crate) fn of(head: &RequestHead<'_>, carriers: Carriers<'_>) -> Result<Self, CredentialError> {
        let in_cookie = match carriers.cookie {
            Some(name) => cookie(head, name),
            None => Err(CredentialError::Missing),
        };
        let [in_authorization, in_header] = if carriers.token {
            [
                bearer(head, "authorization").and_then(token),
                bare(head, SESSION_TOKEN).and_then(token),
            ]
        } else {
            [Err(CredentialError::Missing); 2]
        };

        let found = [
            (SessionCarrier::Cookie, in_cookie),
            (SessionCarrier::Token, in_authorization),
            (SessionCarrier::Token, in_header),
        ];
        if found.iter().any(|(_, one)| is(one, CredentialError::Ambiguous)) {
            return Err(CredentialError::Ambiguous);
        }
        let mut presented = found
            .into_iter()
            .filter(|(_, one)| !is(one, CredentialError::Missing));
        match (presented.next(), presented.next()) {
            (None, _) => Err(CredentialError::Missing),
            (Some((carrier, one)), None) => Ok(Self {
                carrier,
                bytes: SecretSlice::from(one?.unchecked().to_vec()),
            }),
            (Some(_), Some(_)) => Err(CredentialError::Ambiguous),
        }
    }

    /// Returns what carried the credential.
    pub const fn carrier(&self) -> SessionCarrier {
        self.carrier
    }

    /// Returns the bytes as they were sent: printable ASCII without white space and commas.
    ///
    /// # Security
    ///
    /// They authenticate the caller at Kratos, and belong into one header of one request to it, and into a keyed hash.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose_secret()
    }
}

impl fmt::Debug for SessionCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCredential")
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

fn is(read: &Result<Presented<'_>, CredentialError>, fault: CredentialError) -> bool {
    read.as_ref().err() == Some(&fault)
}

fn token(presented: Presented<'_>) -> Result<Presented<'_>, CredentialError> {
    if MAX_CREDENTIAL < presented.token()?.len() {
        return Err(CredentialError::Malformed);
    }
    Ok(presented)
}

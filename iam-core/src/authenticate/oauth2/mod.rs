//! An OAuth 2 access token in `Authorization: Bearer` (RFC 6750 §2.1).
//!
//! The issuer is asked about the token, or it is a JWT that is verified here. The header is the only carrier: a token in a
//! query, a form or a cookie is not looked at.

use std::fmt;

use super::{Authenticated, Authentication, Lookup, token};
use crate::{
    clock::Timestamp,
    credential::{self, CredentialError},
    decision::{Reason, Refusal},
    jwt::VerifiedClaims,
    principal::{ActiveToken, Evidence, Principal, check_tenant},
    request::RequestHead,
    secret::Secret,
    service::hydra::Introspection,
    tenant::{AccessTokenSource, Signer, Tenant},
};

/// Reads the token, and verifies it where it is a JWT of the tenant's issuer.
pub(super) fn authenticate(
    tenant: &Tenant,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authentication, Refusal> {
    let source = source(tenant)?;
    let presented = credential::bearer(head, CARRIER).map_err(CredentialError::reason)?;

    match source {
        // No browser sends this header by itself, so there is no CSRF check.
        AccessTokenSource::Jwt(_) => token::verify(tenant, Signer::Hydra, presented, Ok(()), now),
        AccessTokenSource::Introspection(settings) => {
            let bytes = presented.token().map_err(CredentialError::reason)?;
            // R081: bytes that no token has leave this process for no server.
            let token = Some(bytes)
                .filter(|bytes| bytes.len() <= settings.max_token && is_b64token(bytes))
                .and_then(|bytes| str::from_utf8(bytes).ok())
                .ok_or(Reason::Malformed)?;
            Ok(Authentication::Ask(Lookup::Token(TokenLookup {
                token: Secret::new(token),
            })))
        }
    }
}

/// An access token that only its issuer can tell about.
///
/// The adapter asks with [`introspect`](crate::service::hydra::introspect), then calls [`TokenLookup::conclude`].
pub struct TokenLookup {
    token: Secret,
}

impl TokenLookup {
    /// Returns the token that the issuer is asked about. *Unverified.*
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// Decides about the issuer's answer.
    ///
    /// # Errors
    ///
    /// The answer's own refusal where there is none; [`Reason::TokenInactive`] for a token that is not active or no access token;
    /// a [`Refusal`] for another issuer or audience, and for a time that is not now.
    pub fn conclude(
        self,
        tenant: &Tenant,
        answer: Result<Introspection, Refusal>,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let AccessTokenSource::Introspection(settings) = source(tenant)? else {
            return Err(Refusal::new(Reason::UnknownTenant));
        };

        let token = match answer? {
            Introspection::Inactive => return Err(Refusal::new(Reason::TokenInactive)),
            Introspection::Active(told) => ActiveToken::check(&told, settings, tenant.name(), now)?,
        };
        Ok(Authenticated::new(Principal::new(
            tenant,
            Evidence::Introspected(token.into()),
        )))
    }
}

/// Prints nothing of the token.
impl fmt::Debug for TokenLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLookup").finish_non_exhaustive()
    }
}

/// Refuses a verified access token that names another tenant where Hydra puts claims of its consent application: in `ext`.
pub(super) fn check_claims(tenant: &Tenant, claims: &VerifiedClaims) -> Result<(), Refusal> {
    let AccessTokenSource::Jwt(source) = source(tenant)? else {
        return Err(Refusal::new(Reason::UnknownTenant));
    };
    let ext = claims.claim("ext");

    check_tenant(ext.and_then(|ext| ext.get(&source.tenant_claim)), tenant.name())
}

fn source(tenant: &Tenant) -> Result<&AccessTokenSource, Refusal> {
    tenant
        .access_tokens
        .as_ref()
        .ok_or(Refusal::new(Reason::UnknownTenant))
}

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|&&byte| byte == b'=').count();
    let Some(text) = bytes.get(..bytes.len().saturating_sub(padding)) else {
        return false;
    };

    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !text.is_empty() && text.iter().all(is_allowed)
}

/// In lower case.
const CARRIER: &str = "authorization";

#[cfg(test)]
mod tests;

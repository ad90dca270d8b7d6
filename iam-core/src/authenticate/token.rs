//! A signed JWT: the gateway's token in a header, and how the tokens of every signer are verified.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret as _, SecretSlice};

use super::{Authenticated, Authentication, Lookup, oauth2};
use crate::{
    clock::Timestamp,
    credential::{self, CredentialError, Presented},
    decision::{Reason, Refusal},
    jwt::{TokenFault, VerifiedClaims, Verifier, VerifyError},
    principal::{Evidence, Principal},
    request::RequestHead,
    tenant::{Signer, Tenant, TokenSource},
};

/// Verifies the token with the keys at hand.
pub(super) fn authenticate(
    tenant: &Tenant,
    source: &TokenSource,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authentication, Refusal> {
    let presented = presented(source, head).map_err(CredentialError::reason)?;
    let same_site = tenant.check_csrf(head);

    verify(tenant, Signer::Gateway, presented, same_site, now)
}

/// Verifies a token with the keys of its signer, and no others.
pub(super) fn verify(
    tenant: &Tenant,
    signer: Signer,
    presented: Presented<'_>,
    same_site: Result<(), Refusal>,
    now: Timestamp,
) -> Result<Authentication, Refusal> {
    match verifier(tenant, signer)?.examine(presented.unchecked(), now) {
        Ok(claims) => conclude(tenant, signer, claims, same_site).map(Authentication::Known),
        // INVARIANT: bytes that no token has cause no fetch, whatever key they name.
        Err(fault) if fault.error() == VerifyError::UnknownKey && presented.token().is_ok() => {
            Ok(Authentication::Ask(Lookup::Key(KeyLookup {
                token: SecretSlice::from(presented.unchecked().to_vec()),
                signer,
                same_site,
            })))
        }
        Err(fault) => Err(presented
            .token()
            .map_or_else(|err| err.reason().into(), |_| refusal(fault))),
    }
}

/// A token whose key is not in the key set at hand.
///
/// An issuer signs with a new key the moment it publishes it. The adapter waits until [`KeyLookup::is_answered`], or until a
/// fetch that started after the request arrived has ended, then calls [`KeyLookup::conclude`].
pub struct KeyLookup {
    token: SecretSlice<u8>,
    signer: Signer,
    same_site: Result<(), Refusal>,
}

impl KeyLookup {
    /// Returns whose key set has to be fetched.
    pub const fn signer(&self) -> Signer {
        self.signer
    }

    /// Tells whether the signer's key set holds the token's key by now.
    pub fn is_answered(&self, tenant: &Tenant, now: Timestamp) -> bool {
        tenant
            .verifier_of(self.signer)
            .is_some_and(|verifier| verifier.has_key_of(self.token.expose_secret(), now))
    }

    /// Verifies the token with the keys that are at hand now. `waited` is the result of the wait for newer keys.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] as [`authenticate`](super::authenticate) returns it. Where the key is still unknown and the wait has failed,
    /// the wait's own refusal: an issuer that does not answer is not a forged signature (D16).
    pub fn conclude(
        self,
        tenant: &Tenant,
        waited: Result<(), Refusal>,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        match verifier(tenant, self.signer)?.examine(self.token.expose_secret(), now) {
            Ok(claims) => conclude(tenant, self.signer, claims, self.same_site),
            Err(fault) if fault.error() == VerifyError::UnknownKey => {
                waited.and_then(|()| Err(refusal(fault)))
            }
            Err(fault) => Err(refusal(fault)),
        }
    }
}

/// Prints nothing of the token.
impl fmt::Debug for KeyLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyLookup").finish_non_exhaustive()
    }
}

/// A request without a good credential is 401 whatever site sent it, so the CSRF check counts last.
fn conclude(
    tenant: &Tenant,
    signer: Signer,
    claims: Arc<VerifiedClaims>,
    same_site: Result<(), Refusal>,
) -> Result<Authenticated, Refusal> {
    if signer == Signer::Hydra {
        oauth2::check_claims(tenant, &claims)?;
    }
    same_site?;
    Ok(Authenticated::new(Principal::new(tenant, Evidence::Jwt(claims))))
}

fn verifier(tenant: &Tenant, signer: Signer) -> Result<&Verifier, Refusal> {
    tenant
        .verifier_of(signer)
        .ok_or(Refusal::new(Reason::UnknownTenant))
}

fn presented<'a>(source: &TokenSource, head: &RequestHead<'a>) -> Result<Presented<'a>, CredentialError> {
    if source.header == "authorization" {
        credential::bearer(head, &source.header)
    } else {
        credential::bare(head, &source.header)
    }
}

pub(super) fn refusal(fault: TokenFault) -> Refusal {
    Refusal::with_detail(fault.error().reason(), fault.code())
}

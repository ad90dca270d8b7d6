//! From a credential to a principal.

use crate::{
    clock::Timestamp,
    credential::{self, CredentialError, Presented},
    decision::{Reason, Refusal},
    jwt::TokenFault,
    principal::Principal,
    replay::ReplayId,
    request::RequestHead,
    requirement::EffectivePolicy,
    tenant::{ReplayMode, Tenant, TokenSource, Transport},
};

/// Tells who sent a request, for one tenant and one transport. Credentials of other transports are not looked at.
///
/// Needs no network. After [`Reason::UnknownKey`] a newer key set may help: wait for one and ask again.
///
/// # Errors
///
/// A [`Refusal`] in every other case; a credential that is there but wrong never counts as none.
pub fn authenticate(
    tenant: &Tenant,
    transport: Transport,
    head: &RequestHead<'_>,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    if !tenant.transports.contains(&transport) {
        return Err(Refusal::with_detail(
            Reason::UnknownTenant,
            "transport_not_configured",
        ));
    }

    match transport {
        Transport::Oathkeeper => by_token(tenant, head, now),
        // INVARIANT: the configuration refuses tenants with these transports.
        Transport::Bearer | Transport::Cookie | Transport::CookieOrBearer | Transport::Oauth2 => Err(
            Refusal::with_detail(Reason::UnknownTenant, "transport_not_available"),
        ),
    }
}

fn by_token(tenant: &Tenant, head: &RequestHead<'_>, now: Timestamp) -> Result<Authenticated, Refusal> {
    let source = tenant.token.as_ref().ok_or(Reason::UnknownTenant)?;
    let presented = presented(source, head).map_err(CredentialError::reason)?;
    let claims = source
        .verifier
        .examine(presented.unchecked(), now)
        .map_err(|fault| refuse(presented, fault))?;

    // Only now: a request without a good credential is 401, whatever site sent it.
    if let Some(rule) = &tenant.csrf {
        rule.check(head).map_err(|_| Reason::Csrf)?;
    }
    Ok(Authenticated {
        principal: Principal::new(tenant, claims),
    })
}

fn presented<'a>(source: &TokenSource, head: &RequestHead<'a>) -> Result<Presented<'a>, CredentialError> {
    if source.header == "authorization" {
        credential::bearer(head, &source.header)
    } else {
        credential::bare(head, &source.header)
    }
}

/// Tells why a token was refused.
///
/// INVARIANT: what is no token at all is neither signed with an unknown key, which would cause a fetch, nor does it lack keys.
fn refuse(presented: Presented<'_>, fault: TokenFault) -> Refusal {
    match presented.token() {
        Err(error) => error.reason().into(),
        Ok(_) => Refusal::with_detail(fault.error().reason(), fault.code()),
    }
}

/// A request whose sender is known. *Verified.*
#[derive(Clone, Debug)]
pub struct Authenticated {
    principal: Principal,
}

impl Authenticated {
    /// Returns who sent the request.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the id that the credential may be claimed by, and how long it has to be remembered.
    pub fn replay_id(&self) -> Option<(ReplayId<'_>, Timestamp)> {
        self.principal.replay_id()
    }

    /// Returns the id that must be claimed before the handler runs, if this request's credential counts once only.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] when it does and the credential has no id to claim it by.
    pub fn claim(
        &self,
        policy: &EffectivePolicy,
        tenant: &Tenant,
    ) -> Result<Option<(ReplayId<'_>, Timestamp)>, Refusal> {
        if !policy.is_single_use() && tenant.replay() == ReplayMode::SingleUse {
            return Ok(None);
        }

        self.replay_id()
            .map(Some)
            .ok_or(Refusal::with_detail(Reason::Malformed, "token_id_missing"))
    }
}

#[cfg(test)]
mod tests;

//! A Kratos session: a cookie, or a token in a header.

use std::{sync::Arc, time::Duration};

use super::{Authenticated, Authentication, Lookup};
use crate::{
    clock::Timestamp,
    credential::{Carriers, CredentialError, SessionCarrier, SessionCredential},
    decision::{Reason, Refusal, StepUp},
    principal::{AssuranceLevel, Evidence, Principal, Session},
    request::RequestHead,
    service::kratos::{Finding, Whoami},
    tenant::{KratosSettings, Tenant, Transport},
};

/// Reads the credential. Only Kratos knows what it stands for.
pub(super) fn authenticate(
    tenant: &Tenant,
    transport: Transport,
    head: &RequestHead<'_>,
) -> Result<Authentication, Refusal> {
    let kratos = tenant.kratos().ok_or(Refusal::new(Reason::UnknownTenant))?;
    let carriers = Carriers {
        cookie: transport.reads_cookie().then(|| kratos.session_cookie()),
        token: transport.reads_session_token(),
    };
    let credential = SessionCredential::of(head, carriers).map_err(CredentialError::reason)?;
    let same_site = match credential.carrier() {
        SessionCarrier::Cookie => tenant.check_csrf(head),
        // No browser sends a token by itself.
        SessionCarrier::Token => Ok(()),
    };

    Ok(Authentication::Ask(Lookup::Session(SessionLookup {
        credential,
        same_site,
    })))
}

/// A session that Kratos has to be asked about.
///
/// The adapter sends the credential, and nothing else of the request but its id, with
/// [`whoami`](crate::service::kratos::whoami), then calls [`SessionLookup::conclude`].
#[derive(Debug)]
pub struct SessionLookup {
    credential: SessionCredential,
    same_site: Result<(), Refusal>,
}

impl SessionLookup {
    /// Returns the credential to ask about.
    pub const fn credential(&self) -> &SessionCredential {
        &self.credential
    }

    /// Decides about Kratos's answer. An answer may be kept and decided about again: nothing that time changes is decided before.
    ///
    /// # Errors
    ///
    /// [`Reason::SessionInactive`] for a session that Kratos does not know, that is over, or whose identity is inactive;
    /// [`Reason::InsufficientLevel`] for a session whose second factor is due; [`Reason::Csrf`] for a good session in a request of
    /// another site's page; the refusal that stands in place of an answer.
    pub fn conclude(
        self,
        tenant: &Tenant,
        answer: Result<Whoami, Refusal>,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let session = session(tenant, answer?, now)?;
        // A request without a good credential is 401 whatever site sent it.
        self.same_site?;

        Ok(Authenticated::new(Principal::new(
            tenant,
            Evidence::Session(session),
        )))
    }
}

/// D11, R108: nothing of a session counts that is not active, unexpired and of an active identity.
fn session(tenant: &Tenant, answer: Whoami, now: Timestamp) -> Result<Arc<Session>, Refusal> {
    let inactive = |detail| Err(Refusal::with_detail(Reason::SessionInactive, detail));
    let found = match answer.0 {
        Finding::SecondFactorDue => return Err(due(AssuranceLevel::Aal2, "second_factor_due")),
        Finding::Session(found) => found,
        Finding::Unknown => return inactive("session_unknown"),
    };

    let session = &found.session;
    if !found.is_active {
        return inactive("session_not_active");
    }
    if session.expires_at() <= now {
        return inactive("session_expired");
    }
    if !found.is_of_active_identity {
        return inactive("identity_inactive");
    }
    if now.saturating_add(CLOCK_TOLERANCE) < session.authenticated_at() {
        return inactive("authenticated_in_future");
    }
    let required = tenant
        .kratos()
        .map_or_else(AssuranceLevel::default, KratosSettings::required_aal);
    if session.aal() < required {
        return Err(due(required, "level"));
    }
    Ok(found.session)
}

fn due(level: AssuranceLevel, detail: &'static str) -> Refusal {
    let step_up = StepUp {
        level: Some(level),
        max_age: None,
    };
    Refusal::insufficient(step_up, detail)
}

/// How far Kratos's clock may be ahead.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

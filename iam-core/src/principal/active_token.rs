use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    jwt::Holder,
    service::hydra::IntrospectedToken,
    tenant::HydraSettings,
};

/// An OAuth 2 access token that its issuer calls active, and whose members have been checked again: its use, issuer, audience,
/// times and tenant. *Verified.*
///
/// Made from the answer of the introspection endpoint (RFC 7662 §2.2; Hydra's `POST /admin/oauth2/introspect`) only.
pub struct ActiveToken {
    holder: Holder,
    issuer: Arc<str>,
    audience: Vec<String>,
    expires_at: Timestamp,
    issued_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    scope: Option<String>,
    username: Option<String>,
    ext: Map<String, Value>,
}

impl ActiveToken {
    /// Checks the answer about an active token. `active` alone is not enough: Hydra calls refresh tokens active, too, and tokens
    /// for any audience (D31, R076, R077).
    pub(crate) fn check(
        told: &IntrospectedToken,
        settings: &HydraSettings,
        tenant: &str,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let refuse = |reason, detail| Err(Refusal::with_detail(reason, detail));
        if told.token_use.as_deref().is_some_and(|kind| kind != ACCESS_TOKEN) {
            return refuse(Reason::TokenInactive, "token_use_other");
        }
        // RFC 6750 §4: the type is compared without regard to case. A token bound to a key (DPoP) is no bearer token.
        if told
            .token_type
            .as_deref()
            .is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer"))
        {
            return refuse(Reason::TokenInactive, "token_type_other");
        }
        if told.issuer != *settings.issuer {
            return refuse(Reason::IssuerMismatch, "iss_other");
        }
        if told.audience.is_empty() {
            return refuse(Reason::AudienceMismatch, "aud_missing");
        }
        if !told.audience.iter().any(|one| settings.audience.contains(one)) {
            return refuse(Reason::AudienceMismatch, "aud_other");
        }
        // No skew: the issuer, whose clock counts, has been asked just now.
        if told.expires_at <= now {
            return refuse(Reason::Expired, "exp_passed");
        }
        let latest = now.saturating_add(settings.clock_skew);
        if told.not_before.is_some_and(|not_before| not_before > latest) {
            return refuse(Reason::NotYetValid, "nbf_in_future");
        }
        if told.issued_at.is_some_and(|issued_at| issued_at > latest) {
            return refuse(Reason::NotYetValid, "iat_in_future");
        }
        check_tenant(told.ext.get(&settings.tenant_claim), tenant)?;

        Ok(Self {
            holder: holder(told)?,
            issuer: Arc::clone(&settings.issuer),
            audience: told.audience.clone(),
            expires_at: told.expires_at,
            issued_at: told.issued_at,
            not_before: told.not_before,
            scope: told.scope.clone(),
            username: told.username.clone(),
            ext: told.ext.clone(),
        })
    }

    /// Returns `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns `sub`; the client id where the answer has no `sub`.
    pub fn subject(&self) -> &str {
        self.holder.subject()
    }

    /// Returns `client_id`: the client that the token was issued to.
    pub fn client_id(&self) -> Option<&str> {
        self.holder.client_id()
    }

    /// Returns the client through which a person acts: `client_id` where `sub` is another.
    pub fn acting_client(&self) -> Option<&str> {
        self.holder.acting_client()
    }

    /// Tells whether the token is that of a client itself: `sub` equals `client_id`, or is missing.
    pub fn is_client(&self) -> bool {
        self.holder.client().is_some()
    }

    /// Returns all of `aud`; one of them is the tenant's.
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// Returns `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Returns `iat`.
    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// Returns `nbf`.
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// Returns the scopes, separated by spaces.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Returns `username`: a name of the person for display, as the issuer knows it.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns `ext`: the claims that the consent application added at Hydra.
    pub const fn ext(&self) -> &Map<String, Value> {
        &self.ext
    }

    /// Returns the actor's name in audit events.
    pub(crate) fn actor(&self) -> &str {
        self.holder.actor()
    }
}

/// Refuses a token that names another tenant. Most access tokens name none: their issuer and audience bind them to the tenant.
pub(crate) fn check_tenant(named: Option<&Value>, tenant: &str) -> Result<(), Refusal> {
    match named {
        None => Ok(()),
        Some(named) if named.as_str() == Some(tenant) => Ok(()),
        Some(_) => Err(Refusal::with_detail(Reason::TenantMismatch, "tenant_other")),
    }
}

/// R078: a principal needs an id. Only a token without `sub` is that of its client: an empty `sub` names nobody.
fn holder(told: &IntrospectedToken) -> Result<Holder, Refusal> {
    match (told.subject.as_deref(), told.client_id.as_deref()) {
        (Some(""), _) => Err(Refusal::with_detail(Reason::TokenInactive, "sub_empty")),
        (Some(subject), client_id) => Ok(Holder::of(subject, client_id)),
        (None, Some(client_id)) => Ok(Holder::of(client_id, Some(client_id))),
        (None, None) => Err(Refusal::with_detail(
            Reason::IntrospectionUnavailable,
            "sub_and_client_id_missing",
        )),
    }
}

/// Prints no member but the issuer and the expiry: the others are personal data.
impl fmt::Debug for ActiveToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveToken")
            .field("issuer", &self.issuer)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Hydra's `token_use` of an access token.
const ACCESS_TOKEN: &str = "access_token";

//! Audit events and their names.

use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};

use crate::{clock::Timestamp, decision::Reason};

/// The closed set of event names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the set is closed: a sink may match every name"
)]
pub enum EventName {
    /// A request was allowed.
    AuthSuccess,
    /// No credential.
    AuthFailureMissingCredential,
    /// An unreadable or ambiguous credential.
    AuthFailureMalformed,
    /// A signature that does not verify.
    AuthFailureInvalidSignature,
    /// An expired credential.
    AuthFailureExpired,
    /// A credential that is not valid yet.
    AuthFailureNotYetValid,
    /// A credential for another audience.
    AuthFailureAudienceMismatch,
    /// A credential of another issuer.
    AuthFailureIssuerMismatch,
    /// A credential signed with a key that the issuer does not publish.
    AuthFailureUnknownKey,
    /// A one-time credential that was used before.
    AuthFailureReplay,
    /// A session that is over, or whose identity is inactive.
    AuthFailureSessionInactive,
    /// An access token that is not active at its issuer.
    AuthFailureTokenInactive,
    /// A session with a lower assurance level than the route requires.
    AuthFailureInsufficientLevel,
    /// A cross-site request.
    AuthFailureCsrf,
    /// No usable answer from an upstream of authentication.
    AuthFailureUpstream,
    /// A credential of another tenant.
    AuthTenantMismatch,
    /// A principal came to a route for callers without one.
    AuthzAnonymousDeny,
    /// A role is missing.
    AuthzRoleDeny,
    /// A scope is missing.
    AuthzScopeDeny,
    /// A permission is missing.
    AuthzPermissionDeny,
    /// A tuple was written. A check that passed has another name.
    AuthzPermissionGrant,
    /// A tuple was deleted.
    AuthzPermissionRevoke,
    /// No usable answer from the permission service.
    AuthzUpstreamUnavailable,
    /// A key set held a secret (the private part of a key, or a symmetric key), or different keys that one token could mean. The
    /// keys are not used. The detail is the [code](crate::jwks::KeyFault::code) of the fault.
    JwksKeyRejected,
    /// The gateway's claims template printed a missing value into a claim, and the token was refused. The detail names the claim;
    /// [`template_remedy`](crate::jwt::template_remedy) returns the remedy for it.
    TokenTemplateFault,
    /// A configuration that does not start.
    ConfigBootFailure,
    /// A route whose policies contradict each other, or ask for what is not configured.
    ConfigRouteFailure,
    /// A probe of an upstream failed.
    HealthProbeFailure,
}

impl EventName {
    /// All names, in the order of the documentation.
    pub const ALL: [Self; 28] = [
        Self::AuthSuccess,
        Self::AuthFailureMissingCredential,
        Self::AuthFailureMalformed,
        Self::AuthFailureInvalidSignature,
        Self::AuthFailureExpired,
        Self::AuthFailureNotYetValid,
        Self::AuthFailureAudienceMismatch,
        Self::AuthFailureIssuerMismatch,
        Self::AuthFailureUnknownKey,
        Self::AuthFailureReplay,
        Self::AuthFailureSessionInactive,
        Self::AuthFailureTokenInactive,
        Self::AuthFailureInsufficientLevel,
        Self::AuthFailureCsrf,
        Self::AuthFailureUpstream,
        Self::AuthTenantMismatch,
        Self::AuthzAnonymousDeny,
        Self::AuthzRoleDeny,
        Self::AuthzScopeDeny,
        Self::AuthzPermissionDeny,
        Self::AuthzPermissionGrant,
        Self::AuthzPermissionRevoke,
        Self::AuthzUpstreamUnavailable,
        Self::JwksKeyRejected,
        Self::TokenTemplateFault,
        Self::ConfigBootFailure,
        Self::ConfigRouteFailure,
        Self::HealthProbeFailure,
    ];

    /// Returns the name in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthSuccess => "auth.success",
            Self::AuthFailureMissingCredential => "auth.failure.missing_credential",
            Self::AuthFailureMalformed => "auth.failure.malformed",
            Self::AuthFailureInvalidSignature => "auth.failure.invalid_signature",
            Self::AuthFailureExpired => "auth.failure.expired",
            Self::AuthFailureNotYetValid => "auth.failure.not_yet_valid",
            Self::AuthFailureAudienceMismatch => "auth.failure.audience_mismatch",
            Self::AuthFailureIssuerMismatch => "auth.failure.issuer_mismatch",
            Self::AuthFailureUnknownKey => "auth.failure.unknown_key",
            Self::AuthFailureReplay => "auth.failure.replay",
            Self::AuthFailureSessionInactive => "auth.failure.session_inactive",
            Self::AuthFailureTokenInactive => "auth.failure.token_inactive",
            Self::AuthFailureInsufficientLevel => "auth.failure.insufficient_level",
            Self::AuthFailureCsrf => "auth.failure.csrf",
            Self::AuthFailureUpstream => "auth.failure.upstream",
            Self::AuthTenantMismatch => "auth.tenant_mismatch",
            Self::AuthzAnonymousDeny => "authz.anonymous.deny",
            Self::AuthzRoleDeny => "authz.role.deny",
            Self::AuthzScopeDeny => "authz.scope.deny",
            Self::AuthzPermissionDeny => "authz.permission.deny",
            Self::AuthzPermissionGrant => "authz.permission.grant",
            Self::AuthzPermissionRevoke => "authz.permission.revoke",
            Self::AuthzUpstreamUnavailable => "authz.upstream_unavailable",
            Self::JwksKeyRejected => "iam.jwks.key_rejected",
            Self::TokenTemplateFault => "iam.token.template_fault",
            Self::ConfigBootFailure => "config.boot_failure",
            Self::ConfigRouteFailure => "config.route_failure",
            Self::HealthProbeFailure => "health.probe_failure",
        }
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The outcome of a decision.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a decision allows or denies")]
pub enum Outcome {
    /// The request was allowed.
    Allow,
    /// The request was refused.
    Deny,
}

impl Outcome {
    /// Returns the name in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The record of one decision.
///
/// It holds verified facts only: the actor is the principal of a credential that passed every check, never an unverified claim.
/// Its texts are borrowed, because every request makes an event: a sink that keeps an event calls
/// [`into_owned`](Self::into_owned) on a clone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// The name of the event.
    pub event: EventName,
    /// The time, in milliseconds since the Unix epoch; for a request, the time of the decision, not of the response. Events may
    /// arrive in another order than their times.
    #[serde(serialize_with = "as_millis")]
    pub time: Timestamp,
    /// Whether the request was allowed.
    pub outcome: Outcome,
    /// The reason of a refusal.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_code")]
    pub reason: Option<Reason>,
    /// The precise reason: a fixed code, never a value from the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Cow<'a, str>>,
    /// The verified principal's subject with its kind, as `user:…` or `client:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Cow<'a, str>>,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The pattern of the chosen route, the first one of several; never the raw path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'a, str>>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The requirements of the route, as written in the code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Cow<'a, str>>,
    /// The tuple that was written or deleted, or should have been; for a refused permission, the tuples that Keto was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuple: Option<Cow<'a, str>>,
}

impl AuditEvent<'_> {
    /// Returns the event of an allowed request.
    pub fn allow(time: Timestamp) -> Self {
        Self::new(EventName::AuthSuccess, time, Outcome::Allow, None)
    }

    /// Returns the event of a refused request.
    pub fn deny(reason: Reason, time: Timestamp) -> Self {
        Self::new(reason.event(), time, Outcome::Deny, Some(reason))
    }

    /// Returns the event of a tuple that was written or deleted.
    pub fn tuple(event: EventName, time: Timestamp) -> Self {
        Self::new(event, time, Outcome::Allow, None)
    }

    /// Returns an event that belongs to no request.
    pub fn notice(event: EventName, time: Timestamp) -> Self {
        Self::new(event, time, Outcome::Deny, None)
    }

    fn new(event: EventName, time: Timestamp, outcome: Outcome, reason: Option<Reason>) -> Self {
        Self {
            event,
            time,
            outcome,
            reason,
            detail: None,
            tenant: None,
            actor: None,
            method: None,
            route: None,
            request_id: None,
            requirements: Vec::new(),
            tuple: None,
        }
    }

    /// Returns the event with owned texts, to be kept or sent to another thread.
    ///
    /// ```
    /// use std::sync::Mutex;
    ///
    /// use iam_core::audit::{AuditEvent, AuditSink};
    ///
    /// #[derive(Debug, Default)]
    /// struct Kept(Mutex<Vec<AuditEvent<'static>>>);
    ///
    /// impl AuditSink for Kept {
    ///     fn emit(&self, event: &AuditEvent<'_>) {
    ///         if let Ok(mut events) = self.0.lock() {
    ///             events.push(event.clone().into_owned());
    ///         }
    ///     }
    /// }
    /// ```
    pub fn into_owned(self) -> AuditEvent<'static> {
        let Self {
            event,
            time,
            outcome,
            reason,
            detail,
            tenant,
            actor,
            method,
            route,
            request_id,
            requirements,
            tuple,
        } = self;
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());

        AuditEvent {
            event,
            time,
            outcome,
            reason,
            detail,
            tenant: tenant.map(owned),
            actor: actor.map(owned),
            method: method.map(owned),
            route: route.map(owned),
            request_id: request_id.map(owned),
            requirements: requirements.into_iter().map(owned).collect(),
            tuple: tuple.map(owned),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `serialize_with` passes references"
)]
fn as_millis<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `serialize_with` passes references"
)]
fn as_code<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::code).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_one_of_its_own() {
        let names: HashSet<_> = EventName::ALL.iter().map(|name| name.as_str()).collect();

        assert_eq!(names.len(), EventName::ALL.len());
    }

    /// D51
    #[test]
    fn a_check_that_passed_is_not_written_as_a_grant() {
        let event = AuditEvent::allow(Timestamp::from_secs(1));

        assert_eq!(event.event.as_str(), "auth.success");
        for reason in Reason::ALL {
            assert!(!matches!(
                reason.event(),
                EventName::AuthzPermissionGrant | EventName::AuthzPermissionRevoke | EventName::AuthSuccess
            ));
        }
    }

    #[test]
    fn an_event_is_one_line_of_json_with_the_names_of_the_documentation() {
        let mut event = AuditEvent::deny(Reason::Replay, Timestamp::from_secs(1));
        event.request_id = Some("r-1".into());

        let line = serde_json::to_string(&event).unwrap();

        assert_eq!(
            line,
            r#"{"event":"auth.failure.replay","time":1000,"outcome":"deny","reason":"replay","request_id":"r-1"}"#
        );
    }
}

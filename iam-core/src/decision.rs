//! Why is a request refused?
//!
//! Every refusal has one [`Reason`]; every reason has one code, one audit event and one [`Class`]. The framework adapter chooses
//! the response in an exhaustive match of its own; [`Class::status`] is the status that the response must have.
//!
//! | Reason | Event | Status |
//! |---|---|---|
//! | `missing_credential` | `auth.failure.missing_credential` | 401 |
//! | `ambiguous_credential` | `auth.failure.malformed` | 400 |
//! | `malformed` | `auth.failure.malformed` | 401 |
//! | `invalid_signature` | `auth.failure.invalid_signature` | 401 |
//! | `expired` | `auth.failure.expired` | 401 |
//! | `not_yet_valid` | `auth.failure.not_yet_valid` | 401 |
//! | `audience_mismatch` | `auth.failure.audience_mismatch` | 401 |
//! | `issuer_mismatch` | `auth.failure.issuer_mismatch` | 401 |
//! | `unknown_key` | `auth.failure.unknown_key` | 401 |
//! | `replay` | `auth.failure.replay` | 401 |
//! | `session_inactive` | `auth.failure.session_inactive` | 401 |
//! | `token_inactive` | `auth.failure.token_inactive` | 401 |
//! | `insufficient_level` | `auth.failure.insufficient_level` | 401 |
//! | `tenant_mismatch` | `auth.tenant_mismatch` | 401 |
//! | `csrf` | `auth.failure.csrf` | 403 |
//! | `already_authenticated` | `authz.anonymous.deny` | 403 |
//! | `role_deny` | `authz.role.deny` | 403 |
//! | `scope_deny` | `authz.scope.deny` | 403 |
//! | `permission_deny` | `authz.permission.deny` | 403 |
//! | `invalid_object` | `authz.permission.deny` | 400 |
//! | `keys_unavailable` | `auth.failure.upstream` | 503 |
//! | `session_unavailable` | `auth.failure.upstream` | 503 |
//! | `introspection_unavailable` | `auth.failure.upstream` | 503 |
//! | `authenticator_unavailable` | `auth.failure.upstream` | 503 |
//! | `permission_unavailable` | `authz.upstream_unavailable` | 503 |
//! | `replay_unavailable` | `auth.failure.upstream` | 503 |
//! | `policy_conflict` | `config.route_failure` | 500 |
//! | `invalid_requirement` | `config.route_failure` | 500 |
//! | `unknown_tenant` | `config.route_failure` | 500 |

use std::{fmt, time::Duration};

use crate::{audit::EventName, principal::AssuranceLevel};

/// A refused request: the reason and, where it is known, the precise cause.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "adapters make refusals of their own")]
pub struct Refusal {
    /// Why the request is refused.
    pub reason: Reason,
    /// The precise cause, for the audit event: a fixed code, never a value from the request.
    pub detail: Option<&'static str>,
    /// What the caller has to prove, where its session does not suffice.
    pub step_up: Option<StepUp>,
}

impl Refusal {
    /// Makes a refusal without a precise cause.
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            step_up: None,
        }
    }

    /// Makes a refusal with a precise cause.
    pub const fn with_detail(reason: Reason, detail: &'static str) -> Self {
        Self {
            reason,
            detail: Some(detail),
            step_up: None,
        }
    }

    /// Makes the refusal of a caller that has to prove more, or anew ([`Reason::InsufficientLevel`]).
    pub const fn insufficient(step_up: StepUp, detail: &'static str) -> Self {
        Self {
            reason: Reason::InsufficientLevel,
            detail: Some(detail),
            step_up: Some(step_up),
        }
    }
}

/// What a caller has to prove before it asks again (RFC 9470 §3).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a challenge has these two parameters")]
pub struct StepUp {
    /// The least assurance level (`acr_values`).
    pub level: Option<AssuranceLevel>,
    /// The longest time since the authentication (`max_age`).
    pub max_age: Option<Duration>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

/// Why a request is refused.
///
/// Grouped by the side that has to act: the caller (401, 400, 403), an upstream (503), or the configuration (500).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each reason must be given a status and an event, everywhere"
)]
pub enum Reason {
    /// No credential of the route's transport was presented.
    MissingCredential,
    /// More than one credential, or an ambiguous one, was presented.
    AmbiguousCredential,
    /// The credential cannot be read.
    Malformed,
    /// The signature does not verify, or its algorithm is not allowed.
    InvalidSignature,
    /// The credential has expired, or lives longer than allowed.
    Expired,
    /// The credential is not valid yet.
    NotYetValid,
    /// The credential was made for another audience.
    AudienceMismatch,
    /// The credential was made by another issuer.
    IssuerMismatch,
    /// The signing key is not in the issuer's key set.
    UnknownKey,
    /// The credential was used before, on a route that accepts it once.
    Replay,
    /// The session is over: unknown to Kratos, inactive or expired, or its identity is inactive.
    SessionInactive,
    /// The access token is not active at its issuer.
    TokenInactive,
    /// The session is good, but its assurance level is too low or its authentication too old for the route.
    InsufficientLevel,
    /// The credential belongs to another tenant.
    TenantMismatch,
    /// A request from another site, without proof that the application itself made it.
    Csrf,
    /// The route is for callers without a principal only.
    AlreadyAuthenticated,
    /// The principal has none of the roles that the route asks for.
    RoleDeny,
    /// The principal lacks a scope that the route asks for.
    ScopeDeny,
    /// The principal lacks a permission that the route asks for.
    PermissionDeny,
    /// A path parameter cannot name an object: it is empty, or holds reserved or undecodable characters.
    InvalidObject,
    /// The issuer's keys cannot be fetched.
    KeysUnavailable,
    /// The identity server gives no usable answer about a session.
    SessionUnavailable,
    /// The introspection endpoint gives no usable answer about an access token.
    IntrospectionUnavailable,
    /// The look-up of an application's authenticator fails, or takes too long.
    AuthenticatorUnavailable,
    /// The permission service gives no answer.
    PermissionUnavailable,
    /// The replay store gives no answer, or is full.
    ReplayUnavailable,
    /// The policies on the way to the route contradict each other.
    PolicyConflict,
    /// A requirement of the route cannot be asked: unknown namespace or relation, unresolvable placeholder.
    InvalidRequirement,
    /// The route names a tenant that is not configured, or a transport that the tenant does not use.
    UnknownTenant,
}

impl Reason {
    /// All reasons, in the order of the documentation's table.
    pub const ALL: [Self; 29] = [
        Self::MissingCredential,
        Self::AmbiguousCredential,
        Self::Malformed,
        Self::InvalidSignature,
        Self::Expired,
        Self::NotYetValid,
        Self::AudienceMismatch,
        Self::IssuerMismatch,
        Self::UnknownKey,
        Self::Replay,
        Self::SessionInactive,
        Self::TokenInactive,
        Self::InsufficientLevel,
        Self::TenantMismatch,
        Self::Csrf,
        Self::AlreadyAuthenticated,
        Self::RoleDeny,
        Self::ScopeDeny,
        Self::PermissionDeny,
        Self::InvalidObject,
        Self::KeysUnavailable,
        Self::SessionUnavailable,
        Self::IntrospectionUnavailable,
        Self::AuthenticatorUnavailable,
        Self::PermissionUnavailable,
        Self::ReplayUnavailable,
        Self::PolicyConflict,
        Self::InvalidRequirement,
        Self::UnknownTenant,
    ];

    /// Tells whether a request that is refused for this reason has no principal where none is required: nothing was presented, or a
    /// session that does not count any more.
    pub const fn is_of_nobody(self) -> bool {
        matches!(self, Self::MissingCredential | Self::SessionInactive)
    }

    /// Returns the stable code of the reason, as written in audit events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingCredential => "missing_credential",
            Self::AmbiguousCredential => "ambiguous_credential",
            Self::Malformed => "malformed",
            Self::InvalidSignature => "invalid_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::AudienceMismatch => "audience_mismatch",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::UnknownKey => "unknown_key",
            Self::Replay => "replay",
            Self::SessionInactive => "session_inactive",
            Self::TokenInactive => "token_inactive",
            Self::InsufficientLevel => "insufficient_level",
            Self::TenantMismatch => "tenant_mismatch",
            Self::Csrf => "csrf",
            Self::AlreadyAuthenticated => "already_authenticated",
            Self::RoleDeny => "role_deny",
            Self::ScopeDeny => "scope_deny",
            Self::PermissionDeny => "permission_deny",
            Self::InvalidObject => "invalid_object",
            Self::KeysUnavailable => "keys_unavailable",
            Self::SessionUnavailable => "session_unavailable",
            Self::IntrospectionUnavailable => "introspection_unavailable",
            Self::AuthenticatorUnavailable => "authenticator_unavailable",
            Self::PermissionUnavailable => "permission_unavailable",
            Self::ReplayUnavailable => "replay_unavailable",
            Self::PolicyConflict => "policy_conflict",
            Self::InvalidRequirement => "invalid_requirement",
            Self::UnknownTenant => "unknown_tenant",
        }
    }

    /// Returns the class, which tells the side that has to act.
    pub const fn class(self) -> Class {
        match self {
            Self::AmbiguousCredential | Self::InvalidObject => Class::BadRequest,
            Self::Csrf
            | Self::AlreadyAuthenticated
            | Self::RoleDeny
            | Self::ScopeDeny
            | Self::PermissionDeny => Class::Denied,
            Self::PolicyConflict | Self::InvalidRequirement | Self::UnknownTenant => Class::Misconfigured,
            Self::MissingCredential
            | Self::Malformed
            | Self::InvalidSignature
            | Self::Expired
            | Self::NotYetValid
            | Self::AudienceMismatch
            | Self::IssuerMismatch
            | Self::UnknownKey
            | Self::Replay
            | Self::SessionInactive
            | Self::TokenInactive
            | Self::InsufficientLevel
            | Self::TenantMismatch => Class::Unauthenticated,
            Self::KeysUnavailable
            | Self::SessionUnavailable
            | Self::IntrospectionUnavailable
            | Self::AuthenticatorUnavailable
            | Self::PermissionUnavailable
            | Self::ReplayUnavailable => Class::Unavailable,
        }
    }

    /// Returns the audit event of the reason.
    pub const fn event(self) -> EventName {
        match self {
            Self::MissingCredential => EventName::AuthFailureMissingCredential,
            Self::AmbiguousCredential | Self::Malformed => EventName::AuthFailureMalformed,
            Self::InvalidSignature => EventName::AuthFailureInvalidSignature,
            Self::Expired => EventName::AuthFailureExpired,
            Self::NotYetValid => EventName::AuthFailureNotYetValid,
            Self::AudienceMismatch => EventName::AuthFailureAudienceMismatch,
            Self::IssuerMismatch => EventName::AuthFailureIssuerMismatch,
            Self::UnknownKey => EventName::AuthFailureUnknownKey,
            Self::Replay => EventName::AuthFailureReplay,
            Self::SessionInactive => EventName::AuthFailureSessionInactive,
            Self::TokenInactive => EventName::AuthFailureTokenInactive,
            Self::InsufficientLevel => EventName::AuthFailureInsufficientLevel,
            Self::TenantMismatch => EventName::AuthTenantMismatch,
            Self::Csrf => EventName::AuthFailureCsrf,
            Self::AlreadyAuthenticated => EventName::AuthzAnonymousDeny,
            Self::RoleDeny => EventName::AuthzRoleDeny,
            Self::ScopeDeny => EventName::AuthzScopeDeny,
            Self::PermissionDeny | Self::InvalidObject => EventName::AuthzPermissionDeny,
            Self::KeysUnavailable
            | Self::SessionUnavailable
            | Self::IntrospectionUnavailable
            | Self::AuthenticatorUnavailable
            | Self::ReplayUnavailable => EventName::AuthFailureUpstream,
            Self::PermissionUnavailable => EventName::AuthzUpstreamUnavailable,
            Self::PolicyConflict | Self::InvalidRequirement | Self::UnknownTenant => {
                EventName::ConfigRouteFailure
            }
        }
    }
}

/// The side that has to act on a refusal, and the status.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each class has a status of its own")]
pub enum Class {
    /// The caller has to send a different request: 400.
    BadRequest,
    /// The caller is not allowed to do this: 403.
    Denied,
    /// The application or its configuration has to be corrected: 500.
    Misconfigured,
    /// The caller has to present a valid credential: 401, with a challenge.
    Unauthenticated,
    /// An upstream or a store has to answer; the caller may retry: 503.
    Unavailable,
}

impl Class {
    /// Returns the HTTP status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Denied => 403,
            Self::Misconfigured => 500,
            Self::Unauthenticated => 401,
            Self::Unavailable => 503,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();

        assert_eq!(codes.len(), Reason::ALL.len());
    }

    #[test]
    fn the_table_of_the_documentation_is_the_code() {
        let rows: Vec<_> = include_str!("decision.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .map(|row| format!("| `{row}"))
            .collect();
        let expected: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| {
                let (code, event, status) = (reason.code(), reason.event(), reason.class().status());
                format!("| `{code}` | `{event}` | {status} |")
            })
            .collect();

        assert_eq!(rows, expected);
    }

    /// R082
    #[test]
    fn only_refusals_without_an_answer_invite_a_retry() {
        for reason in Reason::ALL {
            let is_unavailable = reason.code().ends_with("_unavailable");
            assert_eq!(reason.class() == Class::Unavailable, is_unavailable, "{reason}");
        }
    }
}

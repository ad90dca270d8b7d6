use std::fmt;

use iam_grammar::{check_role, check_scope};
use serde_json::Value;

use crate::{
    authenticate::Statement,
    clock::Timestamp,
    decision::{Reason, Refusal},
    jwt::{Holder, is_blank, is_subject},
    tenant::AuthenticatorName,
};

/// What an application's authenticator stated about a principal, checked: its tenant, its expiry and its form. *Verified.*
pub struct Custom {
    authenticator: AuthenticatorName,
    holder: Holder,
    expires_at: Timestamp,
    metadata: Option<Value>,
    replay_id: Option<String>,
    roles: Vec<String>,
    scope: String,
}

impl Custom {
    /// Checks a statement. What an application's own code says is held to the rules of every other credential.
    pub(crate) fn check(
        stated: Statement,
        authenticator: AuthenticatorName,
        tenant: &str,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let refuse = |reason, detail| Err(Refusal::with_detail(reason, detail));
        if stated.tenant != tenant {
            return refuse(Reason::TenantMismatch, "tenant_other");
        }
        if stated.expires_at <= now {
            return refuse(Reason::Expired, "exp_passed");
        }
        if !is_name(&stated.subject) {
            return refuse(Reason::Malformed, "stated_subject");
        }
        if stated.replay_id.as_deref().is_some_and(|id| !is_name(id)) {
            return refuse(Reason::Malformed, "stated_replay_id");
        }
        if stated.roles.iter().any(|role| check_role(role).is_err()) {
            return refuse(Reason::Malformed, "stated_role");
        }
        if stated.scopes.iter().any(|scope| check_scope(scope).is_err()) {
            return refuse(Reason::Malformed, "stated_scope");
        }

        Ok(Self {
            authenticator,
            holder: Holder::of(&stated.subject, stated.client_id.as_deref()),
            expires_at: stated.expires_at,
            metadata: stated.metadata,
            replay_id: stated.replay_id,
            roles: stated.roles,
            scope: stated.scopes.join(" "),
        })
    }

    /// Returns the name of the authenticator, as `custom:NAME`.
    pub fn authenticator(&self) -> &str {
        self.authenticator.as_str()
    }

    /// Returns the subject; the client id where a client acts for itself.
    pub fn subject(&self) -> &str {
        self.holder.subject()
    }

    /// Returns the client id of a client that acts for itself.
    pub fn client_id(&self) -> Option<&str> {
        self.holder.client_id()
    }

    /// Returns the end of the credential.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Tells whether a client acts for itself.
    pub(crate) fn is_client(&self) -> bool {
        self.holder.client().is_some()
    }

    /// Returns the actor's name in audit events.
    pub(crate) fn actor(&self) -> &str {
        self.holder.actor()
    }

    pub(crate) const fn metadata(&self) -> Option<&Value> {
        self.metadata.as_ref()
    }

    pub(crate) fn roles(&self) -> &[String] {
        &self.roles
    }

    pub(crate) fn scope(&self) -> &str {
        &self.scope
    }

    pub(crate) fn replay_id(&self) -> Option<&str> {
        self.replay_id.as_deref()
    }
}

/// Prints no member but the authenticator and the expiry: the others are personal data.
impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom")
            .field("authenticator", &self.authenticator())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && is_subject(text) && !is_blank(text)
}

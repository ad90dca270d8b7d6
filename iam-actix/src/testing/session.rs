//! Sessions at the world's identity server.

use std::{sync::Arc, time::Duration};

use iam_core::{
    clock::{Clock as _, ManualClock, Timestamp},
    principal::AssuranceLevel,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::upstreams::{KnownSession, TestUpstreams};

/// A login of a person at the identity server of a tenant. See [`TestWorld::session`](super::TestWorld::session).
///
/// It lasts a day, and is of level `aal1`, unless it is told otherwise. The server knows it from the first call of
/// [`cookie`](Self::cookie) or [`token`](Self::token), in the form that it has then; both stand for the same session.
#[derive(Clone, Debug)]
pub struct TestSession {
    clock: ManualClock,
    cookie_name: String,
    /// The base URL of the identity server. A tenant without one accepts no sessions.
    url: Option<String>,
    upstreams: Arc<TestUpstreams>,
    known: KnownSession,
    credential: String,
    authenticated_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    is_revoked: bool,
}

impl TestSession {
    pub(super) fn new(
        subject: &str,
        (url, cookie_name): (Option<&str>, &str),
        upstreams: &Arc<TestUpstreams>,
        clock: ManualClock,
    ) -> Self {
        Self {
            clock,
            cookie_name: cookie_name.to_owned(),
            url: url.map(str::to_owned),
            upstreams: Arc::clone(upstreams),
            known: KnownSession {
                id: Uuid::new_v4().to_string(),
                identity: subject.to_owned(),
                aal: AssuranceLevel::Aal1,
                authenticated_at: Timestamp::default(),
                expires_at: Timestamp::default(),
                is_of_active_identity: true,
                is_second_factor_due: false,
                traits: json!({}),
                metadata_public: Value::Null,
            },
            credential: Uuid::new_v4().simple().to_string(),
            authenticated_at: None,
            expires_at: None,
            is_revoked: false,
        }
    }

    /// Gives the session a second factor.
    #[must_use]
    pub fn aal2(mut self) -> Self {
        self.known.aal = AssuranceLevel::Aal2;
        self
    }

    /// Makes a second factor due: the server requires the highest level that the identity can reach, and the session has a lower one.
    #[must_use]
    pub fn second_factor_due(mut self) -> Self {
        self.known.is_second_factor_due = true;
        self
    }

    /// Sets the traits of the identity.
    #[must_use]
    pub fn traits(mut self, traits: Value) -> Self {
        self.known.traits = traits;
        self
    }

    /// Sets the public metadata of the identity, where roles come from.
    #[must_use]
    pub fn metadata(mut self, metadata: Value) -> Self {
        self.known.metadata_public = metadata;
        self
    }

    /// Sets the roles of the identity, at `metadata_public.roles`, which is where they come from unless the tenant says otherwise.
    #[must_use]
    pub fn roles<R: Into<String>>(self, roles: impl IntoIterator<Item = R>) -> Self {
        let roles: Vec<String> = roles.into_iter().map(Into::into).collect();
        self.metadata(json!({ "roles": roles }))
    }

    /// Sets when the person proved who they are. Defaults to the time of the first call of [`cookie`](Self::cookie) or
    /// [`token`](Self::token).
    #[must_use]
    pub fn authenticated_at(mut self, time: Timestamp) -> Self {
        self.authenticated_at = Some(time);
        self
    }

    /// Sets how long ago, on the world's clock, the person proved who they are.
    #[must_use]
    pub fn age(self, age: Duration) -> Self {
        let time = self.clock.now().saturating_sub(age);
        self.authenticated_at(time)
    }

    /// Sets when the session ends. Defaults to a day after the authentication.
    #[must_use]
    pub fn expires(mut self, time: Timestamp) -> Self {
        self.expires_at = Some(time);
        self
    }

    /// Makes the identity inactive. Kratos does not know the sessions of one.
    #[must_use]
    pub fn inactive(mut self) -> Self {
        self.known.is_of_active_identity = false;
        self
    }

    /// Revokes the session: the server does not know it, also where it was known before.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.is_revoked = true;
        self.announce();
        self
    }

    /// Returns the `Cookie` header of a request. Pass it to `insert_header`.
    pub fn cookie(&self) -> (String, String) {
        self.announce();
        (
            "Cookie".to_owned(),
            format!("{}={}", self.cookie_name, self.cookie_value()),
        )
    }

    /// Returns the `Authorization` header of a request, with the session token. Pass it to `insert_header`. The same token may be
    /// sent in `X-Session-Token`: see [`token_value`](Self::token_value).
    pub fn token(&self) -> (String, String) {
        (
            "Authorization".to_owned(),
            format!("Bearer {}", self.token_value()),
        )
    }

    /// Returns the session token alone.
    pub fn token_value(&self) -> String {
        self.announce();
        format!("ory_st_{}", self.credential)
    }

    /// Returns the id of the session.
    pub fn id(&self) -> &str {
        &self.known.id
    }

    fn cookie_value(&self) -> String {
        format!("MTc5NTMyODY3MHx{}", self.credential)
    }

    /// Tells the server about the session, or that it is gone.
    fn announce(&self) {
        let Some(url) = &self.url else { return };
        let credentials = [self.cookie_value(), format!("ory_st_{}", self.credential)];
        if self.is_revoked {
            self.upstreams.end_session(url, &credentials);
            return;
        }

        let now = self.clock.now();
        let authenticated_at = self.authenticated_at.unwrap_or(now);
        let known = KnownSession {
            authenticated_at,
            expires_at: self
                .expires_at
                .unwrap_or_else(|| authenticated_at.saturating_add(DAY)),
            ..self.known.clone()
        };
        self.upstreams.know_session(url, &credentials, &known);
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

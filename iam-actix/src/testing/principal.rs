//! The principals of a test.

use std::{sync::Arc, time::Duration};

use iam_core::{
    clock::{Clock, ManualClock},
    config::{OathkeeperConfig, TenantConfig},
    tenant::Tenant,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::TestIssuer;

/// An identity or a client that makes tokens for requests. Made by [`TestWorld::identity`](super::TestWorld::identity) and
/// [`TestWorld::client`](super::TestWorld::client).
///
/// Every token has a unique id. Each call of [`TestPrincipal::header`] makes a new token.
#[derive(Clone, Debug)]
#[must_use = "insert its header into a request"]
pub struct TestPrincipal {
    claims: Map<String, Value>,
    clock: ManualClock,
    header: String,
    issuer: Option<Arc<TestIssuer>>,
    lifetime: Duration,
    metadata_claim: String,
    /// The path of the role list inside the metadata.
    role_path: Vec<String>,
    roles: Vec<String>,
}

impl TestPrincipal {
    pub(super) fn new(
        tenant: &Tenant,
        written: &TenantConfig,
        issuer: Option<Arc<TestIssuer>>,
        clock: ManualClock,
    ) -> Self {
        let default = OathkeeperConfig::default();
        let header = written.oathkeeper.as_ref().unwrap_or(&default).header_name();
        let mut claims = Map::new();
        let mut metadata_claim = default.metadata_claim.clone();
        if let Some(verifier) = tenant.verifier() {
            let profile = verifier.profile();
            claims.insert("iss".to_owned(), json!(profile.issuer()));
            claims.insert("aud".to_owned(), json!(profile.audience()));
            if let Some(rule) = profile.tenant() {
                claims.insert(rule.claim.clone(), json!(rule.name));
            }
            if let Some(claim) = profile.metadata_claim() {
                claim.clone_into(&mut metadata_claim);
            }
        }
        Self {
            claims,
            clock,
            header: header.to_owned(),
            issuer,
            lifetime: Duration::from_secs(60),
            metadata_claim,
            // The first step of the path names the metadata, which is the only source of roles.
            role_path: written.roles_from.split('.').skip(1).map(str::to_owned).collect(),
            roles: Vec::new(),
        }
    }

    /// Sets a claim and replaces any earlier value, also that of a default claim. `null` removes the claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the lifetime of tokens. Defaults to 60 seconds.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds a role at the place that the tenant's `roles_from` names. A [`claim`](Self::claim) that replaces the metadata replaces the
    /// roles too.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Sets the scopes, separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Returns the credential header of a request, with a new token. Its name is the tenant's `oathkeeper.header`; the value has
    /// the prefix `Bearer` in `Authorization` only. Pass it to `insert_header`.
    pub fn header(&self) -> (String, String) {
        let token = self.token();
        let value = if self.header.eq_ignore_ascii_case("authorization") {
            format!("Bearer {token}")
        } else {
            token
        };
        (self.header.clone(), value)
    }

    /// Returns a new token. The text is empty if the issuer has no key.
    pub fn token(&self) -> String {
        let now = self.clock.now();
        let mut claims = Map::new();
        claims.insert("iat".to_owned(), json!(now.as_secs()));
        claims.insert("nbf".to_owned(), json!(now.as_secs()));
        claims.insert(
            "exp".to_owned(),
            json!(now.saturating_add(self.lifetime).as_secs()),
        );
        claims.insert("jti".to_owned(), json!(Uuid::new_v4().to_string()));
        claims.insert(self.metadata_claim.clone(), self.metadata());
        claims.extend(self.claims.clone());
        claims.retain(|_, value| !value.is_null());
        let claims = Value::Object(claims);
        let token = self.issuer.as_ref().and_then(|issuer| issuer.sign(&claims).ok());
        token.unwrap_or_default()
    }

    fn metadata(&self) -> Value {
        let path = self.role_path.iter().rev();
        path.fold(json!(self.roles), |inner, step| json!({ step: inner }))
    }
}

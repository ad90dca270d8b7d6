//! The envelopes of a test.

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use iam_core::{
    clock::{Clock as _, ManualClock},
    config::{EnvelopeEncoding, OathkeeperConfig, SignatureEncoding, TenantConfig},
    secret::Secret,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An identity or a client that a gateway names in envelopes (`verifier = "hmac"`). Made by
/// [`TestWorld::envelope`](super::TestWorld::envelope).
///
/// Each call of [`TestEnvelope::headers`] makes a new envelope with an id of its own, signed with the first key of the configuration.
#[derive(Clone, Debug)]
#[must_use = "insert its headers into a request"]
pub struct TestEnvelope {
    clock: ManualClock,
    key: Option<Secret>,
    lifetime: Duration,
    members: Map<String, Value>,
    role_path: Vec<String>,
    roles: Vec<String>,
    written: OathkeeperConfig,
}

impl TestEnvelope {
    pub(super) fn new(tenant: &str, written: &TenantConfig, subject: &str, clock: ManualClock) -> Self {
        let gateway = written.oathkeeper.clone().unwrap_or_default();
        let mut members = Map::new();
        members.insert("sub".to_owned(), json!(subject));
        members.insert("aud".to_owned(), json!(gateway.audience));
        members.insert(gateway.tenant_claim.clone(), json!(tenant));
        Self {
            clock,
            key: gateway.keys.first().cloned(),
            lifetime: Duration::from_secs(60),
            members,
            // The first step of the path names the metadata, which is the only source of roles.
            role_path: written.roles_from.split('.').skip(1).map(str::to_owned).collect(),
            roles: Vec::new(),
            written: gateway,
        }
    }

    /// Sets a member and replaces any earlier value, also that of a default member. `null` removes the member.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the lifetime of envelopes. Defaults to 60 seconds.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds a role at the place that the tenant's `roles_from` names. A [`member`](Self::member) that replaces the metadata replaces the
    /// roles too.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Sets the scopes, separated by spaces.
    pub fn scope(self, scope: &str) -> Self {
        self.member("scope", scope)
    }

    /// Signs with another key than the first of the configuration, written as in the configuration: `base64:` and the key.
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// Returns the two headers of a request: a new envelope and its signature. Their names are the tenant's `oathkeeper.header` and
    /// `oathkeeper.signature_header`. Pass each to `insert_header`. The signature is empty without a key.
    pub fn headers(&self) -> [(String, String); 2] {
        let text = self.text().to_string();
        let envelope = match self.written.envelope_encoding.unwrap_or_default() {
            EnvelopeEncoding::Base64 => BASE64_STANDARD.encode(text),
            EnvelopeEncoding::Json => text,
        };
        let signature = self.sign(&envelope).unwrap_or_default();
        [
            (self.written.header_name().to_owned(), envelope),
            (self.written.signature_header_name().to_owned(), signature),
        ]
    }

    fn text(&self) -> Value {
        let now = self.clock.now();
        let mut members = Map::new();
        members.insert("iat".to_owned(), json!(now.as_secs()));
        members.insert(
            "exp".to_owned(),
            json!(now.saturating_add(self.lifetime).as_secs()),
        );
        members.insert("jti".to_owned(), json!(Uuid::new_v4().to_string()));
        let path = self.role_path.iter().rev();
        let metadata = path.fold(json!(self.roles), |inner, step| json!({ step: inner }));
        members.insert(self.written.metadata_claim.clone(), metadata);
        members.extend(self.members.clone());
        members.retain(|_, value| !value.is_null());
        Value::Object(members)
    }

    fn sign(&self, envelope: &str) -> Option<String> {
        let key = self.key.as_ref()?.expose().strip_prefix("base64:")?;
        let key = hmac::Key::new(HMAC_SHA256, &BASE64_STANDARD.decode(key).ok()?);
        let tag = hmac::sign(&key, envelope.as_bytes());

        Some(match self.written.signature_encoding.unwrap_or_default() {
            SignatureEncoding::Base64 => BASE64_STANDARD.encode(tag),
            SignatureEncoding::Base64url => BASE64_URL_SAFE_NO_PAD.encode(tag),
            SignatureEncoding::Hex => hex(tag.as_ref()),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

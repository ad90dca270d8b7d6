//! The identity headers of a test.

use iam_core::config::{OathkeeperConfig, TenantConfig};
use serde_json::json;

/// An identity that a gateway names in plain headers (`verifier = "headers"`). Made by
/// [`TestWorld::forwarded`](super::TestWorld::forwarded).
///
/// Where the tenant trusts peers (`trusted_peers`), give the request one: `TestRequest::peer_addr`.
#[derive(Clone, Debug)]
#[must_use = "insert its headers into a request"]
pub struct TestForwarded {
    is_proved: bool,
    others: Vec<(String, String)>,
    roles: Vec<String>,
    subject: String,
    tenant: String,
    written: OathkeeperConfig,
}

impl TestForwarded {
    pub(super) fn new(tenant: &str, written: &TenantConfig, subject: &str) -> Self {
        Self {
            is_proved: true,
            others: Vec::new(),
            roles: Vec::new(),
            subject: subject.to_owned(),
            tenant: tenant.to_owned(),
            written: written.oathkeeper.clone().unwrap_or_default(),
        }
    }

    /// Adds a role, where the tenant has a `roles_header`.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Adds a header, such as one of the tenant's `oathkeeper.headers`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.others.push((name.into(), value.into()));
        self
    }

    /// Leaves the gateway's secret out, as a caller that bypasses the gateway.
    pub const fn without_proof(mut self) -> Self {
        self.is_proved = false;
        self
    }

    /// Returns the headers of a request. Pass each to `append_header`.
    pub fn headers(&self) -> Vec<(String, String)> {
        let written = &self.written;
        let mut headers = vec![(written.header_name().to_owned(), self.subject.clone())];
        if let Some(secret) = written.proof_secret.as_ref().filter(|_| self.is_proved) {
            headers.push((written.proof_header_name().to_owned(), secret.expose().to_owned()));
        }
        if let Some(header) = &written.tenant_header {
            headers.push((header.clone(), self.tenant.clone()));
        }
        if let Some(header) = &written.roles_header {
            headers.push((header.clone(), json!(self.roles).to_string()));
        }
        headers.extend(self.others.iter().cloned());
        headers
    }
}

//! Tenants: what each of them accepts, and what it is verified with.
//!
//! A [`Tenant`] is complete and checked. It is made by [`IamConfig::validate`](crate::config::IamConfig::validate) only.

mod registry;
mod settings;
mod target;
mod transport;

use std::sync::Arc;

use serde::Deserialize;

pub use self::{
    registry::TenantRegistry,
    settings::{CacheSettings, JwksSource, KetoSettings, KratosSettings, SubjectTemplate},
    target::Target,
    transport::{Transport, UnknownTransport},
};
use crate::{
    credential::CsrfRule,
    decision::{Reason, Refusal},
    jwt::Verifier,
    request::RequestHead,
    role::RoleSource,
};

/// One tenant: what its credentials look like, what they are verified with, and its upstreams.
#[derive(Debug)]
pub struct Tenant {
    pub(crate) facts: Arc<TenantFacts>,
    pub(crate) transports: Vec<Transport>,
    pub(crate) token: Option<TokenSource>,
    pub(crate) jwks: Option<JwksSource>,
    pub(crate) csrf: Option<CsrfRule>,
    pub(crate) keto: Option<KetoSettings>,
    pub(crate) kratos: Option<KratosSettings>,
    pub(crate) permission_cache: Option<CacheSettings>,
}

/// What every principal of the tenant shares. One `Arc`, so that a request counts one reference.
#[derive(Debug)]
pub(crate) struct TenantFacts {
    pub(crate) name: String,
    pub(crate) roles: RoleSource,
}

/// Where the gateway's token is found, and what it is verified with.
#[derive(Debug)]
pub(crate) struct TokenSource {
    pub(crate) verifier: Verifier,
    /// In lower case.
    pub(crate) header: String,
    pub(crate) replay: ReplayMode,
}

impl Tenant {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Returns the transport of routes that name none.
    pub fn transport(&self) -> Transport {
        // INVARIANT: the configuration refuses a tenant without transports.
        self.transports.first().copied().unwrap_or(Transport::Oathkeeper)
    }

    /// Returns all transports that credentials of this tenant may use.
    pub fn transports(&self) -> &[Transport] {
        &self.transports
    }

    /// Returns what verifies the gateway's tokens.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.token.as_ref().map(|token| &token.verifier)
    }

    /// Returns where the keys are fetched from; nothing when they stand in the configuration.
    pub const fn jwks(&self) -> Option<&JwksSource> {
        self.jwks.as_ref()
    }

    /// Returns the permission server.
    pub const fn keto(&self) -> Option<&KetoSettings> {
        self.keto.as_ref()
    }

    /// Returns the identity server.
    pub const fn kratos(&self) -> Option<&KratosSettings> {
        self.kratos.as_ref()
    }

    /// Returns how the permission server's answers are kept; nothing when they are not.
    pub const fn permission_cache(&self) -> Option<CacheSettings> {
        self.permission_cache
    }

    /// Returns which requests accept a token once only.
    pub fn replay(&self) -> ReplayMode {
        self.token
            .as_ref()
            .map_or_else(ReplayMode::default, |token| token.replay)
    }

    /// Tells whether requests of other sites' pages are refused.
    pub const fn has_csrf_check(&self) -> bool {
        self.csrf.is_some()
    }

    /// Refuses a request that a page of another site made with the caller's cookies.
    pub(crate) fn check_csrf(&self, head: &RequestHead<'_>) -> Result<(), Refusal> {
        match &self.csrf {
            Some(rule) => rule.check(head).map_err(|_| Refusal::new(Reason::Csrf)),
            None => Ok(()),
        }
    }

    pub(crate) fn credential_headers(&self) -> impl Iterator<Item = &str> {
        let token = self.token.iter().map(|token| token.header.as_str());
        let csrf = self.csrf.iter().flat_map(|_| CsrfRule::HEADERS);

        token.chain(csrf)
    }
}

/// Which requests accept a token once only.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a mode that is not known must not be taken for another one"
)]
pub enum ReplayMode {
    /// Every request of the transport. Needs a gateway that makes each token unique.
    Always,
    /// Routes that ask for it.
    #[default]
    SingleUse,
}

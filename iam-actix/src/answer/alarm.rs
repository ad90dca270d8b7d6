//! Refusals that point at a fault of the gateway or of this service's configuration.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use iam_core::{
    audit::{AuditEvent, EventName},
    clock::Timestamp,
    jwt::template_remedy,
};

use crate::log_throttle::LogThrottle;

/// Reports what an operator has to correct, each fault of each tenant once a minute: a caller can provoke these refusals.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    /// Bounded by the configuration and the code: by tenant and detail.
    throttles: Mutex<HashMap<(String, &'static str), LogThrottle>>,
}

impl Alarms {
    /// Logs the fault that a refusal's detail points at, if it points at one. Returns the event to emit.
    pub(crate) fn report<'t>(
        &self,
        tenant: &'t str,
        detail: &'static str,
        now: Timestamp,
    ) -> Option<AuditEvent<'t>> {
        if detail == KEY_WITHDRAWN && self.is_due(tenant, detail, now) {
            tracing::warn!(
                tenant,
                "a token was refused whose key left the key set within the last hour: if the gateway still sends such tokens, set \
                 `jwks.grace` to nine tenths of its `ttl`, which is how long it caches them"
            );
        }

        if detail == CREDENTIAL_REFUSED && self.is_due(tenant, detail, now) {
            tracing::error!(
                tenant,
                "an upstream refuses the credential of this service, so requests are answered with 503: correct `keto.token`, \
                 `hydra.admin_token`, or `hydra.client_id` and `hydra.client_secret`"
            );
        }

        let remedy = template_remedy(detail).filter(|_| self.is_due(tenant, detail, now))?;
        tracing::error!(tenant, detail, "{remedy}");
        let mut event = AuditEvent::notice(EventName::TokenTemplateFault, now);
        event.tenant = Some(tenant.into());
        event.detail = Some(detail);
        Some(event)
    }

    fn is_due(&self, tenant: &str, detail: &'static str, now: Timestamp) -> bool {
        let Ok(mut throttles) = self.throttles.lock() else {
            return false;
        };
        throttles
            .entry((tenant.to_owned(), detail))
            .or_insert_with(|| LogThrottle::new(INTERVAL))
            .is_due(now)
    }
}

/// The detail of a token whose key left the set within the last hour.
const KEY_WITHDRAWN: &str = "key_withdrawn";

/// The detail of an upstream that refuses the credential of this service: `CallError::Credential` in `iam-core`.
const CREDENTIAL_REFUSED: &str = "upstream_refuses_credential";

const INTERVAL: Duration = Duration::from_secs(60);

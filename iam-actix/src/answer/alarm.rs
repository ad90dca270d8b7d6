//! Refusals that point at a fault of the gateway or of this service's configuration.

use std::time::Duration;

use iam_core::{
    audit::{AuditEvent, EventName},
    clock::Timestamp,
    jwt::template_remedy,
};

use crate::log_throttle::LogThrottle;

/// Reports what an operator has to mend, each kind once a minute: a caller can provoke these refusals.
#[derive(Debug)]
pub(crate) struct Alarms {
    template: LogThrottle,
    withdrawn: LogThrottle,
}

impl Alarms {
    pub(crate) const fn new() -> Self {
        Self {
            template: LogThrottle::new(INTERVAL),
            withdrawn: LogThrottle::new(INTERVAL),
        }
    }

    /// Logs the fault that a refusal's detail points at, if it points at one. Returns the event to emit.
    pub(crate) fn report(&self, detail: &'static str, now: Timestamp) -> Option<AuditEvent<'static>> {
        if detail == KEY_WITHDRAWN && self.withdrawn.is_due(now) {
            tracing::warn!(
                "a token was refused whose key left the key set within the last hour: if the gateway still sends such tokens, set \
                 `jwks.grace` to nine tenths of its `ttl`, which is how long it caches them"
            );
        }

        let remedy = template_remedy(detail).filter(|_| self.template.is_due(now))?;
        tracing::error!(detail, "{remedy}");
        let mut event = AuditEvent::notice(EventName::TokenTemplateFault, now);
        event.detail = Some(detail);
        Some(event)
    }
}

/// The detail of a token whose key left the set within the last hour.
const KEY_WITHDRAWN: &str = "key_withdrawn";

const INTERVAL: Duration = Duration::from_secs(60);

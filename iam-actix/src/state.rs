//! What all workers share.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use iam_core::{
    audit::AuditEvent,
    authenticate::Authenticated,
    clock::{Clock, Timestamp},
    decision::{Reason, Refusal},
    replay::ReplayStore,
    tenant::{KetoSettings, Signer, Tenant, TenantRegistry, Transport},
};

use crate::{
    answer::alarm::Alarms,
    audit::Auditor,
    health::Readiness,
    iam::Revocation,
    route::hidden::HiddenPolicies,
    tenant::{TenantRuntime, permissions::CachedPermissions, replay::Replay},
    upstream::Threads,
};

/// The state behind an [`Iam`](crate::Iam): built once by its builder, shared by all workers.
pub(crate) struct State {
    /// Declared first, so stopped first: what runs on these threads uses the rest.
    threads: Option<Threads>,
    runtimes: HashMap<String, TenantRuntime>,
    registry: TenantRegistry,
    clock: Arc<dyn Clock>,
    replay: Replay,
    hidden_policies: HiddenPolicies,
    alarms: Alarms,
    readiness: Arc<Readiness>,
    gate_built: Arc<AtomicBool>,
    auditor: Arc<Auditor>,
}

/// What a [`State`] is made of.
pub(crate) struct Parts {
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) gate_built: Arc<AtomicBool>,
    pub(crate) readiness: Readiness,
    pub(crate) registry: TenantRegistry,
    pub(crate) replay: Arc<dyn ReplayStore>,
    pub(crate) runtimes: HashMap<String, TenantRuntime>,
    pub(crate) threads: Option<Threads>,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            threads: parts.threads,
            runtimes: parts.runtimes,
            registry: parts.registry,
            clock: parts.clock,
            replay: Replay::new(parts.replay),
            hidden_policies: HiddenPolicies::default(),
            alarms: Alarms::default(),
            readiness: Arc::new(parts.readiness),
            gate_built: parts.gate_built,
            auditor: parts.auditor,
        }
    }

    /// Returns the tenants.
    pub(crate) const fn registry(&self) -> &TenantRegistry {
        &self.registry
    }

    /// Returns the runtime of a tenant.
    ///
    /// # Errors
    ///
    /// A refusal for a tenant of another [`Iam`](crate::Iam).
    pub(crate) fn runtime(&self, tenant: &Tenant) -> Result<&TenantRuntime, Refusal> {
        self.runtimes.get(tenant.name()).ok_or(Refusal::with_detail(
            Reason::UnknownTenant,
            "tenant_without_runtime",
        ))
    }

    /// Returns the cached permissions of all tenants with this permission server.
    pub(crate) fn cached_permissions(&self, server: &KetoSettings) -> Vec<Arc<CachedPermissions>> {
        let has_server = |runtime: &&TenantRuntime| {
            let keto = runtime.tenant().keto();
            keto.is_some_and(|keto| keto.read_url() == server.read_url())
        };
        self.runtimes
            .values()
            .filter(has_server)
            .filter_map(|runtime| runtime.permissions()?.cached().map(Arc::clone))
            .collect()
    }

    /// Drops what is cached about sessions and tokens, for all tenants that share a server with this one.
    pub(crate) fn revoke(&self, tenant: &Tenant, revocation: Revocation<'_>) {
        self.runtimes
            .values()
            .filter(|runtime| runtime.shares_sessions_or_tokens_with(tenant))
            .for_each(|runtime| runtime.revoke(revocation));
    }

    /// Returns the clock.
    pub(crate) const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Returns the time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Hands an event to the sinks. Waits for no sink, and never fails.
    pub(crate) fn emit(&self, event: &AuditEvent<'_>) {
        self.auditor.emit(event);
    }

    /// Returns the policies that a middleware hides from the gate.
    pub(crate) const fn hidden_policies(&self) -> &HiddenPolicies {
        &self.hidden_policies
    }

    /// Reports a refusal that points at a fault of the tenant's gateway or configuration.
    pub(crate) fn raise_alarm(&self, tenant: &str, refusal: Refusal) {
        let event = refusal
            .detail
            .and_then(|detail| self.alarms.report(tenant, detail, self.now()));
        if let Some(event) = event {
            self.emit(&event);
        }
    }

    /// Claims a credential that is accepted once only. `used` is the transport by which it was presented.
    ///
    /// # Errors
    ///
    /// A refusal when it was used before, has no id, or the replay store gives no answer.
    pub(crate) async fn claim(
        &self,
        tenant: &Tenant,
        used: Option<Transport>,
        authenticated: &Authenticated,
    ) -> Result<(), Refusal> {
        let (id, until) = authenticated
            .replay_id()
            .ok_or_else(|| without_replay_id(tenant, used))?;

        self.replay.claim(tenant.name(), id, until, self.now()).await
    }

    pub(crate) fn gate_is_built(&self) {
        self.gate_built.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn flush_audit(&self) -> bool {
        self.auditor.flush().await
    }

    pub(crate) fn dropped_audit_events(&self) -> u64 {
        self.auditor.dropped()
    }

    pub(crate) const fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    pub(crate) async fn purge_keys(&self, name: &str) -> Result<usize, PurgeError> {
        let tenant = self.registry.get(name).ok_or(PurgeError::UnknownTenant)?;
        let runtime = self.runtime(tenant).map_err(|_| PurgeError::UnknownTenant)?;

        let mut purged = Ok(0_usize);
        for signer in Signer::ALL {
            let Some(verifier) = tenant.verifier_of(signer) else {
                continue;
            };
            let fetched = runtime.fetch_keys(signer).await;
            // What is known to be withdrawn goes now, also when the fetch has failed.
            let ended = verifier.keys().purge(self.clock.now());
            purged = match fetched {
                Ok(()) => purged.map(|before| before.saturating_add(ended)),
                Err(_) => Err(PurgeError::KeysUnavailable),
            };
        }
        purged
    }

    #[cfg(test)]
    pub(crate) const fn has_threads(&self) -> bool {
        self.threads.is_some()
    }
}

/// Returns the refusal of a credential without an id. A new credential helps its caller only where credentials of the transport can
/// have an id. Elsewhere a 401 would make clients fetch new ones forever.
fn without_replay_id(tenant: &Tenant, used: Option<Transport>) -> Refusal {
    match used {
        Some(transport) if transport.is_of_sessions() => {
            Refusal::with_detail(Reason::InvalidRequirement, "session_is_not_single_use")
        }
        Some(transport) if !tenant.may_have_replay_id(transport) => {
            Refusal::with_detail(Reason::InvalidRequirement, "credential_is_not_single_use")
        }
        Some(_) | None => Refusal::with_detail(Reason::Malformed, "token_id_missing"),
    }
}

/// Why keys were not fetched to be purged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// The keys cannot be fetched now: what is published is not known.
    #[error("the keys cannot be fetched now")]
    KeysUnavailable,
    /// No tenant is called that.
    #[error("no such tenant")]
    UnknownTenant,
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.gate_built.load(Ordering::Relaxed) {
            tracing::error!(
                "an `Iam` was started and dropped, but its middleware was never built: no request was checked by it. \
                 Register `.wrap(iam.middleware())` on the application"
            );
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("auditor", &self.auditor)
            .finish_non_exhaustive()
    }
}

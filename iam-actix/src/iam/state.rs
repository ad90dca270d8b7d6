//! What do all workers share?

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::LocalBoxFuture;
use iam_core::{
    audit::AuditEvent,
    authenticate::Authenticated,
    clock::{Clock, Timestamp},
    decision::{Reason, Refusal},
    http::HttpClient,
    replay::ReplayStore,
    service::keto::PermissionClient,
    tenant::{Tenant, TenantRegistry},
};
use iam_grammar::RelationTuple;

use super::PurgeError;
use crate::{
    audit::Auditor,
    engine::{Engine, Policies},
    health::{Events, KeyProbe, Probe, Readiness, TenantReadiness},
    tenant::keys::{Keys, WaitError},
    tenant::replay::Replay,
    upstream::{ConcurrencyLimit, Spawner, Threads},
};

/// The state behind an [`Iam`](super::Iam), and the [`Engine`] of its gate.
pub(crate) struct State {
    /// Declared first, so stopped first: what runs on these threads uses the rest.
    threads: Option<Threads>,
    upstreams: HashMap<String, Upstreams>,
    registry: TenantRegistry,
    clock: Arc<dyn Clock>,
    replay: Replay,
    policies: Policies,
    readiness: Arc<Readiness>,
    gate_built: Arc<AtomicBool>,
    auditor: Arc<Auditor>,
}

/// What a [`State`] is made of.
pub(super) struct Parts {
    pub(super) auditor: Arc<Auditor>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate_built: Arc<AtomicBool>,
    pub(super) readiness: Readiness,
    pub(super) registry: TenantRegistry,
    pub(super) replay: Arc<dyn ReplayStore>,
    pub(super) threads: Option<Threads>,
    pub(super) upstreams: HashMap<String, Upstreams>,
}

/// How one tenant's upstreams are reached. Each has slots of its own, and probes pass them by.
pub(super) struct Upstreams {
    keto: Option<Arc<dyn HttpClient>>,
    keys: Option<Keys>,
    kratos: Option<Arc<dyn HttpClient>>,
    permissions: Option<PermissionClient>,
}

impl Upstreams {
    pub(super) fn new(
        tenant: &Arc<Tenant>,
        keys: Option<Keys>,
        client: &dyn Fn(ConcurrencyLimit) -> Arc<dyn HttpClient>,
    ) -> Self {
        let keto = tenant
            .keto()
            .map(|keto| client(ConcurrencyLimit::new(keto.max_in_flight())));
        let permissions = tenant
            .keto()
            .zip(keto.as_ref())
            .map(|(settings, client)| PermissionClient::new(settings.clone(), Arc::clone(client)));
        Self {
            keto,
            keys,
            kratos: tenant
                .kratos()
                .map(|kratos| client(ConcurrencyLimit::new(kratos.max_in_flight()))),
            permissions,
        }
    }

    /// Returns what readiness asks about a tenant. Probes have slots of their own.
    pub(super) fn readiness(
        &self,
        tenant: &Tenant,
        events: Events,
        client: &dyn Fn(ConcurrencyLimit) -> Arc<dyn HttpClient>,
        spawner: &Spawner,
    ) -> TenantReadiness {
        let probed = [
            tenant.keto().map(|keto| ("keto", keto.read_url())),
            tenant.kratos().map(|kratos| ("kratos", kratos.public_url())),
        ];
        let probe = |(product, url)| {
            Probe::new(
                product,
                url,
                client(ConcurrencyLimit::new(PROBES)),
                spawner.clone(),
            )
        };

        TenantReadiness {
            events,
            keys: KeyProbe::of(tenant, self.keys.clone()),
            upstreams: probed.into_iter().flatten().map(probe).collect(),
        }
    }
}

impl State {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            threads: parts.threads,
            upstreams: parts.upstreams,
            registry: parts.registry,
            clock: parts.clock,
            replay: Replay::new(parts.replay),
            policies: Policies::default(),
            readiness: Arc::new(parts.readiness),
            gate_built: parts.gate_built,
            auditor: parts.auditor,
        }
    }

    pub(super) fn gate_is_built(&self) {
        self.gate_built.store(true, Ordering::Relaxed);
    }

    pub(super) async fn flush_audit(&self) -> bool {
        self.auditor.flush().await
    }

    pub(super) fn dropped_audit_events(&self) -> u64 {
        self.auditor.dropped()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn keto_client(&self, tenant: &Tenant) -> Option<Arc<dyn HttpClient>> {
        self.upstreams(tenant)?.keto.clone()
    }

    pub(super) fn kratos_client(&self, tenant: &Tenant) -> Option<Arc<dyn HttpClient>> {
        self.upstreams(tenant)?.kratos.clone()
    }

    pub(super) fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    pub(super) async fn purge_keys(&self, name: &str) -> Result<usize, PurgeError> {
        let tenant = self.registry.get(name).ok_or(PurgeError::UnknownTenant)?;
        let Some(verifier) = tenant.verifier() else {
            return Ok(0);
        };

        let fetched = match self
            .upstreams(tenant)
            .and_then(|upstreams| upstreams.keys.as_ref())
        {
            Some(keys) => keys.fetched_from_now().await,
            None => Ok(()),
        };
        // Whatever is known to be withdrawn goes now, even when nothing newer is to be had.
        let ended = verifier.keys().purge(self.clock.now());
        fetched.map(|()| ended).map_err(|_| PurgeError::KeysUnavailable)
    }

    #[cfg(test)]
    pub(super) fn has_threads(&self) -> bool {
        self.threads.is_some()
    }

    fn upstreams(&self, tenant: &Tenant) -> Option<&Upstreams> {
        self.upstreams.get(tenant.name())
    }
}

impl Engine for State {
    fn registry(&self) -> &TenantRegistry {
        &self.registry
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn emit(&self, event: &AuditEvent<'_>) {
        self.auditor.emit(event);
    }

    fn policies(&self) -> &Policies {
        &self.policies
    }

    fn wait_for_key<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        is_known: &'a mut dyn FnMut() -> bool,
    ) -> LocalBoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let keys = self
                .upstreams(tenant)
                .and_then(|upstreams| upstreams.keys.as_ref());
            match keys {
                // A fetch that starts from now on has started after the request arrived.
                Some(keys) => keys.until_known(is_known).await.map_err(unavailable),
                // Keys of the configuration never change: the second look will find what the first one found.
                None => Ok(()),
            }
        })
    }

    fn check_permissions<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        tuples: &'a [RelationTuple],
        request_id: &'a str,
    ) -> LocalBoxFuture<'a, Result<Vec<bool>, Refusal>> {
        Box::pin(async move {
            let permissions = self
                .upstreams(tenant)
                .and_then(|upstreams| upstreams.permissions.as_ref())
                .ok_or(Refusal::with_detail(
                    Reason::InvalidRequirement,
                    "no_permission_server",
                ))?;
            permissions.check(tuples, request_id).await
        })
    }

    fn claim<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        authenticated: &'a Authenticated,
    ) -> LocalBoxFuture<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let (id, until) = authenticated
                .replay_id()
                .ok_or(Refusal::with_detail(Reason::Malformed, "token_id_missing"))?;
            self.replay.claim(tenant.name(), id, until, self.now()).await
        })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.gate_built.load(Ordering::Relaxed) {
            tracing::error!(
                "an `Iam` was started and is gone, but its middleware was never built: no request was checked by it. \
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

/// D16: keys that cannot be had are not a forged signature.
fn unavailable(err: WaitError) -> Refusal {
    let detail = match err {
        WaitError::Failed => "key_fetch_failed",
        WaitError::Full => "key_waiters_full",
        WaitError::Stopped => "stopped",
        WaitError::Timeout => "key_fetch_timeout",
    };
    Refusal::with_detail(Reason::KeysUnavailable, detail)
}

/// The number of concurrent probes of one upstream: one, and one that is being cancelled.
const PROBES: usize = 2;

//! Starts an [`Iam`](super::Iam) from a configuration.

use std::{
    collections::HashMap,
    error::Error,
    fmt, io, iter,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;
use iam_core::{
    audit::{AuditEvent, AuditSink, EventName},
    authenticate::Authenticator,
    clock::Clock,
    config::{AuditConfig, AuditSinkConfig, ConfigError, IamConfig, Settings},
    http::HttpClient,
    jwks::KeyStore,
    replay::{MemoryReplayStore, ReplayStore},
    service,
    tenant::{JwksSource, Signer, Tenant, TenantRegistry},
};
use tokio::sync::oneshot;

use super::Iam;
use crate::{
    audit::{Auditor, JsonLinesAuditSink, OnceIdle, TracingAuditSink},
    health::{Events, KeyProbe, Readiness, TenantReadiness},
    ports::Ports,
    state::{Parts, State},
    tenant::{
        SignerKeys, TenantRuntime, Wiring,
        keys::{Fetch, Keys, Refresh},
    },
    upstream::{ConcurrencyLimit, DeadlineClient, Threads},
};

/// The configuration and the ports of an [`Iam`]. Made by [`Iam::builder`].
#[must_use = "nothing runs before `start`"]
pub struct IamBuilder {
    config: IamConfig,
    ports: Ports,
    threads: usize,
}

impl IamBuilder {
    pub(super) fn new(config: IamConfig) -> Self {
        Self {
            config,
            ports: Ports::default(),
            threads: 1,
        }
    }

    /// Sets all ports at once. Replaces ports that were set before.
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Adds a sink beside the configured one.
    pub fn add_audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.ports = self.ports.add_audit_sink(sink);
        self
    }

    /// Replaces the configured sink.
    pub fn audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.ports = self.ports.audit_sink(sink);
        self
    }

    /// Adds an authenticator of the application's own. See [`Ports::authenticator`].
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.ports = self.ports.authenticator(authenticator);
        self
    }

    /// Sets the clock. See [`Ports::clock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.ports = self.ports.clock(clock);
        self
    }

    /// Replaces the client of upstream calls. See [`Ports::http_client`] for its contract.
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.ports = self.ports.http_client(client);
        self
    }

    /// Sets the store of used tokens. See [`Ports::replay_store`].
    pub fn replay_store(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.ports = self.ports.replay_store(store);
        self
    }

    /// Sets the number of threads for upstream calls. Defaults to 1.
    pub fn upstream_threads(mut self, count: usize) -> Self {
        self.threads = count;
        self
    }

    /// Checks the configuration, starts the threads, and fetches the keys of all tenants for the first time.
    ///
    /// Waits until each of these fetches has ended, at most for the timeout of one. Starts also when keys are unavailable:
    /// requests are refused with 503 until a fetch succeeds.
    ///
    /// Works under any runtime.
    ///
    /// # Errors
    ///
    /// [`StartError`] with every problem of the configuration, or when a thread cannot be spawned or a file cannot be opened. An
    /// event `config.boot_failure` is emitted to the audit sink (D84).
    pub async fn start(self) -> Result<Iam, StartError> {
        let clock = Arc::clone(&self.ports.clock);
        let (sink, further) = (
            self.ports.audit_sink.clone(),
            self.ports.further_audit_sinks.clone(),
        );
        let audit = self.config.audit.clone();

        match self.start_parts() {
            Ok((iam, fetching)) => {
                // An error means that the task has ended; the key status shows it.
                join_all(fetching).await;
                Ok(iam)
            }
            Err(err) => {
                // The configured sink may be the cause.
                let sinks =
                    sinks(sink, further, &audit).unwrap_or_else(|_| vec![Arc::new(TracingAuditSink::new())]);
                report(&err, sinks, clock.as_ref());
                Err(err)
            }
        }
    }

    fn start_parts(self) -> Result<(Iam, Vec<First>), StartError> {
        let settings = self.config.validate_with(&self.ports.authenticators)?;
        warn(&settings);
        let (registry, audit) = settings.into_parts();

        let gate_built = Arc::new(AtomicBool::new(false));
        let auditor = Arc::new(
            Auditor::start(
                sinks(self.ports.audit_sink, self.ports.further_audit_sinks, &audit)?,
                audit.queue,
                Some(missing_gate(Arc::clone(&gate_built))),
            )
            .map_err(StartError::Thread)?,
        );
        let threads = needs_network(&registry)
            .then(|| Threads::start(self.threads))
            .transpose()
            .map_err(StartError::Thread)?;

        let mut runtimes = HashMap::new();
        let mut fetching = Vec::new();
        let mut readiness = Vec::new();
        for tenant in registry.iter() {
            let events = events(tenant, &auditor, &self.ports.clock);
            let runtime = match &threads {
                None => {
                    readiness.push(TenantReadiness {
                        events,
                        keys: KeyProbe::all_of(tenant),
                        upstreams: Vec::new(),
                    });
                    TenantRuntime::without_upstreams(tenant)
                }
                Some(threads) => {
                    let client = |limit| match &self.ports.http_client {
                        Some(client) => Arc::new(DeadlineClient(Arc::clone(client))) as Arc<dyn HttpClient>,
                        None => Arc::new(threads.client(limit)),
                    };
                    let mut keys_of = |signer| {
                        let key_client = client(ConcurrencyLimit::new(KEY_FETCHES));
                        let refresh = refresh(tenant, signer, &key_client, &auditor, &self.ports.clock)?;
                        let (keys, first) = Keys::start(threads, refresh);
                        fetching.push(first);
                        Some(keys)
                    };
                    let keys = SignerKeys {
                        gateway: keys_of(Signer::Gateway),
                        hydra: keys_of(Signer::Hydra),
                    };
                    let spawner = threads.spawner();
                    let wiring = Wiring {
                        client: &client,
                        clock: &self.ports.clock,
                        spawner: &spawner,
                    };
                    let runtime = TenantRuntime::new(tenant, keys, &wiring);
                    readiness.push(runtime.readiness(events, &client, &spawner));
                    runtime
                }
            };
            runtimes.insert(tenant.name().to_owned(), runtime);
        }

        let state = State::new(Parts {
            auditor,
            readiness: Readiness {
                clock: Arc::clone(&self.ports.clock),
                tenants: readiness,
            },
            clock: self.ports.clock,
            gate_built,
            registry,
            replay: self
                .ports
                .replay_store
                .unwrap_or_else(|| Arc::new(MemoryReplayStore::new(REMEMBERED_TOKENS))),
            threads,
            runtimes,
        });
        Ok((Iam::new(Arc::new(state)), fetching))
    }
}

impl fmt::Debug for IamBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamBuilder").finish_non_exhaustive()
    }
}

type First = oneshot::Receiver<()>;

/// Why an [`Iam`] did not start. `Display` lists every problem; `Debug`, which a `main` prints, adds the cause.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The audit file cannot be opened.
    #[error("`audit.sink.file`: the file cannot be opened")]
    AuditFile(#[source] io::Error),
    /// The configuration has problems, all of which are listed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A thread cannot be spawned.
    #[error("failed to spawn a thread")]
    Thread(#[source] io::Error),
}

/// Same as `Display`, with the cause: a `main` that returns the error prints its `Debug`.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match self.source() {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl From<StartError> for io::Error {
    fn from(err: StartError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, err)
    }
}

fn sinks(
    replacement: Option<Arc<dyn AuditSink>>,
    further: Vec<Arc<dyn AuditSink>>,
    audit: &AuditConfig,
) -> Result<Vec<Arc<dyn AuditSink>>, StartError> {
    let first: Arc<dyn AuditSink> = match (replacement, &audit.sink) {
        (Some(sink), _) => sink,
        (None, AuditSinkConfig::Tracing) => Arc::new(TracingAuditSink::new()),
        (None, AuditSinkConfig::Json) => Arc::new(JsonLinesAuditSink::stdout()),
        (None, AuditSinkConfig::File(path)) => {
            Arc::new(JsonLinesAuditSink::file(path).map_err(StartError::AuditFile)?)
        }
    };
    Ok([vec![first], further].concat())
}

fn needs_network(registry: &TenantRegistry) -> bool {
    registry.iter().any(|tenant| {
        let fetches_keys = Signer::ALL
            .into_iter()
            .any(|signer| tenant.jwks_of(signer).is_some());
        fetches_keys || tenant.hydra().is_some() || tenant.keto().is_some() || tenant.kratos().is_some()
    })
}

/// Logs what is less safe than the defaults, and ignored environment variables.
fn warn(settings: &Settings) {
    for warning in settings.warnings() {
        tracing::warn!(
            path = warning.path(),
            variable = warning.variable(),
            "{}",
            warning.message()
        );
    }
    let registry = settings.registry();
    if registry.development() {
        tracing::warn!(
            "development mode: upstreams without TLS are allowed, and callers see the reasons of refusals"
        );
    }
    for tenant in registry.iter().filter(|tenant| !tenant.has_csrf_check()) {
        tracing::warn!(
            tenant = tenant.name(),
            "`csrf.enabled = false`: cross-site pages may act with a caller's cookies, here or at the gateway"
        );
    }
}

fn events(tenant: &Tenant, auditor: &Arc<Auditor>, clock: &Arc<dyn Clock>) -> Events {
    Events {
        auditor: Arc::clone(auditor),
        clock: Arc::clone(clock),
        tenant: tenant.name().into(),
    }
}

fn refresh(
    tenant: &Arc<Tenant>,
    signer: Signer,
    client: &Arc<dyn HttpClient>,
    auditor: &Arc<Auditor>,
    clock: &Arc<dyn Clock>,
) -> Option<Refresh> {
    let source = tenant.jwks_of(signer)?.clone();
    let store: &Arc<KeyStore> = tenant.verifier_of(signer)?.keys();
    Some(Refresh {
        auditor: Arc::clone(auditor),
        clock: Arc::clone(clock),
        policy: *source.policy(),
        store: Arc::clone(store),
        tenant: tenant.name().to_owned(),
        url: source.url().to_owned(),
        fetch: fetch(source, Arc::clone(client)),
    })
}

fn fetch(source: JwksSource, client: Arc<dyn HttpClient>) -> Fetch {
    let source = Arc::new(source);
    Box::new(move || {
        let (source, client) = (Arc::clone(&source), Arc::clone(&client));
        Box::pin(async move {
            let fetched = service::jwks::fetch(&source, &client).await;
            fetched.map_err(|err| with_causes(&err))
        })
    })
}

/// Returns an error's message and those of its causes.
fn with_causes(err: &(dyn Error + 'static)) -> String {
    iter::successors(Some(err), |&err| err.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// An application without the middleware serves every route to anyone, and no request shows it.
fn missing_gate(gate_built: Arc<AtomicBool>) -> OnceIdle {
    Box::new(move || {
        if !gate_built.load(Ordering::Relaxed) {
            tracing::error!(
                "an `Iam` runs, but its middleware was never built: no request is checked by it. Register \
                 `.wrap(iam.middleware())` on the application"
            );
        }
    })
}

/// D84: a failed start is an event, and each problem is a log line.
fn report(err: &StartError, sinks: Vec<Arc<dyn AuditSink>>, clock: &dyn Clock) {
    if let StartError::Config(config) = err {
        for problem in config.problems() {
            tracing::error!(
                file = config.file(),
                path = problem.path(),
                variable = problem.variable(),
                problem = problem.message(),
                "invalid configuration"
            );
        }
    } else {
        tracing::error!(error = ?err, "not started");
    }
    if let Ok(auditor) = Auditor::start(sinks, 1, None) {
        auditor.emit(&AuditEvent::notice(EventName::ConfigBootFailure, clock.now()));
    }
}

/// The number of concurrent key fetches of one tenant: one, and one that is being cancelled.
const KEY_FETCHES: usize = 2;

/// The number of used tokens that one process keeps.
const REMEMBERED_TOKENS: usize = 1_000_000;

//! The replaceable parts of an `Iam`.

use std::{fmt, sync::Arc};

use iam_core::{
    audit::AuditSink,
    authenticate::Authenticator,
    clock::{Clock, SystemClock},
    http::HttpClient,
    replay::ReplayStore,
};

/// All replaceable parts in one value, so that a service can take them as one argument.
///
/// ```
/// use std::sync::Arc;
/// use iam_actix::{Ports, audit_channel};
///
/// let (sink, events) = audit_channel();
/// let ports = Ports::default().audit_sink(Arc::new(sink));
/// # let _ = (ports, events);
/// ```
#[derive(Clone)]
#[must_use = "nothing is plugged in before the builder gets it"]
pub struct Ports {
    pub(crate) audit_sink: Option<Arc<dyn AuditSink>>,
    pub(crate) authenticators: Vec<Arc<dyn Authenticator>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) further_audit_sinks: Vec<Arc<dyn AuditSink>>,
    pub(crate) http_client: Option<Arc<dyn HttpClient>>,
    pub(crate) replay_store: Option<Arc<dyn ReplayStore>>,
}

impl Ports {
    /// Adds a sink beside the configured one.
    pub fn add_audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.further_audit_sinks.push(sink);
        self
    }

    /// Replaces the configured sink.
    pub fn audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.audit_sink = Some(sink);
        self
    }

    /// Adds an authenticator of the application's own. Tenants and routes choose it as the transport `custom:NAME`.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticators.push(authenticator);
        self
    }

    /// Sets the clock. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the client that talks to upstreams.
    ///
    /// # Security
    ///
    /// The client must keep every limit of its calls, follow no redirects, and verify the identity of upstreams. A call is
    /// cancelled a second after its deadline.
    pub fn http_client(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Sets the store of used tokens (D4). Defaults to the memory of this process, for a million live tokens. Services with
    /// several processes need a shared store.
    pub fn replay_store(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.replay_store = Some(store);
        self
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            audit_sink: None,
            authenticators: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            further_audit_sinks: Vec::new(),
            http_client: None,
            replay_store: None,
        }
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

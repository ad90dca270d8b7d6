//! Is the process alive, and is it ready?
//!
//! `live` responds with 200 as long as the process serves: an upstream that is down is no reason to restart it. `ready` responds
//! with 200 when the keys of every tenant are usable and every upstream is ready, else with 503. Both are public, so their cost is
//! bounded: each upstream is asked at most once a second, under a concurrency limit of its own and without retries. A probe runs in a task of its
//! own, and its result is shared by all callers; a caller that disconnects cancels nothing.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    dev::{AppService, HttpServiceFactory},
    guard,
    http::header::{CACHE_CONTROL, RETRY_AFTER},
    web,
};
use bytes::Bytes;
use futures_util::future::join_all;
use iam_core::{
    audit::{AuditEvent, EventName},
    clock::Clock,
    http::{CallLimits, HttpClient},
    jwks::{KeyStatus, KeyStore},
    requirement::RoutePolicy,
    tenant::{Signer, Tenant},
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use crate::{ScopeExt, audit::Auditor, log_throttle::LogThrottle, upstream::Spawner};

/// The routes `live` and `ready`, made by [`Iam::health`](crate::Iam::health).
///
/// ```no_run
/// # async fn serve(iam: iam_actix::Iam) {
/// use actix_web::App;
///
/// // GET /health/live and GET /health/ready
/// let app = App::new().service(iam.health()).wrap(iam.middleware());
/// # }
/// ```
#[must_use = "give it to `service`"]
pub struct Health {
    path: String,
    readiness: Arc<Readiness>,
    detail: Detail,
}

/// What the body of `ready` tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Detail {
    /// The status only.
    Status,
    /// The status of each tenant's keys and upstreams.
    Tenants,
}

impl Health {
    pub(crate) fn new(readiness: Arc<Readiness>) -> Self {
        Self {
            path: "/health".to_owned(),
            readiness,
            detail: Detail::Status,
        }
    }

    /// Sets the path above the routes. Defaults to `/health`.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Lists tenants and the status of their keys and upstreams in the body of `ready`. URLs and responses of upstreams are never
    /// listed. Without this, the body holds the status only.
    ///
    /// # Security
    ///
    /// The route is public: anyone who reaches it learns the names of all tenants.
    pub fn with_details(mut self) -> Self {
        self.detail = Detail::Tenants;
        self
    }
}

impl HttpServiceFactory for Health {
    fn register(self, config: &mut AppService) {
        let reading = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        web::scope(&self.path)
            .app_data(web::Data::from(self.readiness))
            .app_data(web::Data::new(self.detail))
            .route("/live", reading().to(live))
            .route("/ready", reading().to(ready))
            .secured(RoutePolicy::new("iam.health()", "health").public())
            .register(config);
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What readiness is decided from.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tenants: Vec<TenantReadiness>,
}

/// The parts of one tenant.
#[derive(Debug)]
pub(crate) struct TenantReadiness {
    pub(crate) events: Events,
    pub(crate) keys: Vec<KeyProbe>,
    pub(crate) upstreams: Vec<Probe>,
}

/// Emits the failures of one tenant's probes.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tenant: Arc<str>,
}

/// The keys of one signer of a tenant.
#[derive(Debug)]
pub(crate) struct KeyProbe {
    part: &'static str,
    store: Arc<KeyStore>,
    throttle: LogThrottle,
}

impl KeyProbe {
    /// Makes a probe for the keys of each signer that the tenant has a verifier for.
    pub(crate) fn all_of(tenant: &Tenant) -> Vec<Self> {
        let probe = |signer| {
            Some(Self {
                part: match signer {
                    Signer::Gateway => "keys",
                    Signer::Hydra => "hydra_keys",
                },
                store: Arc::clone(tenant.verifier_of(signer)?.keys()),
                throttle: LogThrottle::new(FRESH),
            })
        };
        Signer::ALL.into_iter().filter_map(probe).collect()
    }
}

/// One upstream that is asked whether it is ready.
#[derive(Debug)]
pub(crate) struct Probe {
    client: Arc<dyn HttpClient>,
    last: Mutex<Option<Asked>>,
    product: &'static str,
    spawner: Spawner,
    url: String,
}

/// The last request of a [`Probe`].
#[derive(Debug)]
struct Asked {
    at: Instant,
    answer: Answer,
}

/// Whether the upstream is ready; nothing while the request runs.
type Answer = watch::Receiver<Option<bool>>;

impl Probe {
    /// Makes the probe of a product at a base URL without a slash at its end.
    pub(crate) fn new(
        product: &'static str,
        base_url: &str,
        client: Arc<dyn HttpClient>,
        spawner: Spawner,
    ) -> Self {
        Self {
            client,
            last: Mutex::new(None),
            product,
            spawner,
            url: format!("{base_url}/health/ready"),
        }
    }

    async fn is_ready(&self, events: &Events) -> bool {
        let mut answer = self.answer(events);
        // An error means that the task ended without an answer: a panic in the client, or stopped threads.
        answer
            .wait_for(Option::is_some)
            .await
            .is_ok_and(|up| *up == Some(true))
    }

    /// Returns the shared answer, and asks anew when the last one is old.
    fn answer(&self, events: &Events) -> Answer {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = &*last
            && asked.at.elapsed() < FRESH
        {
            return asked.answer.clone();
        }

        let (tell, answer) = watch::channel(None);
        *last = Some(Asked {
            at: Instant::now(),
            answer: answer.clone(),
        });
        drop(last);
        let (client, url, product) = (Arc::clone(&self.client), self.url.clone(), self.product);
        let events = events.clone();
        self.spawner.spawn(move || async move {
            let up = ask(client.as_ref(), &url).await;
            if !up {
                events.emit(product);
            }
            tell.send_replace(Some(up));
        });
        answer
    }
}

async fn ask(client: &dyn HttpClient, url: &str) -> bool {
    let Ok(request) = http::Request::get(url).body(Bytes::new()) else {
        return false;
    };
    let answer = time::timeout(LIMITS.timeout, client.send(request, LIMITS)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status() == http::StatusCode::OK)
}

impl Events {
    fn emit(&self, part: &'static str) {
        let mut event = AuditEvent::notice(EventName::HealthProbeFailure, self.clock.now());
        event.tenant = Some(self.tenant.as_ref().into());
        event.detail = Some(part);
        self.auditor.emit(&event);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// The status of one part of a tenant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Status {
    Down,
    /// A key set without a usable key.
    Empty,
    Stale,
    Up,
}

impl Status {
    const fn is_ready(self) -> bool {
        match self {
            Self::Down | Self::Empty => false,
            Self::Stale | Self::Up => true,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Empty => "empty",
            Self::Stale => "stale",
            Self::Up => "up",
        }
    }
}

async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "status": "live" }))
}

async fn ready(readiness: web::Data<Readiness>, detail: web::Data<Detail>) -> HttpResponse {
    let examined = readiness
        .tenants
        .iter()
        .map(|tenant| tenant.examine(readiness.clock.as_ref()));
    let parts = join_all(examined).await;
    let is_ready = parts.iter().flatten().all(|(_, status)| status.is_ready());

    let (mut response, status) = if is_ready {
        (HttpResponse::Ok(), "ready")
    } else {
        let mut response = HttpResponse::ServiceUnavailable();
        response.insert_header((RETRY_AFTER, "1"));
        (response, "unavailable")
    };
    response.insert_header((CACHE_CONTROL, "no-store"));
    match **detail {
        Detail::Status => response.json(json!({ "status": status })),
        Detail::Tenants => {
            let names = readiness.tenants.iter().map(|tenant| &tenant.events.tenant);
            let tenants: Map<String, Value> = names
                .zip(parts)
                .map(|(name, parts)| {
                    let parts = parts.into_iter().map(|(part, status)| (part, status.as_str()));
                    (name.to_string(), parts.collect())
                })
                .collect();
            response.json(json!({ "status": status, "tenants": tenants }))
        }
    }
}

impl TenantReadiness {
    async fn examine(&self, clock: &dyn Clock) -> Vec<(&'static str, Status)> {
        let mut parts = Vec::new();
        for keys in &self.keys {
            let status = keys.status(clock);
            if status == Status::Down && keys.throttle.is_due(clock.now()) {
                self.events.emit(keys.part);
            }
            parts.push((keys.part, status));
        }

        let answers = join_all(self.upstreams.iter().map(|probe| probe.is_ready(&self.events))).await;
        parts.extend(self.upstreams.iter().zip(answers).map(|(probe, is_ready)| {
            let status = if is_ready { Status::Up } else { Status::Down };
            (probe.product, status)
        }));
        parts
    }
}

impl KeyProbe {
    fn status(&self, clock: &dyn Clock) -> Status {
        match self.store.status(clock.now()) {
            KeyStatus::Unavailable => Status::Down,
            KeyStatus::Empty => Status::Empty,
            KeyStatus::Stale { .. } => Status::Stale,
            KeyStatus::Fresh => Status::Up,
        }
    }
}

/// How long an answer is used.
const FRESH: Duration = Duration::from_secs(1);

/// INVARIANT: shorter than [`FRESH`], so that no two requests of one probe run at once.
const LIMITS: CallLimits =
    CallLimits::new(Duration::from_millis(500), 64 * 1024).connect_timeout(Duration::from_millis(500));

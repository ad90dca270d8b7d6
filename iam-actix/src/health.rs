//! Does the process live, and can it decide?
//!
//! `live` answers 200 as long as the process serves: a dependency that is down is no reason to restart it. `ready` answers
//! 200 when every tenant's keys are usable and every upstream says that it is ready, else 503; both name tenants and
//! upstreams, never their URLs or answers. Both are public, so what they cost is bounded: an upstream is asked once a second
//! at most, however often `ready` is, over slots of its own and without retries.

use std::{fmt, sync::Arc, time::Duration};

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
    http::{CallLimits, HttpClient},
    jwks::KeyStatus,
    requirement::RoutePolicy,
    tenant::Tenant,
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::Mutex,
    time::{self, Instant},
};

use crate::{ScopeExt, engine::Engine, iam::State, log_throttle::LogThrottle};

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
    state: Arc<State>,
}

impl Health {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self {
            path: "/health".to_owned(),
            state,
        }
    }

    /// Sets the path that the routes lie below. Defaults to `/health`.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }
}

impl HttpServiceFactory for Health {
    fn register(self, config: &mut AppService) {
        let reading = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        web::scope(&self.path)
            .app_data(web::Data::from(self.state))
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

/// One upstream that is asked whether it is ready.
#[derive(Debug)]
pub(crate) struct Probe {
    client: Arc<dyn HttpClient>,
    /// When it was asked last, and whether it was ready.
    last: Mutex<Option<(Instant, bool)>>,
    product: &'static str,
    url: String,
}

impl Probe {
    /// Makes the probe of a product at a base URL without a slash at its end.
    pub(crate) fn new(product: &'static str, base_url: &str, client: Arc<dyn HttpClient>) -> Self {
        Self {
            client,
            last: Mutex::new(None),
            product,
            url: format!("{base_url}/health/ready"),
        }
    }

    /// Tells whether the upstream is ready, and whether that is news.
    async fn is_ready(&self) -> (bool, bool) {
        // Whoever comes while somebody asks waits for that answer; if that somebody goes away, the next one asks.
        let mut last = self.last.lock().await;
        if let Some((asked, up)) = *last
            && asked.elapsed() < FRESH
        {
            return (up, false);
        }
        let up = self.ask().await;
        *last = Some((Instant::now(), up));
        (up, true)
    }

    async fn ask(&self) -> bool {
        let Ok(request) = http::Request::get(&self.url).body(Bytes::new()) else {
            return false;
        };
        let answer = time::timeout(LIMITS.timeout, self.client.send(request, LIMITS)).await;
        matches!(answer, Ok(Ok(answer)) if answer.status() == http::StatusCode::OK)
    }
}

/// How one tenant stands.
struct Standing {
    parts: Vec<(&'static str, &'static str)>,
    ready: bool,
}

async fn live() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "status": "live" }))
}

async fn ready(state: web::Data<State>) -> HttpResponse {
    let asked = state
        .registry()
        .iter()
        .map(|tenant| async { (tenant.name(), examine(&state, tenant).await) });
    let standings = join_all(asked).await;
    let ready = standings.iter().all(|(_, standing)| standing.ready);

    let tenants: Map<String, Value> = standings
        .into_iter()
        .map(|(name, standing)| (name.to_owned(), standing.parts.into_iter().collect()))
        .collect();
    let mut response = if ready {
        HttpResponse::Ok()
    } else {
        let mut response = HttpResponse::ServiceUnavailable();
        response.insert_header((RETRY_AFTER, "1"));
        response
    };
    let status = if ready { "ready" } else { "unavailable" };
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "status": status, "tenants": tenants }))
}

async fn examine(state: &State, tenant: &Tenant) -> Standing {
    let mut standing = Standing {
        parts: Vec::new(),
        ready: true,
    };
    if let Some(verifier) = tenant.verifier() {
        let keys = match verifier.keys().status(state.now()) {
            KeyStatus::Empty => "empty",
            KeyStatus::Fresh => "up",
            KeyStatus::Stale { .. } => "stale",
            KeyStatus::Unavailable => "down",
        };
        standing.add("keys", keys);
        if keys == "down" && state.may_report_keys(tenant) {
            report(state, tenant, "keys");
        }
    }

    let probes = state.probes(tenant);
    let answers = join_all(probes.iter().map(Probe::is_ready)).await;
    for (probe, (up, news)) in probes.iter().zip(answers) {
        standing.add(probe.product, if up { "up" } else { "down" });
        if !up && news {
            report(state, tenant, probe.product);
        }
    }
    standing
}

impl Standing {
    fn add(&mut self, part: &'static str, word: &'static str) {
        self.parts.push((part, word));
        self.ready &= word != "down";
    }
}

fn report(state: &State, tenant: &Tenant, part: &'static str) {
    let mut event = AuditEvent::notice(EventName::HealthProbeFailure, state.now());
    event.tenant = Some(tenant.name().into());
    event.detail = Some(part);
    state.emit(&event);
}

/// Makes what limits the events about keys that are down: one in as long as an answer counts.
pub(crate) const fn key_reports() -> LogThrottle {
    LogThrottle::new(FRESH)
}

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(1);

const LIMITS: CallLimits =
    CallLimits::new(Duration::from_millis(500), 64 * 1024).connect_timeout(Duration::from_millis(500));

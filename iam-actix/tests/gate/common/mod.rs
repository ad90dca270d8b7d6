//! A gate with an issuer and a Keto of our own, and counters that tell what of a handler was touched.

mod issuer;
mod keto;
mod log;

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    body::MessageBody,
    dev::{Payload, ServiceResponse},
    test::TestRequest,
    web,
};
use iam_actix::{AuditEvents, Iam, audit_channel};
use iam_core::{
    audit::{AuditEvent, EventName, Outcome},
    config::{IamConfig, KetoConfig, OathkeeperConfig, TenantConfig},
    decision::Reason,
    http::HttpClient,
};
use serde_json::{Value, json};

pub(crate) use self::{issuer::Issuer, keto::Keto, log::Warnings};

/// The issuer and audience that the default tenant expects.
pub(crate) const ISSUER: &str = "http://127.0.0.1:4455/";
pub(crate) const AUDIENCE: &str = "orders-api";

/// A started `Iam` with everything around it.
pub(crate) struct World {
    pub(crate) iam: Iam,
    pub(crate) issuer: Issuer,
    pub(crate) keto: Arc<Keto>,
    events: AuditEvents,
}

/// What the default tenant trusts and asks.
pub(crate) fn tenant(issuer: &Issuer) -> TenantConfig {
    TenantConfig::behind(OathkeeperConfig::new(ISSUER, [AUDIENCE]).key(issuer.jwk()))
        .keto(KetoConfig::new("http://127.0.0.1:4466").write_url("http://127.0.0.1:4467"))
}

impl World {
    /// Starts with one tenant.
    pub(crate) async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// Starts with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(IamConfig) -> IamConfig) -> Self {
        let issuer = Issuer::new("k1");
        let config = IamConfig::new()
            .tenant("default", tenant(&issuer))
            .default_tenant("default");
        Self::of(issuer, change(config)).await
    }

    /// Starts with a configuration of its own.
    pub(crate) async fn of(issuer: Issuer, config: IamConfig) -> Self {
        let keto = Keto::default();
        keto.publish(issuer.jwk());
        Self::beside(keto, issuer, config).await
    }

    /// Starts beside an upstream of its own.
    pub(crate) async fn beside(keto: Keto, issuer: Issuer, config: IamConfig) -> Self {
        let keto = Arc::new(keto);
        Self::started(Arc::clone(&keto) as Arc<_>, keto, issuer, config).await
    }

    /// Starts with upstreams of its own, without a Keto.
    pub(crate) async fn around(upstreams: Arc<dyn HttpClient>, issuer: Issuer, config: IamConfig) -> Self {
        Self::started(upstreams, Arc::default(), issuer, config).await
    }

    async fn started(
        upstreams: Arc<dyn HttpClient>,
        keto: Arc<Keto>,
        issuer: Issuer,
        config: IamConfig,
    ) -> Self {
        let (sink, events) = audit_channel();
        let iam = Iam::builder(config)
            .http_client(upstreams)
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();

        Self {
            iam,
            issuer,
            keto,
            events,
        }
    }

    /// Returns the value of an `Authorization` header for `alice`.
    pub(crate) fn bearer(&self) -> (&'static str, String) {
        self.bearer_with(&json!({}))
    }

    /// The same with further or other claims.
    pub(crate) fn bearer_with(&self, claims: &Value) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.issuer.token(claims)))
    }

    /// Returns the next audit event.
    pub(crate) async fn event(&mut self) -> AuditEvent<'static> {
        actix_rt::time::timeout(Duration::from_secs(10), self.events.next())
            .await
            .expect("an audit event within ten seconds")
            .expect("a sink that is still there")
    }

    /// Asserts that one request was refused for `reason`, with that one event.
    pub(crate) async fn denied(&mut self, reason: Reason) -> AuditEvent<'static> {
        let event = self.event().await;

        assert_eq!(event.outcome, Outcome::Deny, "{event:?}");
        assert_eq!(event.reason, Some(reason), "{event:?}");
        assert_eq!(event.event, reason.event());
        self.nothing_more();
        event
    }

    /// Asserts that one request was allowed, with that one event.
    pub(crate) async fn allowed(&mut self) -> AuditEvent<'static> {
        let event = self.event().await;

        assert_eq!(event.outcome, Outcome::Allow, "{event:?}");
        assert_eq!(event.event, EventName::AuthSuccess);
        self.nothing_more();
        event
    }

    /// Asserts that there is no event that nobody has looked at.
    pub(crate) fn nothing_more(&mut self) {
        assert_eq!(self.events.drain(), [], "one event for each request");
    }
}

/// Counts what was touched of handlers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) handlers: Arc<AtomicUsize>,
    pub(crate) extractors: Arc<AtomicUsize>,
    pub(crate) payloads: Arc<AtomicUsize>,
}

impl Touched {
    /// Returns the counts: handlers, extractors, payloads.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (
            self.handlers.load(SeqCst),
            self.extractors.load(SeqCst),
            self.payloads.load(SeqCst),
        )
    }

    /// Asserts that nothing was touched.
    pub(crate) fn nothing(&self) {
        assert_eq!(self.counts(), (0, 0, 0));
    }
}

/// An extractor that counts itself.
#[derive(Debug)]
pub(crate) struct Seen;

impl FromRequest for Seen {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let touched = request.app_data::<web::Data<Touched>>().expect("counters");
        touched.extractors.fetch_add(1, SeqCst);
        ready(Ok(Self))
    }
}

/// A handler that counts itself, its extractor, and the payload that it was given.
pub(crate) async fn handler(touched: web::Data<Touched>, _: Seen, body: web::Bytes) -> HttpResponse {
    touched.handlers.fetch_add(1, SeqCst);
    if !body.is_empty() {
        touched.payloads.fetch_add(1, SeqCst);
    }
    HttpResponse::Ok().body("handled")
}

/// Starts an application behind the gate of `$world`, its counters, and what is chained to it.
macro_rules! app {
    ($world:expr, $touched:expr $(, $($rest:tt)*)?) => {
        actix_web::test::init_service(
            actix_web::App::new()
                .app_data(actix_web::web::Data::new($touched.clone()))
                .wrap($world.iam.middleware())
                $($($rest)*)?,
        )
        .await
    };
}

/// Sends a request of `$method` to `$path` with the headers listed.
macro_rules! send {
    ($app:expr, $method:ident $path:expr $(, $header:expr)*) => {
        actix_web::test::call_service(
            &$app,
            actix_web::test::TestRequest::with_uri($path)
                .method(actix_web::http::Method::$method)
                $(.insert_header($header))*
                .to_request(),
        )
        .await
    };
}

/// Asserts what every refusal has: a problem body, no store, one challenge on 401, a request id.
pub(crate) fn assert_refusal<B: MessageBody>(response: &ServiceResponse<B>, status: u16) {
    let headers = response.headers();
    let count = |name: &str| headers.get_all(name).count();

    assert_eq!(response.status(), status);
    assert_eq!(headers.get("content-type").unwrap(), "application/problem+json");
    assert_eq!(headers.get("cache-control").unwrap(), "no-store");
    assert_eq!(count("x-request-id"), 1);
    assert_eq!(count("retry-after"), usize::from(status == 503));
    if status == 401 {
        assert_eq!(count("www-authenticate"), 1);
    }
}

/// Returns an answer that no route gave.
pub(crate) fn kept() -> ServiceResponse {
    ServiceResponse::new(
        TestRequest::default().to_http_request(),
        HttpResponse::Ok().body("kept"),
    )
}

/// Returns a request that has a body.
pub(crate) fn post(path: &str) -> TestRequest {
    TestRequest::post().uri(path).set_payload("body")
}

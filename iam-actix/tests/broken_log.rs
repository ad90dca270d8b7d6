//! What does a log cost that cannot be written to? Alone in its file, because it is the log of the whole process.

use std::{sync::Arc, thread, time::Duration};

use actix_web::{
    App,
    http::StatusCode,
    rt::time,
    test::{TestRequest, call_service, init_service},
};
use iam_actix::{
    Iam, IamConfig, TracingAuditSink,
    audit::EventName,
    audit_channel,
    config::{OathkeeperConfig, TenantConfig},
};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};

/// Panics on the audit thread, as `tracing_subscriber::fmt` does when standard output and standard error are closed.
struct Broken;

impl Subscriber for Broken {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        assert_ne!(thread::current().name(), Some("iam-audit"), "on purpose");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// R137, R138: its own lines, and no event of another sink.
#[actix_web::test]
async fn log_that_panics_takes_no_event_from_other_sinks() {
    tracing::subscriber::set_global_default(Broken).unwrap();
    let (sink, mut events) = audit_channel();
    let keys = OathkeeperConfig::new("https://gateway.example/", ["orders-api"])
        .jwks_url("http://localhost:1/jwks.json");
    let iam = Iam::builder(IamConfig::new().tenant("default", TenantConfig::behind(keys)))
        .audit_sink(Arc::new(TracingAuditSink::new()))
        .add_audit_sink(Arc::new(sink))
        .start()
        .await
        .unwrap();
    let app = init_service(App::new().wrap(iam.middleware())).await;

    for _ in 0..20 {
        let response = call_service(&app, TestRequest::default().to_request()).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        // One batch each.
        time::sleep(Duration::from_millis(20)).await;
    }

    let delivered = async {
        for _ in 0..20 {
            while events.next().await.unwrap().event != EventName::AuthFailureMissingCredential {}
        }
    };
    time::timeout(Duration::from_secs(10), delivered).await.unwrap();
}

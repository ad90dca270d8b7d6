//! What does a log cost that cannot be written to? Alone in its file, because it is the log of the whole process.

use std::{io, sync::Arc, thread, time::Duration};

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

/// Panics on the audit thread, as `tracing_subscriber::fmt` itself does when standard output and standard error are closed.
fn broken() -> io::Sink {
    assert_ne!(thread::current().name(), Some("iam-audit"), "on purpose");
    io::sink()
}

/// R137, R138: its own lines, and no event of another sink.
#[actix_web::test]
async fn log_that_panics_takes_no_event_from_other_sinks() {
    tracing_subscriber::fmt().with_writer(broken).init();
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

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use iam_core::{
    audit::{AuditEvent, AuditSink},
    decision::Reason,
};
use tokio::sync::oneshot;

use super::*;
use crate::test_log::Log;

/// R126, R162: the second use of a token is refused where tokens count once.
#[actix_web::test]
async fn a_token_used_twice_is_refused_on_a_single_use_route() {
    let mut stage = Stage::start().await;
    let app = app(&stage.iam).await;
    let token = stage.token();

    assert_eq!(status(&app, "/pay", &token).await, 200);
    assert_eq!(status(&app, "/pay", &token).await, 401);

    assert_eq!(stage.events.next().await.unwrap().reason, None);
    assert_eq!(stage.events.next().await.unwrap().reason, Some(Reason::Replay));
}

/// R163: the log names the likely cause, once.
#[actix_web::test]
async fn a_replay_within_a_second_names_the_gateways_token_cache() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    let (log, _listening) = Log::listen();
    let (soon, late) = (stage.token(), stage.token());
    status(&app, "/pay", &late).await;
    stage.tick().await;
    status(&app, "/pay", &late).await;
    assert_eq!(log.count("token cache"), 0, "a second later it may be a thief");

    for _ in 0..5 {
        status(&app, "/pay", &soon).await;
    }

    assert_eq!(log.count("Oathkeeper's token cache"), 1);
    assert_eq!(log.count(&soon), 0);
}

/// D46: one request makes one batch.
#[actix_web::test]
async fn a_permission_is_asked_in_one_batch_with_the_request_id() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    assert_eq!(status(&app, "/orders/7", &stage.token()).await, 403);

    Switches::set(&stage.switches.allow, true);
    assert_eq!(status(&app, "/orders/7", &stage.token()).await, 200);

    let requests = stage.keto.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].line, "POST /relation-tuples/batch/check HTTP/1.1");
    assert!(requests[0].body.contains("orders:7"), "{}", requests[0].body);
    assert!(requests[0].header("x-request-id").is_some());
}

/// R083, R084, R157, R162: an upstream that fails is 503 with a hint, nothing of its answer gets out, and no token is burnt.
#[actix_web::test]
async fn a_failing_permission_server_is_503_and_burns_nothing() {
    let mut stage = Stage::start().await;
    let app = app(&stage.iam).await;
    Switches::set(&stage.switches.keto_down, true);
    Switches::set(&stage.switches.allow, true);
    let token = stage.token();

    let refused = call_service(&app, request("/orders/7", &token)).await;

    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let body = actix_web::test::read_body(refused).await;
    assert!(!String::from_utf8_lossy(&body).contains("secret"));
    let event = stage.events.next().await.unwrap();
    assert_eq!(event.reason, Some(Reason::PermissionUnavailable));
    assert!(!format!("{event:?}").contains("secret"));
    Switches::set(&stage.switches.keto_down, false);
    assert_eq!(status(&app, "/orders/7", &token).await, 200);
    assert_eq!(status(&app, "/orders/7", &token).await, 401);
}

/// D83, R137, R138: what sinks do is nobody's business but theirs.
#[actix_web::test]
async fn sinks_that_panic_or_hang_change_no_decision() {
    #[derive(Debug)]
    struct Panicking;
    impl AuditSink for Panicking {
        fn emit(&self, _: &AuditEvent<'_>) {
            panic!("on purpose");
        }
    }
    #[derive(Debug)]
    struct Hanging(std::sync::Mutex<Option<oneshot::Receiver<()>>>);
    impl AuditSink for Hanging {
        fn emit(&self, _: &AuditEvent<'_>) {
            if let Some(released) = self.0.lock().unwrap().take() {
                let _ = released.blocking_recv();
            }
        }
    }
    let clock = ManualClock::at_system_time();
    let issuer = Arc::new(TestIssuer::new().unwrap());
    let jwks = TestUpstream::always(Answer::Json(200, issuer.key_set().to_string()));
    let (release, released) = oneshot::channel();
    let mut config = config(&jwks.url("/"), "http://127.0.0.1:1");
    config.audit.queue = 5;
    let iam = Iam::builder(config)
        .clock(Arc::new(clock.clone()))
        .audit_sink(Arc::new(Panicking))
        .add_audit_sink(Arc::new(Hanging(std::sync::Mutex::new(Some(released)))))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;

    for _ in 0..20 {
        let token = issuer.sign(&claims(&clock)).unwrap();
        assert_eq!(status(&app, "/orders", &token).await, 200);
        assert_eq!(status(&app, "/orders", "nonsense").await, 401);
    }

    // Of forty events, one to five hang with the sink and five wait.
    assert!(
        (30..=34).contains(&iam.dropped_audit_events()),
        "{}",
        iam.dropped_audit_events()
    );
    release.send(()).unwrap();
}

/// What may be on its way is the tenant's to say; whoever finds no place even to wait is answered at once.
#[actix_web::test]
async fn calls_beyond_what_the_configuration_allows_wait_or_are_refused() {
    let clock = ManualClock::at_system_time();
    let issuer = TestIssuer::new().unwrap();
    let jwks = TestUpstream::always(Answer::Json(200, issuer.key_set().to_string()));
    let keto = TestUpstream::always(Answer::Hang);
    let mut config = config(&jwks.url("/"), &keto.url(""));
    let upstream = &mut config.tenants.get_mut("default").unwrap().upstream;
    upstream.max_in_flight = Some(1);
    upstream.timeout = Some(Duration::from_secs(60));
    let iam = Iam::builder(config)
        .clock(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;
    let tokens: Vec<_> = (0..103).map(|_| issuer.sign(&claims(&clock)).unwrap()).collect();

    // One call is on its way, and as many again and a hundred more wait for it.
    let mut asking: FuturesUnordered<_> = tokens
        .iter()
        .map(|token| status(&app, "/orders/7", token))
        .collect();

    assert_eq!(asking.next().await.unwrap(), 503);
    assert_eq!(asking.len(), 102);
    assert!(keto.count() <= 1, "{}", keto.count());
}

use bytes::Bytes;
use futures_util::future::{join_all, pending};
use http::Response;
use iam_core::{
    decision::Reason,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
};

use super::*;
use crate::{PurgeError, iam::builder::StartError};

/// D1: the keys are there already, whatever comes.
#[actix_web::test]
async fn the_hot_path_asks_the_issuer_nothing() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;

    for _ in 0..500 {
        assert_eq!(status(&app, "/orders", &stage.token()).await, 200);
    }

    assert_eq!(stage.jwks.count(), 1);
}

/// R143: the key signs the moment it is published, and no request with it is refused.
#[actix_web::test]
async fn a_new_key_is_fetched_and_verified_within_the_same_request() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    stage.tick().await;

    stage.issuer.add_key().unwrap();

    assert_eq!(status(&app, "/orders", &stage.token()).await, 200);
    assert_eq!(stage.jwks.count(), 2);
}

/// R143, R016: any number of made-up ids in one interval cost one fetch, old keys pass meanwhile, and a new key gets in.
#[actix_web::test]
async fn ten_thousand_made_up_kids_cost_one_fetch_and_refuse_no_valid_token() {
    let mut stage = Stage::start().await;
    let app = app(&stage.iam).await;
    let old = stage.token();
    let made_up: Vec<_> = (0..10_000).map(|_| stage.token_with_made_up_kid()).collect();
    stage.issuer.add_key().unwrap();
    let new = stage.token();

    let flood = join_all(made_up.iter().map(|token| status(&app, "/orders", token)));
    let valid = async {
        for _ in 0..100 {
            assert_eq!(status(&app, "/orders", &old).await, 200);
        }
        assert_eq!(stage.jwks.count(), 1, "the interval is not over");
        let fresh = status(&app, "/orders", &new);
        let (fresh, ()) = futures_util::future::join(fresh, stage.tick()).await;
        assert_eq!(fresh, 200);
    };
    let (flood, ()) = futures_util::future::join(flood, valid).await;

    assert!(flood.iter().all(|status| *status == 401 || *status == 503));
    assert!(flood.iter().any(|status| *status == 401));
    assert_eq!(stage.jwks.count(), 2);
    let events = stage.events.drain();
    let mut reasons = events.iter().filter_map(|event| event.reason);
    assert!(reasons.all(|reason| matches!(reason, Reason::UnknownKey | Reason::KeysUnavailable)));
}

/// D16, R137: the last good keys serve for `refresh` and `stale` together, then nothing is let in, and it recovers by itself.
#[actix_web::test]
async fn with_the_issuer_down_known_keys_serve_for_the_stated_time_and_then_nobody_gets_in() {
    let mut stage = Stage::start().await;
    let app = app(&stage.iam).await;
    Switches::set(&stage.switches.keys_down, true);

    stage.clock.advance(Duration::from_secs(600 + 3600 - 1));
    assert_eq!(status(&app, "/orders", &stage.token()).await, 200);
    stage.clock.advance(Duration::from_secs(2));
    let refused = call_service(&app, request("/orders", &stage.token())).await;

    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let reason = loop {
        let event = stage.events.next().await.unwrap();
        if let Some(reason) = event.reason {
            break reason;
        }
    };
    assert_eq!(reason, Reason::KeysUnavailable);
    Switches::set(&stage.switches.keys_down, false);
    while status(&app, "/orders", &stage.token()).await != 200 {
        stage.tick().await;
    }
}

/// R137: started while the issuer is down: refused with 503, never let in, and nobody has to intervene.
#[actix_web::test]
async fn started_while_the_issuer_is_down_it_refuses_and_recovers_by_itself() {
    let stage = Stage::start_with(Switches {
        keys_down: AtomicBool::new(true),
        ..Switches::default()
    })
    .await;
    let app = app(&stage.iam).await;
    for _ in 0..3 {
        assert_eq!(status(&app, "/orders", &stage.token()).await, 503);
    }

    Switches::set(&stage.switches.keys_down, false);

    for _ in 0..60 {
        if status(&app, "/orders", &stage.token()).await == 200 {
            return;
        }
        stage.tick().await;
    }
    panic!("not recovered after a minute");
}

/// R083, R123, R137: whatever comes instead of a key set, nobody gets in.
#[actix_web::test]
async fn an_issuer_that_answers_nonsense_lets_nobody_in() {
    let clock = ManualClock::at_system_time();
    let issuer = TestIssuer::new().unwrap();
    let good = issuer.key_set().to_string();
    let elsewhere = TestUpstream::always(Answer::Json(200, good.clone()));
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: {}\r\n\r\n{good}",
        elsewhere.url("/"),
        good.len()
    );
    let bad = [
        Answer::Close,
        Answer::Hang,
        Answer::Json(200, String::new()),
        Answer::Json(200, "<html>".to_owned()),
        Answer::Json(200, r#"{"keys":{}}"#.to_owned()),
        Answer::Json(200, format!("{good}{good}")),
        Answer::Json(200, " ".repeat(1 << 20)),
        Answer::Json(401, good.clone()),
        Answer::Json(404, good.clone()),
        Answer::Json(500, good.clone()),
        Answer::Raw(redirect.into_bytes()),
        Answer::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{good}").into_bytes()),
        Answer::Dribble(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{good}", good.len()),
            Duration::from_millis(5),
        ),
    ];

    for answer in bad {
        let jwks = TestUpstream::always(answer.clone());
        let iam = Iam::builder(config(&jwks.url("/"), "http://127.0.0.1:1"))
            .clock(Arc::new(clock.clone()))
            .start()
            .await
            .unwrap();
        let app = app(&iam).await;
        let token = issuer.sign(&claims(&clock)).unwrap();

        assert_eq!(status(&app, "/orders", &token).await, 503, "{answer:?}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// R153: a key that is withdrawn verifies for the grace period and not longer.
#[actix_web::test]
async fn a_withdrawn_key_is_refused_after_its_grace() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    let old = stage.token();
    withdraw_the_key(&stage).await;

    assert_eq!(status(&app, "/orders", &old).await, 200);
    stage.clock.advance(Duration::from_secs(60));

    let refused = tokio::join!(status(&app, "/orders", &old), stage.tick()).0;
    assert_eq!(refused, 401);
    assert_eq!(status(&app, "/orders", &stage.token()).await, 200);
}

/// R153: an explicit purge does not wait for anything.
#[actix_web::test]
async fn a_withdrawn_key_is_refused_at_once_after_a_purge() {
    let stage = Stage::start().await;
    let app = app(&stage.iam).await;
    let old = stage.token();
    stage.tick().await;
    stage.issuer.remove_key("test-key-0");
    stage.issuer.add_key().unwrap();

    assert_eq!(stage.iam.purge_keys("default").await, Ok(1));

    let refused = tokio::join!(status(&app, "/orders", &old), stage.tick()).0;
    assert_eq!(refused, 401);
    assert_eq!(
        stage.iam.purge_keys("nobody").await,
        Err(PurgeError::UnknownTenant)
    );
}

#[actix_web::test]
async fn a_purge_without_the_issuer_says_so() {
    let stage = Stage::start().await;
    stage.tick().await;
    Switches::set(&stage.switches.keys_down, true);

    assert_eq!(
        stage.iam.purge_keys("default").await,
        Err(PurgeError::KeysUnavailable)
    );
}

async fn withdraw_the_key(stage: &Stage) {
    stage.issuer.remove_key("test-key-0");
    stage.issuer.add_key().unwrap();
    stage.clock.advance(Duration::from_secs(601));
    while stage.jwks.count() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Rotation as the gateway does it, under load, with the system's clock: the appended key signs at once.
#[actix_web::test]
async fn a_rotation_under_load_refuses_nothing_valid() {
    let issuer = Arc::new(TestIssuer::new().unwrap());
    let published = Arc::clone(&issuer);
    let jwks = TestUpstream::start(move |_| Answer::Json(200, published.key_set().to_string()));
    let clock = iam_core::clock::SystemClock::new();
    let iam: Result<Iam, StartError> = Iam::builder(config(&jwks.url("/"), "http://127.0.0.1:1"))
        .start()
        .await;
    let app = app(&iam.unwrap()).await;

    let connection = |number: usize| {
        let (app, issuer) = (&app, &issuer);
        async move {
            for round in 0..200 {
                if number == 0 && round == 100 {
                    issuer.add_key().unwrap();
                }
                let token = issuer.sign(&claims(&clock)).unwrap();
                assert_eq!(status(app, "/orders", &token).await, 200);
                tokio::task::yield_now().await;
            }
        }
    };
    join_all((0..16).map(connection)).await;

    // Whoever came while the second was on its way waits for a third.
    assert!((2..=3).contains(&jwks.count()), "{}", jwks.count());
}

/// Somebody else's client that keeps no deadline.
#[derive(Debug)]
struct Silent;

impl HttpClient for Silent {
    fn send(
        &self,
        _request: http::Request<Bytes>,
        _limits: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        Box::pin(pending())
    }
}

/// R083: whoever fetches keys by a client of their own starts all the same, and refuses.
#[actix_web::test]
async fn a_client_that_never_answers_delays_a_start_and_does_not_prevent_it() {
    let starting = Iam::builder(config("http://127.0.0.1:9/jwks.json", "http://127.0.0.1:9"))
        .http_client(Arc::new(Silent))
        .start();

    let iam = tokio::time::timeout(Duration::from_secs(10), starting)
        .await
        .expect("a start soon after the deadline of the fetch")
        .unwrap();

    let token = TestIssuer::new()
        .unwrap()
        .sign(&claims(&ManualClock::at_system_time()))
        .unwrap();
    assert_eq!(status(&app(&iam).await, "/orders", &token).await, 503);
}

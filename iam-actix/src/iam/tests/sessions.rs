//! Sessions of a Kratos on a socket of its own, which may be slow, broken, or lie.

use iam_core::{
    config::{KratosConfig, TenantConfig},
    decision::Reason,
};
use tokio::time::Instant;

use super::*;
use crate::test_upstream::Received;

struct Kratos {
    upstream: TestUpstream,
    iam: Iam,
    events: AuditEvents,
}

impl Kratos {
    async fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let upstream = TestUpstream::start(script);
        let mut kratos = KratosConfig::new(upstream.url("")).login_url("https://app.example/login");
        kratos.upstream.timeout = Some(Duration::from_millis(300));
        kratos.upstream.max_body = Some(4096);
        let config = IamConfig::new().tenant("default", TenantConfig::with_sessions(kratos));
        let (sink, events) = audit_channel();
        let iam = Iam::builder(config)
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self {
            upstream,
            iam,
            events,
        }
    }

    async fn always(answer: Answer) -> Self {
        Self::start(move |_| answer.clone()).await
    }

    /// Sends a request with the canary cookie, and returns its status and its whole response as text.
    async fn ask(&self, path: &str) -> (StatusCode, String) {
        let ok = || async { HttpResponse::Ok().body("handled") };
        let app = init_service(
            App::new()
                .route("/me", web::get().to(ok))
                .route("/feed", web::get().to(ok).optional())
                .wrap(self.iam.middleware()),
        )
        .await;
        let request = TestRequest::with_uri(path)
            .insert_header(("cookie", "theme=dark; ory_kratos_session=CANARY; csrf_token_80=x"))
            .insert_header(("x-forwarded-for", "192.0.2.7"))
            .insert_header(("user-agent", "browser"))
            .insert_header(("x-request-id", "id-1"))
            .to_request();

        let response = call_service(&app, request).await;
        let (status, head) = (response.status(), format!("{:?}", response.headers()));
        let body = actix_web::test::read_body(response).await;
        (status, format!("{head} {}", String::from_utf8_lossy(&body)))
    }
}

fn session() -> Value {
    json!({
        "id": "s-1",
        "active": true,
        "expires_at": "2999-01-01T00:00:00Z",
        "authenticated_at": "2026-01-01T00:00:00Z",
        "authenticator_assurance_level": "aal1",
        "identity": {
            "id": "alice", "schema_id": "default", "state": "active", "traits": {}, "metadata_public": null,
        },
    })
}

fn raw(head: &str, body: &str) -> Answer {
    Answer::Raw(format!("{head}\r\n\r\n{body}").into_bytes())
}

/// D18, R093: the whole request, as Kratos receives it.
#[actix_web::test]
async fn kratos_receives_one_credential_and_the_request_id() {
    let kratos = Kratos::always(Answer::Json(200, session().to_string())).await;

    assert_eq!(kratos.ask("/me").await.0, 200);

    let requests = kratos.upstream.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    assert_eq!(request.line, "GET /sessions/whoami HTTP/1.1");
    assert_eq!(request.body, "");
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "content-length",
            "cookie",
            "date",
            "host",
            "x-request-id"
        ]
    );
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.header("cookie"), Some("ory_kratos_session=CANARY"));
    assert_eq!(request.header("x-request-id"), Some("id-1"));
}

/// D78, D79, R083, R135: no fault of Kratos admits anybody, or shows anything.
#[actix_web::test]
async fn a_broken_kratos_is_503_within_the_deadline_and_shows_nothing() {
    let whole = session().to_string();
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
    let length = whole.len();
    let secret = r#"{"error":{"message":"SECRET of the upstream"}}"#;

    for (name, answer) in [
        ("closes", Answer::Close),
        ("hangs", Answer::Hang),
        (
            "is late",
            Answer::Late(Duration::from_secs(2), 200, whole.clone()),
        ),
        (
            "dribbles",
            Answer::Dribble(
                format!("{json}\r\nContent-Length: {length}\r\n\r\n{whole}"),
                Duration::from_millis(10),
            ),
        ),
        (
            "truncates",
            raw(
                &format!("{json}\r\nContent-Length: {}", length.saturating_add(1)),
                &whole,
            ),
        ),
        ("is huge", Answer::Json(200, " ".repeat(5000))),
        (
            "sends HTML",
            raw(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close",
                "<html>SECRET",
            ),
        ),
        (
            "is of no type",
            raw("HTTP/1.1 200 OK\r\nConnection: close", &whole),
        ),
        ("sends no JSON", Answer::Json(200, "SECRET".to_owned())),
        ("sends an array", Answer::Json(200, "[]".to_owned())),
        (
            "redirects",
            raw(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/SECRET\r\nContent-Length: 0",
                "",
            ),
        ),
        ("fails", Answer::Json(500, secret.to_owned())),
        ("is unavailable", Answer::Json(503, secret.to_owned())),
        ("refuses us", Answer::Json(400, secret.to_owned())),
        ("limits us", Answer::Json(429, secret.to_owned())),
        ("knows no path", Answer::Json(404, secret.to_owned())),
        ("forbids", Answer::Json(403, secret.to_owned())),
        ("is no HTTP", Answer::Raw(b"SECRET\r\n\r\n".to_vec())),
    ] {
        let mut kratos = Kratos::always(answer).await;
        for path in ["/me", "/feed"] {
            let started = Instant::now();
            let (status, text) = kratos.ask(path).await;

            assert_eq!(status, 503, "a Kratos that {name}");
            assert!(started.elapsed() < Duration::from_secs(2), "a Kratos that {name}");
            assert!(text.contains("retry-after"), "{text}");
            for secret in ["SECRET", "CANARY", "handled"] {
                assert!(!text.contains(secret), "a Kratos that {name}: {text}");
            }
            let event = kratos.events.next().await.unwrap();
            assert_eq!(
                event.reason,
                Some(Reason::SessionUnavailable),
                "a Kratos that {name}"
            );
            assert_eq!(event.actor, None);
            assert!(!format!("{event:?}").contains("CANARY"));
        }
    }
}

/// D11: a Kratos that answers 200 about a session that is over.
#[actix_web::test]
async fn a_lying_kratos_admits_nobody() {
    for (member, value) in [
        ("active", json!(false)),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("authenticated_at", json!("2999-01-01T00:00:00Z")),
    ] {
        let mut body = session();
        body[member] = value;
        let mut kratos = Kratos::always(Answer::Json(200, body.to_string())).await;

        assert_eq!(kratos.ask("/me").await.0, 401, "{member}");
        assert_eq!(
            kratos.events.next().await.unwrap().reason,
            Some(Reason::SessionInactive)
        );
        assert_eq!(kratos.ask("/feed").await.0, 200, "{member}");
    }
}

/// D23: the URL that Kratos names never reaches the caller.
#[actix_web::test]
async fn a_due_second_factor_names_the_configured_page_only() {
    let body = json!({
        "error": {
            "id": "session_aal2_required",
            "details": { "redirect_browser_to": "http://kratos.internal/SECRET" },
        },
        "redirect_browser_to": "http://kratos.internal/SECRET",
    });
    let mut kratos = Kratos::always(Answer::Json(403, body.to_string())).await;

    for path in ["/me", "/feed"] {
        let (status, text) = kratos.ask(path).await;

        assert_eq!(status, 401);
        let challenge = r#"Bearer error=\"insufficient_user_authentication\", acr_values=\"aal2\""#;
        assert!(text.contains(challenge), "{text}");
        assert!(
            text.contains(r#""login_url":"https://app.example/login""#),
            "{text}"
        );
        assert!(
            !text.contains("SECRET") && !text.contains("kratos.internal"),
            "{text}"
        );
        assert_eq!(
            kratos.events.next().await.unwrap().reason,
            Some(Reason::InsufficientLevel)
        );
    }
}

//! Gateways that name identities in signed envelopes or in plain headers.

use actix_web::http::Method;
use iam_actix::testing::{TestEnvelope, TestForwarded};
use iam_core::secret::Secret;

use super::*;

const ENVELOPES: &str = r#"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    verifier = "hmac"
    audience = ["docs-api"]
    keys = ["base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "base64:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="]
"#;

const HEADERS: &str = r#"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    verifier = "headers"
    proof_secret = "only-the-gateway-knows-this-secret"
    roles_header = "X-User-Role"
    headers = ["X-User-Email"]
"#;

const PEERS: &str = r#"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    verifier = "headers"
    trusted_peers = ["10.1.2.0/24"]
"#;

const SECOND_KEY: &str = "base64:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";

fn envelopes(more: &str) -> TestWorld {
    world(&format!("{ENVELOPES}{more}"))
}

async fn gateway_app(iam: &Iam) -> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    let nobody = |principal: Option<Principal>| async move {
        principal.map_or_else(|| "nobody".to_owned(), |principal| principal.subject().to_owned())
    };
    let email = |principal: Principal| async move {
        let email = principal
            .forwarded()
            .and_then(|headers| headers.header("x-user-email"));
        HttpResponse::Ok().body(email.unwrap_or_default().to_vec())
    };
    init_service(
        App::new()
            .configure(paths)
            .route("/any", web::post().to(whoami))
            .route("/feed", web::get().to(nobody).optional())
            .route("/email", web::get().to(email))
            .wrap(iam.middleware()),
    )
    .await
}

/// Sends a request with these header lines, as [`ask`] does.
async fn send<S>(world: &TestWorld, app: &S, path: &str, lines: &[(String, String)]) -> Answer
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let request = lines.iter().fold(TestRequest::with_uri(path), |request, line| {
        request.append_header(line.clone())
    });
    sent(world, app, request).await
}

async fn sent<S>(world: &TestWorld, app: &S, request: TestRequest) -> Answer
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let status = call_service(app, request.to_request()).await.status();
    let event = world.next_event().await.unwrap();
    assert_eq!(
        event.outcome == Outcome::Allow,
        status == StatusCode::OK,
        "{event:?}"
    );
    (status, event.reason)
}

fn line(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[actix_web::test]
async fn an_envelope_admits_its_person_with_roles_and_scopes() {
    for more in [
        "",
        "envelope_encoding = \"json\"\nsignature_encoding = \"hex\"",
        "signature_encoding = \"base64url\"\nheader = \"X-Id\"\nsignature_header = \"X-Id-Mac\"\nmetadata_claim = \"meta\"",
    ] {
        let world = envelopes(more);
        let iam = world.start().await.unwrap();
        let app = gateway_app(&iam).await;
        let alice = || world.envelope("alice");
        let ask = |path: &'static str, envelope: TestEnvelope| {
            let (world, app) = (&world, &app);
            async move { send(world, app, path, &envelope.headers()).await }
        };

        assert_eq!(ask("/any", alice()).await, ALLOWED, "{more}");
        assert_eq!(ask("/any", alice().member("client_id", "alice")).await, ALLOWED);
        let denied = refused(StatusCode::FORBIDDEN, Reason::RoleDeny);
        assert_eq!(ask("/admin", alice()).await, denied);
        assert_eq!(ask("/admin", alice().role("admin")).await, ALLOWED);
        let denied = refused(StatusCode::FORBIDDEN, Reason::ScopeDeny);
        assert_eq!(ask("/read", alice()).await, denied);
        assert_eq!(ask("/read", alice().scope("docs:read")).await, ALLOWED);
        assert_eq!(ask("/any", alice().key(Secret::new(SECOND_KEY))).await, ALLOWED);
    }
}

#[actix_web::test]
async fn a_bad_envelope_is_refused_for_its_reason() {
    let world = envelopes("");
    let iam = world.start().await.unwrap();
    let app = gateway_app(&iam).await;
    let alice = || world.envelope("alice");
    let unauthorized = |reason| refused(StatusCode::UNAUTHORIZED, reason);
    let other = Secret::new("base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");

    for (envelope, reason) in [
        (alice().key(other), Reason::InvalidSignature),
        (alice().member("aud", "other-api"), Reason::AudienceMismatch),
        (alice().member("tenant", "acme"), Reason::TenantMismatch),
        (alice().member("exp", Value::Null), Reason::Malformed),
        (
            alice().lifetime(Duration::from_secs(25 * 60 * 60)),
            Reason::Expired,
        ),
        (alice().member("sub", "anonymous"), Reason::MissingCredential),
    ] {
        assert_eq!(
            send(&world, &app, "/any", &envelope.headers()).await,
            unauthorized(reason)
        );
    }
    let [envelope, signature] = alice().headers();
    let missing = unauthorized(Reason::MissingCredential);
    assert_eq!(send(&world, &app, "/any", &[]).await, missing);
    assert_eq!(
        send(&world, &app, "/any", std::slice::from_ref(&signature)).await,
        missing
    );
    let unsigned = send(&world, &app, "/any", std::slice::from_ref(&envelope)).await;
    assert_eq!(unsigned, unauthorized(Reason::InvalidSignature));
    let twice = [envelope.clone(), envelope.clone(), signature.clone()];
    let ambiguous = refused(StatusCode::BAD_REQUEST, Reason::AmbiguousCredential);
    assert_eq!(send(&world, &app, "/any", &twice).await, ambiguous);

    world.clock().advance(Duration::from_secs(91));
    let expired = send(&world, &app, "/any", &[envelope, signature]).await;
    assert_eq!(expired, unauthorized(Reason::Expired));
}

/// No envelope is nobody; a forged one is nobody's, also where nobody is welcome.
#[actix_web::test]
async fn on_an_optional_route_only_an_absent_envelope_is_nobody() {
    let world = envelopes("");
    let iam = world.start().await.unwrap();
    let app = gateway_app(&iam).await;
    let [envelope, signature] = world.envelope("alice").headers();
    let visitor = world.envelope("anonymous").headers();

    assert_eq!(send(&world, &app, "/feed", &[]).await, ALLOWED);
    assert_eq!(send(&world, &app, "/feed", &visitor).await, ALLOWED);
    let unsigned = send(&world, &app, "/feed", std::slice::from_ref(&envelope)).await;
    assert_eq!(
        unsigned,
        refused(StatusCode::UNAUTHORIZED, Reason::InvalidSignature)
    );
    assert_eq!(send(&world, &app, "/feed", &[envelope, signature]).await, ALLOWED);
}

#[actix_web::test]
async fn an_envelope_is_accepted_once_where_that_is_asked() {
    let (single, always) = (envelopes(""), envelopes("replay = \"always\""));
    let replay = refused(StatusCode::UNAUTHORIZED, Reason::Replay);

    for (world, path) in [(&single, "/once"), (&always, "/any")] {
        let iam = world.start().await.unwrap();
        let app = gateway_app(&iam).await;
        let envelope = world.envelope("alice").headers();

        assert_eq!(send(world, &app, path, &envelope).await, ALLOWED);
        assert_eq!(send(world, &app, path, &envelope).await, replay);
        assert_eq!(
            send(world, &app, path, &world.envelope("alice").headers()).await,
            ALLOWED
        );
    }
    let iam = single.start().await.unwrap();
    let app = gateway_app(&iam).await;
    let envelope = single.envelope("alice").headers();
    assert_eq!(send(&single, &app, "/any", &envelope).await, ALLOWED);
    assert_eq!(send(&single, &app, "/any", &envelope).await, ALLOWED);
}

/// A browser's cookie becomes an envelope or identity headers at the gateway, so another site's page must not send them.
#[actix_web::test]
async fn another_sites_page_sends_nothing_through_the_gateway() {
    let (envelopes, headers) = (envelopes(""), world(HEADERS));
    let of_envelopes = envelopes.envelope("alice").headers().to_vec();
    let of_headers = headers.forwarded("alice").headers();

    for (world, lines) in [(&envelopes, of_envelopes), (&headers, of_headers)] {
        let iam = world.start().await.unwrap();
        let app = gateway_app(&iam).await;
        let post = |site: &'static str| {
            let request = TestRequest::with_uri("/any").method(Method::POST);
            lines
                .iter()
                .fold(request, |request, line| request.append_header(line.clone()))
                .append_header(("sec-fetch-site", site))
        };

        let cross = sent(world, &app, post("cross-site")).await;
        assert_eq!(cross, refused(StatusCode::FORBIDDEN, Reason::Csrf));
        assert_eq!(sent(world, &app, post("same-origin")).await, ALLOWED);
    }
}

#[actix_web::test]
async fn headers_admit_only_with_the_gateways_secret() {
    let world = world(HEADERS);
    let iam = world.start().await.unwrap();
    let app = gateway_app(&iam).await;
    let alice = || world.forwarded("alice");
    let ask = |path: &'static str, headers: TestForwarded| {
        let (world, app) = (&world, &app);
        async move { send(world, app, path, &headers.headers()).await }
    };
    let forged = refused(StatusCode::UNAUTHORIZED, Reason::InvalidSignature);

    assert_eq!(ask("/any", alice()).await, ALLOWED);
    assert_eq!(ask("/any", alice().without_proof()).await, forged);
    assert_eq!(ask("/feed", alice().without_proof()).await, forged);
    let wrong = alice()
        .without_proof()
        .header("X-Gateway-Secret", "only-the-gateway-knows-this-secret.");
    assert_eq!(ask("/any", wrong).await, forged);
    let twice = alice().header("X-User-Id", "alice");
    assert_eq!(
        ask("/any", twice).await,
        refused(StatusCode::BAD_REQUEST, Reason::AmbiguousCredential)
    );
    let missing = refused(StatusCode::UNAUTHORIZED, Reason::MissingCredential);
    for nobody in ["", "<no value>", "<nil>", "anonymous"] {
        assert_eq!(ask("/any", world.forwarded(nobody)).await, missing, "{nobody}");
        assert_eq!(ask("/feed", world.forwarded(nobody)).await, ALLOWED, "{nobody}");
    }
    assert_eq!(
        ask("/admin", alice()).await,
        refused(StatusCode::FORBIDDEN, Reason::RoleDeny)
    );
    assert_eq!(ask("/admin", alice().role("user").role("admin")).await, ALLOWED);

    let lines = alice().header("X-User-Email", "alice@example.com").headers();
    let request = lines
        .into_iter()
        .fold(TestRequest::with_uri("/email"), TestRequest::append_header);
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(read_body(response).await, "alice@example.com");
    assert_eq!(world.next_event().await.unwrap().outcome, Outcome::Allow);
}

/// Headers have no id that could be claimed. Their route answered 401, and no new credential helped.
#[actix_web::test]
async fn headers_were_called_invalid_where_a_credential_is_accepted_once() {
    let world = world(HEADERS);
    let iam = world.start().await.unwrap();
    let app = gateway_app(&iam).await;

    let answer = send(&world, &app, "/once", &world.forwarded("alice").headers()).await;

    assert_eq!(
        answer,
        refused(StatusCode::INTERNAL_SERVER_ERROR, Reason::InvalidRequirement)
    );
}

/// R151: the address of the connection counts, and nothing that a header says about it.
#[actix_web::test]
async fn headers_admit_only_from_the_gateways_address() {
    let world = world(PEERS);
    let iam = world.start().await.unwrap();
    let app = gateway_app(&iam).await;
    let forged = refused(StatusCode::UNAUTHORIZED, Reason::InvalidSignature);
    let request = |peer: &str| {
        let request = TestRequest::with_uri("/any")
            .peer_addr(peer.parse().unwrap())
            .append_header(("X-Forwarded-For", "10.1.2.3"))
            .append_header(("Forwarded", "for=10.1.2.3"))
            .append_header(("X-Real-IP", "10.1.2.3"));
        let lines = world.forwarded("alice").headers();
        lines.into_iter().fold(request, TestRequest::append_header)
    };

    for peer in ["127.0.0.1:80", "10.1.3.1:80", "[::1]:80", "[::ffff:10.1.3.1]:80"] {
        assert_eq!(sent(&world, &app, request(peer)).await, forged, "{peer}");
    }
    for peer in ["10.1.2.3:80", "[::ffff:10.1.2.3]:80"] {
        assert_eq!(sent(&world, &app, request(peer)).await, ALLOWED, "{peer}");
    }
    let without_peer = send(&world, &app, "/any", &[line("X-User-Id", "alice")]).await;
    assert_eq!(without_peer, forged);
}

/// The same over a real connection, whose peer is this machine.
#[actix_web::test]
async fn the_peer_is_that_of_the_socket() {
    for (peer, status) in [("127.0.0.0/8", 200), ("10.1.2.0/24", 401)] {
        let world = world(&PEERS.replace("10.1.2.0/24", peer));
        let iam = world.start().await.unwrap();
        let server = actix_test::start(move || App::new().configure(paths).wrap(iam.middleware()));

        let response = server
            .get("/any")
            .insert_header(("X-User-Id", "alice"))
            .insert_header(("X-Forwarded-For", "10.1.2.3"))
            .send()
            .await
            .unwrap();

        assert_eq!(response.status().as_u16(), status, "{peer}");
        server.stop().await;
    }
}

/// A tenant's headers and envelopes are no other tenant's.
#[actix_web::test]
async fn an_identity_of_one_tenant_is_not_one_of_the_other() {
    let of = |table: &str, name: &str, more: &str| {
        table.replace("tenants.default", &format!("tenants.{name}")) + more
    };
    let headers = world(&format!(
        "default_tenant = \"default\"\n{}{}",
        of(HEADERS, "default", "tenant_header = \"X-Tenant\"\n"),
        of(HEADERS, "acme", "tenant_header = \"X-Tenant\"\n"),
    ));
    let envelopes = world(&format!(
        "default_tenant = \"default\"\n{}{}",
        of(ENVELOPES, "default", ""),
        of(ENVELOPES, "acme", ""),
    ));
    let default_headers = headers.forwarded("alice").headers();
    let default_envelope = envelopes.envelope("alice").headers().to_vec();
    let acme_headers = headers.forwarded_of("acme", "alice").unwrap().headers();
    let acme_envelope = envelopes.envelope_of("acme", "alice").unwrap().headers().to_vec();

    for (world, of_default, of_acme) in [
        (&headers, default_headers, acme_headers),
        (&envelopes, default_envelope, acme_envelope),
    ] {
        let iam = world.start().await.unwrap();
        let app = app(&iam).await;
        let other = refused(StatusCode::UNAUTHORIZED, Reason::TenantMismatch);

        assert_eq!(send(world, &app, "/any", &of_default).await, ALLOWED);
        assert_eq!(send(world, &app, "/acme/any", &of_acme).await, ALLOWED);
        assert_eq!(send(world, &app, "/acme/any", &of_default).await, other);
        assert_eq!(send(world, &app, "/any", &of_acme).await, other);
    }
    assert!(headers.forwarded_of("nobody", "alice").is_none());
    assert!(envelopes.envelope_of("nobody", "alice").is_none());
}

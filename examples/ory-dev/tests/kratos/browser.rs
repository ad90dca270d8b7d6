//! Browser flows need the cookies of the browser that started them.

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Stand, node};

const JSON: (&str, &str) = ("accept", "application/json");
const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The state of a browser that has started a flow.
struct Started {
    action: String,
    token: String,
    jar: String,
    id: String,
}

async fn start(stand: &Stand, kind: &str, jar: &str, query: &str) -> Started {
    let url = stand.public(&format!("self-service/{kind}/browser{query}"));
    let answer = stand.get(&url, &[JSON, ("cookie", jar)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let flow = answer.value();
    Started {
        action: flow["ui"]["action"].as_str().unwrap().to_owned(),
        token: node(&flow, "csrf_token")["attributes"]["value"]
            .as_str()
            .unwrap()
            .to_owned(),
        id: flow["id"].as_str().unwrap().to_owned(),
        jar: answer.jar(jar),
    }
}

async fn submit(stand: &Stand, started: &Started, body: Value) -> Answer {
    let mut body = body;
    body["csrf_token"] = started.token.as_str().into();
    stand
        .json("POST", &started.action, &[JSON, ("cookie", &started.jar)], &body)
        .await
}

fn credentials(email: &str) -> Value {
    json!({"method": "password", "password": PASSWORD, "identifier": email, "traits": {"email": email}})
}

#[actix_web::test]
async fn browser_registers_and_its_cookie_is_its_session() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;

    let answer = submit(&stand, &started, credentials("web@example.com")).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.value();
    assert_eq!(body["session"]["identity"]["id"], body["identity"]["id"]);
    assert_eq!(
        body["continue_with"][0]["redirect_browser_to"],
        "http://127.0.0.1:4455/"
    );
    assert!(
        body.get("session_token").is_none(),
        "a browser never sees the token"
    );
    let jar = answer.jar(&started.jar);
    let who = stand
        .get(&stand.public("sessions/whoami"), &[("cookie", &jar)])
        .await;
    assert_eq!(who.value()["id"], body["session"]["id"]);
}

#[actix_web::test]
async fn page_that_submits_a_form_is_sent_on_with_its_cookies() {
    let stand = Stand::start();
    stand.register("page@example.com").await;
    let start = stand
        .get(
            &stand.public("self-service/login/browser?return_to=http://127.0.0.1:4455/back"),
            &[PAGE],
        )
        .await;
    assert_eq!(start.status, 303);
    let id = start
        .header("location")
        .unwrap()
        .strip_prefix("http://127.0.0.1:4455/login?flow=")
        .unwrap()
        .to_owned();
    let jar = start.jar("");
    let flow = stand
        .get(
            &stand.public(&format!("self-service/login/flows?id={id}")),
            &[("cookie", &jar)],
        )
        .await;
    assert_eq!(flow.status, 200);
    let flow = flow.value();
    assert_eq!(flow["return_to"], "http://127.0.0.1:4455/back");
    let token = node(&flow, "csrf_token")["attributes"]["value"].as_str().unwrap();
    let form = |password: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("method", "password")
            .append_pair("identifier", "Page@example.com")
            .append_pair("password", password)
            .append_pair("csrf_token", token)
            .finish()
    };
    let action = flow["ui"]["action"].as_str().unwrap();

    let wrong = stand
        .send(
            "POST",
            action,
            &[PAGE, FORM, ("cookie", &jar)],
            form("wrong-password").as_bytes(),
        )
        .await;
    assert_eq!(wrong.status, 303);
    assert_eq!(
        wrong.header("location"),
        Some(format!("http://127.0.0.1:4455/login?flow={id}").as_str())
    );
    assert!(wrong.set_cookies().is_empty());
    let right = stand
        .send(
            "POST",
            action,
            &[PAGE, FORM, ("cookie", &jar)],
            form(PASSWORD).as_bytes(),
        )
        .await;

    assert_eq!(right.status, 303);
    assert_eq!(right.header("location"), Some("http://127.0.0.1:4455/back"));
    let who = stand
        .get(&stand.public("sessions/whoami"), &[("cookie", &right.jar(&jar))])
        .await;
    assert_eq!(who.status, 200);
}

#[actix_web::test]
async fn form_without_its_cookie_or_token_is_refused_without_a_session() {
    let stand = Stand::start();
    stand.register("csrf@example.com").await;
    let own = start(&stand, "login", "", "").await;
    let other = start(&stand, "login", "", "").await;
    let with = |token: &str| {
        let mut body = credentials("csrf@example.com");
        body["csrf_token"] = token.into();
        body
    };

    for (what, jar, body) in [
        ("no cookie", String::new(), with(&own.token)),
        ("no token", own.jar.clone(), credentials("csrf@example.com")),
        ("empty token", own.jar.clone(), with("")),
        ("token of another browser", own.jar.clone(), with(&other.token)),
        ("cookie of another browser", other.jar.clone(), with(&own.token)),
        ("malformed token", own.jar.clone(), with("not base64!")),
        (
            "malformed cookie",
            own.jar.split_once('=').unwrap().0.to_owned() + "=x",
            with(&own.token),
        ),
    ] {
        let answer = stand
            .json("POST", &own.action, &[JSON, ("cookie", &jar)], &body)
            .await;
        assert_eq!(answer.status, 403, "{what}");
        assert_eq!(answer.value()["error"]["id"], "security_csrf_violation", "{what}");
        assert!(
            !answer
                .set_cookies()
                .iter()
                .any(|cookie| cookie.starts_with("ory_kratos_session")),
            "{what}"
        );
    }
    assert_eq!(
        submit(&stand, &own, credentials("csrf@example.com")).await.status,
        200
    );
}

#[actix_web::test]
async fn flow_is_shown_only_to_the_browser_that_started_it() {
    let stand = Stand::start();
    let (own, other) = (
        start(&stand, "login", "", "").await,
        start(&stand, "login", "", "").await,
    );
    let url = stand.public(&format!("self-service/login/flows?id={}", own.id));

    assert_eq!(stand.get(&url, &[("cookie", &own.jar)]).await.status, 200);
    assert_eq!(stand.get(&url, &[("cookie", &other.jar)]).await.status, 403);
    let registration = stand.public(&format!("self-service/registration/flows?id={}", own.id));
    assert_eq!(
        stand.get(&registration, &[("cookie", &own.jar)]).await.status,
        404
    );
}

#[actix_web::test]
async fn native_flow_that_a_browser_submits_is_refused() {
    let stand = Stand::start();
    stand.register("native@example.com").await;
    let action = stand.native_flow("login").await;

    for header in [("cookie", "a=b"), ("origin", "http://evil.example")] {
        let answer = stand
            .json("POST", &action, &[header], &credentials("native@example.com"))
            .await;
        assert_eq!(answer.status, 400, "{header:?}");
        assert!(answer.value().get("session_token").is_none());
    }
}

#[actix_web::test]
async fn browser_is_sent_back_only_where_the_configuration_allows() {
    let stand = Stand::start();

    for (target, allowed) in [
        ("http://127.0.0.1:4455/", true),
        ("http://127.0.0.1:4455/orders?a=b", true),
        ("/orders", true),
        ("https://127.0.0.1:4455/", false),
        ("http://127.0.0.1:4456/", false),
        ("http://127.0.0.1:4455@evil.example/", false),
        ("http://user@127.0.0.1:4455/", false),
        ("//evil.example/", false),
        ("\\\\evil.example/", false),
        ("http://127.0.0.1.evil.example:4455/", false),
        ("javascript:alert(1)", false),
        ("http://[", false),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        for path in ["self-service/login/browser", "self-service/registration/api"] {
            let answer = stand
                .get(&stand.public(&format!("{path}?return_to={encoded}")), &[JSON])
                .await;
            assert_eq!(answer.status, if allowed { 200 } else { 400 }, "{target}");
        }
    }
}

#[actix_web::test]
async fn browser_is_sent_back_to_no_endless_url() {
    let stand = Stand::start();
    let base = "http://127.0.0.1:4455/";

    for (target, allowed) in [
        (format!("{base:x<2049}"), false),
        (format!("{base:x<2048}"), true),
        // Each character takes six bytes in a URL.
        (format!("{base}{}", "\u{e4}".repeat(500)), false),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let query = format!("return_to={encoded}");
        for kind in [
            "login/browser",
            "login/api",
            "registration/browser",
            "registration/api",
        ] {
            let url = stand.public(&format!("self-service/{kind}?{query}"));
            let answer = stand.get(&url, &[JSON]).await;

            let shown = answer.value();
            if allowed {
                assert_eq!(answer.status, 200, "{kind}");
                assert_eq!(shown["return_to"].as_str().map(str::len), Some(2048), "{kind}");
            } else {
                let error = &shown["error"];
                let reason = "Requested return_to URL is longer than 2048 bytes.";
                assert_eq!((answer.status, &error["code"]), (400, &json!(400)), "{kind}");
                assert_eq!(error["id"], "self_service_flow_return_to_forbidden", "{kind}");
                assert_eq!(error["reason"], reason, "{kind}");
            }
        }
    }
}

#[actix_web::test]
async fn person_who_is_logged_in_gets_no_new_form_unless_asked_to_prove_it_again() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;
    let registered = submit(&stand, &started, credentials("again@example.com")).await;
    let jar = registered.jar(&started.jar);

    for kind in ["login", "registration"] {
        let url = stand.public(&format!("self-service/{kind}/browser"));
        assert_eq!(
            stand.get(&url, &[JSON, ("cookie", &jar)]).await.status,
            400,
            "{kind}"
        );
        let page = stand.get(&url, &[PAGE, ("cookie", &jar)]).await;
        assert_eq!(
            (page.status, page.header("location")),
            (303, Some("http://127.0.0.1:4455/")),
            "{kind}"
        );
    }
    stand.clock.advance(std::time::Duration::from_secs(3600));
    let refresh = start(&stand, "login", &jar, "?refresh=true").await;
    let answer = submit(&stand, &refresh, credentials("again@example.com")).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    let (before, after) = (
        registered.value()["session"].clone(),
        answer.value()["session"].clone(),
    );
    assert_eq!(before["id"], after["id"]);
    assert!(before["authenticated_at"].as_str() < after["authenticated_at"].as_str());
}

#[actix_web::test]
async fn form_with_mistakes_keeps_what_was_typed_but_not_the_password() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;
    let body =
        json!({"method": "password", "password": "secret-1", "traits": {"email": "nonsense", "name": "Ann"}});

    let flow = submit(&stand, &started, body).await;

    assert_eq!(flow.status, 400);
    let flow = flow.value();
    assert_eq!(node(&flow, "traits.name")["attributes"]["value"], "Ann");
    assert_eq!(node(&flow, "traits.email")["messages"][0]["id"], 4_000_040);
    assert!(!flow.to_string().contains("secret-1"));
}

#[actix_web::test]
async fn logout_link_works_once_and_only_with_its_cookie() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;
    let registered = submit(&stand, &started, credentials("out@example.com")).await;
    let jar = registered.jar(&started.jar);
    let made = stand
        .get(
            &stand.public("self-service/logout/browser"),
            &[JSON, ("cookie", &jar)],
        )
        .await;
    let url = made.value()["logout_url"].as_str().unwrap().to_owned();

    let page = stand.get(&url, &[PAGE, ("cookie", &jar)]).await;

    assert_eq!(
        (page.status, page.header("location")),
        (303, Some("http://127.0.0.1:4455/login"))
    );
    assert!(
        !page.jar(&jar).contains("ory_kratos_session"),
        "the cookie is taken away"
    );
    assert_eq!(
        stand
            .get(&stand.public("sessions/whoami"), &[("cookie", &jar)])
            .await
            .status,
        401
    );
    assert_eq!(stand.get(&url, &[JSON, ("cookie", &jar)]).await.status, 401);
}

#[actix_web::test]
async fn page_that_registers_is_logged_in_and_sent_on() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("method", "password")
        .append_pair("traits.email", "form@example.com")
        .append_pair("password", PASSWORD)
        .append_pair("csrf_token", &started.token)
        .finish();
    let headers = [PAGE, FORM, ("cookie", started.jar.as_str())];

    let answer = stand
        .send("POST", &started.action, &headers, form.as_bytes())
        .await;

    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("http://127.0.0.1:4455/"))
    );
    let jar = answer.jar(&started.jar);
    let who = stand
        .get(&stand.public("sessions/whoami"), &[("cookie", &jar)])
        .await;
    assert_eq!(who.value()["identity"]["traits"]["email"], "form@example.com");
}

#[actix_web::test]
async fn page_without_its_cookie_is_sent_to_the_error_page() {
    let stand = Stand::start();
    let started = start(&stand, "login", "", "").await;

    let answer = stand
        .send(
            "POST",
            &started.action,
            &[PAGE, FORM],
            b"method=password&identifier=a&password=b",
        )
        .await;

    assert_eq!(answer.status, 303);
    assert!(
        answer
            .header("location")
            .unwrap()
            .starts_with("http://127.0.0.1:4455/error?id=")
    );
    assert!(answer.set_cookies().is_empty());
}

#[actix_web::test]
async fn logging_in_changes_the_anti_csrf_token() {
    let stand = Stand::start();
    let started = start(&stand, "registration", "", "").await;

    let answer = submit(&stand, &started, credentials("fresh@example.com")).await;

    let csrf = |jar: &str| {
        jar.split("; ")
            .find(|pair| pair.starts_with("csrf_token_"))
            .unwrap()
            .to_owned()
    };
    assert_ne!(csrf(&started.jar), csrf(&answer.jar(&started.jar)));
}

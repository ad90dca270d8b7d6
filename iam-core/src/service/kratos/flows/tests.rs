use super::*;
use crate::{
    http::TransportError,
    request::RequestHead,
    testing::{ScriptedClient, block_on, settings_with},
};

fn client(script: &ScriptedClient) -> FlowClient {
    let settings = settings_with("");
    let kratos = settings.registry().default_tenant().kratos().unwrap().clone();
    FlowClient::new(kratos, Arc::new(script.clone()))
}

fn context(kind: FlowKind, headers: &[(&str, &str)]) -> FlowContext {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    FlowContext::new(
        kind,
        &RequestHead {
            method: "GET",
            authority: None,
            headers: &headers,
            peer: None,
        },
    )
}

fn recorded(name: &str) -> Response<Bytes> {
    let recordings: Vec<Value> = serde_json::from_str(include_str!("recordings/kratos.json")).unwrap();
    let entry = recordings
        .into_iter()
        .find(|entry| entry["name"] == name)
        .unwrap();
    let response = &entry["response"];
    let mut builder =
        Response::builder().status(u16::try_from(response["status"].as_u64().unwrap()).unwrap());
    for header in response["headers"].as_array().unwrap() {
        builder = builder.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let body = &response["body"];
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    builder.body(body.into()).unwrap()
}

fn answer_of(name: &str) -> Result<FlowAnswer, CallError> {
    let script = ScriptedClient::new();
    script.answer(recorded(name));
    block_on(client(&script).create(Flow::Login, &context(FlowKind::Native, &[]), None))
}

/// Returns the request that Kratos gets for a request with these headers.
fn sent(kind: FlowKind, headers: &[(&str, &str)]) -> http::HeaderMap {
    let script = ScriptedClient::new();
    script.answer(recorded("login/native: start"));
    block_on(client(&script).create(Flow::Login, &context(kind, headers), None)).unwrap();
    script.requests()[0].headers().clone()
}

/// D18
#[test]
fn cookies_of_the_application_are_not_shown_to_kratos() {
    let headers = sent(
        FlowKind::Browser,
        &[
            ("cookie", "app=1; csrf_token_806060=a=; theme=dark; csrf_token=1"),
            (
                "cookie",
                "my_csrf_token_12=2; csrf_token_=3; csrf_token_xy=4; __Host-csrf_token_80=b",
            ),
            ("cookie", "ory_kratos_session=s%41; other; ory_kratos_session_2=5"),
        ],
    );

    assert_eq!(
        headers["cookie"],
        "csrf_token_806060=a=; __Host-csrf_token_80=b; ory_kratos_session=s%41"
    );
}

/// R142: each cookie is compared with each other, so too many cookies are ignored.
#[test]
fn of_very_many_cookies_none_is_passed_on() {
    let cookies = |count: usize| {
        let all: Vec<_> = (0..count)
            .map(|number| format!("csrf_token_{number:04x}=a"))
            .collect();
        sent(FlowKind::Browser, &[("cookie", &all.join("; "))])
    };

    assert!(cookies(64).contains_key("cookie"));
    assert!(!cookies(65).contains_key("cookie"));
    assert!(!cookies(8_000).contains_key("cookie"));
}

#[test]
fn what_no_credential_holds_is_not_passed_on() {
    let too_long = "x".repeat((16 << 10) + 1);

    for token in ["", "ory_st_\u{e9}", too_long.as_str()] {
        let native = sent(FlowKind::Native, &[("x-session-token", token)]);
        assert!(!native.contains_key("x-session-token"), "{token}");

        let cookie = format!("ory_kratos_session={token}");
        let browser = sent(FlowKind::Browser, &[("cookie", &cookie)]);
        assert_eq!(browser.contains_key("cookie"), token.is_empty(), "{token}");
    }
}

/// R093
#[test]
fn of_two_cookies_of_one_name_none_is_passed_on() {
    let headers = sent(
        FlowKind::Browser,
        &[
            ("cookie", "ory_kratos_session=a; csrf_token_1=x"),
            ("cookie", "ory_kratos_session=b"),
        ],
    );

    assert_eq!(headers["cookie"], "csrf_token_1=x");
}

#[test]
fn never_two_credentials_at_once() {
    let both = [
        ("cookie", "ory_kratos_session=a"),
        ("x-session-token", "ory_st_x"),
    ];

    let browser = sent(FlowKind::Browser, &both);
    let native = sent(FlowKind::Native, &both);

    assert!(browser.contains_key("cookie") && !browser.contains_key("x-session-token"));
    assert!(native.contains_key("x-session-token") && !native.contains_key("cookie"));
    assert!(!native.contains_key("authorization") && !browser.contains_key("authorization"));
    assert!(native["x-session-token"].is_sensitive() && browser["cookie"].is_sensitive());
}

/// R086, R121
#[test]
fn unreadable_and_oversized_credentials_are_not_passed_on() {
    let long = format!("ory_kratos_session={}", "x".repeat(20_000));

    assert!(!sent(FlowKind::Browser, &[("cookie", &long)]).contains_key("cookie"));
    assert!(!sent(FlowKind::Browser, &[("cookie", "ory_kratos_session=é")]).contains_key("cookie"));
    assert!(!sent(FlowKind::Native, &[("x-session-token", "a\r\nb")]).contains_key("x-session-token"));
    assert!(
        !sent(
            FlowKind::Native,
            &[("x-session-token", "a"), ("x-session-token", "b")]
        )
        .contains_key("x-session-token")
    );
}

#[test]
fn each_step_of_a_flow_asks_where_kratos_expects_it() {
    let script = ScriptedClient::new();
    for _ in 0..5 {
        script.answer(recorded("login/native: start"));
    }
    let kratos = client(&script);
    let (browser, native) = (
        context(FlowKind::Browser, &[]),
        context(FlowKind::Native, &[]).with_request_id("r-1"),
    );

    block_on(async {
        kratos.create(Flow::Login, &native, None).await.unwrap();
        kratos
            .create(Flow::Registration, &browser, Some("https://a.example/?x=1&y"))
            .await
            .unwrap();
        kratos.get(Flow::Login, &native, "a&b=c").await.unwrap();
        kratos
            .submit(Flow::Login, &browser, "id", Bytes::from_static(b"{}"))
            .await
            .unwrap();
        kratos
            .submit(Flow::Registration, &native, "id", Bytes::from_static(b"{"))
            .await
            .unwrap();
    });

    let asked: Vec<_> = script
        .requests()
        .iter()
        .map(|request| format!("{} {}", request.method(), request.uri().path_and_query().unwrap()))
        .collect();
    assert_eq!(
        asked,
        [
            "GET /self-service/login/api",
            "GET /self-service/registration/browser?return_to=https%3A%2F%2Fa.example%2F%3Fx%3D1%26y",
            "GET /self-service/login/flows?id=a%26b%3Dc",
            "POST /self-service/login?flow=id",
            "POST /self-service/registration?flow=id",
        ]
    );
    let first = &script.requests()[0];
    assert_eq!(first.headers()["accept"], "application/json");
    assert_eq!(first.headers()["x-request-id"], "r-1");
    assert!(!first.headers().contains_key("content-type"));
    assert_eq!(script.requests()[3].headers()["content-type"], "application/json");
    assert_eq!(script.requests()[4].body().as_ref(), b"{");
}

/// D56, D57
#[test]
fn status_body_and_cookies_come_back_as_kratos_gave_them() {
    let success = answer_of("login/browser: success, JSON").unwrap();
    assert_eq!(success.status(), StatusCode::OK);
    assert_eq!(success.cookies().len(), 2);
    assert!(success.cookies()[1].starts_with("ory_kratos_session="));

    let native = answer_of("login/native: success").unwrap();
    assert!(
        native.body()["session_token"]
            .as_str()
            .unwrap()
            .starts_with("ory_st_")
    );

    for (name, status) in [
        ("login/native: wrong password", 400),
        ("login/native: start with a session", 400),
        ("login/native: get unknown flow", 404),
        ("login/browser: submit without CSRF", 403),
        ("login/native: inactive identity", 401),
        ("registration/native: weak password", 400),
        ("registration/native: unknown flow", 400),
    ] {
        assert_eq!(answer_of(name).unwrap().status(), status, "{name}");
    }
}

#[test]
fn a_form_can_be_pointed_back_to_the_service() {
    let flow = answer_of("login/native: wrong password").unwrap();
    let id = flow.flow_id().unwrap().to_owned();

    let pointed = flow.with_action("/auth/login/x");

    assert_eq!(pointed.body()["ui"]["action"], "/auth/login/x");
    assert_eq!(pointed.flow_id(), Some(id.as_str()));
    let error = answer_of("login/native: get unknown flow").unwrap();
    let body = error.body().clone();
    assert_eq!(error.with_action("/x").into_parts().2, body);
}

/// R083, R123
#[test]
fn what_is_no_flow_is_no_answer() {
    assert_eq!(answer_of("login/browser: start, HTML"), Err(CallError::Status));
    for (status, body) in [
        (500, "{}"),
        (503, "{\"error\":{}}"),
        (307, "{}"),
        (200, ""),
        (200, "<html>"),
        (200, "[]"),
        (200, "{\"id\":1,\"id\":2}"),
    ] {
        let script = ScriptedClient::new();
        script.answer_with(StatusCode::from_u16(status).unwrap(), body);
        let context = context(FlowKind::Native, &[]);
        assert!(
            block_on(client(&script).get(Flow::Login, &context, "x")).is_err(),
            "{status} {body}"
        );
    }
    let script = ScriptedClient::new();
    script.fail(TransportError::Timeout);
    let none = block_on(client(&script).get(Flow::Login, &context(FlowKind::Native, &[]), "x"));
    assert_eq!(none, Err(CallError::Transport(TransportError::Timeout)));
}

#[test]
fn ids_and_submissions_without_bounds_are_not_sent() {
    let script = ScriptedClient::new();
    let kratos = client(&script);
    let context = context(FlowKind::Native, &[]);

    for id in ["", &"x".repeat(129)] {
        assert_eq!(
            block_on(kratos.get(Flow::Login, &context, id)),
            Err(CallError::Request)
        );
    }
    let large = Bytes::from(vec![b' '; 65 * 1024]);
    assert_eq!(
        block_on(kratos.submit(Flow::Login, &context, "x", large)),
        Err(CallError::Request)
    );
    assert!(script.requests().is_empty());
}

/// R071, D79
#[test]
fn debug_output_holds_no_credential() {
    let answer = answer_of("login/browser: success, JSON").unwrap();
    let context = context(FlowKind::Native, &[("x-session-token", "ory_st_canary")]);

    assert_eq!(format!("{answer:?}"), "FlowAnswer { status: 200, .. }");
    assert!(!format!("{context:?}").contains("canary"));
}

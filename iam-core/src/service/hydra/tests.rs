//! Exactly one request goes out, and anything but an answer in Hydra's form is none.

use std::sync::Arc;

use http::{Method, Response, header};
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Timestamp,
    decision::{Reason, Refusal},
    http::{HttpClient, TransportError},
    secret::Secret,
    service::Validity,
    testing::{NOW, ScriptedClient, block_on, hydra_with},
};

fn ask(client: &ScriptedClient, more: &str, token: &str) -> Result<Introspection, Refusal> {
    let settings = hydra_with(more);
    let hydra = settings.registry().default_tenant().hydra().unwrap();
    let client: Arc<dyn HttpClient> = Arc::new(client.clone());
    block_on(introspect(hydra, &client, &Secret::new(token), "request-7"))
}

fn response(status: u16, content_type: Option<&str>, body: &str) -> Response<bytes::Bytes> {
    let mut response = Response::builder().status(status);
    if let Some(content_type) = content_type {
        response = response.header(header::CONTENT_TYPE, content_type);
    }
    response.body(body.to_owned().into()).unwrap()
}

fn answered(status: u16, content_type: Option<&str>, body: &str) -> Result<Introspection, Refusal> {
    let client = ScriptedClient::new();
    client.answer(response(status, content_type, body));
    ask(&client, "", "ory_at_x.y")
}

/// The answer of `introspect: active` in the recording of Hydra v26.2.0, with other times.
fn active() -> Value {
    json!({
        "active": true, "scope": "orders:read", "client_id": "bcca659f", "sub": "bcca659f", "exp": NOW + 600,
        "iat": NOW, "nbf": NOW, "aud": ["orders-api"], "iss": "http://127.0.0.1:4444", "token_type": "Bearer",
        "token_use": "access_token",
    })
}

const JSON: Option<&str> = Some("application/json;charset=UTF-8");

/// R073: as RFC 7662 §2.1 has it, and nothing more.
#[test]
fn request_holds_the_token_in_its_body_and_nothing_of_the_caller() {
    let client = ScriptedClient::new();
    client.answer(response(200, JSON, r#"{"active":false}"#));

    ask(&client, "", "ory_at_a+b/c~d=&scope=admin").unwrap();

    let [request] = &client.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "http://127.0.0.1:4445/admin/oauth2/introspect");
    let mut names: Vec<_> = request.headers().keys().map(header::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-type", "x-request-id"]);
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(
        request.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(request.headers()["x-request-id"], "request-7");
    assert_eq!(request.body(), "token=ory_at_a%2Bb%2Fc%7Ed%3D%26scope%3Dadmin");
}

#[test]
fn credential_of_the_service_is_the_configured_one() {
    for (more, expected) in [
        ("", None),
        ("admin_token = \"a.b-c\"", Some("Bearer a.b-c")),
        // RFC 6749 §2.3.1: `o:1` is `o%3A1` and `s p` is `s+p` before base64.
        (
            "client_id = \"o:1\"\nclient_secret = \"s p\"",
            Some("Basic byUzQTE6cytw"),
        ),
    ] {
        let client = ScriptedClient::new();
        client.answer(response(200, JSON, r#"{"active":false}"#));

        ask(&client, more, "t").unwrap();

        let request = &client.requests()[0];
        let sent = request.headers().get("authorization");
        assert_eq!(sent.map(|value| value.to_str().unwrap()), expected);
        assert!(sent.is_none_or(http::HeaderValue::is_sensitive));
    }
}

/// R074, R079, R083, R123, D30, D77
#[test]
fn anything_but_an_answer_is_unavailable() {
    let good = active().to_string();
    let truncated = good.strip_suffix('}').unwrap();
    let duplicate = good.replace('{', r#"{"active":true,"#);
    for (status, content_type, body, detail) in [
        (401, JSON, good.as_str(), "upstream_refuses_credential"),
        (403, JSON, &good, "upstream_refuses_credential"),
        (400, JSON, r#"{"error":"invalid_request"}"#, "upstream_status"),
        (404, Some("text/html"), "<!DOCTYPE html>", "upstream_status"),
        (201, JSON, &good, "upstream_status"),
        (302, JSON, &good, "upstream_status"),
        (429, JSON, &good, "upstream_status"),
        (500, JSON, &good, "upstream_status"),
        (503, JSON, &good, "upstream_status"),
        (200, None, &good, "upstream_unreadable"),
        (200, Some("text/html"), &good, "upstream_unreadable"),
        (
            200,
            Some("text/plain; application/json"),
            &good,
            "upstream_unreadable",
        ),
        (200, Some("application/jsonp"), &good, "upstream_unreadable"),
        (200, JSON, "", "upstream_unreadable"),
        (200, JSON, "<html>", "upstream_unreadable"),
        (200, JSON, truncated, "upstream_unreadable"),
        (200, JSON, &duplicate, "upstream_unreadable"),
        (200, JSON, "[]", "upstream_unreadable"),
        (200, JSON, "{}", "upstream_unreadable"),
        (200, JSON, "\"x\"", "upstream_unreadable"),
        (200, JSON, "null", "upstream_unreadable"),
        (200, JSON, r#"{"active":"true"}"#, "upstream_unreadable"),
        (200, JSON, r#"{"active":"false"}"#, "upstream_unreadable"),
        (200, JSON, r#"{"active":1}"#, "upstream_unreadable"),
        (200, JSON, r#"{"active":null}"#, "upstream_unreadable"),
        (200, JSON, r#"{"active":true}"#, "upstream_unreadable"),
        (200, JSON, r#"{"Active":true}"#, "upstream_unreadable"),
    ] {
        let refusal = answered(status, content_type, body).unwrap_err();
        let expected = Refusal::with_detail(Reason::IntrospectionUnavailable, detail);
        assert_eq!(refusal, expected, "{status} {content_type:?} {body}");
    }

    for error in [
        TransportError::Timeout,
        TransportError::Connect,
        TransportError::TooLarge,
    ] {
        let client = ScriptedClient::new();
        client.fail(error);
        let refusal = ask(&client, "", "t").unwrap_err();
        assert_eq!(refusal.reason, Reason::IntrospectionUnavailable);
    }
}

/// The limit holds whatever the client let through.
#[test]
fn body_beyond_the_limit_is_unavailable() {
    let long = format!("{}{}", " ".repeat(1 << 20), active());

    let refusal = answered(200, JSON, &long).unwrap_err();

    assert_eq!(refusal.detail, Some("upstream_too_large"));
}

#[test]
fn two_content_types_are_unavailable() {
    let client = ScriptedClient::new();
    let mut twice = response(200, JSON, &active().to_string());
    let html = http::HeaderValue::from_static("text/html");
    twice.headers_mut().append(header::CONTENT_TYPE, html);
    client.answer(twice);

    assert!(ask(&client, "", "t").is_err());
}

/// R122, D36: no member is read as another type, and a time beyond all dates is one.
#[test]
fn mistyped_member_is_unavailable() {
    for (member, values) in [
        (
            "exp",
            vec![
                json!("1"),
                json!(null),
                json!(-1),
                json!([1]),
                json!(true),
                json!(u64::MAX),
                json!(1e300),
            ],
        ),
        ("iat", vec![json!("1"), json!(null), json!({})]),
        ("nbf", vec![json!("1"), json!(null), json!(1e300)]),
        (
            "iss",
            vec![json!(1), json!(null), json!(["http://127.0.0.1:4444"])],
        ),
        (
            "aud",
            vec![
                json!(1),
                json!(null),
                json!([1]),
                json!({}),
                json!(["orders-api", null]),
            ],
        ),
        ("scope", vec![json!(["orders:read"]), json!(null), json!(1)]),
        (
            "sub",
            vec![
                json!(1),
                json!(null),
                json!("a\nb"),
                json!(" "),
                json!("s".repeat(513)),
            ],
        ),
        ("client_id", vec![json!(1), json!(null), json!("a\u{0}b")]),
        ("token_use", vec![json!(1), json!(null), json!(["access_token"])]),
        ("token_type", vec![json!(1), json!(null)]),
        ("username", vec![json!(1), json!(null)]),
        ("ext", vec![json!(1), json!("x"), json!([])]),
    ] {
        for value in values {
            let mut body = active();
            body[member] = value.clone();
            assert!(
                answered(200, JSON, &body.to_string()).is_err(),
                "{member} {value}"
            );
        }
    }
    for member in ["exp", "iss"] {
        let mut body = active();
        body.as_object_mut().unwrap().remove(member);
        assert!(answered(200, JSON, &body.to_string()).is_err(), "{member}");
    }
}

/// R075
#[test]
fn members_of_an_inactive_token_mean_nothing() {
    for body in [
        r#"{"active":false}"#,
        r#"{"active":false,"sub":"admin","scope":"*"}"#,
        r#"{"active":false,"sub":7,"exp":"x"}"#,
    ] {
        assert!(
            matches!(answered(200, JSON, body), Ok(Introspection::Inactive)),
            "{body}"
        );
    }
}

/// R078, R080, R083
#[test]
fn only_the_token_of_somebody_is_kept_and_no_longer_than_it_lasts() {
    let of = |body: &str| answered(200, JSON, body).unwrap().validity();
    let mut nobody = active();
    nobody.as_object_mut().unwrap().remove("sub");
    nobody["client_id"] = json!("");
    let mut empty = active();
    empty["sub"] = json!("");

    let end = Timestamp::from_secs(NOW.saturating_add(600));
    assert_eq!(of(&active().to_string()), Validity::Until(end));
    assert_eq!(of(&nobody.to_string()), Validity::Never);
    assert_eq!(of(&empty.to_string()), Validity::Never);
    assert_eq!(of(r#"{"active":false}"#), Validity::Refusal);
}

/// A consent application fills `ext`: thousands of long answers would fill the memory.
#[test]
fn a_token_in_a_long_answer_is_active_and_never_kept() {
    let of_length = |length: usize| {
        let body = active().to_string();
        let padding = " ".repeat(length - body.len());
        answered(200, JSON, &format!("{body}{padding}")).unwrap()
    };
    let longest = 64 * 1024;

    let end = Timestamp::from_secs(NOW.saturating_add(600));
    assert_eq!(of_length(longest).validity(), Validity::Until(end));
    let long = of_length(longest + 1);
    assert!(matches!(long, Introspection::Active(_)));
    assert_eq!(long.validity(), Validity::Never);

    let mut body = active();
    body["ext"] = json!({ "note": "x".repeat(longest) });
    let long = answered(200, JSON, &body.to_string()).unwrap();
    assert_eq!(long.validity(), Validity::Never);
}

#[test]
fn answer_is_read_with_any_parameters_and_letter_case_of_its_content_type() {
    for content_type in ["application/json", "Application/JSON ; charset=utf-8"] {
        let answer = answered(200, Some(content_type), &active().to_string());
        assert!(matches!(answer, Ok(Introspection::Active(_))), "{content_type}");
    }
}

/// R071
#[test]
fn debug_output_holds_no_member_of_the_answer() {
    let mut body = active();
    body["ext"] = json!({"secret": "hunter2"});

    let debug = format!("{:?}", answered(200, JSON, &body.to_string()).unwrap());

    for secret in ["hunter2", "bcca659f", "orders:read"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

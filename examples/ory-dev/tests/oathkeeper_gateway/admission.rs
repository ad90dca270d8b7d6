//! Admission of requests by the gateway, and the forwarded identity.

use serde_json::{Value, json};

use crate::{
    bearer_rules, claims, error_of, header_mutator, logged_in, noop,
    oathkeeper_support::{Stand, ask, decode},
    open_stand, raw, raw_get, rule,
};

#[actix_web::test]
async fn credentials_that_are_no_bearer_token_are_refused_and_reach_no_service() {
    let stand = Stand::start(&bearer_rules(&noop()));
    let token = logged_in(&stand).token;

    for value in [
        token.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!("Basic {token}"),
        format!("Bearer {token} x"),
        format!("Bearer{token}"),
        String::new(),
        "\u{fc}".to_owned(),
    ] {
        let answer = stand.ask("GET", "/a", &[("Authorization", value.clone())]).await;
        assert_eq!(answer.status, 401, "{value}");
    }
    assert_eq!(stand.echo.hits(), 0);

    for scheme in ["Bearer", "bearer", "BEARER"] {
        let headers = [("Authorization", format!("{scheme} {token}"))];
        // The session service of this test compares the scheme case-sensitively, unlike the gateway.
        let expected = if scheme == "Bearer" { 200 } else { 401 };
        assert_eq!(
            stand.ask("GET", "/a", &headers).await.status,
            expected,
            "{scheme}"
        );
    }
}

#[actix_web::test]
async fn the_first_of_two_authorization_headers_counts_and_the_token_replaces_both() {
    let stand = Stand::start(&bearer_rules(&claims("{}")));
    let good = logged_in(&stand).bearer();
    let bad = ("Authorization", "Bearer nobody".to_owned());

    assert_eq!(
        stand.ask("GET", "/a", &[bad.clone(), good.clone()]).await.status,
        401
    );
    let answer = stand.ask("GET", "/a", &[good, bad]).await;

    assert_eq!(answer.status, 200);
    let values = answer.echoed_all("authorization");
    assert_eq!(values.len(), 1, "{values:?}");
    assert!(values[0].starts_with("Bearer eyJ"));
}

#[actix_web::test]
async fn the_first_responsible_authenticator_decides() {
    let stand = Stand::start(&json!([rule("/a", &["cookie_session", "bearer_token"], &noop())]));
    let login = logged_in(&stand);
    let cookie = |value: &str| ("Cookie", format!("ory_kratos_session={value}"));

    let both = [cookie("nobody"), login.bearer()];
    assert_eq!(stand.ask("GET", "/a", &both).await.status, 401);
    assert_eq!(stand.ask("GET", "/a", &[cookie(&login.cookie)]).await.status, 200);
    let other_cookie = [("Cookie", "theme=dark".to_owned()), login.bearer()];
    assert_eq!(stand.ask("GET", "/a", &other_cookie).await.status, 200);
    assert_eq!(
        stand
            .ask("GET", "/a", &[("Cookie", "theme=dark".to_owned())])
            .await
            .status,
        401
    );
}

#[actix_web::test]
async fn anonymous_takes_callers_without_an_authorization_header_only() {
    let stand = Stand::start(&json!([rule(
        "/a",
        &["anonymous"],
        &header_mutator("X-User", "{{ print .Subject }}")
    )]));

    assert_eq!(
        stand
            .ask("GET", "/a", &[("Authorization", "x".to_owned())])
            .await
            .status,
        401
    );
    let answer = stand.ask("GET", "/a", &[("Cookie", "a=b".to_owned())]).await;
    assert_eq!(answer.echoed("x-user").as_deref(), Some("anonymous"));
}

#[actix_web::test]
async fn deny_and_unauthorized_refuse_everybody() {
    let mut denied = rule("/a", &["noop"], &noop());
    denied["authorizer"]["handler"] = "deny".into();
    let stand = Stand::start(&json!([denied]));

    let answer = stand.ask("GET", "/a", &[]).await;

    assert_eq!(answer.status, 403);
    assert_eq!(
        error_of(&answer),
        json!({
            "code": 403,
            "status": "Forbidden",
            "message": "Access credentials are not sufficient to access this resource",
        }),
    );
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn a_request_that_two_rules_match_is_an_error() {
    let mut second = rule("/a/b", &["noop"], &noop());
    second["id"] = "second".into();
    let stand = Stand::start(&json!([rule("/a", &["noop"], &noop()), second]));

    assert_eq!(stand.ask("GET", "/a", &[]).await.status, 200);
    let answer = stand.ask("GET", "/a/b", &[]).await;

    assert_eq!(answer.status, 500);
    assert_eq!(
        error_of(&answer)["message"],
        "Expected exactly one rule but found multiple rules"
    );
    assert_eq!(stand.echo.hits(), 1);
}

#[actix_web::test]
async fn the_host_and_the_port_belong_to_what_a_rule_matches() {
    let stand = open_stand();
    let port = stand.gateway.proxy_addr().port();

    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        ("127.0.0.1:4455".to_owned(), 200),
        (format!("localhost:{port}"), 404),
        ("127.0.0.1".to_owned(), 404),
        ("example.com".to_owned(), 404),
    ] {
        assert_eq!(
            stand.ask("GET", "/a", &[("Host", host.clone())]).await.status,
            status,
            "{host}"
        );
    }
}

/// In front of the path, such a host would match another rule than the forwarded request.
#[actix_web::test]
async fn a_host_that_goes_on_as_a_path_is_no_host() {
    let stand = open_stand();

    for host in [
        "127.0.0.1:4455/a",
        "127.0.0.1:4455/a?",
        "127.0.0.1:4455#",
        "127.0.0.1:4455\\a",
        "a@127.0.0.1:4455",
        "127.0.0.1:4455\u{fc}",
        "127.0.0.1 :4455",
    ] {
        let answer = raw(
            &stand,
            format!("GET /b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
    }
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn a_header_listed_as_the_connection_s_own_is_no_credential() {
    let stand = Stand::start(&bearer_rules(&noop()));
    let login = logged_in(&stand);

    let answer = raw_get(
        &stand,
        &[login.bearer(), ("Connection", "authorization".to_owned())],
    );
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let answer = raw_get(&stand, &[login.bearer(), ("Connection", "x-other".to_owned())]);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[actix_web::test]
async fn a_session_service_that_is_down_admits_no_request() {
    let stand = Stand::start(&bearer_rules(&noop()));
    let login = logged_in(&stand);
    assert_eq!(stand.ask("GET", "/a", &[login.bearer()]).await.status, 200);
    let Stand {
        echo,
        sessions,
        gateway,
        ..
    } = stand;
    sessions.stop().await;

    let answer = ask(gateway.proxy_addr(), "GET", "/a", &[login.bearer()], None).await;

    assert_eq!(answer.status, 403);
    assert_eq!(error_of(&answer)["reason"], "the session check is unreachable");
    assert_eq!(echo.hits(), 1);
}

#[actix_web::test]
async fn odd_answers_of_the_session_service_admit_no_request() {
    let stand = Stand::start(&bearer_rules(&noop()));
    let session = |id: &Value| json!({"identity": {"id": id}}).to_string();
    for (status, body, expected) in [
        (500, "secret-of-the-service".to_owned(), 401),
        (403, "{}".to_owned(), 401),
        (302, "{}".to_owned(), 401),
        (429, "secret-of-the-service".to_owned(), 429),
        (200, "secret-of-the-service".to_owned(), 500),
        (200, String::new(), 500),
        (200, "[".repeat(100_000), 500),
        (200, "[]".to_owned(), 403),
        (200, "\"text\"".to_owned(), 403),
        (200, session(&json!(7)), 403),
        (200, session(&json!({"secret-of-the-service": 1})), 403),
        (
            200,
            format!(
                "{{\"identity\":{{\"id\":\"a\"}},\"x\":\"{}\"}}",
                "x".repeat(2 << 20)
            ),
            500,
        ),
    ] {
        stand.sessions.answer("odd", status, body.clone());

        let answer = stand
            .ask("GET", "/a", &[("Authorization", "Bearer odd".to_owned())])
            .await;

        let shown = body.get(..60).unwrap_or(&body);
        assert_eq!(answer.status, expected, "{status} {shown}");
        assert!(
            !answer.text().contains("secret-of-the-service"),
            "{}",
            answer.text()
        );
        if status == 429 {
            assert_eq!(answer.header("retry-after"), Some("7"));
        }
    }
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn values_of_the_session_stay_values_in_the_token() {
    let stand = Stand::start(&bearer_rules(&claims(
        "{\"tenant\": \"default\", \"metadataPublic\": {{ .Extra.identity.metadata_public | toJson }}}",
    )));
    let nasty = "\"}, \"tenant\": \"other\", \"x\": {\"y\": \"{{ .Subject }}</script>\\\u{0}\u{2028}";
    let login = stand.sessions.log_in(&json!({"name": nasty, nasty: 1}));

    let (_, claims) = decode(&stand.token("/a", &login).await);

    assert_eq!(claims["tenant"], "default");
    assert_eq!(claims["metadataPublic"], json!({"name": nasty, nasty: 1}));
    assert_eq!(claims["sub"], login.identity);
}

#[actix_web::test]
async fn a_line_feed_in_a_header_value_reaches_no_service() {
    let stand = Stand::start(&bearer_rules(&header_mutator(
        "X-Name",
        "{{ print .Extra.identity.metadata_public.name }}",
    )));
    let login = stand.sessions.log_in(&json!({"name": "a\r\nX-Role: admin"}));

    let answer = stand.ask("GET", "/a", &[login.bearer()]).await;

    assert_eq!((answer.status, answer.body.len()), (502, 0));
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn data_that_does_not_have_the_shape_of_the_template_is_an_error() {
    let stand = Stand::start(&bearer_rules(&header_mutator(
        "X-Name",
        "{{ print .Extra.no.name }}",
    )));
    let login = logged_in(&stand);

    let answer = stand.ask("GET", "/a", &[login.bearer()]).await;

    assert_eq!(answer.status, 500);
    let message = error_of(&answer)["message"].as_str().expect("text").to_owned();
    assert!(
        message.starts_with("error executing headers template in rule \"a-rule\""),
        "{message}"
    );
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn errors_name_the_request() {
    let stand = open_stand();
    let id = [("X-Request-Id", "req-7".to_owned())];

    let answer = stand.ask("GET", "/nope", &id).await;

    assert_eq!(error_of(&answer)["request"], "req-7");
    assert_eq!(
        error_of(&answer)["message"],
        "Requested url does not match any rules"
    );
}

#[actix_web::test]
async fn other_places_for_a_token_and_other_questions_to_the_session_service_are_configurable() {
    let mut custom = rule("/a", &[], &header_mutator("X-User", "{{ .Subject }}"));
    custom["authenticators"] = json!([{"handler": "bearer_token", "config": {
        "token_from": {"header": "X-Session"},
        "prefix": "ory_",
        "forward_http_headers": ["X-Session"],
        "additional_headers": {"Authorization": "Bearer fixed"},
        "force_method": "GET",
    }}]);
    let stand = Stand::start(&json!([custom]));
    stand
        .sessions
        .answer("fixed", 200, json!({"identity": {"id": "somebody"}}).to_string());

    assert_eq!(
        stand
            .ask("GET", "/a", &[("X-Session", "other_1".to_owned())])
            .await
            .status,
        401
    );
    let answer = stand
        .ask("POST", "/a", &[("X-Session", "ory_1".to_owned())])
        .await;

    assert_eq!(answer.echoed("x-user").as_deref(), Some("somebody"));
}

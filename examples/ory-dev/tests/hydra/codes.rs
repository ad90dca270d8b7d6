//! The authorization code flow: login, consent, code and refresh.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Answer, Stand, in_query};

const VERIFIER: &str = "a-verifier-that-has-more-than-forty-three-characters";
const CALLBACK: &str = "http://127.0.0.1:3000/callback";

async fn web(stand: &Stand) -> Value {
    stand
        .client(&json!({
            "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
            "scope": "openid offline orders:read", "redirect_uris": [CALLBACK],
        }))
        .await
}

fn authorization_url(stand: &Stand, client: &Value, changed: &[(&str, &str)]) -> String {
    let hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
    let mut pairs = vec![
        ("client_id", client["client_id"].as_str().unwrap()),
        ("response_type", "code"),
        ("scope", "openid offline orders:read"),
        ("redirect_uri", CALLBACK),
        ("state", "a-random-state"),
        ("code_challenge", &hash),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changed {
        pairs.retain(|(own, _)| own != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    stand.public(&format!("oauth2/auth?{query}"))
}

async fn accept(stand: &Stand, stage: &str, challenge: &str, body: &Value) -> String {
    let url = stand.admin(&format!(
        "admin/oauth2/auth/requests/{stage}/accept?{stage}_challenge={challenge}"
    ));
    let answer = stand.json("PUT", &url, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.value()["redirect_to"].as_str().unwrap().to_owned()
}

/// Goes from the authorization endpoint to the code.
async fn code(stand: &Stand, client: &Value, session: &Value) -> String {
    let start = stand.get(&authorization_url(stand, client, &[]), &[]).await;
    let challenge = start.in_location("login_challenge").unwrap();
    let next = accept(stand, "login", &challenge, &json!({"subject": "alice-id"})).await;
    let jar = start.jar("");
    let consent = stand.get(&next, &[("cookie", &jar)]).await;
    let challenge = consent.in_location("consent_challenge").unwrap();
    let granted = json!({"grant_scope": ["openid", "offline", "orders:read", "admin"], "session": session});
    let next = accept(stand, "consent", &challenge, &granted).await;
    let jar = consent.jar(&jar);
    let back = stand.get(&next, &[("cookie", &jar)]).await;
    assert_eq!(back.status, 303);
    back.in_location("code").unwrap()
}

async fn exchange(stand: &Stand, client: &Value, code: &str, verifier: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier),
    ];
    stand.token(client, &fields).await
}

/// Returns the tokens of a person, with claims of the consent application.
pub(crate) async fn tokens_with_session(stand: &Stand, session: &Value) -> Value {
    let client = web(stand).await;
    let code = code(stand, &client, session).await;
    let answer = exchange(stand, &client, &code, VERIFIER).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.value()
}

async fn refresh(stand: &Stand, client: &Value, token: &Value) -> Answer {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str().unwrap()),
    ];
    stand.token(client, &fields).await
}

#[actix_web::test]
async fn scope_that_was_not_asked_for_is_not_granted() {
    let stand = Stand::start();

    let tokens = tokens_with_session(&stand, &json!({})).await;

    assert_eq!(tokens["scope"], "openid offline orders:read");
}

#[actix_web::test]
async fn refresh_token_is_exchanged_once_and_its_second_use_ends_the_grant() {
    let stand = Stand::start();
    let client = web(&stand).await;
    let code = code(&stand, &client, &json!({})).await;
    let first = exchange(&stand, &client, &code, VERIFIER).await.value();

    let second = refresh(&stand, &client, &first["refresh_token"]).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let second = second.value();
    for (token, active) in [
        (&first["access_token"], false),
        (&first["refresh_token"], false),
        (&second["access_token"], true),
        (&second["refresh_token"], true),
    ] {
        assert_eq!(stand.introspect(token.as_str().unwrap()).await["active"], active);
    }

    let again = refresh(&stand, &client, &first["refresh_token"]).await;
    assert_eq!(
        (again.status, &again.value()["error"]),
        (400, &json!("invalid_grant"))
    );
    for token in [&second["access_token"], &second["refresh_token"]] {
        assert_eq!(stand.introspect(token.as_str().unwrap()).await["active"], false);
    }
}

#[actix_web::test]
async fn revoked_refresh_token_ends_its_access_token() {
    let stand = Stand::start();
    let client = web(&stand).await;
    let code = code(&stand, &client, &json!({})).await;
    let tokens = exchange(&stand, &client, &code, VERIFIER).await.value();

    let credential = crate::support::basic(&client);
    let fields = [("token", tokens["refresh_token"].as_str().unwrap())];
    stand
        .form(
            &stand.public("oauth2/revoke"),
            &[("authorization", &credential)],
            &fields,
        )
        .await;

    assert_eq!(
        stand.introspect(tokens["access_token"].as_str().unwrap()).await["active"],
        false
    );
}

#[actix_web::test]
async fn code_is_worth_nothing_to_another_client_after_its_time_or_without_its_verifier() {
    let stand = Stand::start();
    let (client, other) = (web(&stand).await, web(&stand).await);
    let wrong = "another-verifier-that-has-forty-three-characters-too";

    let one = code(&stand, &client, &json!({})).await;
    assert_eq!(exchange(&stand, &other, &one, VERIFIER).await.status, 400);
    assert_eq!(exchange(&stand, &client, &one, wrong).await.status, 400);
    // The challenge can be checked only once.
    assert_eq!(exchange(&stand, &client, &one, VERIFIER).await.status, 400);
    let two = code(&stand, &client, &json!({})).await;
    stand.clock.advance(Duration::from_secs(601));
    assert_eq!(exchange(&stand, &client, &two, VERIFIER).await.status, 400);
    assert_eq!(
        exchange(&stand, &client, "ory_ac_nope", VERIFIER).await.status,
        400
    );
}

#[actix_web::test]
async fn another_browser_cannot_go_on_with_an_accepted_login() {
    let stand = Stand::start();
    let client = web(&stand).await;
    let start = stand.get(&authorization_url(&stand, &client, &[]), &[]).await;
    let challenge = start.in_location("login_challenge").unwrap();
    let next = accept(&stand, "login", &challenge, &json!({"subject": "alice-id"})).await;

    let stolen = stand.get(&next, &[]).await;
    assert_eq!(stolen.status, 303);
    assert_eq!(stolen.in_location("error").as_deref(), Some("request_forbidden"));

    let jar = start.jar("");
    assert_eq!(stand.get(&next, &[("cookie", &jar)]).await.status, 302);
    // The verifier is already consumed.
    let again = stand.get(&next, &[("cookie", &jar)]).await;
    assert_eq!(again.in_location("error").as_deref(), Some("access_denied"));
    let url = stand.admin(&format!(
        "admin/oauth2/auth/requests/login/accept?login_challenge={challenge}"
    ));
    assert_eq!(
        stand
            .json("PUT", &url, &json!({"subject": "mallory"}))
            .await
            .status,
        409
    );
}

#[actix_web::test]
async fn request_that_the_client_may_not_make_goes_back_with_an_error() {
    let stand = Stand::start();
    let client = web(&stand).await;
    for (changed, error) in [
        (("scope", "admin"), "invalid_scope"),
        (("audience", "other"), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("state", "short"), "invalid_state"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("prompt", "none"), "login_required"),
    ] {
        let answer = stand
            .get(&authorization_url(&stand, &client, &[changed]), &[])
            .await;
        assert_eq!(answer.status, 303, "{changed:?}");
        assert!(
            answer.header("location").unwrap().starts_with(CALLBACK),
            "{changed:?}"
        );
        assert_eq!(answer.in_location("error").as_deref(), Some(error), "{changed:?}");
    }
    for changed in [("client_id", "nope"), ("redirect_uri", "https://evil.example/")] {
        let answer = stand
            .get(&authorization_url(&stand, &client, &[changed]), &[])
            .await;
        let own = stand.public("oauth2/fallbacks/error?");
        assert!(
            answer.header("location").unwrap().starts_with(&own),
            "{changed:?}"
        );
    }
}

#[actix_web::test]
async fn remembered_person_is_skipped_until_the_login_sessions_are_revoked() {
    let stand = Stand::start();
    let client = web(&stand).await;
    let url = authorization_url(&stand, &client, &[]);
    let start = stand.get(&url, &[]).await;
    let challenge = start.in_location("login_challenge").unwrap();
    let remembered = json!({"subject": "alice-id", "remember": true, "remember_for": 3600});
    let next = accept(&stand, "login", &challenge, &remembered).await;
    let jar = start.jar("");
    let consent = stand.get(&next, &[("cookie", &jar)]).await;
    let jar = consent.jar(&jar);

    let skip = async |jar: &str| {
        let start = stand.get(&url, &[("cookie", jar)]).await;
        let challenge = start.in_location("login_challenge").unwrap();
        let url = stand.admin(&format!(
            "admin/oauth2/auth/requests/login?login_challenge={challenge}"
        ));
        (stand.get(&url, &[]).await.value(), challenge)
    };
    let (request, challenge) = skip(&jar).await;
    assert_eq!(
        (&request["skip"], &request["subject"]),
        (&json!(true), &json!("alice-id"))
    );
    let other = stand.admin(&format!(
        "admin/oauth2/auth/requests/login/accept?login_challenge={challenge}"
    ));
    assert_eq!(
        stand
            .json("PUT", &other, &json!({"subject": "mallory"}))
            .await
            .status,
        400
    );

    let revoke = stand.admin("admin/oauth2/auth/sessions/login?subject=alice-id");
    assert_eq!(stand.send("DELETE", &revoke, &[], "").await.status, 204);
    assert_eq!(skip(&jar).await.0["skip"], false);
}

#[actix_web::test]
async fn revoked_consent_ends_the_tokens_that_rest_on_it() {
    let stand = Stand::start();
    let tokens = tokens_with_session(&stand, &json!({})).await;

    let url = stand.admin("admin/oauth2/auth/sessions/consent?subject=alice-id");
    assert_eq!(stand.send("DELETE", &url, &[], "").await.status, 400);
    assert_eq!(
        stand
            .send("DELETE", &format!("{url}&all=true"), &[], "")
            .await
            .status,
        204
    );

    for name in ["access_token", "refresh_token"] {
        assert_eq!(
            stand.introspect(tokens[name].as_str().unwrap()).await["active"],
            false
        );
    }
}

#[actix_web::test]
async fn rejected_consent_goes_back_to_the_client() {
    let stand = Stand::start();
    let client = web(&stand).await;
    let start = stand.get(&authorization_url(&stand, &client, &[]), &[]).await;
    let challenge = start.in_location("login_challenge").unwrap();
    let next = accept(&stand, "login", &challenge, &json!({"subject": "alice-id"})).await;
    let jar = start.jar("");
    let consent = stand.get(&next, &[("cookie", &jar)]).await;
    let challenge = consent.in_location("consent_challenge").unwrap();
    let url = stand.admin(&format!(
        "admin/oauth2/auth/requests/consent/reject?consent_challenge={challenge}"
    ));
    let body = json!({"error": "access_denied", "error_description": "no"});

    let answer = stand.json("PUT", &url, &body).await.value();
    let next = answer["redirect_to"].as_str().unwrap();
    let jar = consent.jar(&jar);
    let back = stand.get(next, &[("cookie", &jar)]).await;

    assert_eq!(
        in_query(back.header("location").unwrap(), "error").as_deref(),
        Some("access_denied")
    );
}

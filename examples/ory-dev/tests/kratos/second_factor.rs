//! The authenticator app: settings, the second step of a login, and the assurance level of sessions.

use std::time::Duration;

use ory_dev::kratos::RequiredAal;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Stand, config, node, totp_secret};

fn strict() -> Stand {
    Stand::with(config().required_aal(RequiredAal::HighestAvailable))
}

/// Registers a person with an authenticator app. Returns the address and the secret.
async fn with_app(stand: &Stand, email: &str) -> String {
    let registered = stand.register(email).await;
    stand
        .set_up_totp(registered["session_token"].as_str().unwrap())
        .await
}

async fn log_in(stand: &Stand, email: &str) -> String {
    let answer = stand.log_in(email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.value()["session_token"].as_str().unwrap().to_owned()
}

async fn step_up(stand: &Stand, token: &str, code: &str) -> Answer {
    let headers = [("x-session-token", token)];
    let flow = stand
        .get(&stand.public("self-service/login/api?aal=aal2"), &headers)
        .await;
    assert_eq!(flow.status, 200, "{}", flow.text());
    let action = flow.value()["ui"]["action"].as_str().unwrap().to_owned();
    let body = json!({"method": "totp", "totp_code": code});
    stand.json("POST", &action, &headers, &body).await
}

#[actix_web::test]
async fn session_is_worth_nothing_before_the_second_factor_and_everything_after_it() {
    let stand = strict();
    let secret = with_app(&stand, "tina@example.com").await;
    let token = log_in(&stand, "tina@example.com").await;
    let headers = [("x-session-token", token.as_str())];
    let paths = ["sessions/whoami", "sessions", "self-service/settings/api"];
    for path in paths {
        let answer = stand.get(&stand.public(path), &headers).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.value()["error"]["id"], "session_aal2_required", "{path}");
    }

    let answer = step_up(&stand, &token, &stand.code(&secret)).await;

    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.value()["session_token"], token.as_str());
    for path in paths {
        assert_eq!(
            stand.get(&stand.public(path), &headers).await.status,
            200,
            "{path}"
        );
    }
    let session = stand.whoami(&token).await.value();
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    let methods: Vec<_> = session["authentication_methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["method"].clone())
        .collect();
    assert_eq!(methods, ["password", "totp"]);
}

#[actix_web::test]
async fn wrong_code_leaves_the_session_weak() {
    let stand = strict();
    let secret = with_app(&stand, "wrong@example.com").await;
    let token = log_in(&stand, "wrong@example.com").await;
    let stale = stand.code(&secret);
    stand.clock.advance(Duration::from_secs(120));

    for code in ["", "000000", "nonsense", &stale] {
        // One of the three valid codes equals one of these about once in a hundred thousand runs.
        let answer = step_up(&stand, &token, code).await;
        assert_eq!(answer.status, 400, "{code}");
        let shown = answer.value();
        let messages = &node(&shown, "totp_code")["messages"];
        assert_eq!(messages.as_array().unwrap().len(), 1, "{code}");
    }

    assert_eq!(stand.whoami(&token).await.status, 403);
}

#[actix_web::test]
async fn code_of_another_person_is_refused() {
    let stand = strict();
    let other = with_app(&stand, "other@example.com").await;
    with_app(&stand, "own@example.com").await;
    let token = log_in(&stand, "own@example.com").await;

    assert_eq!(step_up(&stand, &token, &stand.code(&other)).await.status, 400);
}

#[actix_web::test]
async fn person_without_a_second_factor_needs_none() {
    let stand = strict();
    let registered = stand.register("plain@example.com").await;
    let token = registered["session_token"].as_str().unwrap();

    assert_eq!(stand.whoami(token).await.status, 200);
    let answer = step_up(&stand, token, "000000").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("4000009"), "{}", answer.text());
}

#[actix_web::test]
async fn second_factor_cannot_be_shown_without_the_first() {
    let stand = Stand::start();
    let secret = with_app(&stand, "first@example.com").await;
    let token = log_in(&stand, "first@example.com").await;
    let headers = [("x-session-token", token.as_str())];
    let flow = stand
        .get(&stand.public("self-service/login/api?aal=aal2"), &headers)
        .await
        .value();
    let action = flow["ui"]["action"].as_str().unwrap();
    let body = json!({"method": "totp", "totp_code": stand.code(&secret)});

    let answer = stand.json("POST", action, &[], &body).await;

    assert_eq!(answer.status, 401);
    assert_eq!(answer.value()["error"]["id"], "session_aal1_required");
    let url = stand.public("self-service/login/api?aal=aal3");
    assert_eq!(stand.get(&url, &headers).await.status, 400);
}

#[actix_web::test]
async fn session_with_two_factors_is_not_asked_again() {
    let stand = Stand::start();
    let secret = with_app(&stand, "twice@example.com").await;
    let token = log_in(&stand, "twice@example.com").await;
    assert_eq!(step_up(&stand, &token, &stand.code(&secret)).await.status, 200);

    let url = stand.public("self-service/login/api?aal=aal2");
    let again = stand.get(&url, &[("x-session-token", &token)]).await;

    assert_eq!(again.status, 400);
    assert_eq!(again.value()["error"]["id"], "session_already_available");
}

#[actix_web::test]
async fn old_login_may_not_change_credentials() {
    let stand = Stand::start();
    let registered = stand.register("old@example.com").await;
    let token = registered["session_token"].as_str().unwrap();
    let headers = [("x-session-token", token)];
    stand.clock.advance(Duration::from_secs(15 * 60 + 1));
    let flow = stand
        .get(&stand.public("self-service/settings/api"), &headers)
        .await
        .value();
    let action = flow["ui"]["action"].as_str().unwrap();

    for body in [
        json!({"method": "totp", "totp_code": stand.code(&totp_secret(&flow))}),
        json!({"method": "password", "password": "An0ther-Horse-Battery"}),
    ] {
        let answer = stand.json("POST", action, &headers, &body).await;
        assert_eq!(answer.status, 403, "{body}");
        let answer = answer.value();
        assert_eq!(answer["error"]["id"], "session_refresh_required", "{body}");
        assert!(
            answer["redirect_browser_to"]
                .as_str()
                .unwrap()
                .contains("refresh=true")
        );
    }

    assert_eq!(stand.log_in("old@example.com", PASSWORD).await.status, 200);
}

#[actix_web::test]
async fn changed_password_is_the_only_one_that_fits() {
    let stand = Stand::start();
    let registered = stand.register("change@example.com").await;
    let headers = [("x-session-token", registered["session_token"].as_str().unwrap())];
    let flow = stand
        .get(&stand.public("self-service/settings/api"), &headers)
        .await
        .value();
    let action = flow["ui"]["action"].as_str().unwrap();

    for (password, status) in [
        ("", 400),
        ("123", 400),
        ("change@example.com", 400),
        ("An0ther-Horse-Battery", 200),
    ] {
        let body = json!({"method": "password", "password": password});
        let answer = stand.json("POST", action, &headers, &body).await;
        assert_eq!(answer.status, status, "{password}");
        let state = if status == 200 { "success" } else { "show_form" };
        assert_eq!(answer.value()["state"], state, "{password}");
    }

    assert_eq!(stand.log_in("change@example.com", PASSWORD).await.status, 400);
    assert_eq!(
        stand
            .log_in("change@example.com", "An0ther-Horse-Battery")
            .await
            .status,
        200
    );
}

#[actix_web::test]
async fn unlinked_app_is_not_asked_for_any_more() {
    let stand = strict();
    let registered = stand.register("unlink@example.com").await;
    let token = registered["session_token"].as_str().unwrap();
    let secret = stand.set_up_totp(token).await;
    assert_eq!(step_up(&stand, token, &stand.code(&secret)).await.status, 200);
    let headers = [("x-session-token", token)];
    let flow = stand
        .get(&stand.public("self-service/settings/api"), &headers)
        .await
        .value();
    let action = flow["ui"]["action"].as_str().unwrap();

    // The first app stays linked.
    let body = json!({"method": "totp", "totp_code": stand.code(&secret)});
    assert_eq!(stand.json("POST", action, &headers, &body).await.status, 400);
    let body = json!({"method": "totp", "totp_unlink": true});
    assert_eq!(stand.json("POST", action, &headers, &body).await.status, 200);

    let weak = log_in(&stand, "unlink@example.com").await;
    assert_eq!(stand.whoami(&weak).await.status, 200);
}

#[actix_web::test]
async fn settings_flow_belongs_to_the_person_who_started_it() {
    let stand = Stand::start();
    let (one, two) = (
        stand.register("one@example.com").await,
        stand.register("two@example.com").await,
    );
    let token = |person: &Value| person["session_token"].as_str().unwrap().to_owned();
    let (one, two) = (token(&one), token(&two));
    let flow = stand
        .get(
            &stand.public("self-service/settings/api"),
            &[("x-session-token", &one)],
        )
        .await
        .value();
    let (action, id) = (
        flow["ui"]["action"].as_str().unwrap(),
        flow["id"].as_str().unwrap(),
    );

    let body = json!({"method": "password", "password": "An0ther-Horse-Battery"});
    let answer = stand
        .json("POST", action, &[("x-session-token", &two)], &body)
        .await;
    assert_eq!(answer.status, 403);
    let shown = stand.public(&format!("self-service/settings/flows?id={id}"));
    assert_eq!(stand.get(&shown, &[("x-session-token", &two)]).await.status, 403);
    assert_eq!(stand.get(&shown, &[]).await.status, 401);
    assert_eq!(stand.get(&shown, &[("x-session-token", &one)]).await.status, 200);

    stand.clock.advance(Duration::from_secs(3601));
    assert_eq!(stand.get(&shown, &[("x-session-token", &one)]).await.status, 410);
    assert_eq!(
        stand
            .json("POST", action, &[("x-session-token", &one)], &body)
            .await
            .status,
        410
    );
}

#[actix_web::test]
async fn settings_of_a_browser_need_its_token() {
    let stand = Stand::start();
    stand.register("browser@example.com").await;
    let json = ("accept", "application/json");
    let login = stand
        .get(&stand.public("self-service/login/browser"), &[json])
        .await;
    let jar = login.jar("");
    let flow = login.value();
    let csrf = |flow: &Value| {
        node(flow, "csrf_token")["attributes"]["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let body = json!({"method": "password", "identifier": "browser@example.com", "password": PASSWORD, "csrf_token": csrf(&flow)});
    let done = stand
        .json(
            "POST",
            flow["ui"]["action"].as_str().unwrap(),
            &[json, ("cookie", &jar)],
            &body,
        )
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    let jar = done.jar(&jar);
    let url = stand.public("self-service/settings/browser");
    assert_eq!(stand.get(&url, &[json]).await.status, 401);
    let page = stand.get(&url, &[("accept", "text/html")]).await;
    assert_eq!(page.header("location"), Some("http://127.0.0.1:4455/login"));

    let started = stand.get(&url, &[json, ("cookie", &jar)]).await;
    assert_eq!(started.status, 200, "{}", started.text());
    let page = stand
        .get(&url, &[("accept", "text/html"), ("cookie", &jar)])
        .await;
    assert!(
        page.header("location")
            .unwrap()
            .starts_with("http://127.0.0.1:4455/settings?flow=")
    );
    let (flow, jar) = (started.value(), started.jar(&jar));
    let action = flow["ui"]["action"].as_str().unwrap();
    let secret = totp_secret(&flow);
    let mut body = json!({"method": "totp", "totp_code": stand.code(&secret)});
    assert_eq!(
        stand
            .json("POST", action, &[json, ("cookie", &jar)], &body)
            .await
            .status,
        403
    );
    body["csrf_token"] = csrf(&flow).into();
    let saved = stand.json("POST", action, &[json, ("cookie", &jar)], &body).await;

    assert_eq!(saved.status, 200, "{}", saved.text());
    assert_eq!(saved.value()["state"], "success");
    // The session now has a low assurance level, so the settings ask for the second factor first.
    let page = stand
        .get(&url, &[("accept", "text/html"), ("cookie", &jar)])
        .await;
    let target = stand.public("self-service/login/browser?aal=aal2");
    assert_eq!(page.header("location"), Some(target.as_str()));
}

#[actix_web::test]
async fn secret_of_an_app_is_shown_only_while_it_is_set_up() {
    let stand = Stand::start();
    let registered = stand.register("secret@example.com").await;
    let token = registered["session_token"].as_str().unwrap();
    let secret = stand.set_up_totp(token).await;
    let id = registered["identity"]["id"].as_str().unwrap();
    let headers = [("x-session-token", token)];

    let settings = stand
        .get(&stand.public("self-service/settings/api"), &headers)
        .await;
    let identity = stand
        .get(&stand.admin(&format!("admin/identities/{id}")), &[])
        .await;

    assert!(!settings.text().contains(&secret) && !settings.text().contains("totp_secret_key"));
    assert!(!identity.text().contains(&secret));
    assert_eq!(
        identity.value()["credentials"]["totp"]["identifiers"],
        json!([id])
    );
}

#[actix_web::test]
async fn browser_is_sent_to_its_second_factor_and_goes_on_with_the_same_session() {
    let stand = strict();
    let secret = with_app(&stand, "tab@example.com").await;
    let json = ("accept", "application/json");
    let csrf = |flow: &Value| {
        node(flow, "csrf_token")["attributes"]["value"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let login = stand
        .get(&stand.public("self-service/login/browser"), &[json])
        .await;
    let (jar, flow) = (login.jar(""), login.value());
    let body = json!({"method": "password", "identifier": "tab@example.com", "password": PASSWORD, "csrf_token": csrf(&flow)});
    let action = flow["ui"]["action"].as_str().unwrap();
    let first = stand.json("POST", action, &[json, ("cookie", &jar)], &body).await;
    assert_eq!(first.status, 422, "{}", first.text());
    let jar = first.jar(&jar);
    let target = first.value()["redirect_browser_to"].as_str().unwrap().to_owned();

    let started = stand.get(&target, &[json, ("cookie", &jar)]).await;
    assert_eq!(started.status, 200, "{}", started.text());
    let (jar, flow) = (started.jar(&jar), started.value());
    assert_eq!(flow["requested_aal"], "aal2");
    let action = flow["ui"]["action"].as_str().unwrap();
    let mut body = json!({"method": "totp", "totp_code": stand.code(&secret)});
    let forged = stand.json("POST", action, &[json, ("cookie", &jar)], &body).await;
    assert_eq!(forged.status, 403);
    body["csrf_token"] = csrf(&flow).into();
    let second = stand.json("POST", action, &[json, ("cookie", &jar)], &body).await;

    assert_eq!(second.status, 200, "{}", second.text());
    let answer = second.value();
    assert!(answer.get("session_token").is_none());
    let jar = second.jar(&jar);
    let whoami = stand
        .get(&stand.public("sessions/whoami"), &[("cookie", &jar)])
        .await;
    assert_eq!(whoami.status, 200);
    assert_eq!(whoami.value()["id"], answer["session"]["id"]);
    let again = stand
        .get(&target, &[("accept", "text/html"), ("cookie", &jar)])
        .await;
    assert_eq!(again.header("location"), Some("http://127.0.0.1:4455/"));
}

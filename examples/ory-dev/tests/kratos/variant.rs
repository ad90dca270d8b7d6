//! Compares the embedded Kratos with recordings of `kratos-variant.yml`: a second factor is required, sessions are
//! tokenized, and login flows live two seconds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    replay::{Replay, decoded},
    support::{Answer, Stand, config_with, node},
};

const RECORDINGS: &str = include_str!("../recordings/kratos-variant.json");

const MAPPER: &str = "bG9jYWwgc2Vzc2lvbiA9IHN0ZC5leHRWYXIoJ3Nlc3Npb24nKTsgeyBjbGFpbXM6IHsgdGVuYW50OiAnZGVmYXVsdCcsIGF1ZDogWydvcmRlcnMtYXBpJ10sIG1ldGFkYXRhUHVibGljOiBzZXNzaW9uLmlkZW50aXR5Lm1ldGFkYXRhX3B1YmxpYyB9IH0=";

/// Recorded exchanges with unsupported features: the beginning of their names, and the reason.
const OUTSIDE: &[(&str, &str)] = &[
    ("registration/native: web hook", "no web hooks"),
    ("what the web hook received", "no web hooks"),
];

const OTHERWISE: &[(&str, &str, &str)] = &[
    ("whoami: tokenize_as", "user_agent", "the test registers"),
    (
        "whoami: tokenize_as",
        "updated_at",
        "the web hook set the metadata before",
    ),
    ("login/native: expired flow", "since", "time goes on"),
    ("login/browser: expired flow, JSON", "since", "time goes on"),
];

fn variant() -> Stand {
    let whoami = format!(
        "whoami: {{ required_aal: highest_available, tokenizer: {{ templates: {{ service: {{ jwks_url: \
         'file://${{STATE}}/id-token.jwks.json', claims_mapper_url: 'base64://{MAPPER}', ttl: 60s }} }} }} }}"
    );
    Stand::with(config_with(&[
        ("whoami: { required_aal: aal1 }", &whoami),
        ("login\", lifespan: 10m", "login\", lifespan: 2s"),
    ]))
}

/// Starts a browser flow, and maps the recorded flow, token and cookie to it.
fn map_browser_flow(replay: &mut Replay, started: &Answer, entry: &Value) {
    let flow = started.value();
    let id = |url: &str| url.split_once("flow=").unwrap().1.to_owned();
    let recorded = &entry["request"];
    let pairs = [
        (
            id(recorded["url"].as_str().unwrap()),
            id(flow["ui"]["action"].as_str().unwrap()),
        ),
        (
            recorded["body"]["csrf_token"].as_str().unwrap().to_owned(),
            node(&flow, "csrf_token")["attributes"]["value"]
                .as_str()
                .unwrap()
                .to_owned(),
        ),
        (
            recorded["headers"]["Cookie"]
                .as_str()
                .unwrap()
                .split_once('=')
                .unwrap()
                .1
                .to_owned(),
            started.jar("").split_once('=').unwrap().1.to_owned(),
        ),
    ];
    for (recorded, here) in pairs {
        replay.here.put(&recorded, &here);
    }
}

#[actix_web::test]
async fn variant_is_answered_as_the_real_server_answered_it() {
    let entries: Vec<Value> = serde_json::from_str(RECORDINGS).unwrap();
    let entry = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap();
    let bearer = |entry: &Value| {
        let value = entry["request"]["headers"]["Authorization"].as_str().unwrap();
        value.strip_prefix("Bearer ").unwrap().to_owned()
    };
    let mut replay = Replay::with(variant(), "41b7e1", OTHERWISE).await;
    let email = replay.here.translate("hook-41b7e1@example.com");
    let registered = replay.stand.register(&email).await;
    let token = registered["session_token"].as_str().unwrap().to_owned();
    let id = registered["identity"]["id"].as_str().unwrap();
    let patch = json!([{"op": "add", "path": "/metadata_public", "value": {"roles": ["member"]}}]);
    let url = replay.stand.admin(&format!("admin/identities/{id}"));
    assert_eq!(replay.stand.json("PATCH", &url, &[], &patch).await.status, 200);
    let browser = [("accept", "application/json")];
    let mut sent = Vec::new();

    for recorded in entries.iter().filter(|entry| entry.get("request").is_some()) {
        let name = recorded["name"].as_str().unwrap();
        if OUTSIDE.iter().any(|(start, _)| name.starts_with(start)) {
            continue;
        }
        match name {
            "whoami: tokenize_as" => replay.here.put(&bearer(recorded), &token),
            "whoami: a second factor is due" => {
                replay.stand.set_up_totp(&token).await;
                let logged_in = replay
                    .stand
                    .log_in(&email, crate::support::PASSWORD)
                    .await
                    .value();
                replay
                    .here
                    .put(&bearer(recorded), logged_in["session_token"].as_str().unwrap());
            }
            "login/native: expired flow" => {
                let action = replay.stand.native_flow("login").await;
                let flow = |url: &str| url.split_once("flow=").unwrap().1.to_owned();
                replay.here.put(
                    &flow(recorded["request"]["url"].as_str().unwrap()),
                    &flow(&action),
                );
                let url = replay.stand.public("self-service/login/browser");
                let started = replay.stand.get(&url, &browser).await;
                map_browser_flow(&mut replay, &started, entry("login/browser: expired flow, JSON"));
                replay.stand.clock.advance(Duration::from_millis(2500));
            }
            "login/browser: second factor is due, JSON" => {
                let url = replay.stand.public("self-service/login/browser");
                let started = replay.stand.get(&url, &browser).await;
                map_browser_flow(&mut replay, &started, recorded);
            }
            _ => {}
        }
        replay.play(recorded).await;
        sent.push(name);
    }

    assert!(replay.problems.is_empty(), "{}\n", replay.problems.join("\n"));
    assert_eq!(sent.len(), 9, "{sent:?}");
}

#[actix_web::test]
async fn tokenized_session_lives_as_long_as_its_template_says_and_is_signed_by_the_first_key() {
    let stand = variant();
    let registered = stand.register("tokenized@example.com").await;
    let headers = [("x-session-token", registered["session_token"].as_str().unwrap())];

    let answer = stand
        .get(&stand.public("sessions/whoami?tokenize_as=service"), &headers)
        .await
        .value();
    let (header, claims) = decoded(answer["tokenized"].as_str().unwrap());

    let number = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(number("exp").abs_diff(number("iat")), 60);
    assert_eq!(
        (&claims["sub"], &claims["sid"]),
        (&answer["identity"]["id"], &answer["id"])
    );
    assert_eq!(claims["iss"], stand.kratos.public_url().as_str());
    assert_eq!(header["alg"], "RS256");
}

#[actix_web::test]
async fn template_without_a_mapper_has_the_default_claims_alone() {
    let key = std::env::temp_dir().join(format!("tokenizer-{}.json", uuid::Uuid::new_v4()));
    let whoami = format!(
        "whoami: {{ required_aal: aal1, tokenizer: {{ templates: {{ plain: {{ jwks_url: 'file://{}' }} }} }} }}",
        key.display()
    );
    let stand = Stand::with(config_with(&[("whoami: { required_aal: aal1 }", &whoami)]));
    let registered = stand.register("plain@example.com").await;
    let headers = [("x-session-token", registered["session_token"].as_str().unwrap())];
    let url = stand.public("sessions/whoami?tokenize_as=plain");

    let (_, claims) = decoded(
        stand.get(&url, &headers).await.value()["tokenized"]
            .as_str()
            .unwrap(),
    );

    let names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["exp", "iat", "iss", "jti", "nbf", "sid", "sub"]);
    std::fs::write(&key, "nonsense").unwrap();
    assert_eq!(stand.get(&url, &headers).await.status, 500);
    std::fs::remove_file(&key).unwrap();
}

//! Compares the embedded gateway with recordings of the real one, with new sessions and keys.

#![cfg(test)]

mod oathkeeper_support;

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use ory_dev::{config::Vars, hydra::Hydra};
use serde_json::{Value, json};
use url::Url;

use oathkeeper_support::{Answer, Login, Stand, ask, decode, people::People, shipped};

const RECORDING: &str = include_str!("recordings/oathkeeper.json");

const RULES: &str = include_str!("recordings/oathkeeper-rules.json");

/// The recorded exchanges that are sent again, in the recorded order.
const PLAYED: [&str; 33] = [
    "jwks",
    "rules",
    "health: ready",
    "health: alive",
    "version",
    "id_token: unique",
    "id_token: unique again",
    "id_token: with a path",
    "id_token: claims without anything unique",
    "id_token: claims without anything unique, again",
    "id_token: claims that set exp, iat, jti, iss, nbf, sub",
    "id_token: claims that set exp, iat, jti, iss, nbf, sub, again",
    "id_token: no claims template",
    "id_token: a user without metadata_public",
    "header: X-User",
    "header: the caller forges X-User",
    "noop: the caller forges X-User",
    "no credential",
    "unknown session token",
    "unknown session cookie",
    "no rule",
    "no rule for the method",
    "glob: path ends at the prefix",
    "glob: below the prefix",
    "glob: encoded slash",
    "glob: dot segments",
    "oauth2_introspection: no token",
    "oauth2_introspection: id_token of a client",
    "decision API: allowed",
    "decision API: refused",
    "id_token: by cookie",
    "id_token: cookie and a bearer of the caller's own",
    "POST with a body",
];

/// Sent after the session was revoked.
const AFTER_REVOCATION: &str = "id_token: after the session was revoked";

struct Replay {
    stand: Stand<People>,
    hydra: Hydra,
    /// The access token of a client.
    access_token: String,
    exchanges: Vec<Value>,
    user: Login,
    other: Login,
}

impl Replay {
    async fn start() -> Self {
        let people = People::start();
        let kratos = people.public_url().clone();
        let (hydra, access_token) = hydra_with_a_token().await;
        let rules: Value = serde_json::from_str(RULES).expect("rules");
        let configured = Url::parse("http://127.0.0.1:4445").expect("a URL");
        let stand = Stand::beside(people, &kratos, &rules, |config| {
            config.replace_origin(&configured, hydra.admin_url())
        });
        let user = stand
            .sessions
            .log_in(&json!({"roles": ["warehouse:admin"]}))
            .await;
        let other = stand.sessions.log_in(&Value::Null).await;
        Self {
            stand,
            hydra,
            access_token,
            exchanges: serde_json::from_str(RECORDING).expect("a recording"),
            user,
            other,
        }
    }

    fn exchange(&self, name: &str) -> &Value {
        self.exchanges
            .iter()
            .find(|exchange| exchange["name"] == name)
            .expect("a recorded exchange")
    }

    /// Sends the recorded request with the credentials of this run.
    async fn play(&self, name: &str) -> Answer {
        let request = &self.exchange(name)["request"];
        let recorded_user = self.exchange("id_token: unique")["request"]["headers"]["Authorization"].clone();
        let recorded_other = self.exchange("id_token: a user without metadata_public")["request"]["headers"]
            ["Authorization"]
            .clone();
        let recorded_client = self.exchange("oauth2_introspection: id_token of a client")["request"]["headers"]
            ["Authorization"]
            .clone();
        let recorded_cookie = self.exchange("id_token: by cookie")["request"]["headers"]["Cookie"].clone();

        // The recorder's client also sent these two headers.
        let mut headers = vec![
            ("User-Agent", "Python-urllib/3.11".to_owned()),
            ("Accept-Encoding", "identity".to_owned()),
        ];
        for (name, value) in request["headers"].as_object().expect("headers") {
            headers.push((
                name.as_str(),
                if *value == recorded_user {
                    self.user.bearer().1
                } else if *value == recorded_other {
                    self.other.bearer().1
                } else if *value == recorded_client {
                    format!("Bearer {}", self.access_token)
                } else if *value == recorded_cookie {
                    format!("ory_kratos_session={}", self.user.cookie)
                } else {
                    value.as_str().expect("text").to_owned()
                },
            ));
        }
        let gateway = &self.stand.gateway;
        let url = request["url"].as_str().expect("a URL");
        let (addr, path) = match url.strip_prefix("http://127.0.0.1:4455") {
            Some(path) => (gateway.proxy_addr(), path),
            None => (
                gateway.api_addr(),
                url.strip_prefix("http://127.0.0.1:4456").expect("the API"),
            ),
        };
        // The recorder wrote JSON with a space after each colon.
        let body = request["body"]
            .is_object()
            .then(|| request["body"].to_string().replace(':', ": "));
        let method = request["method"].as_str().expect("a method");
        ask(addr, method, path, &headers, body.as_deref()).await
    }
}

/// The embedded Hydra, with a client that has an access token.
async fn hydra_with_a_token() -> (Hydra, String) {
    let folder = shipped("");
    let config = Hydra::from_files(&shipped("hydra.yml"), &Vars::new(&folder, &folder));
    let hydra = Hydra::start(config.expect("a configuration").ports(0, 0)).expect("a Hydra");
    let body = json!({
        "grant_types": ["client_credentials"], "scope": "orders:read", "token_endpoint_auth_method": "client_secret_post",
    });
    let headers = [("Content-Type", "application/json".to_owned())];
    let made = ask(
        hydra.admin_addr(),
        "POST",
        "/admin/clients",
        &headers,
        Some(&body.to_string()),
    )
    .await;
    let made = made.json();
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    let form = format!(
        "grant_type=client_credentials&scope=orders:read&client_id={}&client_secret={}",
        text("client_id"),
        text("client_secret")
    );
    let headers = [("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    let issued = ask(
        hydra.public_addr(),
        "POST",
        "/oauth2/token",
        &headers,
        Some(&form),
    )
    .await;
    let token = issued.json()["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    (hydra, token)
}

/// Replaces the values of a JSON value by their types; an array is represented by its first item.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => items
            .first()
            .map_or_else(|| json!([]), |item| json!([shape(item)])),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), shape(member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn header_names(echo: &Value) -> BTreeSet<String> {
    let headers = echo["headers"].as_array().expect("headers");
    let names = headers
        .iter()
        .map(|pair| pair[0].as_str().expect("a name").to_lowercase());
    // The HTTP client of the embedded gateway adds `Date` to every request.
    names.filter(|name| name != "date").collect()
}

fn echoed<'v>(echo: &'v Value, name: &str) -> Option<&'v str> {
    let headers = echo["headers"].as_array().expect("headers");
    let found = headers
        .iter()
        .find(|pair| pair[0].as_str().expect("a name").eq_ignore_ascii_case(name));
    found.map(|pair| pair[1].as_str().expect("a value"))
}

fn token_of(echo: &Value) -> Option<&str> {
    echoed(echo, "authorization")?
        .strip_prefix("Bearer ")
        .filter(|token| token.starts_with("eyJ"))
}

/// Compares the common parts of all answers.
fn assert_alike(name: &str, recorded: &Value, answer: &Answer) {
    assert_eq!(
        json!(answer.status),
        recorded["status"],
        "{name}: {}",
        answer.text()
    );
    let recorded_headers = recorded["headers"].as_array().expect("headers");
    for wanted in ["content-type", "ory-error-id"] {
        let found = recorded_headers
            .iter()
            .find(|pair| pair[0].as_str().expect("a name").eq_ignore_ascii_case(wanted));
        assert_eq!(
            answer.header(wanted),
            found.map(|pair| pair[1].as_str().expect("text")),
            "{name}: {wanted}"
        );
    }
    let body = &recorded["body"];
    if let Some(page) = body.as_str() {
        assert_eq!(answer.text(), page, "{name}");
    } else if body.get("error").is_some() {
        assert_eq!(answer.json(), *body, "{name}");
        // Compared byte by byte, including the line feed at the end.
        let length = recorded_headers
            .iter()
            .find(|pair| pair[0] == "Content-Length")
            .expect("a length");
        assert_eq!(
            Some(answer.body.len()),
            length[1].as_str().and_then(|text| text.parse().ok()),
            "{name}"
        );
    } else if body.get("headers").is_some() {
        assert_same_echo(name, body, &answer.json());
    } else {
        assert_eq!(shape(&answer.json()), shape(body), "{name}");
    }
}

/// Compares the forwarded requests.
fn assert_same_echo(name: &str, recorded: &Value, echo: &Value) {
    for member in ["method", "path", "body"] {
        assert_eq!(echo[member], recorded[member], "{name}: {member}");
    }
    assert_eq!(header_names(echo), header_names(recorded), "{name}");
    for same in ["user-agent", "accept-encoding", "content-length", "content-type"] {
        assert_eq!(echoed(echo, same), echoed(recorded, same), "{name}: {same}");
    }
    match (token_of(recorded), token_of(echo)) {
        (None, None) => {}
        (Some(recorded), Some(token)) => assert_same_token(name, recorded, token),
        (recorded, token) => panic!("{name}: {recorded:?} was recorded, {token:?} came"),
    }
}

fn assert_same_token(name: &str, recorded: &str, token: &str) {
    let (recorded_header, recorded_claims) = decode(recorded);
    let (header, claims) = decode(token);
    assert_eq!(shape(&header), shape(&recorded_header), "{name}");
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&recorded_header["alg"], &recorded_header["typ"]),
        "{name}"
    );
    assert_eq!(shape(&claims), shape(&recorded_claims), "{name}");
    for same in ["aud", "iss", "tenant", "metadataPublic", "scope"] {
        assert_eq!(claims.get(same), recorded_claims.get(same), "{name}: {same}");
    }
    let seconds = |claims: &Value, name: &str| claims[name].as_u64().expect("whole seconds");
    assert_eq!(
        seconds(&claims, "exp").checked_sub(seconds(&claims, "iat")),
        Some(60),
        "{name}"
    );
    assert_eq!(claims["nbf"], claims["iat"], "{name}");
    assert_eq!(
        claims["jti"].as_str().map(|jti| (jti.len(), jti.chars().nth(14))),
        Some((36, Some('4'))),
        "{name}: a random UUID",
    );
}

#[test]
fn every_recorded_exchange_is_played() {
    let exchanges: Vec<Value> = serde_json::from_str(RECORDING).expect("a recording");
    let recorded: BTreeSet<&str> = exchanges
        .iter()
        .filter_map(|exchange| exchange["name"].as_str())
        .collect();
    let known: BTreeSet<&str> = PLAYED.into_iter().chain([AFTER_REVOCATION]).collect();
    assert_eq!(recorded, known);
}

#[actix_web::test]
async fn recorded_exchanges_are_answered_alike() {
    let replay = Replay::start().await;
    for name in PLAYED {
        let recorded = &replay.exchange(name)["response"];
        let before = replay.stand.echo.hits();

        let answer = replay.play(name).await;

        if name == "rules" {
            continue;
        }
        assert_alike(name, recorded, &answer);
        let reaches_the_service = recorded["body"].get("headers").is_some();
        assert_eq!(
            replay.stand.echo.hits().checked_sub(before),
            Some(usize::from(reaches_the_service)),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn a_revoked_session_is_refused_and_reaches_no_service() {
    let replay = Replay::start().await;
    assert_eq!(replay.play("id_token: unique").await.status, 200);
    replay.stand.sessions.revoke(&replay.user).await;
    let before = replay.stand.echo.hits();

    let answer = replay.play(AFTER_REVOCATION).await;

    assert_alike(
        AFTER_REVOCATION,
        &replay.exchange(AFTER_REVOCATION)["response"],
        &answer,
    );
    assert_eq!(replay.stand.echo.hits(), before);
}

#[actix_web::test]
async fn a_revoked_access_token_is_refused_at_once() {
    let replay = Replay::start().await;
    let name = "oauth2_introspection: id_token of a client";
    let claims = decode(token_of(&replay.play(name).await.json()).expect("a token")).1;
    let path = format!(
        "/admin/oauth2/tokens?client_id={}",
        claims["client_id"].as_str().expect("a client")
    );
    assert_eq!(claims["sub"], claims["client_id"]);

    let deleted = ask(replay.hydra.admin_addr(), "DELETE", &path, &[], None).await;

    assert_eq!(deleted.status, 204);
    assert_eq!(replay.play(name).await.status, 401);
}

#[actix_web::test]
async fn a_token_is_refused_while_hydra_does_not_answer() {
    let Replay {
        stand,
        hydra,
        access_token,
        ..
    } = Replay::start().await;
    hydra.stop().await;

    let bearer = [("Authorization", format!("Bearer {access_token}"))];
    let answer = stand.ask("GET", "/machine/a", &bearer).await;

    assert_eq!((answer.status, stand.echo.hits()), (500, 0));
}

#[actix_web::test]
async fn rules_are_shown_as_recorded() {
    let replay = Replay::start().await;

    let answer = replay.play("rules").await;

    let mut recorded = replay.exchange("rules")["response"]["body"].clone();
    let list = recorded.as_array_mut().expect("rules");
    for rule in list {
        rule["upstream"]["url"] = format!("http://{}", replay.stand.echo.addr()).into();
    }
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(answer.json(), recorded);
}

#[actix_web::test]
async fn tokens_tell_who_the_caller_is_and_are_signed_with_a_published_key() {
    let replay = Replay::start().await;

    let unique = replay.play("id_token: unique").await.json();
    let again = replay.play("id_token: unique again").await.json();
    let greedy = replay
        .play("id_token: claims that set exp, iat, jti, iss, nbf, sub")
        .await
        .json();
    let other = replay
        .play("id_token: a user without metadata_public")
        .await
        .json();

    let claims = |echo: &Value| decode(token_of(echo).expect("a token")).1;
    assert_eq!(claims(&unique)["sub"], replay.user.identity);
    assert_eq!(claims(&other)["sub"], replay.other.identity);
    assert_eq!(claims(&greedy)["sub"], replay.user.identity);
    assert_ne!(claims(&unique)["jti"], claims(&again)["jti"]);
    let kid = decode(token_of(&unique).expect("a token")).0["kid"]
        .as_str()
        .map(str::to_owned);
    assert_eq!(kid.into_iter().collect::<Vec<_>>(), replay.stand.kids().await);
}

#[actix_web::test]
async fn claims_without_anything_unique_give_the_same_token_again() {
    let replay = Replay::start().await;

    let once = replay
        .play("id_token: claims without anything unique")
        .await
        .json();
    let again = replay
        .play("id_token: claims without anything unique, again")
        .await
        .json();
    let greedy = replay
        .play("id_token: claims that set exp, iat, jti, iss, nbf, sub")
        .await
        .json();
    let greedy_again = replay
        .play("id_token: claims that set exp, iat, jti, iss, nbf, sub, again")
        .await
        .json();

    assert_eq!(token_of(&once), token_of(&again));
    assert_ne!(token_of(&greedy), token_of(&greedy_again));
}

#[actix_web::test]
async fn the_header_mutator_sets_what_was_recorded_and_overrules_the_caller() {
    let replay = Replay::start().await;

    let echo = replay.play("header: the caller forges X-User").await.json();

    assert_eq!(echoed(&echo, "x-user"), Some(replay.user.identity.as_str()));
    assert_eq!(
        echoed(&echo, "authorization"),
        Some(replay.user.bearer().1.as_str())
    );
    let identity = |echo: &Value| {
        let extras = echoed(echo, "x-user-extras").expect("extras");
        serde_json::from_slice::<Value>(&STANDARD.decode(extras).expect("base64")).expect("JSON")
    };
    let recorded = &replay.exchange("header: the caller forges X-User")["response"]["body"];
    assert_eq!(shape(&identity(&echo)), shape(&identity(recorded)));
    assert_eq!(identity(&echo)["id"], replay.user.identity);
}

#[actix_web::test]
async fn the_caller_s_cookie_is_passed_on_beside_the_token() {
    let replay = Replay::start().await;

    let echo = replay
        .play("id_token: cookie and a bearer of the caller's own")
        .await
        .json();

    assert_eq!(
        echoed(&echo, "cookie"),
        Some(format!("ory_kratos_session={}", replay.user.cookie).as_str())
    );
    assert!(token_of(&echo).is_some());
}

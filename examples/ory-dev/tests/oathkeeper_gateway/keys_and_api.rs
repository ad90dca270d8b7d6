//! Signing keys, published keys, and the API.

use std::{fs, net::TcpStream, time::Duration};

use actix_web::rt::time::sleep;
use ory_dev::oathkeeper::{Clock, Oathkeeper};
use serde_json::json;

use crate::{
    bearer_rules, claims, error_of, logged_in, noop,
    oathkeeper_support::{Answer, Stand, ask, configuration, decode},
    open_stand, rule,
};

#[actix_web::test]
async fn rules_are_shown_one_by_one_and_by_page() {
    let stand = Stand::start(&json!([
        rule("/a", &["noop"], &noop()),
        rule("/b", &["noop"], &noop()),
        rule("/c", &["noop"], &noop()),
    ]));
    let ids = |answer: &Answer| -> Vec<String> {
        let list = answer.json().as_array().expect("rules").clone();
        list.iter()
            .map(|rule| rule["id"].as_str().expect("an id").to_owned())
            .collect()
    };

    assert_eq!(
        stand.ask_api("GET", "/rules/b-rule", &[]).await.json()["id"],
        "b-rule"
    );
    assert_eq!(
        stand.ask_api("GET", "/rules/b%2Drule", &[]).await.json()["id"],
        "b-rule"
    );
    assert_eq!(
        ids(&stand.ask_api("GET", "/rules?limit=1&offset=1", &[]).await),
        ["b-rule"]
    );
    assert_eq!(
        ids(&stand.ask_api("GET", "/rules?limit=x&offset=-1", &[]).await).len(),
        3
    );
    assert!(ids(&stand.ask_api("GET", "/rules?offset=9", &[]).await).is_empty());
    let unknown = stand.ask_api("GET", "/rules/nope", &[]).await;
    assert_eq!(
        (unknown.status, unknown.header("content-type")),
        (404, Some("application/json"))
    );
    assert_eq!(
        error_of(&unknown)["message"],
        "The requested resource could not be found"
    );
}

#[actix_web::test]
async fn unknown_routes_of_the_api_are_answered_in_the_form_that_was_asked_for() {
    let stand = open_stand();
    for (accept, kind) in [
        ("*/*", "text/html; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
    ] {
        let answer = stand
            .ask_api("GET", "/nope", &[("Accept", accept.to_owned())])
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (404, Some(kind)),
            "{accept}"
        );
    }
    assert_eq!(stand.ask_api("POST", "/rules", &[]).await.status, 404);
}

#[actix_web::test]
async fn decisions_are_made_about_the_request_that_is_described() {
    let stand = Stand::start(&bearer_rules(&claims("{}")));
    let login = logged_in(&stand);
    let described = |path: &str, method: &str| {
        vec![
            ("X-Forwarded-Host", "127.0.0.1:4455".to_owned()),
            ("X-Forwarded-Uri", path.to_owned()),
            ("X-Forwarded-Method", method.to_owned()),
            login.bearer(),
        ]
    };

    let refused = stand
        .ask_api("GET", "/decisions", &described("/a", "DELETE"))
        .await;
    assert_eq!(refused.status, 404);
    let mut nobody = described("/a", "GET");
    nobody.pop();
    assert_eq!(stand.ask_api("GET", "/decisions", &nobody).await.status, 401);
    let admitted = stand
        .ask_api("DELETE", "/decisions/x", &described("/a?x=1", "GET"))
        .await;

    assert_eq!((admitted.status, admitted.body.len()), (200, 0));
    let token = admitted
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .expect("a token");
    assert_eq!(decode(token).1["sub"], login.identity);
    assert_eq!(stand.echo.hits(), 0);
}

#[actix_web::test]
async fn an_appended_key_signs_at_once_and_a_prepended_one_is_only_published() {
    let stand = Stand::start(&bearer_rules(&claims("{\"a\":\"{{ uuidv4 }}\"}")));
    let login = logged_in(&stand);
    let file = stand.key_file();
    let kid = |token: &str| decode(token).0["kid"].as_str().expect("a kid").to_owned();
    let first = kid(&stand.token("/a", &login).await);

    let front = file.prepend_rsa().expect("a key");
    stand.gateway.reload_keys();
    assert_eq!(stand.kids().await, [front.clone(), first.clone()]);
    assert_eq!(kid(&stand.token("/a", &login).await), first);

    let last = file.append_rsa().expect("a key");
    stand.gateway.reload_keys();
    assert_eq!(kid(&stand.token("/a", &login).await), last);
    assert_eq!(stand.kids().await, [front.clone(), first.clone(), last.clone()]);

    file.remove(&first).expect("a file");
    stand.gateway.reload_keys();
    assert_eq!(stand.kids().await, [front, last]);
}

#[actix_web::test]
async fn the_key_file_is_read_again_by_itself_and_a_broken_one_changes_nothing() {
    let stand = Stand::start_with(&bearer_rules(&claims("{}")), |config| {
        config.reload(Duration::from_millis(20))
    });
    let login = logged_in(&stand);
    let before = stand.kids().await;

    fs::write(stand.key_file().path(), "{\"keys\": [").expect("a file");
    stand.gateway.reload_keys();
    assert_eq!(stand.kids().await, before);
    assert!(stand.token("/a", &login).await.starts_with("eyJ"));

    fs::remove_file(stand.key_file().path()).expect("removed");
    stand.key_file().ensure().expect("a file");
    let wanted = stand.key_file().kids().expect("kids");
    // The watcher reloads within its interval; the test ends when it has.
    while stand.kids().await != wanted {
        sleep(Duration::from_millis(10)).await;
    }
}

/// R163: services get the same one-time id again until a tenth of the token's lifetime is left.
#[actix_web::test]
async fn tokens_come_from_a_cache_unless_their_claims_are_unique() {
    let clock = Clock::default();
    let plain = rule("/plain", &["bearer_token"], &claims("{\"a\": 1}"));
    let unique = rule("/unique", &["bearer_token"], &claims("{\"a\": \"{{ uuidv4 }}\"}"));
    let stand = Stand::start_with(&json!([plain, unique]), |config| config.clock(&clock));
    let login = logged_in(&stand);

    let first = stand.token("/plain", &login).await;
    assert_eq!(stand.token("/plain", &login).await, first);
    assert_ne!(
        stand.token("/unique", &login).await,
        stand.token("/unique", &login).await
    );
    assert_ne!(stand.token("/plain", &logged_in(&stand)).await, first);
    clock.advance(Duration::from_secs(55));
    assert_ne!(stand.token("/plain", &login).await, first);
}

#[actix_web::test]
async fn a_stopped_gateway_frees_its_ports_and_keeps_its_keys() {
    let stand = open_stand();
    let (proxy, api) = (stand.gateway.proxy_addr(), stand.gateway.api_addr());
    let before = stand.kids().await;
    let Stand { folder, gateway, .. } = stand;
    gateway.stop().await;
    assert!(TcpStream::connect(proxy).is_err());
    assert!(TcpStream::connect(api).is_err());

    let config = configuration(&folder, &json!([]));
    let again = Oathkeeper::start(config.ports(proxy.port(), api.port())).expect("a gateway");

    let set = ask(again.api_addr(), "GET", "/.well-known/jwks.json", &[], None)
        .await
        .json();
    assert_eq!(set["keys"][0]["kid"], before[0]);
    assert_eq!(
        ask(again.api_addr(), "GET", "/health/ready", &[], None)
            .await
            .status,
        503
    );
}

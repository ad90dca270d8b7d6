//! Expiry and deletion of flows, sessions, identities and the server.

use std::time::Duration;

use serde_json::json;

use crate::support::{PASSWORD, Stand};

#[actix_web::test]
async fn session_ends_with_its_lifespan_and_not_before() {
    let stand = Stand::start();
    let token = stand.register("life@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();

    stand.clock.advance(Duration::from_secs(24 * 3600 - 60));
    assert_eq!(stand.whoami(&token).await.status, 200);
    stand.clock.advance(Duration::from_secs(61));

    assert_eq!(stand.whoami(&token).await.status, 401);
}

#[actix_web::test]
async fn extended_session_lives_on() {
    let stand = Stand::start();
    let registered = stand.register("extend@example.com").await;
    let token = registered["session_token"].as_str().unwrap();
    let id = registered["session"]["id"].as_str().unwrap();
    stand.clock.advance(Duration::from_secs(12 * 3600));

    let url = stand.admin(&format!("admin/sessions/{id}/extend"));
    assert_eq!(stand.send("PATCH", &url, &[], b"").await.status, 200);
    stand.clock.advance(Duration::from_secs(18 * 3600));

    assert_eq!(stand.whoami(token).await.status, 200);
}

#[actix_web::test]
async fn expired_flow_is_gone_and_names_a_fresh_one() {
    let stand = Stand::start();
    stand.register("late@example.com").await;
    for kind in ["login", "registration"] {
        let action = stand.native_flow(kind).await;
        stand.clock.advance(Duration::from_secs(601));
        let body = json!({
            "method": "password", "password": PASSWORD,
            "identifier": "late@example.com", "traits": {"email": "later@example.com"},
        });

        let gone = stand.json("POST", &action, &[], &body).await;

        assert_eq!(gone.status, 410, "{kind}");
        assert_eq!(gone.header("ory-error-id"), Some("self_service_flow_expired"));
        let gone = gone.value();
        assert_eq!(gone["error"]["message"], "self-service flow expired");
        assert!(gone["since"].is_u64() && gone["expired_at"].is_string());
        let fresh = gone["use_flow_id"].as_str().unwrap();
        let id = action.split_once("flow=").unwrap().1;
        let shown = stand
            .get(&stand.public(&format!("self-service/{kind}/flows?id={id}")), &[])
            .await;
        assert_eq!(shown.status, 410);
        let expected = stand.public(&format!("self-service/{kind}/api"));
        assert_eq!(shown.value()["error"]["details"]["api"], expected);
        let again = action.replace(id, fresh);
        assert_eq!(stand.json("POST", &again, &[], &body).await.status, 200, "{kind}");
    }
}

#[actix_web::test]
async fn reactivated_identity_may_use_its_session_again() {
    let stand = Stand::start();
    let registered = stand.register("pause@example.com").await;
    let token = registered["session_token"].as_str().unwrap();
    let url = stand.admin(&format!(
        "admin/identities/{}",
        registered["identity"]["id"].as_str().unwrap()
    ));
    let set = |state: &str| json!([{"op": "replace", "path": "/state", "value": state}]);

    assert_eq!(stand.json("PATCH", &url, &[], &set("inactive")).await.status, 200);
    assert_eq!(stand.whoami(token).await.status, 401);
    assert_eq!(stand.json("PATCH", &url, &[], &set("active")).await.status, 200);

    assert_eq!(stand.whoami(token).await.status, 200);
}

#[actix_web::test]
async fn stopped_server_frees_its_ports_and_forgets_everyone() {
    let stand = Stand::start();
    let token = stand.register("gone@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (public, admin) = (stand.kratos.public_addr(), stand.kratos.admin_addr());

    stand.kratos.stop().await;

    assert!(std::net::TcpStream::connect(public).is_err() && std::net::TcpStream::connect(admin).is_err());
    let config = crate::support::config().ports(public.port(), admin.port());
    let again = ory_dev::kratos::Kratos::start(config).unwrap();
    let url = format!("{}sessions/whoami", again.public_url());
    let answer = awc::Client::new()
        .get(url)
        .insert_header(("x-session-token", token))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

#[actix_web::test]
async fn port_in_use_is_named() {
    let stand = Stand::start();
    let port = stand.kratos.public_addr().port();

    let err = ory_dev::kratos::Kratos::start(crate::support::config().ports(port, 0)).unwrap_err();

    assert!(
        err.to_string()
            .contains(&format!("port {port} (public) is in use")),
        "{err}"
    );
}

//! Invalid requests are rejected, and never cause a session, a panic or unbounded memory.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use crate::support::{PASSWORD, Stand, node};

#[actix_web::test]
async fn malformed_login_bodies_open_no_session() {
    let stand = Stand::start();
    stand.register("bad@example.com").await;
    let deep = format!("{{\"password\":{}", "[".repeat(20_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{}".to_vec(),
        deep.into_bytes(),
        b"{\"method\":\"password\",\"identifier\":\"bad@example.com\",\"password\":\"\xff\xfe\"}".to_vec(),
        json!({"method": "password"}).to_string().into_bytes(),
        json!({"method": 1, "identifier": "bad@example.com", "password": PASSWORD}).to_string().into_bytes(),
        json!({"method": "password", "identifier": ["bad@example.com"], "password": PASSWORD}).to_string().into_bytes(),
        json!({"method": "password", "identifier": "bad@example.com", "password": {"$ne": ""}}).to_string().into_bytes(),
        json!({"method": "password", "identifier": "bad@example.com", "password": null}).to_string().into_bytes(),
        json!({"method": "password", "identifier": "", "password": ""}).to_string().into_bytes(),
        json!({"method": "password", "identifier": "bad@example.com", "password": "x".repeat(10_000)}).to_string().into_bytes(),
        format!("{{\"method\":\"password\",\"identifier\":\"bad@example.com\",\"password\":\"{PASSWORD}\",\"password\":\"x\"}}").into_bytes(),
    ];

    for body in bodies {
        let action = stand.native_flow("login").await;
        let answer = stand
            .send("POST", &action, &[("content-type", "application/json")], &body)
            .await;
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(80)
            .collect::<String>();
        assert_eq!(answer.status, 400, "{shown}");
        assert!(
            answer.value()["ui"]["nodes"].is_array(),
            "{shown}: {}",
            answer.text()
        );
        assert!(answer.value().get("session_token").is_none(), "{shown}");
    }
}

#[actix_web::test]
async fn oversized_bodies_are_refused() {
    let stand = Stand::start();
    let action = stand.native_flow("registration").await;
    let large = json!({"method": "password", "traits": {"name": "x".repeat(70_000)}});
    let huge = json!({"traits": {"email": "a@b.c"}, "metadata_public": "x".repeat(300_000)});

    assert_eq!(stand.json("POST", &action, &[], &large).await.status, 413);
    assert_eq!(
        stand
            .json("POST", &stand.admin("admin/identities"), &[], &huge)
            .await
            .status,
        413
    );
    assert_eq!(
        stand.get(&stand.admin("admin/identities"), &[]).await.value(),
        json!([])
    );
}

#[actix_web::test]
async fn unknown_and_wrong_passwords_are_answered_alike() {
    let stand = Stand::start();
    stand.register("alike@example.com").await;

    let wrong = stand.log_in("alike@example.com", "wrong-password-1").await;
    let unknown = stand.log_in("nobody@example.com", "wrong-password-1").await;

    for answer in [&wrong, &unknown] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.value()["ui"]["messages"][0]["id"], 4_000_006);
    }
    let mut expected = wrong.value()["ui"].clone();
    let mut own = unknown.value()["ui"].clone();
    for ui in [&mut expected, &mut own] {
        ui["action"] = json!(null);
        let nodes = ui["nodes"].as_array_mut().unwrap();
        nodes.retain(|node| node["attributes"]["name"] != "identifier");
    }
    assert_eq!(expected, own);
}

#[actix_web::test]
async fn nonsense_credentials_are_no_session() {
    let stand = Stand::start();
    let token = stand.register("cred@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = stand.public("sessions/whoami");
    let long = "x".repeat(8_000);
    let (bearer, basic, double) = (
        format!("Bearer  {token}"),
        format!("Basic {token}"),
        format!("Bearer {token} x"),
    );

    for header in [
        ("authorization", ""),
        ("authorization", "Bearer"),
        ("authorization", "Bearer "),
        ("authorization", bearer.as_str()),
        ("authorization", basic.as_str()),
        ("authorization", double.as_str()),
        ("authorization", token.as_str()),
        ("authorization", long.as_str()),
        ("x-session-token", ""),
        ("x-session-token", long.as_str()),
        ("cookie", "ory_kratos_session="),
        ("cookie", "ory_kratos_session"),
        ("cookie", "ory_kratos_session=%00"),
        ("cookie", "=; ;;; a"),
        ("cookie", long.as_str()),
    ] {
        let answer = stand.get(&url, &[header]).await;
        assert_eq!(answer.status, 401, "{header:.60?}");
        assert!(!answer.text().contains(&token));
    }
}

#[actix_web::test]
async fn header_that_is_not_text_is_no_session() {
    let stand = Stand::start();
    for header in [
        &b"cookie: ory_kratos_session=\xff\xfe"[..],
        b"authorization: Bearer \xff",
        b"x-session-token: \xff",
    ] {
        let mut stream = TcpStream::connect(stand.kratos.public_addr()).unwrap();
        stream
            .write_all(b"GET /sessions/whoami HTTP/1.1\r\nhost: x\r\nconnection: close\r\n")
            .unwrap();
        stream.write_all(header).unwrap();
        stream.write_all(b"\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();

        let status = String::from_utf8_lossy(&answer[..12]).into_owned();
        assert!(
            ["HTTP/1.1 401", "HTTP/1.1 400"].contains(&status.as_str()),
            "{status}"
        );
    }
}

#[actix_web::test]
async fn nonsense_in_paths_and_queries_is_refused() {
    let stand = Stand::start();
    for (url, status) in [
        (stand.public("self-service/login/flows"), 404),
        (stand.public("self-service/login/flows?id="), 404),
        (stand.public("self-service/login/flows?id=%ff"), 404),
        (stand.public("self-service/nope/api"), 404),
        (stand.public("schemas/nope"), 404),
        (stand.public("schemas/%ff"), 404),
        (stand.public("schemas/ZGVmYXVsdA"), 200),
        (stand.admin("admin/identities/%00"), 404),
        (stand.admin("admin/sessions/nope"), 404),
        (stand.admin("admin/identities/nope/sessions"), 400),
        (stand.admin("admin/identities?page_size=-1"), 200),
        (
            stand.admin("admin/identities?page_size=99999999999999999999"),
            200,
        ),
        (stand.admin("admin/nope"), 404),
    ] {
        assert_eq!(stand.get(&url, &[]).await.status, status, "{url}");
    }
    let action = stand.public("self-service/login?flow=8bb01c70-1eb1-46e7-9b48-2cc4f27202be");
    assert_eq!(stand.json("POST", &action, &[], &json!({})).await.status, 404);
    assert_eq!(
        stand
            .json("POST", &stand.public("self-service/login"), &[], &json!({}))
            .await
            .status,
        400
    );
}

#[actix_web::test]
async fn long_values_are_not_kept_in_a_form() {
    let stand = Stand::start();
    let action = stand.native_flow("login").await;
    let body = json!({"method": "password", "identifier": "x".repeat(50_000), "password": "wrong-password"});

    let flow = stand.json("POST", &action, &[], &body).await;

    assert_eq!(flow.status, 400);
    assert_eq!(node(&flow.value(), "identifier")["attributes"]["value"], "");
}

#[actix_web::test]
async fn many_people_may_ask_at_once() {
    let stand = Stand::start();
    let registrations = (0..16).map(|number| {
        let (stand, email) = (&stand, format!("at-once-{}@example.com", number % 4));
        async move {
            let action = stand.native_flow("registration").await;
            let body = json!({"method": "password", "password": PASSWORD, "traits": {"email": email}});
            stand.json("POST", &action, &[], &body).await.status
        }
    });

    let statuses = futures_util::future::join_all(registrations).await;

    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        4,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 400).count(),
        12,
        "{statuses:?}"
    );
}

#[actix_web::test]
async fn logout_without_a_token_ends_nothing() {
    let stand = Stand::start();
    let token = stand.register("stay@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = stand.public("self-service/logout/api");

    for body in [
        &b""[..],
        b"{",
        b"{}",
        b"{\"session_token\":\"\"}",
        b"{\"session_token\":1}",
        b"[]",
    ] {
        let answer = stand
            .send("DELETE", &url, &[("content-type", "application/json")], body)
            .await;
        assert_eq!(answer.status, 400, "{body:?}");
    }
    assert_eq!(stand.whoami(&token).await.status, 200);
}

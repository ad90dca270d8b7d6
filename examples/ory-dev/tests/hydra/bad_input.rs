//! Invalid requests get an error in Hydra's format, and never a token.

use serde_json::json;

use crate::support::{Stand, basic};

#[actix_web::test]
async fn malformed_token_requests_are_refused() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let credential = basic(&worker);
    let (form, url) = ("application/x-www-form-urlencoded", stand.public("oauth2/token"));
    let grant = "grant_type=client_credentials";
    for (media, authorization, body, expected) in [
        (form, credential.as_str(), "", 400),
        (form, &credential, "scope=orders:read", 400),
        (form, &credential, "grant_type=authorization_code&code=x", 400),
        (form, &credential, "grant_type=refresh_token&refresh_token=x", 400),
        (
            "application/json",
            &credential,
            "{\"grant_type\":\"client_credentials\"}",
            400,
        ),
        (form, "Basic !!!", grant, 400),
        (form, "Basic bm90aGluZw==", grant, 400),
        (form, "Bearer x", grant, 400),
        (form, "Basic eDp5", grant, 401),
    ] {
        let headers = [("content-type", media), ("authorization", authorization)];
        let answer = stand.send("POST", &url, &headers, body).await;
        assert_eq!(answer.status, expected, "{authorization} {body}");
        assert!(answer.value()["error"].is_string() && answer.value()["error_description"].is_string());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let long = format!("{grant}&scope={}", "x".repeat(300 * 1024));
    let headers = [("content-type", form), ("authorization", credential.as_str())];
    assert_eq!(stand.send("POST", &url, &headers, &long).await.status, 413);
}

#[actix_web::test]
async fn malformed_client_bodies_change_nothing() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let id = worker["client_id"].as_str().unwrap();
    let url = stand.admin(&format!("admin/clients/{id}"));
    let before = stand.get(&url, &[]).await.value();

    for body in ["", "{", "[]", "{\"scope\":1}"] {
        let headers = [("content-type", "application/json")];
        assert_eq!(
            stand.send("PUT", &url, &headers, body).await.status,
            400,
            "{body}"
        );
    }
    for patch in [
        json!({}),
        json!([{"op": "test", "path": "/scope", "value": "x"}]),
        json!([{"op": "replace", "path": "/client_id", "value": "x"}]),
        json!([{"op": "replace", "path": "/nothing/here", "value": "x"}]),
        json!([{"op": "replace", "path": "/scope", "value": "x"}, {"op": "add", "path": "/audience/9", "value": "x"}]),
        json!([{"op": "add", "path": "/audience", "value": "x"}]),
    ] {
        assert_eq!(stand.json("PATCH", &url, &patch).await.status, 400, "{patch}");
    }

    assert_eq!(stand.get(&url, &[]).await.value(), before);
}

#[actix_web::test]
async fn patched_secret_is_the_only_one_that_counts() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let id = worker["client_id"].as_str().unwrap();
    let url = stand.admin(&format!("admin/clients/{id}"));
    let patch = json!([{"op": "add", "path": "/client_secret", "value": "another-secret"}]);

    let answer = stand.json("PATCH", &url, &patch).await;

    assert_eq!(answer.status, 200);
    assert!(answer.value().get("client_secret").is_none());
    let fields = [("grant_type", "client_credentials")];
    assert_eq!(stand.token(&worker, &fields).await.status, 401);
    let changed = json!({"client_id": id, "client_secret": "another-secret"});
    assert_eq!(stand.token(&changed, &fields).await.status, 200);
}

#[actix_web::test]
async fn secrets_are_shown_only_by_the_creation() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let secret = worker["client_secret"].as_str().unwrap();
    let id = worker["client_id"].as_str().unwrap();

    for path in [format!("admin/clients/{id}"), "admin/clients".to_owned()] {
        assert!(!stand.get(&stand.admin(&path), &[]).await.text().contains(secret));
    }
    assert_eq!(
        stand
            .get(&stand.admin("admin/clients?page_token=nonsense"), &[])
            .await
            .status,
        400
    );
}

#[actix_web::test]
async fn challenges_that_hydra_did_not_issue_are_unknown() {
    let stand = Stand::start();
    for stage in ["login", "consent"] {
        for challenge in ["", "nope"] {
            let url = format!("admin/oauth2/auth/requests/{stage}/accept?{stage}_challenge={challenge}");
            let answer = stand
                .json("PUT", &stand.admin(&url), &json!({"subject": "x"}))
                .await;
            assert_eq!(answer.status, 404, "{url}");
        }
    }
}

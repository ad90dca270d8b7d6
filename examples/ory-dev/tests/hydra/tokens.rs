//! Client credentials, introspection, revocation and JWT access tokens.

use std::time::Duration;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ory_dev::hydra::TokenStrategy;
use serde_json::{Value, json};

use crate::support::{Stand, basic, config, config_with, decoded};

#[actix_web::test]
async fn token_of_a_client_is_active_until_it_expires() {
    let stand = Stand::with(config().access_token_lifespan(Duration::from_secs(60)));
    let token = stand.access_token(&stand.worker().await).await;
    assert_eq!(stand.introspect(&token).await["active"], true);

    stand.clock.advance(Duration::from_secs(61));

    assert_eq!(stand.introspect(&token).await, json!({"active": false}));
}

#[actix_web::test]
async fn revoked_token_is_inactive_and_another_one_stays() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let (revoked, other) = (
        stand.access_token(&worker).await,
        stand.access_token(&worker).await,
    );

    let credential = basic(&worker);
    let fields = [("token", revoked.as_str())];
    let answer = stand
        .form(
            &stand.public("oauth2/revoke"),
            &[("authorization", &credential)],
            &fields,
        )
        .await;

    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(stand.introspect(&revoked).await["active"], false);
    assert_eq!(stand.introspect(&other).await["active"], true);
}

#[actix_web::test]
async fn client_cannot_revoke_the_token_of_another_client() {
    let stand = Stand::start();
    let (owner, thief) = (stand.worker().await, stand.worker().await);
    let token = stand.access_token(&owner).await;

    let credential = basic(&thief);
    let fields = [("token", token.as_str())];
    let answer = stand
        .form(
            &stand.public("oauth2/revoke"),
            &[("authorization", &credential)],
            &fields,
        )
        .await;

    assert_eq!(answer.status, 400);
    assert_eq!(answer.value()["error"], "unauthorized_client");
    assert_eq!(stand.introspect(&token).await["active"], true);
}

#[actix_web::test]
async fn tokens_of_a_client_end_with_the_administrator_or_with_the_client() {
    let stand = Stand::start();
    let worker = stand.worker().await;
    let id = worker["client_id"].as_str().unwrap();
    let token = stand.access_token(&worker).await;

    let url = stand.admin(&format!("admin/oauth2/tokens?client_id={id}"));
    assert_eq!(stand.send("DELETE", &url, &[], "").await.status, 204);
    assert_eq!(stand.introspect(&token).await["active"], false);

    let token = stand.access_token(&worker).await;
    let url = stand.admin(&format!("admin/clients/{id}"));
    assert_eq!(stand.send("DELETE", &url, &[], "").await.status, 204);
    assert_eq!(stand.introspect(&token).await["active"], false);
    assert_eq!(
        stand
            .send("DELETE", &stand.admin("admin/oauth2/tokens"), &[], "")
            .await
            .status,
        400
    );
}

#[actix_web::test]
async fn jwt_access_token_verifies_with_the_published_key() {
    let stand = Stand::with(config().access_tokens(TokenStrategy::Jwt));
    let worker = stand.worker().await;
    let token = stand.access_token(&worker).await;

    let (header, claims) = decoded(&token);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));
    assert_eq!(claims["scp"], json!(["orders:read"]));
    assert_eq!(claims["aud"], json!(["orders-api"]));
    assert_eq!(claims["iss"], stand.hydra.issuer());
    assert_eq!(claims["client_id"], claims["sub"]);
    let number = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(number("exp").abs_diff(number("iat")), 3600);

    let published = stand
        .get(&stand.public(".well-known/jwks.json"), &[])
        .await
        .value();
    let keys = published["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.get("d").is_none()));
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let key = RsaPublicKeyComponents {
        n: number("n"),
        e: number("e"),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
        .unwrap();
    assert_eq!(stand.introspect(&token).await["active"], true);
    assert_eq!(stand.introspect(&format!("{signed}.AAAA")).await["active"], false);
}

#[actix_web::test]
async fn client_may_have_another_token_strategy_than_the_server() {
    let stand = Stand::start();
    let worker = stand
        .client(
            &json!({"grant_types": ["client_credentials"], "scope": "orders:read", "audience": ["orders-api"],
            "access_token_strategy": "jwt"}),
        )
        .await;

    assert_eq!(stand.access_token(&worker).await.split('.').count(), 3);
    assert!(
        stand
            .access_token(&stand.worker().await)
            .await
            .starts_with("ory_at_")
    );
}

#[actix_web::test]
async fn token_without_audience_and_scope_says_so() {
    let stand = Stand::start();
    let worker = stand.worker().await;

    let answer = stand
        .token(&worker, &[("grant_type", "client_credentials")])
        .await
        .value();
    let described = stand.introspect(answer["access_token"].as_str().unwrap()).await;

    assert_eq!((&answer["scope"], &described["aud"]), (&json!(""), &json!([])));
    assert!(described.get("scope").is_none() && described.get("ext").is_none());
}

#[actix_web::test]
async fn client_authenticates_by_its_own_method_alone() {
    let stand = Stand::start();
    for (method, secret) in [
        ("client_secret_basic", true),
        ("client_secret_post", true),
        ("none", false),
    ] {
        let client = stand
            .client(&json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": method}))
            .await;
        assert_eq!(client.get("client_secret").is_some(), secret, "{method}");
        let id = client["client_id"].as_str().unwrap();
        let own = client["client_secret"].as_str().unwrap_or("any-secret");
        let fields = [("grant_type", "client_credentials")];
        let by_basic = stand
            .token(&json!({"client_id": id, "client_secret": own}), &fields)
            .await;
        let by_post = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", own),
        ];
        let by_post = stand.form(&stand.public("oauth2/token"), &[], &by_post).await;
        let by_none = [("grant_type", "client_credentials"), ("client_id", id)];
        let by_none = stand.form(&stand.public("oauth2/token"), &[], &by_none).await;

        let expected = match method {
            "client_secret_basic" => [200, 401, 401],
            "client_secret_post" => [401, 200, 401],
            // A public client is known, but cannot use the client credentials grant.
            _ => [401, 401, 400],
        };
        assert_eq!(
            [by_basic.status, by_post.status, by_none.status],
            expected,
            "{method}"
        );
    }
}

#[actix_web::test]
async fn custom_claim_stands_at_the_top_level_when_the_configuration_allows_it() {
    let variant = "strategies: { access_token: jwt }\noauth2: { allowed_top_level_claims: [tenant, sub] }";
    let stand = Stand::with(config_with(variant));
    let session = json!({"access_token": {"tenant": "default", "sub": "someone-else", "hidden": 1}});
    let tokens = crate::codes::tokens_with_session(&stand, &session).await;

    let (_, claims) = decoded(tokens["access_token"].as_str().unwrap());

    assert_eq!(
        (&claims["tenant"], &claims["sub"]),
        (&json!("default"), &json!("alice-id"))
    );
    assert_eq!(claims["ext"]["hidden"], 1);
    assert_eq!(claims.get("hidden"), None::<&Value>);
}

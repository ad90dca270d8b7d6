//! The tokens and keys that a real Oathkeeper (v26.2.0) produced.

use std::sync::Arc;

use iam_core::{
    clock::Timestamp,
    jwks::{KeyLimits, KeySet, KeyStore},
    jwt::{Algorithm, Profile, TenantRule, TokenFault, Verifier},
    replay::{Claim, MemoryReplayStore, ReplayId},
};
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_secs(1_795_328_680);

fn recording() -> Value {
    serde_json::from_str(include_str!("../recordings/oathkeeper.json")).unwrap()
}

fn token(name: &str) -> String {
    let recording = recording();
    let tokens = recording["tokens"].as_array().unwrap();
    let found = tokens.iter().find(|entry| entry["name"] == name).unwrap();
    found["token"].as_str().unwrap().to_owned()
}

fn verifier(audience: &str, tenant: &str) -> Verifier {
    let body = recording()["keys"].to_string();
    let (keys, problems) = KeySet::parse(body.as_bytes(), KeyLimits::default()).unwrap();
    assert!(problems.is_empty());
    let profile = Profile::builder("http://127.0.0.1:4455/", vec![audience.to_owned()])
        .algorithms(vec![Algorithm::Rs256])
        .tenant(TenantRule::new("tenant", tenant).required())
        .metadata_claim("metadataPublic")
        .build()
        .unwrap();
    Verifier::new(profile, Arc::new(KeyStore::fixed(keys)), 100)
}

#[test]
fn token_of_a_user_carries_tenant_and_roles() {
    let claims = verifier("orders-api", "default")
        .verify(token("id_token: unique").as_bytes(), NOW)
        .unwrap();

    assert_eq!(claims.tenant(), Some("default"));
    assert_eq!(claims.metadata().unwrap()["roles"][0], "warehouse:admin");
    assert_eq!(claims.client_id(), None);
    assert_eq!(claims.audience(), ["orders-api", "inventory-api"]);
    assert!(claims.jti().is_some());
}

#[test]
fn user_without_metadata_has_none() {
    let token = token("id_token: a user without metadata_public");

    assert!(
        verifier("orders-api", "default")
            .verify(token.as_bytes(), NOW)
            .unwrap()
            .metadata()
            .is_none()
    );
}

#[test]
fn token_of_a_client_names_the_client() {
    let token = token("oauth2_introspection: id_token of a client");
    let claims = verifier("orders-api", "default")
        .verify(token.as_bytes(), NOW)
        .unwrap();

    assert_eq!(claims.client_id(), Some(claims.subject()));
    assert_eq!(claims.scope(), Some("orders:read"));
}

#[test]
fn recorded_token_is_refused_for_each_wrong_thing() {
    let token = token("id_token: unique");
    let late = Timestamp::from_secs(1_795_328_728 + 30);
    let early = Timestamp::from_secs(1_795_328_668 - 31);
    let fault = |verifier: Verifier, now| verifier.examine(token.as_bytes(), now).err();

    assert_eq!(
        fault(verifier("billing-api", "default"), NOW),
        Some(TokenFault::AudienceOther)
    );
    assert_eq!(
        fault(verifier("orders-api", "acme"), NOW),
        Some(TokenFault::TenantOther)
    );
    assert_eq!(
        fault(verifier("orders-api", "default"), late),
        Some(TokenFault::ExpiryPassed)
    );
    assert_eq!(
        fault(verifier("orders-api", "default"), early),
        Some(TokenFault::NotBeforeInFuture)
    );
}

/// D8: Oathkeeper sets no audience unless the template does.
#[test]
fn token_without_a_claims_template_has_no_audience_and_is_refused() {
    let token = token("id_token: no claims template");

    let fault = verifier("orders-api", "default")
        .examine(token.as_bytes(), NOW)
        .err();

    assert_eq!(fault, Some(TokenFault::AudienceMissing));
}

/// R163: the gateway's token cache sends the same token again; the second claim is told apart by its age.
#[test]
fn token_from_the_gateways_cache_is_a_replay_within_the_first_second() {
    let (first, again) = (
        token("id_token: claims without anything unique"),
        token("id_token: claims without anything unique, again"),
    );
    assert_eq!(first, again);
    let verifier = verifier("orders-api", "default");
    let store = MemoryReplayStore::new(10);
    let claim = |token: &str, millis| {
        let now = Timestamp::from_millis(NOW.as_millis() + millis);
        let claims = verifier.verify(token.as_bytes(), now).unwrap();
        let id = ReplayId {
            tenant: "default",
            issuer: claims.issuer(),
            jti: claims.jti().unwrap(),
        };
        store.claim_now(id, claims.accepted_until(), now).unwrap()
    };

    assert_eq!(claim(&first, 0), Claim::First);
    assert_eq!(claim(&again, 300), Claim::Replayed { first_seen: NOW });
    let (unique, other) = (token("id_token: unique"), token("id_token: unique again"));
    assert_eq!(claim(&unique, 0), Claim::First);
    assert_eq!(claim(&other, 0), Claim::First);
}

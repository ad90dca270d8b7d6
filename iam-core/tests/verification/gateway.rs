//! What gateways and issuers really sign: visitors, templates without a value, scopes in several forms, many groups.

use std::sync::Arc;

use iam_core::{
    jwks::KeyStore,
    jwt::{Algorithm, ProfileBuilder, TenantRule, TokenFault, Verifier, VerifyError},
};
use serde_json::{Value, json};

use crate::support::{NOW, NOW_SECS, Signer, fault, key_set, profile, verifier_of};

struct World {
    signer: Signer,
    verifier: Verifier,
}

impl World {
    fn new() -> Self {
        Self::with(|profile| profile)
    }

    fn with(change: impl Fn(ProfileBuilder) -> ProfileBuilder) -> Self {
        let signer = Signer::new(Algorithm::EdDsa);
        let profile = profile()
            .tenant(TenantRule::new("tenant", "default"))
            .metadata_claim("metadataPublic")
            .roles_path(vec!["access".to_owned(), "roles".to_owned()]);
        let verifier = verifier_of(change(profile), key_set([signer.jwk()]));
        Self { signer, verifier }
    }

    fn fault(&self, claims: Value) -> TokenFault {
        fault(&self.verifier, self.signer.with_claims(claims))
    }

    fn scope(&self, claims: Value) -> Option<String> {
        let token = self.signer.with_claims(claims);
        let claims = self.verifier.examine(token.as_bytes(), NOW).unwrap();
        claims.scope().map(str::to_owned)
    }
}

/// What Go prints where a value is missing.
const NOTHING: [&str; 6] = [
    "<no value>",
    "<nil>",
    "%!s(<nil>)",
    "%!v(MISSING)",
    "app-<no value>",
    "[<nil>]",
];

#[test]
fn claim_that_a_template_printed_without_a_value_is_refused_by_name() {
    let world = World::new();
    for text in NOTHING {
        for (claims, fault) in [
            (json!({"client_id": text}), TokenFault::TemplateInClientId),
            (json!({"sub": text}), TokenFault::TemplateInSubject),
            (
                json!({"sub": text, "client_id": text}),
                TokenFault::TemplateInSubject,
            ),
            (json!({"scope": text}), TokenFault::TemplateInScope),
            (
                json!({"scope": format!("a {text} b")}),
                TokenFault::TemplateInScope,
            ),
            (json!({"scope": ["a", text]}), TokenFault::TemplateInScope),
            (json!({"scp": [text]}), TokenFault::TemplateInScope),
            (json!({"scope": "a", "scp": text}), TokenFault::TemplateInScope),
            (json!({"tenant": text}), TokenFault::TemplateInTenant),
            (json!({"metadataPublic": text}), TokenFault::TemplateInMetadata),
            (
                json!({"metadataPublic": {"access": text}}),
                TokenFault::TemplateInRoles,
            ),
            (
                json!({"metadataPublic": {"access": {"roles": text}}}),
                TokenFault::TemplateInRoles,
            ),
            (
                json!({"metadataPublic": {"access": {"roles": ["a", text]}}}),
                TokenFault::TemplateInRoles,
            ),
        ] {
            assert_eq!(world.fault(claims.clone()), fault, "{claims}");
            assert_eq!(fault.error(), VerifyError::Malformed);
            assert!(fault.code().starts_with("go_template_in_"));
        }
    }
}

/// Go's encoder writes `<` and `>` as escapes.
#[test]
fn printed_nothing_is_found_behind_escapes() {
    let world = World::new();
    let token = |payload: &str| {
        let claims = format!(
            r#"{{"iss":"https://issuer.example/","aud":"orders-api","exp":{},"sub":"a",{payload}}}"#,
            NOW_SECS + 60
        );
        world.signer.raw(world.signer.header().to_string(), claims)
    };
    assert_eq!(
        fault(&world.verifier, token(r#""client_id":"\u003cno value\u003e""#)),
        TokenFault::TemplateInClientId
    );
    assert_eq!(
        fault(
            &world.verifier,
            token(r#""metadataPublic":{"access":{"roles":["\u003cnil\u003e"]}}"#)
        ),
        TokenFault::TemplateInRoles
    );
}

/// Only claims that decide are examined: a person may call itself as it likes.
#[test]
fn text_of_a_person_that_looks_printed_is_nobodys_business() {
    let world = World::new();
    for claims in [
        json!({"name": "<nil>"}),
        json!({"metadataPublic": {"nickname": "<no value>", "access": {"roles": ["a"]}}}),
        json!({"metadataPublic": {"access": {"roles": ["nil", "vanilla", "no value", "50%!"]}}}),
        json!({"scope": "nil no value"}),
        json!({"client_id": "nil"}),
    ] {
        let token = world.signer.with_claims(claims.clone());
        assert!(world.verifier.verify(token.as_bytes(), NOW).is_ok(), "{claims}");
    }
}

/// A visitor's token costs no more signatures than another, and is nobody from the cache as well.
#[test]
fn cached_token_of_a_visitor_is_nobody() {
    let signer = Signer::new(Algorithm::EdDsa);
    let keys = Arc::new(KeyStore::fixed(key_set([signer.jwk()])));
    let verifier = Verifier::new(profile().build().unwrap(), keys, 10);
    for sub in ["anonymous", ""] {
        let token = signer.with_claims(json!({ "sub": sub }));
        for _ in 0..3 {
            assert_eq!(
                verifier.examine(token.as_bytes(), NOW).err(),
                Some(TokenFault::AnonymousSubject)
            );
        }
        let late = NOW.saturating_add(std::time::Duration::from_secs(90));
        assert_eq!(
            verifier.examine(token.as_bytes(), late).err(),
            Some(TokenFault::ExpiryPassed)
        );
    }
    assert_eq!(TokenFault::AnonymousSubject.error(), VerifyError::Anonymous);
}

#[test]
fn visitor_whose_token_names_a_client_is_nobody() {
    let world = World::new();
    for claims in [
        json!({"sub": "anonymous", "client_id": "app"}),
        json!({"sub": "anonymous", "client_id": "anonymous"}),
        json!({"sub": "", "client_id": ""}),
        json!({"sub": "", "client_id": "app"}),
    ] {
        assert_eq!(world.fault(claims), TokenFault::AnonymousSubject);
    }
}

/// Hydra writes `scp` as a list, most others `scope` as a text of words.
#[test]
fn scopes_are_read_from_a_text_or_a_list_under_either_name() {
    let world = World::new();
    for (claims, scope) in [
        (json!({}), None),
        (json!({"scope": "a b"}), Some("a b")),
        (json!({"scope": ["a", "b"]}), Some("a b")),
        (json!({"scp": ["a", "b"]}), Some("a b")),
        (json!({"scp": "a b"}), Some("a b")),
        (json!({"scope": null, "scp": ["a"]}), Some("a")),
        (json!({"scope": null}), None),
        (json!({"scope": [], "scp": ["a"]}), Some("")),
        (json!({"scope": "", "scp": "a"}), Some("")),
        (json!({"scope": "a", "scp": ["b"]}), Some("a")),
    ] {
        assert_eq!(world.scope(claims.clone()).as_deref(), scope, "{claims}");
    }
    for claims in [
        json!({"scope": ["a", 1]}),
        json!({"scope": [null]}),
        json!({"scope": [["a"]]}),
        json!({"scope": {"a": true}}),
        json!({"scp": 7}),
        json!({"scope": "a", "scp": false}),
        json!({"scope": ["admin all"]}),
    ] {
        assert_eq!(world.fault(claims.clone()), TokenFault::ScopeType, "{claims}");
    }
}

#[test]
fn scopes_come_from_the_claims_that_the_profile_names_and_no_others() {
    let world =
        World::with(|profile| profile.scope_claims(vec!["permissions".to_owned(), "scope".to_owned()]));
    for (claims, scope) in [
        (json!({"scope": "a", "permissions": ["b"]}), Some("b")),
        (json!({"scope": "a"}), Some("a")),
        (json!({"scp": ["c"]}), None),
    ] {
        assert_eq!(world.scope(claims.clone()).as_deref(), scope, "{claims}");
    }
    let only = World::with(|profile| profile.scope_claims(vec!["scp".to_owned()]));
    assert_eq!(only.scope(json!({"scope": 7, "scp": "a"})).as_deref(), Some("a"));
}

fn groups(count: usize) -> Value {
    let group = |number: usize| format!("0d2c3f4e-1111-4222-8333-{number:012}");
    json!({"groups": (0..count).map(group).collect::<Vec<_>>()})
}

/// 157 groups make ten kibibytes.
#[test]
fn token_with_many_groups_is_accepted_and_remembered() {
    let signer = Signer::new(Algorithm::EdDsa);
    let keys = Arc::new(KeyStore::fixed(key_set([signer.jwk()])));
    let verifier = Verifier::new(profile().build().unwrap(), Arc::clone(&keys), 10);
    for count in [157, 220] {
        let token = signer.with_claims(groups(count));
        assert!(token.len() > 8 * 1024);
        let first = verifier.verify(token.as_bytes(), NOW).unwrap();
        assert_eq!(first.claim("groups").unwrap().as_array().unwrap().len(), count);
        assert!(Arc::ptr_eq(
            &first,
            &verifier.verify(token.as_bytes(), NOW).unwrap()
        ));
    }

    let largest = signer.with_claims(groups(900));
    assert!(largest.len() > 40 * 1024);
    assert_eq!(fault(&verifier, &largest), TokenFault::TokenTooLong);
    let wide = Verifier::new(profile().max_token(64 * 1024).build().unwrap(), keys, 10);
    let first = wide.verify(largest.as_bytes(), NOW).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &wide.verify(largest.as_bytes(), NOW).unwrap()
    ));
}

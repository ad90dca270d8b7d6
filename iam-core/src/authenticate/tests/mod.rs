use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    config::{Settings, TenantConfig},
    decision::Reason,
    requirement::{EffectivePolicy, RoutePolicy},
    tenant::Tenant,
    testing::{Mint, NOW, principal_of, tenants_of},
};

struct World {
    mint: Mint,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl Fn(&mut TenantConfig)) -> Self {
        let mint = Mint::new("k-1");
        let settings = tenants_of(&mint, &["default"], change);
        Self { mint, settings }
    }

    fn tenant(&self) -> &Arc<Tenant> {
        self.settings.registry().default_tenant()
    }

    fn ask(&self, method: &str, headers: &[(&str, &str)]) -> Result<Authenticated, Refusal> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let head = RequestHead {
            method,
            authority: None,
            headers: &headers,
            peer: None,
        };
        known(&Target::of(self.tenant()), &head)
    }

    fn bearer(&self, claims: &Value) -> String {
        format!("Bearer {}", self.mint.token(claims))
    }

    fn ask_with(&self, claims: &Value) -> Result<Authenticated, Refusal> {
        self.ask("GET", &[("authorization", &self.bearer(claims))])
    }
}

/// The result without newer keys: the answer to every lookup is that nothing new was found.
fn known(target: &Target<'_>, head: &RequestHead<'_>) -> Result<Authenticated, Refusal> {
    let now = Timestamp::from_secs(NOW);
    match authenticate(target, head, now)? {
        Authentication::Known(authenticated) => Ok(authenticated),
        Authentication::Ask(Lookup::Key(lookup)) => lookup.conclude(target.tenant(), Ok(()), now),
        Authentication::Ask(other) => panic!("{other:?}"),
    }
}

fn reason(result: Result<Authenticated, Refusal>) -> Reason {
    result.unwrap_err().reason
}

#[test]
fn nothing_and_nonsense_are_told_apart() {
    let world = World::new();
    let token = world.mint.token(&json!({}));

    for (headers, expected) in [
        (vec![], Reason::MissingCredential),
        (vec![("authorization", token.clone())], Reason::MissingCredential),
        (
            vec![("authorization", format!("Basic {token}"))],
            Reason::MissingCredential,
        ),
        (
            vec![("x-user", format!("Bearer {token}"))],
            Reason::MissingCredential,
        ),
        (
            vec![("cookie", "ory_kratos_session=x".to_owned())],
            Reason::MissingCredential,
        ),
        (
            vec![("authorization", format!("Bearer  {token}"))],
            Reason::Malformed,
        ),
        (
            vec![("authorization", "Bearer ory_st_session".to_owned())],
            Reason::Malformed,
        ),
        (
            vec![("authorization", format!("Bearer {token}, Bearer {token}"))],
            Reason::AmbiguousCredential,
        ),
        (
            vec![
                ("authorization", format!("Bearer {token}")),
                ("authorization", format!("Bearer {token}")),
            ],
            Reason::AmbiguousCredential,
        ),
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(reason(world.ask("GET", &headers)), expected, "{headers:?}");
    }
}

/// R085, R086: what is no token causes no fetch of keys, whatever key it names, and waits for none.
#[test]
fn bytes_that_no_token_has_are_refused_before_an_unknown_or_absent_key() {
    let known = World::new();
    let keyless = World::with(|tenant| {
        if let Some(oathkeeper) = &mut tenant.oathkeeper {
            oathkeeper.jwks.keys = Vec::new();
            oathkeeper.jwks.url = Some("http://127.0.0.1:4456/jwks.json".to_owned());
        }
    });
    let stranger = Mint::new("k-2").token(&json!({}));
    let (header, rest) = stranger.split_once('.').unwrap();
    let bearer = |token: &str| format!("Bearer {token}");

    let asked = |world: &World, token: &str| reason(world.ask("GET", &[("authorization", &bearer(token))]));
    assert_eq!(asked(&known, &stranger), Reason::UnknownKey);
    assert_eq!(asked(&keyless, &stranger), Reason::KeysUnavailable);
    for (junk, expected) in [
        (",", Reason::AmbiguousCredential),
        (" ", Reason::Malformed),
        ("\t", Reason::Malformed),
        ("é", Reason::Malformed),
        ("\u{7f}", Reason::Malformed),
        ("*", Reason::Malformed),
        ("=", Reason::Malformed),
    ] {
        for token in [format!("{header}.{junk}{rest}"), format!("{stranger}{junk}a")] {
            assert_eq!(asked(&known, &token), expected, "{junk:?}");
            assert_eq!(asked(&keyless, &token), expected, "{junk:?}");
        }
    }
}

#[test]
fn each_fault_of_a_token_has_its_reason() {
    let world = World::new();

    for (claims, expected) in [
        (json!({"aud": ["billing-api"]}), Reason::AudienceMismatch),
        (json!({"exp": NOW - 60}), Reason::Expired),
        (json!({"nbf": NOW + 60, "exp": NOW + 120}), Reason::NotYetValid),
        (json!({"iss": "https://gateway.example"}), Reason::IssuerMismatch),
        (json!({"tenant": "acme"}), Reason::TenantMismatch),
        (json!({"sub": "a\nb"}), Reason::Malformed),
        (json!({"sub": "<no value>"}), Reason::Malformed),
        (json!({"sub": ""}), Reason::MissingCredential),
        (json!({"sub": "anonymous"}), Reason::MissingCredential),
    ] {
        assert_eq!(reason(world.ask_with(&claims)), expected, "{claims}");
    }
    let stranger = Mint::new("k-2").token(&json!({}));
    assert_eq!(
        reason(world.ask("GET", &[("authorization", &format!("Bearer {stranger}"))])),
        Reason::UnknownKey
    );
    let forger = Mint::new("k-1").token(&json!({}));
    assert_eq!(
        reason(world.ask("GET", &[("authorization", &format!("Bearer {forger}"))])),
        Reason::InvalidSignature
    );
}

/// R119
#[test]
fn identity_headers_of_the_caller_are_not_looked_at() {
    let world = World::new();
    let bearer = world.bearer(&json!({}));

    let authenticated = world
        .ask(
            "GET",
            &[
                ("x-user", "admin"),
                ("authorization", &bearer),
                ("x-tenant", "acme"),
            ],
        )
        .unwrap();

    assert_eq!(authenticated.principal().subject(), "alice");
    assert_eq!(authenticated.principal().tenant(), "default");
}

#[test]
fn a_header_of_its_own_carries_the_bare_token() {
    let world =
        World::with(|tenant| tenant.oathkeeper.as_mut().unwrap().header = Some("X-Id-Token".to_owned()));
    let token = world.mint.token(&json!({}));

    assert!(world.ask("GET", &[("x-id-token", &token)]).is_ok());
    assert_eq!(
        reason(world.ask("GET", &[("x-id-token", &format!("Bearer {token}"))])),
        Reason::Malformed
    );
    assert_eq!(
        reason(world.ask("GET", &[("authorization", &format!("Bearer {token}"))])),
        Reason::MissingCredential
    );
}

/// R116, D9
#[test]
fn with_several_tenants_a_token_of_none_belongs_to_none() {
    let mint = Mint::new("k-1");
    let settings = tenants_of(&mint, &["default", "acme"], |_| {});
    let ask = |tenant: &str, claims: &Value| {
        let value = format!("Bearer {}", mint.token(claims));
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &[("authorization", value.as_bytes())],
            peer: None,
        };
        let tenant = settings.registry().get(tenant).unwrap();
        known(&Target::of(tenant), &head)
    };

    assert_eq!(reason(ask("acme", &json!({}))), Reason::TenantMismatch);
    assert!(ask("acme", &json!({"tenant": "acme"})).is_ok());
    for claims in [
        json!({"tenant": null}),
        json!({"tenant": ["acme"]}),
        json!({"tenant": "ACME"}),
    ] {
        assert!(ask("acme", &claims).is_err(), "{claims}");
    }
}

#[test]
fn another_transport_than_the_tenants_is_our_mistake() {
    let world = World::new();

    for transport in Transport::ALL {
        let policy = RoutePolicy::new("file.rs:1", "route").transport(transport);
        let policy = EffectivePolicy::merge(&[&policy]).unwrap();
        let target = world.settings.registry().resolve(Some(&policy));
        if transport == Transport::Oathkeeper {
            assert_eq!(target.unwrap().transports(), [transport]);
        } else {
            assert_eq!(target.unwrap_err().reason, Reason::UnknownTenant);
        }
    }
}

#[test]
fn a_token_of_an_unknown_key_asks_for_newer_keys_and_is_decided_by_them() {
    let stranger = Mint::new("k-2");
    let world = World::new();
    let lookup = |headers: &[(&str, &str)], method| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let head = RequestHead {
            method,
            authority: None,
            headers: &headers,
            peer: None,
        };
        match authenticate(&Target::of(world.tenant()), &head, Timestamp::from_secs(NOW)) {
            Ok(Authentication::Ask(Lookup::Key(lookup))) => lookup,
            other => panic!("{other:?}"),
        }
    };
    let now = Timestamp::from_secs(NOW);
    let value = format!("Bearer {}", stranger.token(&json!({})));
    let bearer = ("authorization", value.as_str());
    let failed = Err(Refusal::with_detail(Reason::KeysUnavailable, "key_fetch_failed"));

    // Nothing newer was found: the key is unknown, or nobody can tell.
    assert!(!lookup(&[bearer], "GET").is_answered(world.tenant(), now));
    assert_eq!(
        reason(lookup(&[bearer], "GET").conclude(world.tenant(), Ok(()), now)),
        Reason::UnknownKey
    );
    assert_eq!(
        reason(lookup(&[bearer], "GET").conclude(world.tenant(), failed, now)),
        Reason::KeysUnavailable
    );

    // Another tenant object with the same profile stands for the key set that was fetched meanwhile.
    let newer = tenants_of(&stranger, &["default"], |_| {});
    let tenant = newer.registry().default_tenant();
    assert!(lookup(&[bearer], "GET").is_answered(tenant, now));
    for waited in [Ok(()), failed] {
        let authenticated = lookup(&[bearer], "GET").conclude(tenant, waited, now).unwrap();
        assert_eq!(authenticated.principal().subject(), "alice");
    }
    let site = ("sec-fetch-site", "cross-site");
    assert_eq!(
        reason(lookup(&[bearer, site], "POST").conclude(tenant, Ok(()), now)),
        Reason::Csrf
    );
    assert_eq!(
        reason(lookup(&[bearer], "GET").conclude(tenant, Ok(()), Timestamp::from_secs(NOW + 7200))),
        Reason::Expired
    );
    assert!(!format!("{:?}", lookup(&[bearer], "GET")).contains(value.trim_start_matches("Bearer ")));
}

#[test]
fn a_request_of_another_site_is_refused_after_its_credential_was_found_good() {
    let world = World::new();
    let bearer = world.bearer(&json!({}));
    let site = ("sec-fetch-site", "cross-site");

    assert_eq!(
        reason(world.ask("POST", &[("authorization", &bearer), site])),
        Reason::Csrf
    );
    assert_eq!(reason(world.ask("POST", &[site])), Reason::MissingCredential);
    assert!(world.ask("POST", &[("authorization", &bearer)]).is_ok());
    assert!(world.ask("GET", &[("authorization", &bearer), site]).is_ok());

    let off = World::with(|tenant| tenant.csrf.enabled = false);
    let bearer = off.bearer(&json!({}));
    assert!(off.ask("POST", &[("authorization", &bearer), site]).is_ok());
}

/// R063
#[test]
fn a_client_is_never_taken_for_the_identity_of_the_same_id() {
    let world = World::new();

    let identity = principal_of(&world.mint, world.tenant(), &json!({}));
    let client = principal_of(&world.mint, world.tenant(), &json!({"client_id": "alice"}));

    assert!(matches!(identity, Principal::Identity(_)));
    assert!(matches!(client, Principal::Client(_)));
    assert_ne!(identity, client);
    assert_eq!(identity.actor(), "user:alice");
    assert_eq!(client.actor(), "client:alice");
}

/// A `client_id` beside another `sub` is that of an application through which a person acts.
#[test]
fn person_who_acts_through_a_client_is_a_person() {
    let world = World::new();
    let claims = json!({"client_id": "app", "scope": "a", "metadataPublic": {"roles": ["admin"]}});
    let through = principal_of(&world.mint, world.tenant(), &claims);
    let alone = principal_of(&world.mint, world.tenant(), &json!({}));
    let client = principal_of(
        &world.mint,
        world.tenant(),
        &json!({"sub": "app", "client_id": "app", "scope": "a", "metadataPublic": {"roles": ["admin"]}}),
    );

    let Principal::Identity(identity) = &through else {
        panic!("a person is taken for a machine: {through:?}")
    };
    assert_eq!(
        (identity.subject(), identity.acting_client()),
        ("alice", Some("app"))
    );
    assert_eq!(through.actor(), "user:alice");
    assert_ne!(through, alone);
    assert!(matches!(&client, Principal::Client(client) if client.client_id() == "app"));
    assert_eq!(client.actor(), "client:app");
    for principal in [&through, &client] {
        assert!(principal.has_role("admin") && principal.has_scope("a"));
    }
}

/// A claims template for people and machines renders nothing for people.
#[test]
fn client_id_that_is_empty_or_null_is_absent() {
    let world = World::new();
    for client_id in [json!(""), json!(null)] {
        let principal = principal_of(&world.mint, world.tenant(), &json!({ "client_id": client_id }));
        assert!(matches!(&principal, Principal::Identity(identity) if identity.acting_client().is_none()));
        assert_eq!(principal.actor(), "user:alice");
    }
}

/// The gateway's handlers `anonymous` and `noop` sign tokens for visitors: they are no credential.
#[test]
fn token_of_a_gateway_visitor_is_nobody() {
    let world = World::new();
    for sub in ["anonymous", ""] {
        assert_eq!(
            world.ask_with(&json!({ "sub": sub })).unwrap_err(),
            Refusal::with_detail(Reason::MissingCredential, "anonymous_subject")
        );
    }
    for (claims, expected) in [
        (json!({"sub": "anonymous", "exp": NOW - 60}), Reason::Expired),
        (
            json!({"sub": "", "aud": ["billing-api"]}),
            Reason::AudienceMismatch,
        ),
        (json!({"sub": "", "tenant": "acme"}), Reason::TenantMismatch),
        (json!({"sub": "anonymous", "iss": "x"}), Reason::IssuerMismatch),
        (json!({"sub": "anonymous", "client_id": 7}), Reason::Malformed),
    ] {
        assert_eq!(reason(world.ask_with(&claims)), expected, "{claims}");
    }
    let forger = Mint::new("k-1").token(&json!({"sub": "anonymous"}));
    assert_eq!(
        reason(world.ask("GET", &[("authorization", &format!("Bearer {forger}"))])),
        Reason::InvalidSignature
    );
    assert!(world.ask_with(&json!({"sub": "Anonymous"})).is_ok());
}

#[test]
fn visitors_are_those_that_the_configuration_names() {
    let world = World::with(|tenant| {
        tenant.oathkeeper.as_mut().unwrap().anonymous_subjects = vec!["guest".to_owned()];
    });
    assert_eq!(
        reason(world.ask_with(&json!({"sub": "guest"}))),
        Reason::MissingCredential
    );
    assert!(world.ask_with(&json!({"sub": "anonymous"})).is_ok());
    assert_eq!(reason(world.ask_with(&json!({"sub": ""}))), Reason::Malformed);
}

/// R014
#[test]
fn the_same_subject_in_another_tenant_is_somebody_else() {
    let mint = Mint::new("k-1");
    let settings = tenants_of(&mint, &["default", "acme"], |_| {});
    let of = |name: &str| {
        principal_of(
            &mint,
            settings.registry().get(name).unwrap(),
            &json!({"tenant": name}),
        )
    };

    assert_ne!(of("default"), of("acme"));
    assert_eq!(of("acme"), of("acme"));
}

/// D42
#[test]
fn roles_come_from_metadata_and_from_nowhere_else() {
    let world = World::new();
    let roles = |claims: &Value| {
        let principal = principal_of(&world.mint, world.tenant(), claims);
        principal.roles().map(str::to_owned).collect::<Vec<_>>()
    };

    for claims in [
        json!({"roles": ["admin"]}),
        json!({"scope": "admin"}),
        json!({"traits": {"roles": ["admin"]}}),
        json!({"metadata_public": {"roles": ["admin"]}}),
        json!({"metadataPublic": null}),
        json!({"metadataPublic": {"roles": "admin"}}),
        json!({"metadataPublic": {"roles": ["admin", 7]}}),
    ] {
        assert_eq!(roles(&claims), Vec::<String>::new(), "{claims}");
    }
    assert_eq!(roles(&json!({"metadataPublic": {"roles": ["admin"]}})), ["admin"]);

    let moved = World::with(|tenant| tenant.roles_from = "metadata_public.access.groups".to_owned());
    let principal = principal_of(
        &moved.mint,
        moved.tenant(),
        &json!({"metadataPublic": {"roles": ["no"], "access": {"groups": ["staff"]}}}),
    );
    assert!(principal.has_role("staff") && !principal.has_role("no"));
}

/// R052, R159
#[test]
fn a_claim_is_remembered_as_long_as_the_token_could_be_used_again() {
    let world = World::new();

    let authenticated = world.ask_with(&json!({})).unwrap();

    let (id, until) = authenticated.replay_id().unwrap();
    assert_eq!(
        (id.tenant, id.issuer, id.jti),
        ("default", "https://gateway.example/", "one")
    );
    // `exp` and the clock skew.
    assert!(Timestamp::from_secs(NOW + 90) <= until);
}

/// R071, R131
#[test]
fn debug_output_holds_no_credential_and_no_claim() {
    let world = World::new();
    let bearer = world.bearer(&json!({"metadataPublic": {"secret": "hunter2"}, "jti": "canary"}));

    let authenticated = world.ask("GET", &[("authorization", &bearer)]).unwrap();

    let debug = format!("{authenticated:?}");
    let signature = bearer.rsplit('.').next().unwrap();
    for secret in ["hunter2", "canary", signature] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

mod session;

//! Access tokens, by introspection and as JWTs, without a runtime.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::{
    authenticate,
    config::{HydraConfig, Settings},
    http::HttpClient,
    service::hydra::introspect,
    tenant::{Target, Transport},
    testing::{Mint, NOW, ScriptedClient, block_on, hydra_with, tenants_of},
};

const ISSUER: &str = "http://127.0.0.1:4444";

fn head_of<'a>(headers: &'a [(&'a str, &'a [u8])]) -> RequestHead<'a> {
    RequestHead {
        method: "POST",
        authority: None,
        headers,
        peer: None,
    }
}

fn ask(settings: &Settings, headers: &[(&str, &str)]) -> Result<Authentication, Refusal> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let target = Target::of(settings.registry().default_tenant());
    authenticate::authenticate(&target, &head_of(&headers), Timestamp::from_secs(NOW))
}

fn lookup(settings: &Settings) -> TokenLookup {
    match ask(settings, &[("authorization", "Bearer ory_at_x.y")]) {
        Ok(Authentication::Ask(Lookup::Token(lookup))) => lookup,
        other => panic!("{other:?}"),
    }
}

/// The recorded answer about a client's token, with other times and with changed members; `null` removes one.
fn told(changes: &Value) -> Value {
    let mut body = json!({
        "active": true, "scope": "orders:read", "client_id": "ci-bot", "sub": "ci-bot", "exp": NOW + 600,
        "iat": NOW, "nbf": NOW, "aud": ["orders-api"], "iss": ISSUER, "token_type": "Bearer",
        "token_use": "access_token",
    });
    let members = body.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    body
}

fn conclude_with(changes: &Value) -> Result<Authenticated, Refusal> {
    let settings = hydra_with("");
    let tenant = settings.registry().default_tenant();
    let client = ScriptedClient::new();
    client.answer(
        http::Response::builder()
            .header("content-type", "application/json;charset=UTF-8")
            .body(told(changes).to_string().into())
            .unwrap(),
    );
    let client: Arc<dyn HttpClient> = Arc::new(client);
    let lookup = lookup(&settings);
    let answer = block_on(introspect(tenant.hydra().unwrap(), &client, lookup.token(), ""));
    lookup.conclude(tenant, answer, Timestamp::from_secs(NOW))
}

fn reason(result: Result<Authenticated, Refusal>) -> Reason {
    result.unwrap_err().reason
}

#[test]
fn token_is_looked_for_in_the_authorization_header_only() {
    let settings = hydra_with("");
    let token = "ory_at_x.y";

    for (headers, expected) in [
        (vec![], Reason::MissingCredential),
        (
            vec![("authorization", token.to_owned())],
            Reason::MissingCredential,
        ),
        (
            vec![("authorization", "Basic eDp5".to_owned())],
            Reason::MissingCredential,
        ),
        (
            vec![("x-session-token", token.to_owned())],
            Reason::MissingCredential,
        ),
        (
            vec![("cookie", format!("ory_kratos_session={token}"))],
            Reason::MissingCredential,
        ),
        (vec![("authorization", "Bearer".to_owned())], Reason::Malformed),
        (
            vec![("authorization", format!("Bearer  {token}"))],
            Reason::Malformed,
        ),
        (
            vec![("authorization", format!("Bearer {token} x"))],
            Reason::Malformed,
        ),
        (
            vec![("authorization", format!("Bearer {token}, Bearer {token}"))],
            Reason::AmbiguousCredential,
        ),
        (
            vec![("authorization", format!("Bearer {token}")); 2],
            Reason::AmbiguousCredential,
        ),
    ] {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            ask(&settings, &headers).unwrap_err().reason,
            expected,
            "{headers:?}"
        );
    }
    // A session of somebody else beside it is not looked at, and letter case of the scheme makes no difference.
    let beside = [
        ("authorization", "bEARER ory_at_x.y"),
        ("cookie", "ory_kratos_session=a; ory_kratos_session=b"),
        ("x-session-token", "s"),
    ];
    assert!(matches!(
        ask(&settings, &beside),
        Ok(Authentication::Ask(Lookup::Token(lookup))) if lookup.token().expose() == token
    ));
}

/// R081: the grammar of RFC 6750 §2.1, and at most 16 KiB.
#[test]
fn bytes_that_no_token_has_ask_nobody() {
    let settings = hydra_with("");
    let longest = "a".repeat(16 * 1024);

    for token in [
        "a\"b",
        "a%20b",
        "a;b",
        "a\\b",
        "é",
        "a:b",
        "=",
        "===",
        "a=b",
        "<x>",
        "a\u{7f}",
        &format!("{longest}a"),
    ] {
        let refused = ask(&settings, &[("authorization", &format!("Bearer {token}"))]).unwrap_err();
        assert_eq!(refused.reason, Reason::Malformed, "{token}");
    }
    for token in ["a", "a.b-c_d~e+f/g==", "ory_at_x.y", &longest] {
        let asked = ask(&settings, &[("authorization", &format!("Bearer {token}"))]);
        assert!(
            matches!(asked, Ok(Authentication::Ask(Lookup::Token(_)))),
            "{token}"
        );
    }
}

/// D31, R076, R077, N8
#[test]
fn active_token_of_another_use_issuer_audience_or_time_is_refused() {
    for (changes, expected) in [
        (json!({"token_use": "refresh_token"}), Reason::TokenInactive),
        (json!({"token_use": "id_token"}), Reason::TokenInactive),
        (json!({"token_use": ""}), Reason::TokenInactive),
        (json!({"token_use": "ACCESS_TOKEN"}), Reason::TokenInactive),
        (json!({"token_type": "DPoP"}), Reason::TokenInactive),
        (json!({"iss": "http://127.0.0.1:4444/"}), Reason::IssuerMismatch),
        (json!({"iss": ""}), Reason::IssuerMismatch),
        (json!({"aud": []}), Reason::AudienceMismatch),
        (json!({"aud": null}), Reason::AudienceMismatch),
        (json!({"aud": ["billing-api"]}), Reason::AudienceMismatch),
        (json!({"aud": "orders-api2"}), Reason::AudienceMismatch),
        (json!({"exp": NOW}), Reason::Expired),
        (json!({"exp": 1}), Reason::Expired),
        (json!({"nbf": NOW + 31}), Reason::NotYetValid),
        (json!({"iat": NOW + 31}), Reason::NotYetValid),
        (json!({"ext": {"tenant": "acme"}}), Reason::TenantMismatch),
        (json!({"ext": {"tenant": null}}), Reason::TenantMismatch),
        (json!({"ext": {"tenant": ["default"]}}), Reason::TenantMismatch),
        (
            json!({"sub": null, "client_id": null}),
            Reason::IntrospectionUnavailable,
        ),
        (
            json!({"sub": null, "client_id": ""}),
            Reason::IntrospectionUnavailable,
        ),
        (json!({"sub": "", "client_id": ""}), Reason::TokenInactive),
    ] {
        assert_eq!(reason(conclude_with(&changes)), expected, "{changes}");
    }
    for changes in [
        json!({}),
        json!({"token_use": null, "token_type": null, "nbf": null, "iat": null}),
        json!({"token_type": "bearer"}),
        json!({"aud": "orders-api"}),
        json!({"aud": ["billing-api", "orders-api"]}),
        json!({"exp": NOW + 1}),
        json!({"exp": 1_700_000_000.5}),
        json!({"nbf": NOW + 30, "iat": NOW + 30}),
        json!({"ext": {"tenant": "default"}}),
        json!({"ext": {"x": 1}}),
    ] {
        assert!(conclude_with(&changes).is_ok(), "{changes}");
    }
}

/// R078: the token of a person whose `sub` is empty passed as that of the client.
#[test]
fn an_empty_subject_never_makes_a_machine_of_a_token() {
    let refused = conclude_with(&json!({"sub": "", "client_id": "ci-bot"})).unwrap_err();
    assert_eq!(refused, Refusal::with_detail(Reason::TokenInactive, "sub_empty"));

    let machine = conclude_with(&json!({"sub": null, "client_id": "ci-bot"})).unwrap();
    assert_eq!(machine.principal().subject(), "ci-bot");
    assert!(machine.principal().active_token().unwrap().is_client());
}

#[test]
fn token_that_is_not_active_and_an_answer_that_is_none_are_told_apart() {
    let settings = hydra_with("");
    let tenant = settings.registry().default_tenant();
    let now = Timestamp::from_secs(NOW);
    let down = Refusal::with_detail(Reason::IntrospectionUnavailable, "upstream_timeout");

    let inactive = lookup(&settings).conclude(tenant, Ok(Introspection::Inactive), now);
    let unanswered = lookup(&settings).conclude(tenant, Err(down), now);

    assert_eq!(inactive.unwrap_err(), Reason::TokenInactive.into());
    assert_eq!(unanswered.unwrap_err(), down);
}

/// D32, R063, R078: recorded with Hydra v26.2.0, a client's `sub` is its `client_id`.
#[test]
fn client_and_person_through_a_client_are_different_principals() {
    let of = |changes: &Value| conclude_with(changes).unwrap().principal().clone();
    let client = of(&json!({}));
    let without_sub = of(&json!({"sub": null}));
    let person = of(&json!({"sub": "alice"}));
    let alone = of(&json!({"sub": "alice", "client_id": null}));

    assert!(matches!(&client, Principal::Client(client) if client.client_id() == "ci-bot"));
    assert_eq!((client.actor(), client.subject()), ("client:ci-bot", "ci-bot"));
    assert_eq!(client, without_sub);
    let Principal::Identity(identity) = &person else {
        panic!("a person is taken for a machine")
    };
    assert_eq!(
        (identity.subject(), identity.acting_client()),
        ("alice", Some("ci-bot"))
    );
    assert_eq!(person.actor(), "user:alice");
    assert!(matches!(&alone, Principal::Identity(identity) if identity.acting_client().is_none()));
    assert_ne!(person, alone);
    assert_ne!(
        of(&json!({"sub": "x", "client_id": "x"})),
        of(&json!({"sub": "x", "client_id": null}))
    );
}

/// R062, D54
#[test]
fn members_of_the_answer_are_the_principals() {
    let changes = json!({
        "scope": "orders:read  orders:write ", "username": "Alice", "sub": "alice",
        "ext": {"tenant": "default", "plan": "gold", "metadata_public": {"roles": ["admin"]}},
    });
    let authenticated = conclude_with(&changes).unwrap();
    let principal = authenticated.principal();
    let token = principal.active_token().unwrap();

    assert_eq!(
        principal.scopes().collect::<Vec<_>>(),
        ["orders:read", "orders:write"]
    );
    assert!(!principal.has_scope(""));
    assert_eq!(principal.roles().count(), 0);
    assert_eq!(token.username(), Some("Alice"));
    assert_eq!(token.ext()["plan"], "gold");
    assert_eq!(token.audience(), ["orders-api"]);
    assert_eq!(token.expires_at(), Timestamp::from_secs(NOW + 600));
    let now = Some(Timestamp::from_secs(NOW));
    assert_eq!((token.issued_at(), token.not_before()), (now, now));
    assert!(principal.claims().is_none());
    assert_eq!(authenticated.replay_id(), None);
}

/// R071
#[test]
fn debug_output_holds_neither_the_token_nor_a_member() {
    let lookup = format!("{:?}", lookup(&hydra_with("")));
    let principal = format!(
        "{:?}",
        conclude_with(&json!({"ext": {"secret": "hunter2"}})).unwrap()
    );

    assert!(!lookup.contains("ory_at"), "{lookup}");
    assert!(!principal.contains("hunter2"), "{principal}");
}

#[test]
fn pages_of_other_sites_are_not_asked_about() {
    let site = [
        ("authorization", "Bearer ory_at_x.y"),
        ("sec-fetch-site", "cross-site"),
    ];

    assert!(matches!(ask(&hydra_with(""), &site), Ok(Authentication::Ask(_))));
}

/// A gateway and an OAuth 2 server that signs JWTs, each with keys of its own.
struct TwoSigners {
    gateway: Mint,
    hydra: Mint,
    settings: Settings,
}

impl TwoSigners {
    fn new(typ: Option<&[&str]>) -> Self {
        let (gateway, hydra) = (Mint::new("k-1"), Mint::new("h-1"));
        let settings = tenants_of(&gateway, &["default"], |tenant| {
            let mut config = HydraConfig::jwt(ISSUER, ["orders-api"]);
            config.jwks.keys.push(hydra.jwk());
            config.algorithms = Some(vec!["EdDSA".to_owned()]);
            config.typ = typ.map(|typ| typ.iter().map(|&one| one.to_owned()).collect());
            tenant.hydra = Some(config);
            tenant.transports.push(Transport::Oauth2);
        });
        Self {
            gateway,
            hydra,
            settings,
        }
    }

    fn ask(&self, transport: Transport, token: &str) -> Result<Authenticated, Refusal> {
        use crate::requirement::{EffectivePolicy, RoutePolicy};

        let policy = RoutePolicy::new("here", "route").transport(transport);
        let policy = EffectivePolicy::merge(&[&policy]).unwrap();
        let target = self.settings.registry().resolve(Some(&policy)).unwrap();
        let value = format!("Bearer {token}");
        let headers = [("authorization", value.as_bytes())];
        let now = Timestamp::from_secs(NOW);
        match authenticate::authenticate(&target, &head_of(&headers), now)? {
            Authentication::Known(authenticated) => Ok(authenticated),
            Authentication::Ask(Lookup::Key(lookup)) => lookup.conclude(target.tenant(), Ok(()), now),
            Authentication::Ask(other) => panic!("{other:?}"),
        }
    }

    fn access(&self, header: &Value, changes: &Value) -> Result<Authenticated, Refusal> {
        self.ask(Transport::Oauth2, &self.hydra.sign(header, &claims(changes)))
    }
}

/// The claims of the recorded JWT access token, with other times and with changes; `null` removes a claim.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "aud": ["orders-api"], "client_id": "ci-bot", "exp": NOW + 600, "ext": {}, "iat": NOW, "iss": ISSUER,
        "jti": "6e90f75b", "nbf": NOW, "scp": ["orders:read"], "sub": "ci-bot",
    });
    let members = claims.as_object_mut().unwrap();
    members.extend(changes.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    claims
}

#[test]
fn jwt_of_hydra_is_verified_with_hydras_keys() {
    let world = TwoSigners::new(None);
    let of = |changes: &Value| world.access(&json!({"typ": "JWT"}), changes);

    let client = of(&json!({})).unwrap().principal().clone();
    let person = of(&json!({"sub": "alice", "scp": ["a", "b"]}))
        .unwrap()
        .principal()
        .clone();

    assert!(matches!(&client, Principal::Client(client) if client.client_id() == "ci-bot"));
    assert!(client.has_scope("orders:read"));
    assert!(matches!(&person, Principal::Identity(identity) if identity.acting_client() == Some("ci-bot")));
    assert!(person.has_scope("b") && person.roles().count() == 0);
    for (changes, expected) in [
        (json!({"client_id": null}), Reason::Malformed),
        (json!({"client_id": ""}), Reason::Malformed),
        (json!({"aud": []}), Reason::AudienceMismatch),
        (json!({"aud": ["billing-api"]}), Reason::AudienceMismatch),
        (json!({"iss": "https://gateway.example/"}), Reason::IssuerMismatch),
        (json!({"exp": NOW - 31}), Reason::Expired),
        (json!({"nbf": NOW + 31}), Reason::NotYetValid),
        (json!({"sub": ""}), Reason::Malformed),
        (json!({"sub": null}), Reason::Malformed),
        (json!({"ext": {"tenant": "acme"}}), Reason::TenantMismatch),
        (json!({"tenant": "acme"}), Reason::TenantMismatch),
    ] {
        assert_eq!(reason(of(&changes)), expected, "{changes}");
    }
    assert!(of(&json!({"ext": {"tenant": "default"}, "sub": "anonymous"})).is_ok());
}

/// R020: recorded with Hydra v26.2.0, an ID token has the same `typ` and its key is in the same set.
#[test]
fn id_token_is_no_access_token_even_when_a_client_is_called_like_the_audience() {
    let world = TwoSigners::new(None);
    let id_token = json!({
        "at_hash": "pN3tTS_vUGVgvDIbfAytLg", "aud": ["orders-api"], "auth_time": NOW, "exp": NOW + 600, "iat": NOW,
        "iss": ISSUER, "jti": "3547a3d2", "rat": NOW, "sid": "3b576926", "sub": "alice-id",
    });

    let token = world.hydra.sign(&json!({"typ": "JWT"}), &id_token);

    let refusal = world.ask(Transport::Oauth2, &token).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::with_detail(Reason::Malformed, "client_id_missing")
    );
}

/// R020
#[test]
fn token_of_one_signer_never_passes_as_one_of_the_other() {
    let world = TwoSigners::new(None);
    let header = json!({"typ": "JWT"});
    let (access, gateway) = (claims(&json!({})), json!({"iss": "https://gateway.example/"}));
    let gateway = claims(&gateway);

    for (transport, signer, claims, expected) in [
        (Transport::Oathkeeper, &world.hydra, &access, Reason::UnknownKey),
        (Transport::Oathkeeper, &world.hydra, &gateway, Reason::UnknownKey),
        (
            Transport::Oathkeeper,
            &world.gateway,
            &access,
            Reason::IssuerMismatch,
        ),
        (Transport::Oauth2, &world.gateway, &gateway, Reason::UnknownKey),
        (Transport::Oauth2, &world.gateway, &access, Reason::UnknownKey),
        (Transport::Oauth2, &world.hydra, &gateway, Reason::IssuerMismatch),
    ] {
        let token = signer.sign(&header, claims);
        assert_eq!(
            reason(world.ask(transport, &token)),
            expected,
            "{transport} {claims}"
        );
    }
    // Verified once, a token is in the cache of its own verifier only.
    let (of_gateway, of_hydra) = (
        world.gateway.sign(&header, &gateway),
        world.hydra.sign(&header, &access),
    );
    for _ in 0..2 {
        assert!(world.ask(Transport::Oathkeeper, &of_gateway).is_ok());
        assert!(world.ask(Transport::Oauth2, &of_hydra).is_ok());
        assert!(world.ask(Transport::Oauth2, &of_gateway).is_err());
        assert!(world.ask(Transport::Oathkeeper, &of_hydra).is_err());
    }
    assert!(matches!(
        ask_key(&world).map(|lookup| lookup.signer()),
        Some(Signer::Hydra)
    ));
}

/// Returns the lookup of an access token with an unknown key.
fn ask_key(world: &TwoSigners) -> Option<authenticate::KeyLookup> {
    let token = Mint::new("h-2").sign(&json!({"typ": "JWT"}), &claims(&json!({})));
    let value = format!("Bearer {token}");
    let headers = [("authorization", value.as_bytes())];
    let tenant = world.settings.registry().default_tenant();
    let presented = credential::bearer(&head_of(&headers), CARRIER).ok()?;
    match token::verify(
        tenant,
        Signer::Hydra,
        presented,
        Ok(()),
        Timestamp::from_secs(NOW),
    ) {
        Ok(Authentication::Ask(Lookup::Key(lookup))) => Some(lookup),
        _ => None,
    }
}

/// R061
#[test]
fn unsigned_and_encrypted_access_tokens_are_refused() {
    let world = TwoSigners::new(Some(&["at+jwt"]));
    let header = |alg: &str| URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "at+jwt"}).to_string());
    let payload = URL_SAFE_NO_PAD.encode(claims(&json!({})).to_string());

    for alg in ["none", "None", "NONE", "HS256"] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{payload}.{signature}", header(alg));
            assert!(world.ask(Transport::Oauth2, &token).is_err(), "{token}");
        }
    }
    let encrypted = format!("{}.a.b.{payload}.c", header("RSA-OAEP"));
    assert_eq!(
        reason(world.ask(Transport::Oauth2, &encrypted)),
        Reason::Malformed
    );
}

/// R059
#[test]
fn type_of_a_jwt_must_be_there_and_on_the_list() {
    let hydra = TwoSigners::new(None);
    let rfc_9068 = TwoSigners::new(Some(&["at+jwt"]));
    let both = TwoSigners::new(Some(&["JWT", "at+jwt"]));

    for (typ, expected) in [
        (json!({"typ": "JWT"}), [true, false, true]),
        (json!({"typ": "at+jwt"}), [false, true, true]),
        (json!({"typ": "application/AT+JWT"}), [false, true, true]),
        (json!({}), [false, false, false]),
        (json!({"typ": "logout+jwt"}), [false, false, false]),
        (json!({"typ": 7}), [false, false, false]),
    ] {
        let seen = [&hydra, &rfc_9068, &both].map(|world| world.access(&typ, &json!({})).is_ok());
        assert_eq!(seen, expected, "{typ}");
    }
    // The gateway's own tokens may leave it out, and are never `at+jwt`.
    let gateway = claims(&json!({"iss": "https://gateway.example/"}));
    for (header, expected) in [(json!({}), true), (json!({"typ": "at+jwt"}), false)] {
        let token = both.gateway.sign(&header, &gateway);
        assert_eq!(
            both.ask(Transport::Oathkeeper, &token).is_ok(),
            expected,
            "{header}"
        );
    }
}

/// R060, R062
#[test]
fn access_token_of_rfc_9068_without_one_of_its_claims_is_refused() {
    let world = TwoSigners::new(Some(&["JWT", "at+jwt"]));
    let of = |typ: &str, changes: &Value| world.access(&json!({ "typ": typ }), changes).is_ok();

    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(!of("at+jwt", &json!({ claim: null })), "{claim}");
    }
    assert!(of("JWT", &json!({"iat": null})) && of("JWT", &json!({"jti": null})));
    assert!(!of("at+jwt", &json!({"scp": null, "scope": ["a"]})));
    assert!(of("JWT", &json!({"scp": null, "scope": ["a"]})));

    let spaced = world.access(&json!({"typ": "at+jwt"}), &json!({"scp": null, "scope": " a  b"}));
    let scopes: Vec<_> = spaced.unwrap().principal().scopes().map(str::to_owned).collect();
    assert_eq!(scopes, ["a", "b"]);
}

/// What Hydra v26.2.0 answered to introspections, and a JWT of its with the keys of that time.
const RECORDED: &str = include_str!("../../service/hydra/recordings/hydra.json");

fn recorded(name: &str) -> Value {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    let all = all.as_array().unwrap();
    all.iter().find(|entry| entry["name"] == name).unwrap().clone()
}

fn recorded_answer(name: &str, audience: &str) -> Result<Authenticated, Refusal> {
    let settings = tenants_of(&Mint::new("k-1"), &["default"], |tenant| {
        let config = HydraConfig::new("http://127.0.0.1:4445", ISSUER, [audience]);
        tenant.hydra = Some(config);
        tenant.transports = vec![Transport::Oauth2];
        tenant.oathkeeper = None;
    });
    let tenant = settings.registry().default_tenant();
    let response = recorded(name)["response"].clone();
    let body = response["body"]
        .as_str()
        .map_or_else(|| response["body"].to_string(), str::to_owned);
    let content_type = response["headers"][0][1].as_str().unwrap();
    let client = ScriptedClient::new();
    client.answer(
        http::Response::builder()
            .status(u16::try_from(response["status"].as_u64().unwrap()).unwrap())
            .header("content-type", content_type)
            .body(body.into())
            .unwrap(),
    );
    let client: Arc<dyn HttpClient> = Arc::new(client);
    let lookup = lookup(&settings);
    let answer = block_on(introspect(tenant.hydra().unwrap(), &client, lookup.token(), ""));
    // Shortly after the token was issued.
    let issued = response["body"]["iat"].as_u64().unwrap_or(NOW);
    lookup.conclude(tenant, answer, Timestamp::from_secs(issued.saturating_add(5)))
}

#[test]
fn recorded_answers_of_hydra_are_read_as_hydra_means_them() {
    for (name, audience, expected) in [
        (
            "introspect: active",
            "orders-api",
            Ok("client:bcca659f-40a6-4e8d-9dcb-723f79b37218"),
        ),
        ("introspect: active", "billing-api", Err(Reason::AudienceMismatch)),
        (
            "introspect: with a scope that it lacks",
            "orders-api",
            Err(Reason::TokenInactive),
        ),
        ("introspect: unknown", "orders-api", Err(Reason::TokenInactive)),
        ("introspect: empty", "orders-api", Err(Reason::TokenInactive)),
        (
            "introspect: no token field",
            "orders-api",
            Err(Reason::IntrospectionUnavailable),
        ),
        (
            "introspect: on the public port",
            "orders-api",
            Err(Reason::IntrospectionUnavailable),
        ),
        ("introspect: revoked", "orders-api", Err(Reason::TokenInactive)),
        // No audience was asked for, so the token is for nobody.
        (
            "introspect: user token",
            "orders-api",
            Err(Reason::AudienceMismatch),
        ),
        (
            "introspect: refresh token",
            "orders-api",
            Err(Reason::TokenInactive),
        ),
        ("introspect: id token", "orders-api", Err(Reason::TokenInactive)),
        (
            "introspect: JWT access token",
            "orders-api",
            Ok("client:cefdfe1a-b412-4c4b-b2a2-f28e68a8e677"),
        ),
        (
            "introspect: revoked JWT access token",
            "orders-api",
            Err(Reason::TokenInactive),
        ),
    ] {
        let answer = recorded_answer(name, audience);
        let actor = answer.as_ref().map(|found| found.principal().actor());
        assert_eq!(actor.map_err(|refusal| refusal.reason), expected, "{name}");
    }
}

#[test]
fn recorded_jwt_of_hydra_verifies_with_the_recorded_keys() {
    let settings = tenants_of(&Mint::new("k-1"), &["default"], |tenant| {
        let mut config = HydraConfig::jwt(ISSUER, ["orders-api"]);
        let keys = recorded("jwks")["response"]["body"]["keys"].clone();
        config.jwks.keys.clone_from(keys.as_array().unwrap());
        tenant.hydra = Some(config);
        tenant.transports = vec![Transport::Oauth2];
        tenant.oathkeeper = None;
    });
    let token = recorded("JWT access token")["token"].as_str().unwrap().to_owned();
    let value = format!("Bearer {token}");
    let headers = [("authorization", value.as_bytes())];
    let target = Target::of(settings.registry().default_tenant());
    let at = |secs| authenticate::authenticate(&target, &head_of(&headers), Timestamp::from_secs(secs));

    let Ok(Authentication::Known(known)) = at(1_795_331_300) else {
        panic!("a recorded token is refused")
    };
    let principal = known.principal();
    assert_eq!(principal.actor(), "client:cefdfe1a-b412-4c4b-b2a2-f28e68a8e677");
    assert_eq!(principal.scopes().collect::<Vec<_>>(), ["orders:read"]);
    assert_eq!(at(1_795_338_000).unwrap_err().reason, Reason::Expired);
}

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::super::{Authentication, authenticate};
use crate::{
    authenticate::Authenticated,
    clock::Timestamp,
    config::{
        EnvelopeEncoding, IamConfig, OathkeeperConfig, ReplayMode, Settings, SignatureEncoding, TenantConfig,
    },
    decision::{Reason, Refusal},
    principal::Principal,
    request::RequestHead,
    secret::Secret,
    tenant::Target,
    testing::NOW,
};

/// In the order of the configuration.
const KEYS: [[u8; 32]; 2] = [
    *b"the first key signs, 32 bytes xx",
    *b"the second verifies only, 32 byt",
];

struct World(Settings);

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut OathkeeperConfig)) -> Self {
        Self::of(&["default"], change)
    }

    fn of(tenants: &[&str], change: impl FnOnce(&mut OathkeeperConfig)) -> Self {
        let keys = KEYS.map(|key| Secret::new(format!("base64:{}", STANDARD.encode(key))));
        let mut written = OathkeeperConfig::hmac(["orders-api"], keys);
        change(&mut written);
        let config = tenants
            .iter()
            .fold(IamConfig::new().default_tenant(tenants[0]), |config, name| {
                config.tenant(*name, TenantConfig::behind(written.clone()))
            });
        Self(config.validate().unwrap())
    }

    fn ask_at(&self, now: Timestamp, headers: &[(&str, &[u8])]) -> Result<Authenticated, Refusal> {
        self.send("GET", now, headers)
    }

    fn send(
        &self,
        method: &str,
        now: Timestamp,
        headers: &[(&str, &[u8])],
    ) -> Result<Authenticated, Refusal> {
        let head = RequestHead {
            method,
            authority: Some(b"orders.example"),
            headers,
            peer: None,
        };
        let target = Target::of(self.0.registry().default_tenant());
        match authenticate(&target, &head, now)? {
            Authentication::Known(authenticated) => Ok(authenticated),
            Authentication::Ask(lookup) => panic!("an envelope asks nobody: {lookup:?}"),
        }
    }

    fn ask(&self, headers: &[(&str, &[u8])]) -> Result<Authenticated, Refusal> {
        self.ask_at(now(), headers)
    }

    /// Sends what a gateway signs by default: base64 of the members, and base64 of the signature.
    fn ask_with(&self, members: &Value) -> Result<Authenticated, Refusal> {
        let envelope = STANDARD.encode(members.to_string());
        self.ask_signed(
            envelope.as_bytes(),
            &STANDARD.encode(sign(&KEYS[0], envelope.as_bytes())),
        )
    }

    fn ask_signed(&self, envelope: &[u8], signature: &str) -> Result<Authenticated, Refusal> {
        self.ask(&[("x-user", envelope), ("x-user-signature", signature.as_bytes())])
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

fn sign(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), bytes)
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn members(change: &Value) -> Value {
    let mut members = json!({
        "sub": "alice", "aud": ["orders-api"], "iat": NOW, "exp": NOW + 60, "jti": "j-1",
        "tenant": "default", "metadataPublic": {"roles": ["warehouse:admin"]},
    });
    for (name, value) in change.as_object().unwrap() {
        if value.as_str() == Some("absent") {
            members.as_object_mut().unwrap().remove(name);
        } else {
            members[name] = value.clone();
        }
    }
    members
}

fn refused(result: Result<Authenticated, Refusal>) -> (Reason, &'static str) {
    let refusal = result.unwrap_err();
    (refusal.reason, refusal.detail.unwrap_or_default())
}

#[test]
fn a_good_envelope_is_an_identity_with_its_roles_and_replay_id() {
    let authenticated = World::new()
        .ask_with(&members(&json!({"sessionId": "s-1"})))
        .unwrap();
    let principal = authenticated.principal();

    assert!(matches!(principal, Principal::Identity(_)));
    assert_eq!(
        (principal.subject(), principal.tenant(), principal.actor()),
        ("alice", "default", "user:alice")
    );
    assert!(principal.has_role("warehouse:admin"));
    assert!(
        principal.claims().is_none() && principal.session().is_none() && principal.active_token().is_none()
    );
    assert_eq!(
        principal.envelope().unwrap().member("sessionId"),
        Some(&json!("s-1"))
    );
    let (id, until) = authenticated.replay_id().unwrap();
    assert_eq!((id.tenant, id.issuer, id.jti), ("default", "hmac", "j-1"));
    assert_eq!(until, now().saturating_add(Duration::from_secs(90)));
}

/// The members of the older gateways: `id`, `audience`, `expiresAt`, `state`, `metadataPublic`.
#[test]
fn an_envelope_with_the_older_names_is_the_same_identity() {
    let older = json!({
        "id": "alice", "schemaId": "default", "state": "active", "tenant": "default", "sessionId": "s-1",
        "expiresAt": now().saturating_add(Duration::from_secs(60)).to_rfc3339(),
        "verifiedAddressesFlags": {"email": true, "phone": false},
        "metadataPublic": {"roles": ["warehouse:admin"]}, "jti": "j-1", "audience": "orders-api",
    });
    let world = World::new();

    let authenticated = world.ask_with(&older).unwrap();

    let envelope = authenticated.principal().envelope().unwrap();
    assert_eq!(
        envelope.expires_at(),
        now().saturating_add(Duration::from_secs(60))
    );
    assert_eq!(envelope.member("schemaId"), Some(&json!("default")));
    let newer = world.ask_with(&members(&json!({}))).unwrap();
    assert_eq!(authenticated.principal(), newer.principal());
}

#[test]
fn a_client_is_no_identity() {
    let world = World::new();
    let client = world
        .ask_with(&members(&json!({"sub": "ci-bot", "client_id": "ci-bot"})))
        .unwrap();
    let through = world
        .ask_with(&members(&json!({"client_id": "ci-bot", "scope": "orders:read"})))
        .unwrap();
    let person = world.ask_with(&members(&json!({"client_id": ""}))).unwrap();

    assert!(matches!(client.principal(), Principal::Client(client) if client.client_id() == "ci-bot"));
    assert!(
        matches!(through.principal(), Principal::Identity(person) if person.acting_client() == Some("ci-bot"))
    );
    assert!(through.principal().has_scope("orders:read"));
    assert!(matches!(person.principal(), Principal::Identity(person) if person.acting_client().is_none()));
}

#[test]
fn an_absent_envelope_is_nobody_and_an_absent_signature_is_a_forgery() {
    let world = World::new();
    let envelope = STANDARD.encode(members(&json!({})).to_string());
    let signature = STANDARD.encode(sign(&KEYS[0], envelope.as_bytes()));
    let (envelope, signature) = (envelope.as_bytes(), signature.as_bytes());
    let missing = (Reason::MissingCredential, "");
    let unsigned = (Reason::InvalidSignature, "signature_missing");

    for (headers, expected) in [
        (vec![], missing),
        (vec![("x-user-signature", signature)], missing),
        (
            vec![("x-user", b"".as_slice()), ("x-user-signature", signature)],
            missing,
        ),
        (vec![("x-user", b"<no value>".as_slice())], missing),
        (vec![("x-user", envelope)], unsigned),
        (vec![("x-user", envelope), ("x-user-signature", b" ")], unsigned),
        (
            vec![("x-user", envelope), ("x-user-signature", b"<nil>")],
            unsigned,
        ),
        (
            vec![("authorization", envelope), ("x-user-signature", signature)],
            missing,
        ),
    ] {
        assert_eq!(refused(world.ask(&headers)), expected, "{headers:?}");
    }
}

/// R085: neither of two is chosen, also where a proxy has joined them.
#[test]
fn a_header_twice_is_ambiguous() {
    let world = World::new();
    let envelope = STANDARD.encode(members(&json!({})).to_string());
    let signature = STANDARD.encode(sign(&KEYS[0], envelope.as_bytes()));
    let twice = |text: &str| format!("{text}, {text}");
    let (envelopes, signatures) = (twice(&envelope), twice(&signature));
    let (envelope, signature) = (envelope.as_bytes(), signature.as_bytes());
    let (first, second) = (("x-user", envelope), ("x-user-signature", signature));

    for headers in [
        vec![first, first, second],
        vec![first, second, second],
        vec![first, second, ("x-user", b"")],
        vec![second, second],
        vec![("x-user", envelopes.as_bytes()), second],
        vec![first, ("x-user-signature", signatures.as_bytes())],
    ] {
        assert_eq!(
            refused(world.ask(&headers)),
            (Reason::AmbiguousCredential, ""),
            "{headers:?}"
        );
    }
    assert!(world.ask(&[first, second]).is_ok());
}

/// R005, R031, D12
#[test]
fn a_signature_of_another_key_or_of_other_bytes_is_refused() {
    let world = World::new();
    let text = members(&json!({})).to_string();
    let envelope = STANDARD.encode(&text);
    let good = sign(&KEYS[0], envelope.as_bytes());
    let signature = |bytes: &[u8]| STANDARD.encode(bytes);
    let mut flipped = good.clone();
    flipped[31] ^= 1;
    let sha512 = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, &KEYS[0]), envelope.as_bytes());

    for (name, signature) in [
        ("another key", signature(&sign(&[7; 32], envelope.as_bytes()))),
        ("no key", signature(&sign(&[], envelope.as_bytes()))),
        (
            "the key as it is written",
            signature(&sign(STANDARD.encode(KEYS[0]).as_bytes(), envelope.as_bytes())),
        ),
        ("one bit flipped", signature(&flipped)),
        (
            "over the decoded bytes",
            signature(&sign(&KEYS[0], text.as_bytes())),
        ),
        ("truncated", signature(&good[..31])),
        ("half", signature(&good[..16])),
        ("nothing of it", signature(&[])),
        ("lengthened", signature(&[&good[..], &[0]].concat())),
        ("SHA-512", signature(sha512.as_ref())),
        ("hexadecimal", hex(&good)),
        ("with a prefix", format!("sha256={}", signature(&good))),
        ("not base64", "*".repeat(44)),
    ] {
        let expected = if signature.is_empty() {
            "signature_missing"
        } else {
            "signature"
        };
        assert_eq!(
            refused(world.ask_signed(envelope.as_bytes(), &signature)),
            (Reason::InvalidSignature, expected),
            "{name}"
        );
    }
    for bit in 0..8 {
        let mut envelope = envelope.clone().into_bytes();
        envelope[10] ^= 1 << bit;
        let result = world.ask_signed(&envelope, &signature(&good));
        assert!(matches!(
            result,
            Err(Refusal {
                reason: Reason::InvalidSignature | Reason::AmbiguousCredential,
                ..
            })
        ));
    }
    assert!(world.ask_signed(envelope.as_bytes(), &signature(&good)).is_ok());
    assert!(
        world
            .ask_signed(envelope.as_bytes(), &STANDARD_NO_PAD.encode(&good))
            .is_ok()
    );
}

/// A signature has one form, but for its padding.
#[test]
fn a_signature_with_other_last_bits_is_refused() {
    let world = World::new();
    let envelope = STANDARD.encode(members(&json!({})).to_string());
    let good = STANDARD_NO_PAD.encode(sign(&KEYS[0], envelope.as_bytes()));
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let accepted: Vec<_> = alphabet
        .chars()
        .map(|last| good.chars().take(42).chain([last]).collect::<String>())
        .filter(|signature| world.ask_signed(envelope.as_bytes(), signature).is_ok())
        .collect();

    assert_eq!(accepted, [good]);
}

/// D12: 64 hexadecimal digits are base64, too. The configuration tells.
#[test]
fn only_the_configured_encoding_of_the_signature_verifies() {
    // A signature with a character that tells both alphabets apart.
    let (envelope, tag) = (0..100)
        .map(|number| STANDARD.encode(members(&json!({"jti": format!("j-{number}")})).to_string()))
        .map(|envelope| {
            let tag = sign(&KEYS[0], envelope.as_bytes());
            (envelope, tag)
        })
        .find(|(_, tag)| STANDARD.encode(tag).contains(['+', '/']))
        .unwrap();
    let tag_url = URL_SAFE_NO_PAD.encode(&tag);
    let hex = hex(&tag);
    let written = [
        (SignatureEncoding::Base64, STANDARD.encode(&tag)),
        (SignatureEncoding::Base64url, tag_url),
        (SignatureEncoding::Hex, hex.clone()),
    ];

    for (configured, _) in &written {
        let world = World::with(|written| written.signature_encoding = Some(*configured));
        for (encoding, signature) in &written {
            let is_good = world.ask_signed(envelope.as_bytes(), signature).is_ok();
            assert_eq!(is_good, configured == encoding, "{configured:?} {encoding:?}");
        }
    }
    let world = World::with(|written| written.signature_encoding = Some(SignatureEncoding::Hex));
    assert!(world.ask_signed(envelope.as_bytes(), &hex.to_uppercase()).is_ok());
    for bad in [
        hex.strip_prefix(|_| true).unwrap(),
        &format!("{hex}0"),
        &format!("0x{hex}"),
        &hex.replacen(|_| true, "é", 1),
    ] {
        assert_eq!(
            refused(world.ask_signed(envelope.as_bytes(), bad)).0,
            Reason::InvalidSignature,
            "{bad}"
        );
    }
}

/// D13: the signature is over the bytes of the header, also where they are not ASCII.
#[test]
fn a_json_envelope_with_other_letters_than_ascii_verifies() {
    let world = World::with(|written| written.envelope_encoding = Some(EnvelopeEncoding::Json));
    let envelope = members(&json!({"metadataPublic": {"name": "Zoë 🦀"}})).to_string();
    let latin_1: Vec<u8> = envelope
        .chars()
        .filter_map(|c| u8::try_from(u32::from(c)).ok())
        .collect();
    let signature = |bytes: &[u8]| STANDARD.encode(sign(&KEYS[0], bytes));

    let good = world
        .ask_signed(envelope.as_bytes(), &signature(envelope.as_bytes()))
        .unwrap();

    assert_eq!(
        good.principal().envelope().unwrap().metadata().unwrap()["name"],
        "Zoë 🦀"
    );
    // What a stack reads as Latin-1 and writes as UTF-8 is something else.
    let other = String::from_utf8_lossy(&latin_1).into_owned();
    assert_eq!(
        refused(world.ask_signed(envelope.as_bytes(), &signature(other.as_bytes()))).0,
        Reason::InvalidSignature
    );
    // R011: bytes that are not UTF-8, signed or not.
    assert_eq!(
        refused(world.ask_signed(&latin_1, &signature(&latin_1))),
        (Reason::Malformed, "claims_unreadable")
    );
}

#[test]
fn an_envelope_in_another_encoding_is_malformed() {
    let text = members(&json!({})).to_string();
    let base64 = STANDARD.encode(&text);
    let json = World::with(|written| written.envelope_encoding = Some(EnvelopeEncoding::Json));
    let world = World::new();
    let ask = |world: &World, envelope: &str| {
        world.ask_signed(
            envelope.as_bytes(),
            &STANDARD.encode(sign(&KEYS[0], envelope.as_bytes())),
        )
    };

    assert_eq!(
        refused(ask(&json, &base64)),
        (Reason::Malformed, "claims_unreadable")
    );
    // A JSON text has commas, which no base64 has.
    assert_eq!(refused(ask(&world, &text)), (Reason::AmbiguousCredential, ""));
    assert_eq!(
        refused(ask(&world, r#"{"sub":"alice"}"#)),
        (Reason::Malformed, "encoding")
    );
    assert!(ask(&json, &text).is_ok());
    for engine in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        assert!(ask(&world, &engine.encode(&text)).is_ok());
    }
}

/// D6, D7, R044, R047
#[test]
fn an_envelope_without_a_subject_or_a_readable_time_to_live_is_refused() {
    let later = now().saturating_add(Duration::from_secs(60)).to_rfc3339();
    let long = "x".repeat(513);

    refuse(&[
        (json!({"sub": "absent"}), Reason::Malformed, "sub_missing"),
        (json!({"sub": 7}), Reason::Malformed, "sub_type"),
        (json!({"sub": " "}), Reason::Malformed, "sub_type"),
        (json!({"sub": long}), Reason::Malformed, "sub_type"),
        (
            json!({"sub": "<no value>"}),
            Reason::Malformed,
            "go_template_in_sub",
        ),
        (json!({"id": "alice"}), Reason::Malformed, "claims_unreadable"),
        (json!({"exp": "absent"}), Reason::Malformed, "exp_missing"),
        (json!({"exp": null}), Reason::Malformed, "exp_type"),
        (json!({"exp": later}), Reason::Malformed, "exp_type"),
        (json!({"exp": "never"}), Reason::Malformed, "exp_type"),
        (json!({"exp": -1}), Reason::Malformed, "exp_type"),
        (json!({"exp": 1e300}), Reason::Malformed, "exp_type"),
        (json!({"exp": u64::MAX}), Reason::Malformed, "exp_type"),
        (
            json!({"exp": "absent", "expiresAt": "never"}),
            Reason::Malformed,
            "exp_type",
        ),
        (
            json!({"exp": "absent", "expiresAt": NOW + 60}),
            Reason::Malformed,
            "exp_type",
        ),
        (
            json!({"exp": "absent", "expiresAt": null}),
            Reason::Malformed,
            "exp_type",
        ),
        (
            json!({"expiresAt": later}),
            Reason::Malformed,
            "claims_unreadable",
        ),
        (json!({"exp": NOW - 30}), Reason::Expired, "exp_passed"),
        (json!({"exp": NOW + 86_401}), Reason::Expired, "lifetime_too_long"),
        (
            json!({"exp": NOW + 86_401, "iat": "absent"}),
            Reason::Expired,
            "lifetime_too_long",
        ),
        (
            json!({"iat": NOW + 31, "exp": NOW + 90}),
            Reason::NotYetValid,
            "iat_in_future",
        ),
        (json!({"nbf": NOW + 31}), Reason::NotYetValid, "nbf_in_future"),
    ]);
    accept(&[
        json!({}),
        json!({"exp": NOW + 86_400}),
        json!({"exp": NOW - 29, "iat": NOW - 60}),
        json!({"iat": NOW + 30, "nbf": NOW + 30}),
    ]);
}

/// D8, D9, D11, D15, R052
#[test]
fn an_envelope_for_somebody_else_or_with_a_member_of_a_wrong_type_is_refused() {
    refuse(&[
        (json!({"aud": "absent"}), Reason::AudienceMismatch, "aud_missing"),
        (json!({"aud": []}), Reason::AudienceMismatch, "aud_missing"),
        (json!({"aud": "orders"}), Reason::AudienceMismatch, "aud_other"),
        (
            json!({"aud": "Orders-api"}),
            Reason::AudienceMismatch,
            "aud_other",
        ),
        (
            json!({"aud": {"orders-api": true}}),
            Reason::Malformed,
            "aud_type",
        ),
        (
            json!({"audience": "orders-api"}),
            Reason::Malformed,
            "claims_unreadable",
        ),
        (json!({"tenant": "acme"}), Reason::TenantMismatch, "tenant_other"),
        (json!({"tenant": null}), Reason::TenantMismatch, "tenant_other"),
        (json!({"tenant": ["default"]}), Reason::Malformed, "tenant_type"),
        (json!({"jti": {"a": 1}}), Reason::Malformed, "jti_type"),
        (json!({"jti": ""}), Reason::Malformed, "jti_type"),
        (json!({"jti": 7}), Reason::Malformed, "jti_type"),
        (
            json!({"metadataPublic": "admin"}),
            Reason::Malformed,
            "metadata_type",
        ),
        (
            json!({"metadataPublic": {"roles": "<no value>"}}),
            Reason::Malformed,
            "go_template_in_roles",
        ),
        (
            json!({"client_id": "<nil>"}),
            Reason::Malformed,
            "go_template_in_client_id",
        ),
        (
            json!({"state": "inactive"}),
            Reason::SessionInactive,
            "identity_inactive",
        ),
        (json!({"state": "Active"}), Reason::Malformed, "state_type"),
        (json!({"state": true}), Reason::Malformed, "state_type"),
    ]);
    accept(&[
        json!({"aud": ["other", "orders-api"]}),
        json!({"tenant": "absent"}),
        json!({"state": null}),
        json!({"iss": "anything"}),
    ]);
}

fn refuse(cases: &[(Value, Reason, &str)]) {
    let world = World::new();
    for (change, reason, detail) in cases {
        let result = world.ask_with(&members(change));
        assert_eq!(refused(result), (*reason, *detail), "{change}");
    }
}

fn accept(changes: &[Value]) {
    let world = World::new();
    for change in changes {
        assert!(world.ask_with(&members(change)).is_ok(), "{change}");
    }
}

/// R045: what one parser reads first and another one last is refused.
#[test]
fn a_member_twice_is_refused() {
    let world = World::new();
    for twice in [
        format!(
            r#"{{"sub":"alice","sub":"bob","aud":"orders-api","exp":{}}}"#,
            NOW + 60
        ),
        format!(
            r#"{{"sub":"alice","s\u0075b":"bob","aud":"orders-api","exp":{}}}"#,
            NOW + 60
        ),
        format!(
            r#"{{"sub":"alice","aud":"orders-api","exp":{},"metadataPublic":{{"roles":[],"roles":["a"]}}}}"#,
            NOW + 60
        ),
        format!(r#"[{{"sub":"alice","aud":"orders-api","exp":{}}}]"#, NOW + 60),
        format!(r#"{{"sub":"alice","aud":"orders-api","exp":{}}} "x""#, NOW + 60),
    ] {
        let envelope = STANDARD.encode(&twice);
        let signature = STANDARD.encode(sign(&KEYS[0], envelope.as_bytes()));
        assert_eq!(
            refused(world.ask_signed(envelope.as_bytes(), &signature)),
            (Reason::Malformed, "claims_unreadable"),
            "{twice}"
        );
    }
}

/// D9
#[test]
fn with_several_tenants_an_envelope_that_names_none_belongs_to_none() {
    let world = World::of(&["default", "acme"], |_| {});

    let absent = world.ask_with(&members(&json!({"tenant": "absent"})));

    assert_eq!(refused(absent), (Reason::TenantMismatch, "tenant_missing"));
    assert!(world.ask_with(&members(&json!({}))).is_ok());
}

#[test]
fn a_visitor_of_the_gateway_is_nobody_and_a_bad_envelope_of_one_is_refused() {
    let world = World::new();

    for subject in ["anonymous", ""] {
        assert_eq!(
            refused(world.ask_with(&members(&json!({"sub": subject})))),
            (Reason::MissingCredential, "anonymous_subject")
        );
        assert_eq!(
            refused(world.ask_with(&members(&json!({"sub": subject, "exp": NOW - 60})))).0,
            Reason::Expired
        );
    }
}

/// D35: an older key verifies until it is removed.
#[test]
fn a_key_that_was_rotated_out_verifies_nothing() {
    let both = World::new();
    let first = World::with(|written| {
        written.keys.truncate(1);
    });
    let envelope = STANDARD.encode(members(&json!({})).to_string());
    let by_second = STANDARD.encode(sign(&KEYS[1], envelope.as_bytes()));

    assert!(both.ask_signed(envelope.as_bytes(), &by_second).is_ok());
    assert_eq!(
        refused(first.ask_signed(envelope.as_bytes(), &by_second)),
        (Reason::InvalidSignature, "signature")
    );
}

#[test]
fn without_an_id_an_envelope_cannot_be_claimed_and_is_refused_where_each_is_claimed() {
    let always = World::with(|written| written.replay = ReplayMode::Always);
    let without = members(&json!({"jti": "absent"}));

    assert!(World::new().ask_with(&without).unwrap().replay_id().is_none());
    assert_eq!(
        refused(always.ask_with(&without)),
        (Reason::Malformed, "jti_missing")
    );
}

/// The length counts before the signature, the signature before everything else.
#[test]
fn nothing_is_read_before_the_signature_is_good() {
    let world = World::with(|written| written.max_token = 1024);
    let long = STANDARD.encode(members(&json!({"padding": "x".repeat(1024)})).to_string());
    let nonsense = STANDARD.encode("nonsense");

    let too_long = world.ask_signed(long.as_bytes(), &STANDARD.encode(sign(&KEYS[0], long.as_bytes())));
    let unsigned = world.ask_signed(nonsense.as_bytes(), &STANDARD.encode([0; 32]));

    assert_eq!(refused(too_long), (Reason::Malformed, "token_too_long"));
    assert_eq!(refused(unsigned), (Reason::InvalidSignature, "signature"));
}

/// The gateway turns a browser's cookie into the envelope, so another site's page must not send one.
#[test]
fn an_envelope_in_another_sites_request_is_refused_and_a_bad_one_is_401_all_the_same() {
    let world = World::new();
    let envelope = STANDARD.encode(members(&json!({})).to_string());
    let good = STANDARD.encode(sign(&KEYS[0], envelope.as_bytes()));
    let send = |signature: &str, site: &[u8]| {
        world.send(
            "POST",
            now(),
            &[
                ("x-user", envelope.as_bytes()),
                ("x-user-signature", signature.as_bytes()),
                ("sec-fetch-site", site),
            ],
        )
    };

    assert_eq!(refused(send(&good, b"cross-site")).0, Reason::Csrf);
    assert_eq!(
        refused(send(&STANDARD.encode([0; 32]), b"cross-site")).0,
        Reason::InvalidSignature
    );
    assert!(send(&good, b"same-origin").is_ok());
}

#[test]
fn an_envelope_prints_nothing_of_the_person() {
    let world = World::new();
    let authenticated = world
        .ask_with(&members(&json!({"email": "alice@example.com"})))
        .unwrap();
    let envelope = authenticated.principal().envelope().unwrap();

    assert!(!format!("{envelope:?}").contains("alice"));
    let tenant = world.0.registry().default_tenant();
    assert!(!format!("{tenant:?}").contains("the first key"));
}

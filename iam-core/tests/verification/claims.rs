//! Every claim: good, absent, mistyped, wrong. Types are looked at only behind a genuine signature.

use std::sync::Arc;

use iam_core::jwt::{Algorithm, TenantRule, TokenFault, VerifiedClaims, Verifier, VerifyError};
use serde_json::{Value, json};

use crate::support::{
    ABSENT, AUDIENCE, ISSUER, NOW, NOW_SECS, Signer, claims_with, error, fault, good_claims, key_set,
    profile, verifier, verifier_of,
};

/// The claims that have methods of their own and are returned by nothing else.
const WITH_METHODS: [&str; 9] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "scope",
];

fn world() -> (Signer, Verifier) {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    (signer, verifier)
}

fn accepted(verifier: &Verifier, token: &str) -> Arc<VerifiedClaims> {
    verifier.examine(token.as_bytes(), NOW).unwrap()
}

/// Asserts that each of the values for a claim leads to the fault.
fn refused(claim: &str, fault_of: TokenFault, values: impl IntoIterator<Item = Value>) {
    let (signer, verifier) = world();
    for value in values {
        let token = signer.with_claims(json!({claim: value}));
        assert_eq!(fault(&verifier, token), fault_of, "{claim}: {value}");
    }
}

fn not_text() -> [Value; 6] {
    [
        json!(null),
        json!(1),
        json!(true),
        json!(["a"]),
        json!({"a": 1}),
        json!(1.5),
    ]
}

#[test]
fn all_that_a_good_token_says_is_to_be_had() {
    let signer = Signer::new(Algorithm::EdDsa);
    let rules = profile()
        .tenant(TenantRule::new("tenant", "default").required())
        .metadata_claim("metadataPublic");
    let verifier = verifier_of(rules, key_set([signer.jwk()]));
    let token = signer.with_claims(json!({
        "tenant": "default", "metadataPublic": {"roles": ["a"]}, "client_id": "c", "scope": "a b", "extra": [1],
    }));

    let claims = accepted(&verifier, &token);

    assert_eq!(claims.issuer(), ISSUER);
    assert_eq!(claims.subject(), "3550201f-950b-4744-a6cd-d675d0ca2ea4");
    assert_eq!(claims.audience(), [AUDIENCE, "inventory-api"]);
    assert_eq!(claims.expires_at().as_secs(), NOW_SECS + 60);
    assert_eq!(claims.accepted_until().as_secs(), NOW_SECS + 90);
    assert_eq!((claims.not_before(), claims.issued_at()), (Some(NOW), Some(NOW)));
    assert_eq!(claims.jti(), Some("bdb1b763-ccc4-4ef1-8da4-82060706c330"));
    assert_eq!(
        (claims.client_id(), claims.scope(), claims.tenant()),
        (Some("c"), Some("a b"), Some("default"))
    );
    assert_eq!(claims.metadata(), Some(&json!({"roles": ["a"]})));
    assert_eq!(claims.claim("extra"), Some(&json!([1])));
    assert_eq!(claims.claim("absent"), None);
    for registered in WITH_METHODS {
        assert_eq!(claims.claim(registered), None, "{registered}");
    }
}

/// What a subject looks like makes no client.
#[test]
fn subject_that_looks_like_a_client_is_a_subject() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier_of(profile(), key_set([signer.jwk()]));
    for subject in ["client:alice", "user:alice", ":", "client:"] {
        let claims = accepted(&verifier, &signer.with_claims(json!({ "sub": subject })));
        assert_eq!((claims.subject(), claims.client_id()), (subject, None));

        let claims = accepted(
            &verifier,
            &signer.with_claims(json!({ "sub": subject, "client_id": "user:c" })),
        );
        assert_eq!((claims.subject(), claims.client_id()), (subject, Some("user:c")));
        assert_eq!(
            (claims.is_client(), claims.acting_client()),
            (false, Some("user:c"))
        );
    }
}

/// R012, D8.
#[test]
fn token_of_another_issuer_or_of_none_is_refused() {
    refused("iss", TokenFault::IssuerMissing, [json!(ABSENT)]);
    refused("iss", TokenFault::IssuerType, not_text());
    refused("iss", TokenFault::IssuerType, [json!([ISSUER])]);
    refused(
        "iss",
        TokenFault::IssuerOther,
        [
            json!(""),
            json!(format!("{ISSUER}/")),
            json!(ISSUER.trim_end_matches('/')),
            json!(ISSUER.to_uppercase()),
            json!(format!("{ISSUER} ")),
            json!(format!("{ISSUER}x")),
            json!("https://other.example/"),
            json!("https://issuer.example:443/"),
        ],
    );
}

/// R014, R018: required, short, printable.
#[test]
fn subject_must_be_a_short_text_without_control_characters() {
    refused("sub", TokenFault::SubjectMissing, [json!(ABSENT)]);
    refused("sub", TokenFault::SubjectType, not_text());
    refused(
        "sub",
        TokenFault::SubjectType,
        [
            json!("a\r\nb"),
            json!("a\0"),
            json!("\u{7f}"),
            json!("\u{85}"),
            json!("\t"),
            json!("s".repeat(513)),
            json!("\u{e9}".repeat(257)),
        ],
    );
    let (signer, verifier) = world();
    let longest = "s".repeat(512);
    assert_eq!(
        accepted(&verifier, &signer.with_claims(json!({"sub": longest}))).subject(),
        longest
    );
    assert_eq!(
        accepted(&verifier, &signer.with_claims(json!({"sub": "M\u{fc}ller"}))).subject(),
        "M\u{fc}ller"
    );
}

/// R015, D8.
#[test]
fn token_for_another_audience_or_for_none_is_refused() {
    refused("aud", TokenFault::AudienceMissing, [json!(ABSENT), json!([])]);
    refused(
        "aud",
        TokenFault::AudienceOther,
        [
            json!(""),
            json!([""]),
            json!("billing-api"),
            json!(["billing-api", "x"]),
            json!("orders"),
            json!("orders-api-2"),
            json!("Orders-API"),
            json!("orders-api "),
            json!("orders-api,inventory-api"),
            json!("*"),
        ],
    );
    let (signer, verifier) = world();
    for aud in [
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!(["x", AUDIENCE]),
        json!([AUDIENCE, AUDIENCE]),
    ] {
        assert!(
            !accepted(&verifier, &signer.with_claims(json!({"aud": aud})))
                .audience()
                .is_empty()
        );
    }
}

/// R051: a string or an array of strings.
#[test]
fn audience_of_another_shape_is_malformed() {
    refused(
        "aud",
        TokenFault::AudienceType,
        [
            json!({"orders-api": 1}),
            json!(5),
            json!(null),
            json!(true),
            json!([["orders-api"]]),
            json!(["orders-api", 5]),
            json!(["orders-api", null]),
            json!([{"orders-api": 1}]),
            json!([null]),
        ],
    );
}

/// R052, D15: also where no replay protection asks for it.
#[test]
fn token_id_must_be_a_short_text_without_control_characters() {
    refused("jti", TokenFault::TokenIdType, not_text());
    refused(
        "jti",
        TokenFault::TokenIdType,
        [
            json!(""),
            json!("j".repeat(513)),
            json!("a\nb"),
            json!("\u{1b}[31m"),
        ],
    );

    let (signer, lenient) = world();
    let strict = verifier_of(profile().jti_required(true), key_set([signer.jwk()]));
    let without = signer.with_claims(json!({"jti": ABSENT}));
    assert_eq!(accepted(&lenient, &without).jti(), None);
    assert_eq!(fault(&strict, without), TokenFault::TokenIdMissing);
    assert!(accepted(&strict, &signer.token(&good_claims())).jti().is_some());
}

/// R062, R063: what makes a client, and its scope.
#[test]
fn client_id_and_scope_are_texts_or_absent() {
    let mistyped = [json!(1), json!(true), json!({"a": 1}), json!(1.5)];
    refused("client_id", TokenFault::ClientIdType, mistyped.clone());
    refused(
        "client_id",
        TokenFault::ClientIdType,
        [json!(["a"]), json!("a\nb"), json!("c".repeat(513))],
    );
    refused("scope", TokenFault::ScopeType, mistyped);
    let (signer, verifier) = world();
    let claims = accepted(&verifier, &signer.token(&good_claims()));
    assert_eq!((claims.client_id(), claims.scope()), (None, None));
}

fn tenant_verifier(signer: &Signer, rule: TenantRule) -> Verifier {
    verifier_of(profile().tenant(rule), key_set([signer.jwk()]))
}

/// R018, D9: present, it must match; with more than one tenant it must be present.
#[test]
fn missing_tenant_does_not_mean_whatever_tenant_the_route_wants() {
    let signer = Signer::new(Algorithm::EdDsa);
    let only = tenant_verifier(&signer, TenantRule::new("tenant", "default"));
    let several = tenant_verifier(&signer, TenantRule::new("tenant", "default").required());
    let without = signer.token(&good_claims());
    let with = |tenant: Value| signer.with_claims(json!({"tenant": tenant}));

    assert_eq!(accepted(&only, &without).tenant(), None);
    assert_eq!(fault(&several, &without), TokenFault::TenantMissing);
    for verifier in [&only, &several] {
        assert_eq!(
            accepted(verifier, &with(json!("default"))).tenant(),
            Some("default")
        );
        for other in [
            json!("acme"),
            json!("../b"),
            json!("Default"),
            json!("default\0"),
            json!("default "),
            json!(""),
            json!(null),
        ] {
            assert_eq!(
                fault(verifier, with(other.clone())),
                TokenFault::TenantOther,
                "{other}"
            );
            assert_eq!(error(verifier, with(other)), VerifyError::TenantMismatch);
        }
        for mistyped in [json!(1), json!(true), json!(["default"]), json!({"default": 1})] {
            assert_eq!(
                fault(verifier, with(mistyped.clone())),
                TokenFault::TenantType,
                "{mistyped}"
            );
        }
    }
}

/// Oathkeeper renders `null` for an identity without metadata.
#[test]
fn metadata_is_an_object_null_or_absent() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier_of(
        profile().metadata_claim("metadataPublic"),
        key_set([signer.jwk()]),
    );
    for metadata in [json!(ABSENT), json!(null)] {
        assert_eq!(
            accepted(
                &verifier,
                &signer.with_claims(json!({"metadataPublic": metadata}))
            )
            .metadata(),
            None
        );
    }
    for metadata in [json!("roles"), json!(["admin"]), json!(1), json!(true)] {
        assert_eq!(
            fault(&verifier, signer.with_claims(json!({"metadataPublic": metadata}))),
            TokenFault::MetadataType
        );
    }
}

/// R011, R045, R053, R058.
#[test]
fn payload_that_is_not_one_strict_json_object_is_refused() {
    let (signer, verifier) = world();
    let good = good_claims().to_string();
    let body = &good[1..good.len() - 1];
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let payloads: Vec<Vec<u8>> = vec![
        b"[1]".into(),
        b"\"x\"".into(),
        b"null".into(),
        b"1".into(),
        b"{".into(),
        format!("{{{body},\"sub\":\"admin\"}}").into(),
        format!("{{{body},\"s\\u0075b\":\"admin\"}}").into(),
        format!("{{{body},\"x\":{{\"y\":1,\"y\":2}}}}").into(),
        format!("{{{body},\"metadataPublic\":{{\"roles\":[],\"roles\":[\"admin\"]}}}}").into(),
        format!("\u{feff}{good}").into(),
        utf16,
        [format!("{{{body},\"x\":\"").as_bytes(), b"\xC0\xAF\"}"].concat(),
        [format!("{{{body},\"x\":\"").as_bytes(), b"\xFF\"}"].concat(),
        format!("{{{body},\"x\":\"\\uD800\"}}").into(),
        format!("{good}{good}").into(),
        format!("{good} x").into(),
        format!("{{{body},}}").into(),
        format!("{{{body},\"x\":NaN}}").into(),
        format!("{{{body},\"x\":1e999}}").into(),
        format!("{{{body}/* */}}").into(),
        format!("{{{body},\"x\":{}1{}}}", "[".repeat(16), "]".repeat(16)).into(),
        format!("{{{body},\"x\":{}", "[".repeat(3_000)).into(),
    ];
    for payload in payloads {
        let token = signer.raw(signer.header().to_string(), &payload);
        assert_eq!(
            fault(&verifier, token),
            TokenFault::ClaimsUnreadable,
            "{}",
            payload.escape_ascii()
        );
    }
    // The deepest that is accepted.
    let deep = format!("{{{body},\"x\":{}1{}}}", "[".repeat(15), "]".repeat(15));
    assert!(
        verifier
            .verify(signer.raw(signer.header().to_string(), deep).as_bytes(), NOW)
            .is_ok()
    );
}

/// R053: at the edge.
#[test]
fn payload_of_128_members_is_read_and_one_more_refused() {
    let (signer, verifier) = world();
    let good = good_claims();
    let sized = |members: usize| {
        let more = (0..members - good.as_object().unwrap().len()).map(|number| format!(",\"{number}\":0"));
        let body = good.to_string();
        let payload = format!(
            "{}{}}}",
            body.strip_suffix('}').unwrap(),
            more.collect::<String>()
        );
        signer.raw(signer.header().to_string(), payload)
    };

    assert!(verifier.verify(sized(128).as_bytes(), NOW).is_ok());
    assert_eq!(fault(&verifier, sized(129)), TokenFault::ClaimsUnreadable);
    assert_eq!(fault(&verifier, sized(2_000)), TokenFault::TokenTooLong);
}

/// R045: each of them, whatever its value, `null` included.
#[test]
fn every_claim_may_stand_once_only() {
    let (signer, verifier) = world();
    for name in WITH_METHODS.into_iter().chain(["tenant", "x"]) {
        let others = claims_with(json!({ name: ABSENT })).to_string();
        let others = others.strip_suffix('}').unwrap();
        for value in [json!(null), json!("a"), json!(1), json!({}), json!([])] {
            let payload = format!("{others},\"{name}\":{value},\"{name}\":{value}}}");
            let token = signer.raw(signer.header().to_string(), payload);
            assert_eq!(
                fault(&verifier, token),
                TokenFault::ClaimsUnreadable,
                "{name} {value}"
            );
        }
    }
}

/// Objects are not kept while a token is verified; whoever asks for a claim gets all of it.
#[test]
fn claim_comes_whole_however_deep_its_objects_lie() {
    let (signer, verifier) = world();
    let value = json!([{"a": [{"b": {"c": [1, "two", null]}}], "d": {}}, [[{"e": true}]]]);

    let claims = accepted(
        &verifier,
        &signer.with_claims(json!({ "x": value, "y": {"z": value} })),
    );

    assert_eq!(claims.claim("x"), Some(&value));
    assert_eq!(claims.claim("y"), Some(&json!({ "z": value })));
    assert_eq!(claims.claim("sub"), None);
}

/// R008, R162: a forged token tells nothing but that it is forged, however bad its claims are.
#[test]
fn signature_is_checked_before_any_claim() {
    let (signer, verifier) = world();
    let stranger = Signer::new(Algorithm::EdDsa);
    for claims in [
        good_claims(),
        json!({}),
        claims_with(json!({"exp": 1})),
        claims_with(json!({"aud": 5})),
    ] {
        assert_eq!(fault(&verifier, stranger.token(&claims)), TokenFault::Signature);
        assert_ne!(
            verifier.examine(signer.token(&claims).as_bytes(), NOW).err(),
            Some(TokenFault::Signature)
        );
    }
    let not_json = stranger.raw(stranger.header().to_string(), "not json");
    assert_eq!(fault(&verifier, not_json), TokenFault::Signature);
}

/// R013, R014: the same `kid` and subject under two issuers.
#[test]
fn key_of_one_issuer_never_verifies_tokens_of_another() {
    let (ours, theirs) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let our_verifier = verifier(&ours);
    let their_verifier = verifier(&theirs);
    let token = ours.token(&good_claims());

    assert!(our_verifier.verify(token.as_bytes(), NOW).is_ok());
    assert_eq!(fault(&their_verifier, token), TokenFault::Signature);
}

/// R063, R097: each fault has a code of its own and leads to one reason.
#[test]
fn every_error_leads_to_the_reason_of_its_name() {
    for (error, code) in [
        (VerifyError::AudienceMismatch, "audience_mismatch"),
        (VerifyError::Expired, "expired"),
        (VerifyError::InvalidSignature, "invalid_signature"),
        (VerifyError::IssuerMismatch, "issuer_mismatch"),
        (VerifyError::KeysUnavailable, "keys_unavailable"),
        (VerifyError::Malformed, "malformed"),
        (VerifyError::NotYetValid, "not_yet_valid"),
        (VerifyError::TenantMismatch, "tenant_mismatch"),
        (VerifyError::UnknownKey, "unknown_key"),
    ] {
        assert_eq!(error.reason().code(), code);
    }
}

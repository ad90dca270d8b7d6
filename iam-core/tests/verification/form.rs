//! What does not have the one accepted form is refused before anything of it is believed.

use iam_core::jwt::{Algorithm, DEFAULT_MAX_TOKEN_BYTES, TokenFault};
use serde_json::{Value, json};

use crate::support::{
    ABSENT, NOW, Signer, encode, fault, good_claims, key_set, profile, verifier, verifier_of,
};

fn segments(token: &str) -> [String; 3] {
    token
        .split('.')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn well_formed_token_is_accepted() {
    let signer = Signer::new(Algorithm::Rs256);

    let claims = verifier(&signer)
        .verify(signer.token(&good_claims()).as_bytes(), NOW)
        .unwrap();

    assert_eq!(claims.subject(), good_claims()["sub"].as_str().unwrap());
}

/// R007, R021, R029: a JWE, a JSON serialization, an unsecured token, anything but three segments.
#[test]
fn anything_but_three_segments_of_base64url_is_refused() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let [header, payload, signature] = segments(&signer.token(&good_claims()));
    let flattened = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]})
        .to_string();
    let tokens = [
        String::new(),
        ".".into(),
        "..".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}%2E{payload}%2E{signature}"),
        flattened,
        general,
    ];
    for token in tokens {
        assert_eq!(fault(&verifier, &token), TokenFault::CompactForm, "{token}");
    }
}

/// R021, R023: foreign characters, padding, white space, loose trailing bits, in each of the segments.
#[test]
fn loose_encoding_of_any_segment_is_refused() {
    let signer = Signer::new(Algorithm::Rs256);
    let verifier = verifier(&signer);
    let good = segments(&signer.token(&good_claims()));
    for index in 0..3 {
        for (before, after) in [
            ("", "="),
            ("", "=="),
            ("", "\n"),
            ("", "\r\n"),
            (" ", ""),
            ("", " "),
            ("", "\t"),
            ("\"", "\""),
            ("", "%3D"),
            ("", "+"),
            ("", "/"),
            ("", "~"),
            ("{", "}"),
            ("", "\u{e9}"),
            ("", "\0"),
            ("", "A"),
        ] {
            let mut token = good.clone();
            token[index] = format!("{before}{}{after}", token[index]);
            assert!(
                verifier.verify(token.join(".").as_bytes(), NOW).is_err(),
                "{token:?}"
            );
        }
    }
    // 256 bytes end in two spare bits: of four spellings only one is canonical.
    let last = good[2].chars().last().unwrap();
    for spare in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        .chars()
        .filter(|other| *other != last)
    {
        let mut token = good.clone();
        token[2].pop();
        token[2].push(spare);
        assert!(
            verifier.verify(token.join(".").as_bytes(), NOW).is_err(),
            "{spare}"
        );
    }
}

/// R142: the longest token and one byte more.
#[test]
fn token_beyond_the_limit_is_refused_unread() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let sized = |padding: usize| {
        let mut claims = good_claims();
        claims["padding"] = Value::from("x".repeat(padding));
        signer.token(&claims)
    };
    let longest = (11_500..13_000)
        .map(sized)
        .take_while(|token| token.len() <= DEFAULT_MAX_TOKEN_BYTES)
        .last()
        .unwrap();
    assert!(longest.len() > DEFAULT_MAX_TOKEN_BYTES - 4);

    assert!(verifier.verify(longest.as_bytes(), NOW).is_ok());
    assert_eq!(fault(&verifier, sized(13_000)), TokenFault::TokenTooLong);
    assert_eq!(fault(&verifier, "A".repeat(1 << 20)), TokenFault::TokenTooLong);
}

/// R142: a header beyond four kilobytes.
#[test]
fn header_beyond_the_limit_is_refused() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);

    assert!(
        verifier
            .verify(
                signer.with_header(json!({"x": "y".repeat(3_000)})).as_bytes(),
                NOW
            )
            .is_ok()
    );
    assert_eq!(
        fault(&verifier, signer.with_header(json!({"x": "y".repeat(4_096)}))),
        TokenFault::HeaderUnreadable
    );
}

/// R011, R024, R025, R053, R058: the header is strict JSON.
#[test]
fn header_that_is_not_one_strict_json_object_is_refused() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let utf16: Vec<u8> = r#"{"alg":"EdDSA"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let headers: [&[u8]; 15] = [
        br#"{"alg":"none","alg":"EdDSA"}"#,
        br#"{"alg":"EdDSA","alg":"none"}"#,
        br#"{"alg":"EdDSA","\u0061lg":"EdDSA"}"#,
        br#"{"alg":"EdDSA","x":{"y":1,"y":1}}"#,
        b"\xEF\xBB\xBF{\"alg\":\"EdDSA\"}",
        &utf16,
        b"{\"alg\":\"EdDSA\",\"x\":\"\xC0\xAF\"}",
        br#"{"alg":"EdDSA","x":"\uD800"}"#,
        br#"{"alg":"EdDSA"} x"#,
        br#"{"alg":"EdDSA",}"#,
        b"{'alg':'EdDSA'}",
        br#"["EdDSA"]"#,
        b"\"EdDSA\"",
        b"null",
        b"{",
    ];
    for header in headers {
        let token = signer.raw(header, good_claims().to_string());
        assert_eq!(
            fault(&verifier, &token),
            TokenFault::HeaderUnreadable,
            "{}",
            header.escape_ascii()
        );
    }
}

/// R028: the signature is over the bytes that arrived, white space in the header included.
#[test]
fn header_with_white_space_is_accepted_and_a_reordered_payload_is_not() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    let spaced = signer.raw(
        b" {\n \"alg\" : \"EdDSA\" ,\t\"kid\":\"k1\" }\r\n",
        good_claims().to_string(),
    );
    assert!(verifier.verify(spaced.as_bytes(), NOW).is_ok());

    let [header, _, signature] = segments(&signer.token(&good_claims()));
    let claims = good_claims();
    let reordered: Vec<_> = claims
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    let token = format!(
        "{header}.{}.{signature}",
        encode(format!("{{{}}}", reordered.join(",")))
    );
    assert_eq!(fault(&verifier, token), TokenFault::Signature);
}

/// R003, R025: `alg` is a string, compared letter by letter with a list.
#[test]
fn algorithm_that_is_not_a_listed_name_is_refused() {
    let signer = Signer::new(Algorithm::Rs256);
    let verifier = verifier(&signer);
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "HS256",
        "hs256",
        "rs256",
        "RS256 ",
        " RS256",
        "RS256\u{0}",
        "R\u{17f}256",
        "PBES2-HS512+A256KW",
        "A128GCM",
    ] {
        let token = signer.with_header(json!({"alg": name}));
        assert_eq!(
            fault(&verifier, &token),
            TokenFault::AlgorithmNotAllowed,
            "{name:?}"
        );
    }
    for wrong in [
        json!(ABSENT),
        json!(null),
        json!(256),
        json!(["RS256"]),
        json!({"RS256": 1}),
        json!(true),
    ] {
        let token = signer.with_header(json!({"alg": wrong}));
        assert_eq!(fault(&verifier, &token), TokenFault::AlgorithmMissing, "{wrong}");
    }
}

/// R022: refused by name, so that no cost parameter is ever read.
#[test]
fn password_based_algorithm_with_a_giant_cost_is_refused_by_name() {
    let signer = Signer::new(Algorithm::Rs256);
    let token =
        signer.with_header(json!({"alg": "PBES2-HS512+A256KW", "p2c": 2_147_483_648_u64, "p2s": "AAAA"}));

    assert_eq!(fault(&verifier(&signer), token), TokenFault::AlgorithmNotAllowed);
}

/// R001: signed correctly with a published key, but not on the list.
#[test]
fn genuine_token_of_an_algorithm_off_the_list_is_refused() {
    for algorithm in Algorithm::ALL {
        let signer = Signer::new(algorithm);
        let others = Algorithm::ALL
            .into_iter()
            .filter(|other| *other != algorithm)
            .collect();
        let strict = verifier_of(profile().algorithms(others), key_set([signer.jwk()]));

        assert_eq!(
            fault(&strict, signer.token(&good_claims())),
            TokenFault::AlgorithmNotAllowed,
            "{algorithm}"
        );
    }
}

/// R009, R017, R027, R030, R054, R102: members that change the processing, or offer keys.
#[test]
fn header_member_that_changes_processing_is_refused() {
    let signer = Signer::new(Algorithm::Rs256);
    let verifier = verifier(&signer);
    let refused = [
        json!({"crit": ["exp"]}),
        json!({"crit": ["exp"], "exp": 1}),
        json!({"crit": []}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": ["b64"], "b64": true}),
        json!({"crit": ["x"]}),
        json!({"crit": ["x", "x"], "x": 1}),
        json!({"crit": ["alg"]}),
        json!({"crit": "x"}),
        json!({"crit": null}),
        json!({"crit": {"x": 1}}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"zip": null}),
        json!({"cty": "JWT"}),
        json!({"cty": "json"}),
        json!({"jku": "http://127.0.0.1:9/jwks.json"}),
        json!({"x5u": "http://127.0.0.1:9/cert.pem"}),
        json!({"x5c": ["MIIB"]}),
        json!({"jwk": signer.jwk()}),
    ];
    for members in refused {
        assert_eq!(
            fault(&verifier, signer.with_header(members.clone())),
            TokenFault::HeaderMember,
            "{members}"
        );
    }
    // A thumbprint only names a key, and unknown members must be ignored (RFC 7515 §4).
    let ignored = signer.with_header(json!({"x5t": "AAAA", "x5t#S256": "AAAA", "foo": [1, {"bar": null}]}));
    assert!(verifier.verify(ignored.as_bytes(), NOW).is_ok());
}

/// R017: a stranger's token that brings its own key.
#[test]
fn key_in_the_header_is_never_used() {
    let signer = Signer::new(Algorithm::Rs256);
    let stranger = Signer::other_rsa("k1");
    let verifier = verifier(&signer);

    assert_eq!(
        fault(&verifier, stranger.with_header(json!({"jwk": stranger.jwk()}))),
        TokenFault::HeaderMember
    );
    assert_eq!(
        fault(&verifier, stranger.token(&good_claims())),
        TokenFault::Signature
    );
}

/// R019, R020, D8: other kinds of tokens are not this one.
#[test]
fn token_of_another_type_is_refused() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    for kind in [
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("dpop+jwt"),
        json!("at+jwt"),
        json!("application/at+jwt"),
        json!("JWE"),
        json!("JWT "),
        json!(""),
        json!("application/"),
        json!("text/jwt"),
        json!("JOSE"),
        json!(null),
        json!(1),
        json!(["JWT"]),
    ] {
        assert_eq!(
            fault(&verifier, signer.with_header(json!({"typ": kind}))),
            TokenFault::TypeOther,
            "{kind}"
        );
    }
    for kind in ["JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT", ABSENT] {
        let token = signer.with_header(json!({"typ": kind}));
        assert!(verifier.verify(token.as_bytes(), NOW).is_ok(), "{kind}");
    }
}

/// R016, R026: a `kid` is an opaque, short string; anything else is malformed, not absent.
#[test]
fn key_id_of_another_type_or_length_is_malformed() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    for kid in [
        json!(5),
        json!(null),
        json!({}),
        json!(["k1"]),
        json!(true),
        json!("k".repeat(257)),
        json!("k1\0"),
        json!("\u{7f}"),
    ] {
        assert_eq!(
            fault(&verifier, signer.with_header(json!({"kid": kid}))),
            TokenFault::KeyIdType,
            "{kid}"
        );
    }
}

/// R016: an unknown `kid` never widens to other keys.
#[test]
fn unknown_key_id_is_never_answered_with_another_key() {
    let signer = Signer::new(Algorithm::EdDsa);
    let verifier = verifier(&signer);
    for kid in [
        "../../dev/null",
        "' OR 1=1--",
        "http://127.0.0.1:9/",
        "K1",
        "k1 ",
        "",
        "k".repeat(256).as_str(),
    ] {
        assert_eq!(
            fault(&verifier, signer.with_header(json!({"kid": kid}))),
            TokenFault::KeyUnknown,
            "{kid}"
        );
    }
}

/// Without `kid`: only while there is no choice.
#[test]
fn token_without_key_id_is_accepted_only_while_one_key_fits() {
    let signer = Signer::new(Algorithm::EdDsa);
    let other = Signer::named("k2", Algorithm::EdDsa);
    let token = signer.with_header(json!({"kid": ABSENT}));

    let only = verifier_of(
        profile(),
        key_set([signer.jwk(), Signer::named("k3", Algorithm::Es256).jwk()]),
    );
    assert!(only.verify(token.as_bytes(), NOW).is_ok());
    let nameless = verifier_of(profile(), key_set([signer.jwk_with(json!({"kid": ABSENT}))]));
    assert!(nameless.verify(token.as_bytes(), NOW).is_ok());
    let two = verifier_of(profile(), key_set([signer.jwk(), other.jwk()]));
    assert_eq!(fault(&two, &token), TokenFault::KeyIdMissing);
    let none = verifier_of(profile(), key_set([Signer::new(Algorithm::Es256).jwk()]));
    assert_eq!(fault(&none, &token), TokenFault::KeyIdMissing);
}

/// R008: nothing of a refused token is to be had, not even by its error.
#[test]
fn refusal_tells_nothing_of_the_token() {
    let signer = Signer::new(Algorithm::Rs256);
    let forged = Signer::other_rsa("k1").with_claims(json!({"sub": "admin"}));
    let error = verifier(&signer).verify(forged.as_bytes(), NOW).unwrap_err();

    assert!(!format!("{error} {error:?}").contains("admin"));
}

/// R071, R141: claims do not print.
#[test]
fn verified_claims_do_not_print_the_subject() {
    let signer = Signer::new(Algorithm::EdDsa);
    let token = signer.with_claims(json!({"sub": "canary", "email": "canary@example.org"}));
    let claims = verifier(&signer).verify(token.as_bytes(), NOW).unwrap();

    assert!(!format!("{claims:?}").contains("canary"));
}

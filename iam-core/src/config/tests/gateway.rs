//! How the gateway proves identities: which keys are needed, and which have no effect.

use std::fs;

use super::*;
use crate::config::{EnvelopeEncoding, SignatureEncoding, VerifierKind};

/// 32 bytes.
const KEY: &str = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn hmac(more: &str) -> IamConfig {
    oathkeeper(&format!(
        "verifier = \"hmac\"\naudience = [\"orders-api\"]\n{more}"
    ))
}

fn hmac_with_key(more: &str) -> IamConfig {
    hmac(&format!("keys = [\"{KEY}\"]\n{more}"))
}

fn headers(more: &str) -> IamConfig {
    oathkeeper(&format!("verifier = \"headers\"\n{more}"))
}

fn headers_with_secret(more: &str) -> IamConfig {
    headers(&format!("proof_secret = \"{SECRET}\"\n{more}"))
}

/// The messages behind the table's path.
fn faults(config: IamConfig) -> Vec<String> {
    problems(config)
        .iter()
        .map(|problem| problem.replace("`tenants.default.oathkeeper.", "`"))
        .collect()
}

#[test]
fn what_is_left_out_of_the_other_verifiers_has_the_documented_default() {
    let hmac = hmac_with_key("").validate().unwrap();
    let headers = headers_with_secret("").validate().unwrap();

    assert!(hmac.registry().default_tenant().verifier().is_none());
    for (settings, expected) in [
        (&hmac, vec!["x-user", "x-user-signature"]),
        (&headers, vec!["x-user-id", "x-gateway-secret"]),
    ] {
        let read = settings.registry().credential_headers();
        for name in expected {
            assert!(read.contains(&name.to_owned()), "{read:?}");
        }
        assert!(!read.contains(&"authorization".to_owned()), "{read:?}");
    }
    assert_eq!(SignatureEncoding::default(), SignatureEncoding::Base64);
    assert_eq!(EnvelopeEncoding::default(), EnvelopeEncoding::Base64);
    assert_eq!(VerifierKind::default(), VerifierKind::Jwt);
}

/// R006: RFC 7518 §3.2 asks for a key as long as the hash.
#[test]
fn a_key_of_less_than_32_bytes_does_not_start() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let of = |length: usize| format!("base64:{}", STANDARD.encode(vec![b'k'; length]));
    let short = "expected 32 to 1024 random bytes, such as `openssl rand -base64 32` prints";
    let form = "expected `base64:` and the key in base64, such as `openssl rand -base64 32` prints";

    for (key, message) in [
        (of(0), short),
        (of(1), short),
        (of(8), short),
        (of(31), short),
        (of(1025), short),
        ("correct horse battery staple, 32 bytes".to_owned(), form),
        (KEY.replace("base64:", ""), form),
        (KEY.replace("base64:", "hex:"), form),
        (KEY.replace("MDEy", "*DEy"), form),
        (String::new(), form),
    ] {
        let found = faults(hmac(&format!("keys = [\"{KEY}\", \"{key}\"]")));
        assert_eq!(found, [format!("`keys[1]`: {message}")], "{key}");
    }
    for key in [of(32), of(33), of(1024)] {
        assert_eq!(faults(hmac(&format!("keys = [\"{key}\"]"))), Vec::<String>::new());
    }
    assert_eq!(
        faults(hmac(&format!("keys = [\"{KEY}\", \"{KEY}\"]"))),
        ["`keys[1]`: the same key as an earlier one: remove it"]
    );
    assert_eq!(
        faults(hmac("")),
        ["`keys`: required: write `base64:` and 32 random bytes, such as `openssl rand -base64 32` prints"]
    );
}

#[test]
fn an_envelope_without_an_audience_or_an_encoding_that_works_does_not_start() {
    assert_eq!(
        faults(oathkeeper(&format!("verifier = \"hmac\"\nkeys = [\"{KEY}\"]"))),
        ["`audience`: required"]
    );
    let found = faults(hmac_with_key(
        "signature_encoding = \"base32\"\nenvelope_encoding = \"jwt\"",
    ));
    assert_eq!(
        found,
        [
            "`envelope_encoding`: expected one of \"base64\", \"json\"",
            "`signature_encoding`: expected one of \"base64\", \"base64url\", \"hex\"",
        ]
    );
    let limits = faults(hmac_with_key(
        "clock_skew = \"6m\"\nmax_lifetime = \"0s\"\nmax_token = \"1B\"\ntenant_claim = \"sub\"",
    ));
    assert_eq!(limits.len(), 4, "{limits:?}");
}

#[test]
fn a_key_of_another_verifier_is_refused_with_the_remedy() {
    let of_tokens = [
        ("issuer", "\"i\""),
        ("algorithms", "[\"RS256\"]"),
        ("jwks", "{ url = \"https://gateway.example/jwks\" }"),
    ];
    let of_signed = [
        ("audience", "[\"a\"]"),
        ("clock_skew", "\"1s\""),
        ("max_lifetime", "\"1h\""),
        ("replay", "\"always\""),
        ("tenant_claim", "\"t\""),
        ("metadata_claim", "\"m\""),
        ("scope_claim", "[\"s\"]"),
        ("max_token", "\"2KiB\""),
    ];
    let of_envelopes = [
        ("signature_header", "\"X-Signature\""),
        ("keys", "[\"base64:AA==\"]"),
        ("signature_encoding", "\"hex\""),
        ("envelope_encoding", "\"json\""),
    ];
    let of_headers = [
        ("proof_header", "\"X-Proof\""),
        ("proof_secret", "\"x\""),
        ("trusted_peers", "[\"10.1.2.3\"]"),
        ("roles_header", "\"X-Role\""),
        ("tenant_header", "\"X-Tenant\""),
        ("headers", "[\"X-Email\"]"),
    ];
    let check = |config: &dyn Fn(&str) -> IamConfig, keys: &[(&str, &str)], kind: &str, other: &str| {
        for (key, value) in keys {
            assert_eq!(
                faults(config(&format!("{key} = {value}"))),
                [format!(
                    "`{key}`: has no effect with `verifier = \"{kind}\"`: remove it, or set {other}"
                )]
            );
        }
    };

    check(&hmac_with_key, &of_tokens, "hmac", "`verifier = \"jwt\"`");
    check(
        &headers_with_secret,
        &of_tokens,
        "headers",
        "`verifier = \"jwt\"`",
    );
    check(
        &headers_with_secret,
        &of_signed,
        "headers",
        "`verifier = \"jwt\"` or `verifier = \"hmac\"`",
    );
    check(&sound_oathkeeper, &of_envelopes, "jwt", "`verifier = \"hmac\"`");
    check(
        &headers_with_secret,
        &of_envelopes,
        "headers",
        "`verifier = \"hmac\"`",
    );
    check(&sound_oathkeeper, &of_headers, "jwt", "`verifier = \"headers\"`");
    check(&hmac_with_key, &of_headers, "hmac", "`verifier = \"headers\"`");
}

#[test]
fn headers_without_a_proof_do_not_start() {
    assert_eq!(
        faults(headers("")),
        [
            "`trusted_peers`: required, unless there is a `proof_secret`: without a proof, every caller could name any identity"
        ]
    );
    assert_eq!(
        faults(headers(
            "proof_header = \"X-Proof\"\ntrusted_peers = [\"10.1.2.3\"]"
        )),
        ["`proof_secret`: required with `proof_header`: write the secret that the gateway sets there"]
    );
    let text = "expected 32 to 1024 visible ASCII characters, such as `openssl rand -base64 32` prints";
    for secret in [
        "",
        "short",
        SECRET.strip_prefix('0').unwrap(),
        &format!("{SECRET} x"),
        &format!("{SECRET}é"),
        &"x".repeat(1025),
    ] {
        assert_eq!(
            faults(headers(&format!("proof_secret = \"{secret}\""))),
            [format!("`proof_secret`: {text}")],
            "{secret}"
        );
    }
    assert_eq!(
        faults(headers("trusted_peers = [\"10.1.2.3\", \"fd00::/64\"]")),
        Vec::<String>::new()
    );
}

/// R151
#[test]
fn peers_that_are_everybody_or_nobody_do_not_start() {
    for (peer, message) in [
        (
            "0.0.0.0/0",
            "every address belongs to it, so it proves nothing: write the gateway's own network",
        ),
        (
            "gateway",
            "expected an address or a network, such as \"10.1.2.3\" or \"10.1.2.0/24\"",
        ),
        (
            "10.1.2.3/24",
            "the address has bits behind the prefix: write the first address of the network, or the address alone",
        ),
    ] {
        assert_eq!(
            faults(headers(&format!("trusted_peers = [\"10.1.2.3\", \"{peer}\"]"))),
            [format!("`trusted_peers[1]`: {message}")]
        );
    }
}

#[test]
fn a_header_with_another_meaning_or_with_two_does_not_start() {
    let carries =
        "carries tokens only: write a name that only the gateway and the application use, such as \"X-User\"";
    for (config, path) in [
        (hmac_with_key("header = \"Authorization\""), "header"),
        (
            hmac_with_key("signature_header = \"authorization\""),
            "signature_header",
        ),
        (headers_with_secret("header = \"Authorization\""), "header"),
        (
            headers_with_secret("proof_header = \"Authorization\""),
            "proof_header",
        ),
        (
            headers_with_secret("roles_header = \"Authorization\""),
            "roles_header",
        ),
        (headers_with_secret("headers = [\"Authorization\"]"), "headers[0]"),
    ] {
        assert_eq!(faults(config), [format!("`{path}`: {carries}")]);
    }
    for (config, path) in [
        (hmac_with_key("header = \"Cookie\""), "header"),
        (
            hmac_with_key("signature_header = \"Signature\""),
            "signature_header",
        ),
        (headers_with_secret("header = \"X-Forwarded-User\""), "header"),
        (headers_with_secret("headers = [\"X-Real-Ip\"]"), "headers[0]"),
        (
            headers_with_secret("tenant_header = \"X Tenant\""),
            "tenant_header",
        ),
    ] {
        let found = faults(config);
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("`{path}`: ")),
            "{found:?}"
        );
    }
    assert_eq!(
        faults(hmac_with_key("signature_header = \"X-USER\"")),
        ["`signature_header`: `x-user` is the header of `header`, too: give each a header of its own"]
    );
    assert_eq!(
        faults(headers_with_secret(
            "roles_header = \"X-User-Id\"\nheaders = [\"X-Gateway-Secret\"]"
        )),
        [
            "`roles_header`: `x-user-id` is the header of `header`, too: give each a header of its own",
            "`headers`: `x-gateway-secret` is the header of `proof_header`, too: give each a header of its own",
        ]
    );
}

/// D9
#[test]
fn headers_of_several_tenants_need_a_header_for_the_tenant() {
    let several = |more: &str| {
        problems(headers_with_secret(&format!(
            "{more}\n[tenants.acme]\ntransports = [\"oathkeeper\"]\n[tenants.acme.oathkeeper]\nverifier = \"headers\"\n\
             proof_secret = \"{SECRET}\"\ntenant_header = \"X-Tenant\""
        )).default_tenant("acme"))
    };

    assert_eq!(
        several(""),
        [
            "`tenants.default.oathkeeper.tenant_header`: required where there is more than one tenant: an identity of one tenant \
             would be accepted for the other"
        ]
    );
    assert_eq!(several("tenant_header = \"X-Tenant\""), Vec::<String>::new());
}

#[test]
fn secrets_of_the_gateway_may_stand_in_files_and_are_never_printed() {
    let directory = std::env::temp_dir();
    let file = |name: &str, content: &str| {
        let path = directory.join(format!("iam-core-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        path
    };
    let keys = file("keys", &format!("{KEY}\n  {}\n", KEY.replace("MDEy", "MDE0")));
    let secret = file("secret", SECRET);

    let of_keys = hmac(&format!("keys_file = '{}'", keys.display()));
    let of_secret = headers(&format!("proof_secret_file = '{}'", secret.display()));
    let both = faults(hmac_with_key(&format!("keys_file = '{}'", keys.display())));
    for path in [keys, secret] {
        fs::remove_file(path).unwrap();
    }

    assert_eq!(both, ["`keys_file`: given together with `keys`"]);
    for config in [of_keys, of_secret] {
        let printed = format!("{config:?}");
        assert!(
            !printed.contains("MDEy") && !printed.contains(SECRET),
            "{printed}"
        );
        let printed = format!("{:?}", config.validate().unwrap());
        assert!(
            !printed.contains("MDEy") && !printed.contains(SECRET),
            "{printed}"
        );
    }
}

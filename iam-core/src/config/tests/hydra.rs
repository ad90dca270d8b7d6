//! The keys of `hydra`: which are needed, and which have no effect.

use super::*;
use crate::{
    config::{HydraConfig, TokenCheck},
    jwt::TokenType,
    tenant::Signer,
    testing::{hydra_config, hydra_with},
};

fn problems_of(more: &str) -> Vec<String> {
    problems(hydra_config(more))
}

fn jwt(more: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oauth2"]
        [tenants.default.hydra]
        tokens = "jwt"
        issuer = "http://127.0.0.1:4444"
        audience = ["orders-api"]
        {more}
        "#
    ))
    .unwrap()
}

#[test]
fn what_is_left_out_of_hydra_has_the_documented_default() {
    let settings = hydra_with("");
    let tenant = settings.registry().default_tenant();
    let hydra = tenant.hydra().unwrap();

    assert_eq!(tenant.transport(), Transport::Oauth2);
    assert!(tenant.verifier().is_none());
    assert_eq!(hydra.admin_url(), "http://127.0.0.1:4445");
    assert_eq!(
        (hydra.issuer(), hydra.audience()),
        ("http://127.0.0.1:4444", &["orders-api".to_owned()][..])
    );
    assert_eq!(
        (hydra.limits().timeout, hydra.max_in_flight()),
        (Duration::from_secs(5), 100)
    );
    assert!(
        settings
            .registry()
            .credential_headers()
            .contains(&"authorization".to_owned())
    );

    for words in ["tokens = \"introspect\"", "tokens = \"introspection\""] {
        assert!(hydra_with(words).registry().default_tenant().hydra().is_some());
    }
    let upstream = hydra_with("upstream = { timeout = \"7s\", max_in_flight = 3, max_body = \"2KiB\" }");
    let hydra = upstream.registry().default_tenant().hydra().unwrap();
    assert_eq!(
        (hydra.limits().timeout, hydra.max_in_flight()),
        (Duration::from_secs(7), 3)
    );
}

#[test]
fn keys_of_jwts_are_those_below_the_public_url_unless_others_are_named() {
    let settings = jwt("public_url = \"http://127.0.0.1:4444/\"").validate().unwrap();
    let tenant = settings.registry().default_tenant();
    let profile = tenant.verifier_of(Signer::Hydra).unwrap().profile();

    assert_eq!(
        tenant.jwks_of(Signer::Hydra).unwrap().url(),
        "http://127.0.0.1:4444/.well-known/jwks.json"
    );
    assert!(tenant.jwks().is_none() && tenant.verifier().is_none() && tenant.hydra().is_none());
    assert_eq!(profile.access_tokens(), [TokenType::Jwt]);
    assert_eq!(profile.anonymous_subjects(), [""; 0]);

    let other = jwt("jwks.url = \"https://issuer.example/keys\"\ntyp = [\"at+jwt\"]")
        .validate()
        .unwrap();
    let tenant = other.registry().default_tenant();
    assert_eq!(
        tenant.jwks_of(Signer::Hydra).unwrap().url(),
        "https://issuer.example/keys"
    );
    let profile = tenant.verifier_of(Signer::Hydra).unwrap().profile();
    assert_eq!(profile.access_tokens(), [TokenType::AtJwt]);
}

#[test]
fn transport_and_block_need_each_other() {
    let bare = |text: &str| problems(IamConfig::from_toml(text).unwrap());

    assert_eq!(
        bare("[tenants.default]\ntransports = [\"oauth2\"]"),
        ["`tenants.default.hydra`: required for the transport \"oauth2\""]
    );
    assert_eq!(
        problems_with(
            "[tenants.default.hydra]\nadmin_url = \"https://h.example\"\nissuer = \"i\"\naudience = [\"a\"]"
        ),
        ["`tenants.default.hydra`: has no effect without the transport \"oauth2\""]
    );
}

#[test]
fn every_problem_of_hydra_is_reported_with_its_path() {
    let empty = "[tenants.default]\ntransports = [\"oauth2\"]\n[tenants.default.hydra]\n";
    assert_eq!(
        problems(IamConfig::from_toml(empty).unwrap()),
        [
            "`tenants.default.hydra.issuer`: required",
            "`tenants.default.hydra.audience`: required",
            "`tenants.default.hydra.admin_url`: required: tokens are introspected at Hydra's admin port",
        ]
    );
    for (more, expected) in [
        (
            "public_url = \"http://127.0.0.1:4445\"",
            "admin_url`: the same as `public_url`",
        ),
        ("public_url = \"http://hydra\"", "public_url`: not an https URL"),
        ("admin_token = \"a b\"", "admin_token`: not a bearer token"),
        ("admin_token = \"\"", "admin_token`: not a bearer token"),
        ("client_id = \"a\"", "client_secret`: required with `client_id`"),
        (
            "client_secret = \"a\"",
            "client_id`: required with `client_secret`",
        ),
        ("client_id = \"\"\nclient_secret = \"a\"", "client_id`: required"),
        (
            "admin_token = \"t\"\nclient_id = \"a\"\nclient_secret = \"s\"",
            "admin_token`: either `admin_token`, or `client_id` and `client_secret`",
        ),
        ("tenant_claim = \"\"", "tenant_claim`: required"),
        (
            "typ = [\"JWT\"]",
            "typ`: has no effect with `tokens = \"introspect\"`",
        ),
        (
            "algorithms = [\"RS256\"]",
            "algorithms`: has no effect with `tokens = \"introspect\"`",
        ),
        (
            "jwks.refresh = \"5m\"",
            "jwks`: has no effect with `tokens = \"introspect\"`",
        ),
        ("tokens = \"opaque\"", "tokens`: expected one of "),
        ("surprise = 1", "surprise`: unknown key"),
        ("upstream.timeout = \"0s\"", "upstream.timeout`: expected "),
    ] {
        let found = problems_of(more);
        let expected = format!("`tenants.default.hydra.{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{more}: {found:?}"
        );
    }
}

#[test]
fn every_problem_of_jwt_access_tokens_is_reported_with_its_path() {
    for (more, expected) in [
        ("", "jwks.url`: required, unless there are `keys`"),
        ("public_url = \"ftp://h\"", "public_url`: not an https URL"),
        (
            "public_url = \"https://h.example\"\njwks.url = \"https://h.example/k\"",
            "public_url`: has no effect beside `jwks.url` or `jwks.keys`",
        ),
        (
            "public_url = \"https://h.example\"\nadmin_url = \"https://a.example\"",
            "admin_url`: has no effect with `tokens = \"jwt\"`",
        ),
        (
            "public_url = \"https://h.example\"\nadmin_token = \"t\"",
            "admin_token`: has no effect with `tokens = \"jwt\"`",
        ),
        (
            "public_url = \"https://h.example\"\nupstream.timeout = \"1s\"",
            "upstream`: has no effect with `tokens = \"jwt\"`",
        ),
        (
            "public_url = \"https://h.example\"\ntyp = []",
            "typ`: at least one type is required",
        ),
        (
            "public_url = \"https://h.example\"\ntyp = [\"JWT\", \"JWT\"]",
            "typ[1]`: `JWT` is listed twice",
        ),
        (
            "public_url = \"https://h.example\"\ntyp = [\"id+jwt\"]",
            "typ[0]`: expected \"JWT\" or \"at+jwt\"",
        ),
        (
            "public_url = \"https://h.example\"\nalgorithms = [\"none\"]",
            "algorithms[0]`: `none` is not an algorithm with public keys",
        ),
    ] {
        let found = problems(jwt(more));
        let expected = format!("`tenants.default.hydra.{expected}");
        assert!(
            found.len() == 1 && found[0].starts_with(&expected),
            "{more}: {found:?}"
        );
    }
}

/// R020
#[test]
fn gateway_and_oauth_2_server_with_one_issuer_are_refused() {
    let mut config = config_with("");
    let tenant = config.tenants.get_mut("default").unwrap();
    tenant.transports.push(Transport::Oauth2);
    tenant.hydra = Some(HydraConfig::new(
        "https://hydra.example",
        "https://gateway.example/",
        ["orders-api"],
    ));

    let found = problems(config);

    assert!(
        found.len() == 1
            && found[0].starts_with("`tenants.default.hydra.issuer`: the same as `oathkeeper.issuer`"),
        "{found:?}"
    );
}

/// D9
#[test]
fn tenants_that_would_accept_each_others_access_tokens_are_refused() {
    let of = |second: &HydraConfig| {
        let mut first = hydra_config("");
        let mut tenant = first.tenants["default"].clone();
        tenant.hydra = Some(second.clone());
        first.tenants.insert("second".to_owned(), tenant);
        problems(first.default_tenant("default"))
    };
    let (admin, issuer) = ("http://127.0.0.1:4445", "http://127.0.0.1:4444");
    let same = HydraConfig::new(admin, issuer, ["billing-api", "orders-api"]);

    let found = of(&same);
    assert!(
        found.len() == 1
            && found[0].starts_with("`tenants.second.hydra.audience`: shares an issuer and an audience with `tenants.default.hydra`"),
        "{found:?}"
    );
    assert_eq!(of(&HydraConfig::new(admin, issuer, ["billing-api"])), [""; 0]);
    assert_eq!(
        of(&HydraConfig::new(admin, "http://127.0.0.1:5555", ["orders-api"])),
        [""; 0]
    );
    assert_eq!(same.tokens, TokenCheck::Introspect);
}

#[test]
fn secrets_of_hydra_may_stand_in_files_and_are_printed_nowhere() {
    let file = std::env::temp_dir().join(format!("hydra-secret-{}", std::process::id()));
    std::fs::write(&file, "from-a-file\n").unwrap();
    let path = file.display();

    let settings = hydra_with(&format!(
        "client_id = \"orders-api\"\nclient_secret_file = \"{path}\""
    ));
    let token = hydra_with(&format!("admin_token_file = \"{path}\""));
    std::fs::remove_file(&file).unwrap();

    for settings in [&settings, &token] {
        let hydra = settings.registry().default_tenant().hydra().unwrap();
        assert!(
            hydra
                .credential
                .as_ref()
                .is_some_and(|credential| credential.expose().len() > 10)
        );
        assert!(!format!("{settings:?}").contains("from-a-file"));
    }
}

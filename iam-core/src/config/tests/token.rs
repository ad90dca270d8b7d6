//! What says which tokens are taken.

use super::*;

#[test]
fn a_problem_with_the_keys_or_the_roles_hides_none_of_the_others() {
    let sound = "issuer = \"i\"\naudience = [\"a\"]\njwks.refresh = \"1ms\"\njwks.max_keys = 0";
    let with = |more: &str| {
        problems(oathkeeper(&format!("{sound}\n{more}")))
            .iter()
            .filter_map(|problem| Some(problem.split_once("`: ")?.0.replace("`tenants.default.", "")))
            .collect::<Vec<_>>()
    };

    assert_eq!(
        with("jwks.url = \"ftp://gateway.example/jwks\"\njwks.keys = [{ kty = \"RSA\" }]"),
        [
            "oathkeeper.jwks",
            "oathkeeper.jwks.refresh",
            "oathkeeper.jwks.max_keys",
            "oathkeeper.jwks.url",
            "oathkeeper.jwks.keys[0]"
        ]
    );
    assert_eq!(
        with(""),
        [
            "oathkeeper.jwks.url",
            "oathkeeper.jwks.refresh",
            "oathkeeper.jwks.max_keys"
        ]
    );

    let roles = problems(
        IamConfig::from_toml(
            r#"
            [tenants.default]
            transports = ["oathkeeper"]
            roles_from = "traits.roles"
            csrf.allowed_origins = ["app.example"]
            kratos.public_url = "http://kratos.example"
            keto.read_url = "http://keto.example"
            [tenants.default.oathkeeper]
            issuer = "https://gateway.example/"
            audience = ["orders-api"]
            jwks.url = "https://gateway.example/jwks"
            "#,
        )
        .unwrap(),
    );
    assert_eq!(roles.len(), 4, "{roles:?}");
}

/// R001, R004, D14
#[test]
fn an_algorithm_without_public_keys_does_not_start_and_is_named() {
    for name in [
        "none", "None", "HS256", "HS512", "rs256", "RS128", "ES256K", "", "RS256 ",
    ] {
        let problems = problems(sound_oathkeeper(&format!("algorithms = [\"RS256\", \"{name}\"]")));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!(
                "`tenants.default.oathkeeper.algorithms[1]`: `{name}` is not"
            )),
            "{problems:?}"
        );
    }
    assert_eq!(
        problems(sound_oathkeeper("algorithms = []")),
        ["`tenants.default.oathkeeper.algorithms`: at least one algorithm is required"]
    );
    assert_eq!(
        problems(sound_oathkeeper("algorithms = [\"RS256\", \"RS256\"]")).len(),
        1
    );
}

/// R012, R015, D8
#[test]
fn issuer_audience_and_keys_are_required() {
    let missing = problems(oathkeeper(""));

    assert_eq!(
        missing,
        [
            "`tenants.default.oathkeeper.issuer`: required",
            "`tenants.default.oathkeeper.audience`: required",
            "`tenants.default.oathkeeper.jwks.url`: required, unless there are `keys`",
        ]
    );
    assert_eq!(problems(sound_oathkeeper("")), Vec::<String>::new());
    for audience in [
        "[]",
        "[\"\"]",
        "[\"*\"]",
        "[\"a\", \"*\"]",
        "[\" a\"]",
        "[\"a\\n\"]",
    ] {
        let config = oathkeeper(&format!(
            "issuer = \"i\"\njwks.url = \"https://g.example\"\naudience = {audience}"
        ));
        assert_eq!(problems(config).len(), 1, "{audience}");
    }
}

/// R015: a service that waits for `orders-*` refuses every token of `orders-api`.
#[test]
fn a_wildcard_is_no_audience() {
    for audience in ["*", "orders-*", "*-api", "orders*api", "https://*.example"] {
        let config = oathkeeper(&format!(
            "issuer = \"i\"\njwks.url = \"https://g.example\"\naudience = [\"orders-api\", \"{audience}\"]"
        ));
        assert_eq!(
            problems(config),
            [
                "`tenants.default.oathkeeper.audience[1]`: wildcards are not supported in audiences: write the name of the service, as it is in the token"
            ],
            "{audience}"
        );
    }
}

/// D95
#[test]
fn keys_without_an_effect_are_refused() {
    assert_eq!(
        problems_with("[tenants.default.csrf]\nenabled = false\nallowed_origins = [\"https://a.example\"]"),
        ["`tenants.default.csrf.allowed_origins`: has no effect when `enabled` is false"]
    );
    let keys = oathkeeper(
        "issuer = \"i\"\naudience = [\"a\"]\njwks.refresh = \"10m\"\njwks.keys = [{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\" }]",
    );
    assert_eq!(
        problems(keys),
        ["`tenants.default.oathkeeper.jwks.refresh`: has no effect beside `keys`"]
    );
}

/// R036
#[test]
fn any_problem_of_an_inline_key_keeps_the_service_from_starting() {
    let with = |keys: &str| {
        problems(oathkeeper(&format!(
            "issuer = \"i\"\naudience = [\"a\"]\njwks.keys = {keys}"
        )))
    };

    for key in [
        "{ kty = \"oct\", k = \"c2VjcmV0\" }",
        "{}",
        "{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\", d = \"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\" }",
        "7",
    ] {
        let problems = with(&format!("[{key}]"));
        assert_eq!(problems.len(), 1, "{key}: {problems:?}");
        assert!(
            problems[0].starts_with("`tenants.default.oathkeeper.jwks.keys[0]`:"),
            "{problems:?}"
        );
        assert!(
            !problems[0].contains("nWGxne") && !problems[0].contains("c2VjcmV0"),
            "{problems:?}"
        );
    }
    assert_eq!(
        with("[{ kty = \"OKP\", crv = \"Ed25519\", x = \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\" }]"),
        Vec::<String>::new()
    );
}

/// R116, D9
#[test]
fn with_several_tenants_a_default_is_named_and_the_tenant_claim_required() {
    let other = sound_oathkeeper("").tenants.remove("default").unwrap();
    let config = config_with("").tenant("other", other);

    assert_eq!(
        problems(config.clone()),
        ["`default_tenant`: required when there is more than one tenant"]
    );
    let settings = config.default_tenant("other").validate().unwrap();
    assert_eq!(settings.registry().default_tenant().name(), "other");
    for tenant in settings.registry().iter() {
        let rule = tenant.verifier().unwrap().profile().tenant().unwrap();
        assert!(rule.required);
    }
}

/// R116: a tenant that is looked for where no token names one is checked of none.
#[test]
fn a_claim_that_says_something_else_names_no_tenant_and_holds_no_metadata() {
    for (key, example) in [("tenant_claim", "tenant"), ("metadata_claim", "metadataPublic")] {
        for claim in [
            "aud",
            "client_id",
            "exp",
            "iat",
            "iss",
            "jti",
            "nbf",
            "scope",
            "sub",
        ] {
            assert_eq!(
                problems(sound_oathkeeper(&format!("{key} = \"{claim}\""))),
                [format!(
                    "`tenants.default.oathkeeper.{key}`: `{claim}` has another meaning in every token: write a claim of its own, such as \"{example}\""
                )]
            );
        }
        for claim in ["Sub", "organisation", "https://claims.example/sub", "azp"] {
            assert_eq!(
                problems(sound_oathkeeper(&format!("{key} = \"{claim}\""))),
                Vec::<String>::new(),
                "{key} {claim}"
            );
        }
        assert_eq!(
            problems(sound_oathkeeper(&format!("{key} = \"\""))),
            [format!("`tenants.default.oathkeeper.{key}`: required")]
        );
    }
}

#[test]
fn what_a_token_may_be_is_checked_at_the_start() {
    for (key, problem) in [
        ("max_token = \"512B\"", "max_token`: expected 1KiB to 64KiB"),
        ("max_token = \"65KiB\"", "max_token`: expected 1KiB to 64KiB"),
        (
            "anonymous_subjects = [\"a\\nb\"]",
            "anonymous_subjects[0]`: expected a text of at most 512 bytes without control characters",
        ),
        (
            "anonymous_subjects = [\"\", \"\"]",
            "anonymous_subjects[1]`: `` is listed twice",
        ),
        ("scope_claim = []", "scope_claim`: at least one claim is required"),
        ("scope_claim = [\"\"]", "scope_claim[0]`: required"),
        (
            "scope_claim = [\"scope\", \"sub\"]",
            "scope_claim[1]`: `sub` has another meaning in every token: write a claim that holds scopes, such as \"scp\"",
        ),
        (
            "scope_claim = [\"scp\", \"scp\"]",
            "scope_claim[1]`: `scp` is listed twice",
        ),
        (
            "scope_claim = [\"tenant\"]",
            "scope_claim[0]`: the same claim as `tenants.default.oathkeeper.tenant_claim`: write a claim of its own for each",
        ),
        (
            "metadata_claim = \"scp\"",
            "scope_claim[1]`: the same claim as `tenants.default.oathkeeper.metadata_claim`: write a claim of its own for each",
        ),
    ] {
        assert_eq!(
            problems(sound_oathkeeper(key)),
            [format!("`tenants.default.oathkeeper.{problem}")],
            "{key}"
        );
    }
    let keys = "max_token = \"64KiB\"\nanonymous_subjects = []\nscope_claim = [\"permissions\", \"scope\"]";
    let settings = sound_oathkeeper(keys).validate().unwrap();
    let profile = settings.registry().default_tenant().verifier().unwrap().profile();
    assert_eq!(profile.max_token(), 64 * 1024);
    assert!(profile.anonymous_subjects().is_empty());
    assert_eq!(profile.scope_claims(), ["permissions", "scope"]);
}

#[test]
fn one_claim_does_not_hold_both_the_tenant_and_the_metadata() {
    let same = [
        "`tenants.default.oathkeeper.metadata_claim`: the same claim as `tenants.default.oathkeeper.tenant_claim`: write a claim of its own for each, such as \"tenant\" and \"metadataPublic\"",
    ];

    for keys in [
        "tenant_claim = \"ext\"\nmetadata_claim = \"ext\"",
        "tenant_claim = \"metadataPublic\"",
        "metadata_claim = \"tenant\"",
    ] {
        assert_eq!(problems(sound_oathkeeper(keys)), same, "{keys}");
    }
    assert_eq!(
        problems(sound_oathkeeper(
            "tenant_claim = \"metadataPublic\"\nmetadata_claim = \"tenant\""
        )),
        Vec::<String>::new()
    );
}

/// R036, R172
#[test]
fn a_private_key_in_the_configuration_appears_nowhere() {
    let key = "{ kty = \"OKP\", crv = \"Ed25519\", x = \"hunter1\", d = \"hunter2\" }";
    let config = oathkeeper(&format!("jwks.keys = [{key}]"));

    let debug = format!("{config:?}");
    let error = config.validate().unwrap_err();

    assert!(
        debug.contains("JwksConfig") && !debug.contains("hunter2"),
        "{debug}"
    );
    assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
}

#[test]
fn headers_with_a_meaning_of_their_own_carry_no_tokens() {
    let with = |header: &str| problems(sound_oathkeeper(&format!("header = \"{header}\"")));

    for header in [
        "Accept",
        "Accept-Language",
        "Access-Control-Request-Headers",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Cookie",
        "Date",
        "Expect",
        "Forwarded",
        "Host",
        "If-None-Match",
        "Keep-Alive",
        "Origin",
        "Proxy-Authorization",
        "Range",
        "Referer",
        "Sec-Fetch-Site",
        "Sec-WebSocket-Protocol",
        "Set-Cookie",
        "TE",
        "Traceparent",
        "Transfer-Encoding",
        "Upgrade",
        "USER-AGENT",
        "Via",
        "X-Forwarded-Access-Token",
        "X-Forwarded-For",
        "X-Original-URL",
        "X-Real-IP",
        "X-Request-Id",
    ] {
        assert_eq!(
            with(header),
            [
                "`tenants.default.oathkeeper.header`: a header with a meaning of its own: write \"Authorization\", or a name that only the application uses, such as \"X-Id-Token\""
            ],
            "{header}"
        );
    }
    for no_name in ["", "a b", "x:y", "X-Übung"] {
        assert_eq!(
            with(no_name),
            ["`tenants.default.oathkeeper.header`: not a header name"],
            "{no_name}"
        );
    }
    // Names that only begin like one that is taken, and those of gateways that sign tokens of their own.
    for header in [
        "authorization",
        "Authorization",
        "X-User",
        "X-Id-Token",
        "Id-Token",
        "Identity-Token",
        "Security-Token",
        "Viaduct-Token",
        "X-Realm-Token",
        "Cf-Access-Jwt-Assertion",
        "X-Amzn-Oidc-Data",
        "X-Goog-Iap-Jwt-Assertion",
    ] {
        assert_eq!(with(header), Vec::<String>::new(), "{header}");
    }
}

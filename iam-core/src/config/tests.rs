use std::{fs, path::PathBuf, time::Duration};

use super::*;
use crate::{
    tenant::{ReplayMode, Transport},
    testing::{config_with, settings_with},
};

fn problems(config: IamConfig) -> Vec<String> {
    match config.validate() {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(ToString::to_string).collect(),
    }
}

/// Returns the problems of the sound configuration of the tests with `more` behind it.
fn problems_with(more: &str) -> Vec<String> {
    problems(config_with(more))
}

fn oathkeeper(keys: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        {keys}
        "#
    ))
    .unwrap()
}

fn sound_oathkeeper(more: &str) -> IamConfig {
    oathkeeper(&format!(
        "issuer = \"https://gateway.example/\"\naudience = [\"orders-api\"]\njwks.url = \"https://gateway.example/jwks\"\n{more}"
    ))
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let settings = settings_with("");
    let tenant = settings.registry().default_tenant();
    let profile = tenant.verifier().unwrap().profile();
    let policy = *tenant.jwks().unwrap().policy();

    assert_eq!(tenant.name(), "default");
    assert_eq!(tenant.transport(), Transport::Oathkeeper);
    assert_eq!(tenant.replay(), ReplayMode::SingleUse);
    assert_eq!(profile.clock_skew(), Duration::from_secs(30));
    assert_eq!(profile.max_lifetime(), Duration::from_secs(24 * 60 * 60));
    assert_eq!(profile.metadata_claim(), Some("metadataPublic"));
    assert!(!profile.tenant().unwrap().required);
    assert_eq!(policy.refresh, Duration::from_secs(600));
    assert_eq!(policy.refetch_interval, Duration::from_secs(1));
    assert_eq!(policy.wait, Duration::from_secs(2));
    assert_eq!(policy.stale, Duration::from_secs(3600));
    assert_eq!(policy.grace, Duration::from_secs(60));
    assert_eq!(tenant.jwks().unwrap().limits().timeout, Duration::from_secs(5));
    assert_eq!(tenant.jwks().unwrap().limits().max_body, 256 * 1024);
    assert_eq!(tenant.keto().unwrap().batch_size(), 10);
    assert_eq!(tenant.keto().unwrap().limits().timeout, Duration::from_secs(5));
    assert_eq!(
        tenant.keto().unwrap().limits().connect_timeout,
        Duration::from_secs(1)
    );
    assert_eq!(tenant.keto().unwrap().limits().max_body, 1 << 20);
    assert_eq!(settings.audit(), &AuditConfig::default());
    assert!(!settings.registry().development());
    assert_eq!(
        settings.registry().credential_headers(),
        ["authorization", "origin", "sec-fetch-site", "upgrade"]
    );
}

#[test]
fn every_problem_is_reported_at_once_with_its_path() {
    let config = IamConfig::from_toml(
        r#"
        development = "yes"
        surprise = 1
        [audit]
        sink = { path = "x" }
        queue = 0
        [tenants.customer]
        transports = ["oathkeeper", "pigeon"]
        [tenants.customer.oathkeeper]
        issuer = 7
        audience = ["*"]
        algorithms = ["HS256", "none"]
        clock_skew = "6m"
        [tenants.customer.oathkeeper.jwks]
        url = "ftp://gateway.example/jwks"
        refresh = "soon"
        [tenants.customer.keto]
        read_url = "http://keto.example"
        batch_size = 0
        "#,
    )
    .unwrap();

    let problems = problems(config);

    let paths: Vec<_> = problems
        .iter()
        .map(|problem| problem.split(':').next().unwrap())
        .collect();
    for path in [
        "`development`",
        "`surprise`",
        "`audit.sink.path`",
        "`audit.sink.file`",
        "`audit.queue`",
        "`tenants.customer.transports[1]`",
        "`tenants.customer.oathkeeper.issuer`",
        "`tenants.customer.oathkeeper.audience[0]`",
        "`tenants.customer.oathkeeper.algorithms[0]`",
        "`tenants.customer.oathkeeper.algorithms[1]`",
        "`tenants.customer.oathkeeper.clock_skew`",
        "`tenants.customer.oathkeeper.jwks.url`",
        "`tenants.customer.oathkeeper.jwks.refresh`",
        "`tenants.customer.keto.read_url`",
        "`tenants.customer.keto.batch_size`",
    ] {
        assert_eq!(
            paths.iter().filter(|one| **one == path).count(),
            1,
            "{path} in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 15, "{problems:#?}");
    assert!(problems.contains(&"`tenants.customer.keto.read_url`: not an https URL".to_owned()));
}

#[test]
fn an_element_that_cannot_be_read_hides_no_problem_of_the_others() {
    let found = problems(sound_oathkeeper(
        "algorithms = [1, \"none\", 2, \"RS256\", \"HS256\"]",
    ));
    let paths: Vec<_> = found
        .iter()
        .map(|problem| problem.split(':').next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [0, 2, 1, 4].map(|index| format!("`tenants.default.oathkeeper.algorithms[{index}]`")),
        "{found:?}"
    );

    let nothing_left = problems(sound_oathkeeper("algorithms = [1]"));
    assert_eq!(nothing_left.len(), 1, "{nothing_left:?}");

    let transports = problems_with("[tenants.other]\ntransports = [\"pigeon\", \"cookie\"]");
    for path in [
        "`tenants.other.transports[0]`: ",
        "`tenants.other.transports`: \"cookie\" ",
    ] {
        assert!(
            transports.iter().any(|problem| problem.starts_with(path)),
            "{transports:?}"
        );
    }
}

#[test]
fn a_transport_that_cannot_be_read_does_not_make_its_block_useless() {
    let misspelt = "[\"oathkeper\", \"cookie\"]";
    let config = |transports| {
        IamConfig::from_toml(&format!(
            r#"
            [tenants.default]
            transports = {transports}
            [tenants.default.oathkeeper]
            issuer = "https://gateway.example/"
            audience = ["orders-api"]
            jwks.url = "https://gateway.example/jwks"
            "#
        ))
        .unwrap()
    };

    let unread = problems(config(misspelt));
    let read = problems(config("[\"cookie\"]"));

    let starts = [
        "`tenants.default.transports[0]`: expected one of ",
        "`tenants.default.transports`: \"cookie\" ",
    ];
    assert_eq!(unread.len(), starts.len(), "{unread:?}");
    for start in starts {
        assert!(
            unread.iter().any(|problem| problem.starts_with(start)),
            "{unread:?}"
        );
    }
    let useless = "`tenants.default.oathkeeper`: has no effect without the transport \"oathkeeper\"";
    assert!(read.iter().any(|problem| problem == useless), "{read:?}");
}

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

/// R172
#[test]
fn unknown_keys_are_refused_at_every_level() {
    for (more, path) in [
        ("[nonsense]", "`nonsense`"),
        ("[tenants.default.nonsense]", "`tenants.default.nonsense`"),
        (
            "[tenants.default.cache]\nnonsense = 1",
            "`tenants.default.cache.nonsense`",
        ),
        (
            "[tenants.default.csrf]\nEnabled = true",
            "`tenants.default.csrf.Enabled`",
        ),
        (
            "[tenants.default.keto.upstream]\nx = 1",
            "`tenants.default.keto.upstream.x`",
        ),
        ("[audit]\nlevel = 1", "`audit.level`"),
    ] {
        let problems = problems_with(more);
        assert!(
            problems.len() == 1 && problems[0].starts_with(path),
            "{problems:?}"
        );
    }
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
                "`tenants.default.oathkeeper.audience[1]`: `*` stands for nothing in an audience: write the name of the service, as it is in the token"
            ],
            "{audience}"
        );
    }
}

#[test]
fn a_wildcard_is_no_origin() {
    for origin in [
        "*",
        "https://*",
        "https://*.app.example",
        "https://app.example:*",
        "*.example",
    ] {
        let found = problems_with(&format!(
            "[tenants.default.csrf]\nallowed_origins = [\"https://app.example\", \"{origin}\"]"
        ));
        assert_eq!(
            found,
            [
                "`tenants.default.csrf.allowed_origins[1]`: `*` stands for nothing in an origin: write each one, such as \"https://app.example\""
            ],
            "{origin}"
        );
    }
}

#[test]
fn a_tenant_without_a_transport_or_without_its_block_is_refused() {
    let bare = |text: &str| problems(IamConfig::from_toml(text).unwrap());

    assert_eq!(
        bare("[tenants.default]"),
        ["`tenants.default.transports`: required"]
    );
    assert_eq!(
        bare("[tenants.default]\ntransports = [\"oathkeeper\"]"),
        ["`tenants.default.oathkeeper`: required for the transport \"oathkeeper\""]
    );
    assert_eq!(bare(""), ["`tenants`: at least one tenant is required"]);
}

/// R124, D94
#[test]
fn urls_that_are_not_https_or_loopback_are_refused() {
    for url in [
        "file:///etc/passwd",
        "ftp://keto.example",
        "javascript:alert(1)",
        "mailto:a@b.example",
        "localhost:4466",
        "keto.example",
        "",
        "http://keto.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://169.254.169.254/",
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "https://user@keto.example",
        "https://user:password@keto.example",
        "https://keto.example/?a=b",
        "https://keto.example/#a",
    ] {
        let config = config_with(&format!(
            "[tenants.default.kratos.upstream]\n[tenants.other]\ntransports = []\n[tenants.other.keto]\nread_url = \"{url}\""
        ));
        let problems = problems(config);
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with("`tenants.other.keto.read_url`:")),
            "{url}: {problems:?}"
        );
        assert!(
            !problems.iter().any(|problem| problem.contains("password")),
            "{problems:?}"
        );
    }
    for url in [
        "https://keto.example",
        "http://127.0.0.1:4466",
        "http://[::1]:4466",
        "http://localhost:4466/",
    ] {
        let mut config = config_with("");
        config
            .tenants
            .get_mut("default")
            .unwrap()
            .keto
            .as_mut()
            .unwrap()
            .read_url = url.to_owned();
        assert_eq!(problems(config), Vec::<String>::new(), "{url}");
    }
}

/// R124, R125: the parser is that of browsers, which makes a URL of nearly everything.
#[test]
fn urls_that_are_not_read_as_they_are_written_are_refused() {
    let with = |url: &str| {
        let mut config = config_with("");
        let tenant = config.tenants.get_mut("default").unwrap();
        tenant.keto.as_mut().unwrap().read_url = url.to_owned();
        problems(config)
    };

    let keto = "https://keto.example";
    let internal = "http://127.0.0.1";
    for (url, read_as) in [
        (" https://keto.example", keto),
        ("https://keto.example ", keto),
        ("https://keto.example\n", keto),
        ("\u{1}https://keto.example", keto),
        ("ht\ttps://keto.example", keto),
        ("https://keto.\nexample", keto),
        ("https://keto.example/a\tb", "https://keto.example/ab"),
        ("https:keto.example", keto),
        ("https:/keto.example", keto),
        ("https:///keto.example", keto),
        ("https:\\\\keto.example", keto),
        ("https://keto.example\\a", "https://keto.example/a"),
        ("https://keto.example/a\\b", "https://keto.example/a/b"),
        ("https://keto.example/a b", "https://keto.example/a%20b"),
        ("https://keto.example/ü", "https://keto.example/%C3%BC"),
        ("https://keto.example/\"a\"", "https://keto.example/%22a%22"),
        ("https://keto.example/{slug}", "https://keto.example/%7Bslug%7D"),
        ("https://keto.example/a/../b/", "https://keto.example/b/"),
        ("https://keto.example/./a", "https://keto.example/a"),
        ("https://keto.example/%2E%2e/b", "https://keto.example/b"),
        ("https://@keto.example", keto),
        ("https://keto.example:", keto),
        ("https://keto.example:0443", keto),
        ("https://keto.example:04466/", "https://keto.example:4466"),
        ("https://k%65to.example", keto),
        ("https://ke\u{AD}to.example", keto),
        ("https://ke\u{200B}to.example", keto),
        ("https://\u{FF4B}eto.example", keto),
        ("https://kéto.example", "https://xn--kto-bma.example"),
        // As long as what is made of them.
        ("https://\u{133}.example", "https://ij.example"),
        ("https://\u{FB03}.example", "https://ffi.example"),
        ("http://127.1", internal),
        ("http://0x7f.0.0.1", internal),
        ("http://2130706433:4466", "http://127.0.0.1:4466"),
        ("http://[0:0:0:0:0:0:0:1]:4466", "http://[::1]:4466"),
    ] {
        assert_eq!(
            with(url),
            [format!(
                "`tenants.default.keto.read_url`: not read as it is written, but as `{read_as}`: write that, if it is what is meant"
            )],
            "{url:?}"
        );
        assert_eq!(with(read_as), Vec::<String>::new(), "{read_as:?}");
    }
    for url in [
        "https://keto.example/",
        "https://keto.example/a/b/",
        "https://keto.example/a%20b/~x;y=1",
        "https://keto.example//a",
        "https://keto.example:443",
        "https://keto.example:4466/a",
        "HTTPS://Keto.Example",
        "https://xn--kto-bma.example",
        "http://127.0.0.1:80/",
        "http://[::1]:4466/a",
    ] {
        assert_eq!(with(url), Vec::<String>::new(), "{url:?}");
    }
}

/// R131: a password with a slash ends the host, and what follows looks like a path.
#[test]
fn url_that_is_not_read_as_it_is_written_shows_no_credentials() {
    for url in [
        "https://user:pass word@keto.example",
        "https:user:password@keto.example",
        "https:///user:password@keto.example/../a",
        "https:\\\\user:password@keto.example",
        "https://user:12/3 password@keto.example",
        "https://user:12\\password@keto.example",
        "https://keto.example/../a?password",
        "https://keto.example/a b#password",
    ] {
        let mut config = config_with("");
        let tenant = config.tenants.get_mut("default").unwrap();
        tenant.keto.as_mut().unwrap().read_url = url.to_owned();
        let problems = problems(config);

        assert_eq!(problems.len(), 1, "{url}");
        for part in ["user", "pass", "word"] {
            assert!(!problems.concat().contains(part), "{problems:?}");
        }
    }
}

/// R124
#[test]
fn development_allows_http_but_no_metadata_address() {
    let with = |url: &str| {
        let mut config = config_with("").development(true);
        config
            .tenants
            .get_mut("default")
            .unwrap()
            .keto
            .as_mut()
            .unwrap()
            .read_url = url.to_owned();
        problems(config)
    };

    assert_eq!(with("http://keto:4466"), Vec::<String>::new());
    assert_eq!(with("http://169.254.169.254/").len(), 1);
    assert_eq!(with("ftp://keto").len(), 1);
}

/// D92 of a base URL
#[test]
fn a_slash_at_the_end_of_a_base_url_makes_no_double_slash() {
    let settings = settings_with("");

    assert_eq!(
        settings
            .registry()
            .default_tenant()
            .kratos()
            .unwrap()
            .public_url(),
        "https://kratos.example"
    );
}

#[test]
fn ranges_hold_at_both_ends() {
    for (key, inside, outside) in [
        ("clock_skew", ["0s", "5m"], ["301s", "1h"]),
        ("max_lifetime", ["1s", "30d"], ["0s", "31d"]),
        ("jwks.refresh", ["1s", "24h"], ["999ms", "25h"]),
        ("jwks.wait", ["0s", "10s"], ["11s", "1m"]),
        ("jwks.grace", ["0s", "24h"], ["25h", "2d"]),
        ("jwks.timeout", ["1ms", "60s"], ["0s", "61s"]),
    ] {
        for value in inside {
            let found = problems(sound_oathkeeper(&format!("{key} = \"{value}\"")));
            assert_eq!(found, Vec::<String>::new(), "{key} {value}");
        }
        for value in outside {
            let found = problems(sound_oathkeeper(&format!("{key} = \"{value}\"")));
            assert_eq!(found.len(), 1, "{key} {value}: {found:?}");
        }
    }
}

#[test]
fn words_of_features_that_are_not_there_are_not_ignored() {
    for (more, problem) in [
        (
            "mode = \"ory-network\"",
            "mode`: Ory Network is not available in this version; remove the key",
        ),
        (
            "transports = [\"cookie\"]",
            "transports`: \"cookie\" is not available in this version; remove it from the list",
        ),
        (
            "transports = [\"oauth2\"]",
            "transports`: \"oauth2\" is not available in this version; remove it from the list",
        ),
        (
            "roles_from = \"traits.roles\"",
            "roles_from`: sources other than `metadata_public` are not available in this version; remove the key",
        ),
        (
            "oathkeeper.verifier = \"hmac\"",
            "oathkeeper.verifier`: the verifier \"hmac\" is not available in this version; remove the key",
        ),
    ] {
        let problems = problems_with(&format!("[tenants.cloud]\n{more}"));
        assert!(
            problems.contains(&format!("`tenants.cloud.{problem}")),
            "{more}: {problems:?}"
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

/// D96
#[test]
fn the_default_tenant_is_looked_up_exactly() {
    let named = |name: &str| problems(config_with("").default_tenant(name));

    assert_eq!(named("toString"), ["`default_tenant`: names no tenant"]);
    assert_eq!(named("Default"), ["`default_tenant`: names no tenant"]);
    assert_eq!(named("default"), Vec::<String>::new());
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
                    "`tenants.default.oathkeeper.{key}`: `{claim}` says something else in every token: write a claim of its own, such as \"{example}\""
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

/// R063, D41
#[test]
fn subjects_that_would_mix_up_clients_and_identities_are_refused() {
    let with = |keys: &str| problems_with(keys);

    assert_eq!(
        with("client_subject = \"user:{client_id}\""),
        ["`tenants.default.keto.client_subject`: a client and an identity could be the same subject"]
    );
    // `app-1` would be both the person of that id and the client `1`.
    for (subject, client) in [
        ("{sub}", "app-{client_id}"),
        ("{sub}-p", "{client_id}"),
        ("a-{sub}", "a-b-{client_id}"),
        ("a{sub}c", "ab{client_id}"),
    ] {
        let keys = format!("subject = \"{subject}\"\nclient_subject = \"{client}\"");
        assert_eq!(with(&keys).len(), 1, "{keys}");
    }
    for (subject, client) in [
        ("{sub}", "client:{client_id}"),
        ("person-{sub}", "app-{client_id}"),
        ("{sub}-p", "{client_id}-a"),
        ("x:{user}", "x:y:{client_id}"),
    ] {
        let keys = format!("subject = \"{subject}\"\nclient_subject = \"{client}\"");
        assert_eq!(with(&keys), Vec::<String>::new(), "{keys}");
    }
    for subject in [
        "user",
        "user:{id}",
        "user:{client_id}",
        "",
        "user:{sub}{sub}",
        "user:{sub",
    ] {
        assert_eq!(with(&format!("subject = \"{subject}\"")).len(), 1, "{subject}");
    }
    assert_eq!(with("subject_form = \"set\"\nsubject = \"{sub}\"").len(), 1);
    assert_eq!(with("subject_form = \"set\""), Vec::<String>::new());
    assert_eq!(with("subject = \"{sub}\""), Vec::<String>::new());
}

#[test]
fn keys_that_occur_twice_are_refused_in_every_format() {
    for (name, result) in [
        (
            "toml",
            IamConfig::from_toml("development = true\ndevelopment = false"),
        ),
        (
            "yaml",
            IamConfig::from_yaml("development: true\ndevelopment: false\n"),
        ),
        (
            "json",
            IamConfig::from_json(r#"{"development": true, "development": false}"#),
        ),
        (
            "json",
            IamConfig::from_json(r#"{"tenants": {"a": {}, "\u0061": {}}}"#),
        ),
    ] {
        assert!(result.is_err(), "{name}");
    }
}

#[test]
fn the_three_formats_say_the_same() {
    let toml =
        IamConfig::from_toml("[tenants.default.keto]\nread_url = \"https://k.example\"\nbatch_size = 7")
            .unwrap();
    let yaml = IamConfig::from_yaml(
        "tenants:\n  default:\n    keto:\n      read_url: https://k.example\n      batch_size: 7\n",
    )
    .unwrap();
    let json = IamConfig::from_json(
        r#"{"tenants":{"default":{"keto":{"read_url":"https://k.example","batch_size":7}}}}"#,
    )
    .unwrap();

    assert_eq!(toml.tenants, yaml.tenants);
    assert_eq!(toml.tenants, json.tenants);
}

fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_environment_overrides_the_file() {
    let config = config_with("").with_env(env(&[
        ("IAM__TENANTS__DEFAULT__KETO__READ_URL", "http://127.0.0.1:4466"),
        ("IAM__TENANTS__DEFAULT__KETO__BATCH_SIZE", "25"),
        (
            "IAM__TENANTS__DEFAULT__OATHKEEPER__AUDIENCE",
            "orders-api, billing-api",
        ),
        ("IAM__TENANTS__DEFAULT__OATHKEEPER__CLOCK_SKEW", "5s"),
        ("IAM__TENANTS__DEFAULT__OATHKEEPER__REPLAY", "always"),
        ("IAM__TENANTS__DEFAULT__CSRF__ENABLED", "false"),
        ("IAM__AUDIT__SINK", "json"),
        ("PATH", "/bin"),
    ]));

    let settings = config.validate().unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().read_url(), "http://127.0.0.1:4466");
    assert_eq!(tenant.keto().unwrap().batch_size(), 25);
    let profile = tenant.verifier().unwrap().profile();
    assert_eq!(profile.audience(), ["orders-api", "billing-api"]);
    assert_eq!(profile.clock_skew(), Duration::from_secs(5));
    assert!(profile.jti_required());
    assert_eq!(settings.registry().credential_headers(), ["authorization"]);
    assert_eq!(settings.audit().sink, AuditSinkConfig::Json);
}

#[test]
fn a_variable_that_names_no_key_does_not_start() {
    for name in [
        "IAM__TENANT__DEFAULT",
        "IAM__TENANTS__DEFAULT__KETO__READURL",
        "IAM__",
        "IAM____X",
        "IAM__DEVELOPMENT__X",
    ] {
        let problems = problems(config_with("development = true\n").with_env(env(&[(name, "1")])));
        assert!(!problems.is_empty(), "{name}");
    }
    assert_eq!(
        problems(config_with("").with_env(env(&[("IAM__DEVELOPMENT", "perhaps")]))),
        ["`development`: expected a boolean"]
    );
    let twice = config_with("").with_env(env(&[
        ("IAM__DEVELOPMENT", "true"),
        ("IAM__Development", "false"),
    ]));
    assert_eq!(problems(twice).len(), 1);
}

#[test]
fn changes_in_code_are_not_silently_undone_by_the_environment() {
    let config = config_with("").development(true).with_env(env(&[]));

    assert_eq!(problems(config).len(), 1);
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    let file = std::env::temp_dir().join(format!("iam-core-secret-{}", std::process::id()));
    fs::write(&file, "hunter2\n").unwrap();
    let path = file.display();

    let settings = settings_with(&format!("token_file = '{path}'"));
    let both = problems_with(&format!("token = \"x\"\ntoken_file = '{path}'"));
    fs::write(&file, "\n").unwrap();
    let empty = problems_with(&format!("token_file = '{path}'"));
    fs::remove_file(&file).unwrap();
    let gone = problems_with(&format!("token_file = '{path}'"));

    let token = settings
        .registry()
        .default_tenant()
        .keto()
        .unwrap()
        .token()
        .cloned();
    assert_eq!(token, Some(Secret::new("hunter2")));
    assert_eq!(
        both,
        ["`tenants.default.keto.token_file`: given together with `token`"]
    );
    assert_eq!(empty, ["`tenants.default.keto.token_file`: the file is empty"]);
    assert!(
        matches!(gone.as_slice(), [gone] if gone.starts_with("`tenants.default.keto.token_file`: the file cannot be opened: ")),
        "{gone:?}"
    );
}

/// R172, D79
#[test]
fn no_secret_appears_in_debug_output_or_problems() {
    let config = config_with(
        "token = \"hunter2\"\n[stores]\ncache_key = \"hunter2\"\nredis = \"rediss://u:hunter2@h\"",
    );
    let debug = format!("{config:?}");
    let error = config.validate().unwrap_err();

    assert!(!debug.contains("hunter2"), "{debug}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    for broken in [
        "token = [\"hunter2\"]",
        "batch_size = \"hunter2\"",
        "token = \"hunter2 \\n\"",
        "subject_form = \"hunter2\"",
    ] {
        let error = config_with(broken).validate().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
    for broken in ["token = \"hunter2", "token = hunter2", "a = \"hunter2\" b"] {
        let error = IamConfig::from_toml(broken).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
    for broken in ["{\"token\": \"hunter2\" x}", "{\"token\": hunter2}"] {
        let error = IamConfig::from_json(broken).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
    for broken in [
        "token: \"hunter2",
        "token: *hunter2",
        "token: !hunter2 x",
        "- hunter2: [",
        "hunter2",
    ] {
        let Err(error) = IamConfig::from_yaml(broken).and_then(IamConfig::validate) else {
            panic!("{broken}");
        };
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
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
fn origins_are_written_as_browsers_write_them() {
    for origin in [
        "https://app.example/",
        "https://APP.example",
        "app.example",
        "*",
        "null",
        "http://app.example",
        "https://app.example:443",
    ] {
        let problems = problems_with(&format!(
            "[tenants.default.csrf]\nallowed_origins = [\"{origin}\"]"
        ));
        assert_eq!(problems.len(), 1, "{origin}: {problems:?}");
    }
    assert_eq!(
        problems_with(
            "[tenants.default.csrf]\nallowed_origins = [\"https://app.example\", \"http://127.0.0.1:4455\"]"
        ),
        Vec::<String>::new()
    );
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
                "`tenants.default.oathkeeper.header`: a header with a meaning of its own: write \"Authorization\", or a name that nobody else uses, such as \"X-Id-Token\""
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

#[test]
fn a_configuration_may_be_built_in_code() {
    let settings = IamConfig::new()
        .tenant(
            "default",
            TenantConfig::behind(
                OathkeeperConfig::new("http://127.0.0.1:4455/", ["orders-api"])
                    .jwks_url("http://127.0.0.1:4456/jwks"),
            )
            .keto(KetoConfig::new("http://127.0.0.1:4466").write_url("http://127.0.0.1:4467"))
            .kratos(KratosConfig::new("http://127.0.0.1:4433")),
        )
        .validate()
        .unwrap();

    assert_eq!(settings.registry().iter().count(), 1);
    assert!(settings.registry().get("default").is_some());
    assert!(settings.registry().get("Default").is_none());
}

/// A folder of its own for the files of one test. Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("iam-core-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn a_file_is_read_by_its_extension() {
    let folder = Folder::new("extension");

    for (name, text) in [
        ("a.toml", "development = true"),
        ("a.yml", "development: true"),
        ("a.yaml", "development: true"),
        ("a.json", "{\"development\": true}"),
    ] {
        let config = IamConfig::from_file(folder.write(name, text.as_bytes())).unwrap();
        assert!(config.development, "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_cause() {
    let folder = Folder::new("unreadable");
    fs::create_dir(folder.0.join("folder.toml")).unwrap();

    for (path, cause) in [
        (folder.0.join("missing.toml"), "the file cannot be opened: "),
        (folder.0.join("folder.toml"), "the file cannot be read: "),
        (folder.write("bytes.toml", b"a = '\xff'"), "the file is not UTF-8"),
        (
            folder.write("large.toml", &vec![b'#'; (1 << 20) + 1]),
            "the file is larger than 1048576 bytes",
        ),
        (
            folder.write("iam.ini", b"development = true"),
            "expected a file name that ends in .toml, ",
        ),
        (folder.0.clone(), "expected a file name that ends in .toml, "),
        (folder.write("broken.toml", b"\na = "), "not valid TOML, line 2: "),
        (folder.write("broken.yml", b"a: ["), "not valid YAML: "),
        (folder.write("broken.json", b"{"), "not valid JSON: "),
        (folder.write("empty.json", b""), "not valid JSON: "),
    ] {
        let error = IamConfig::from_file(&path).unwrap_err();

        assert_eq!(error.file(), path.to_str());
        let printed = error.to_string();
        let expected = format!("invalid configuration in `{}`\n  {cause}", path.display());
        assert!(printed.starts_with(&expected), "{printed}");
    }
    let largest = folder.write("largest.toml", &vec![b'#'; 1 << 20]);
    assert!(IamConfig::from_file(largest).is_ok());
}

#[test]
fn what_is_wrong_with_the_keys_of_a_file_names_the_file() {
    let folder = Folder::new("named");
    let path = folder.write("iam.toml", b"surprise = 1");
    let config = IamConfig::from_file(&path).unwrap();

    let from_file = config.clone().validate().unwrap_err();
    let with_env = config
        .with_env(env(&[("IAM__DEVELOPMENT", "perhaps")]))
        .validate()
        .unwrap_err();
    let from_text = IamConfig::from_toml("surprise = 1")
        .unwrap()
        .validate()
        .unwrap_err();

    assert_eq!(from_file.file(), path.to_str());
    assert_eq!(with_env.file(), path.to_str());
    assert_eq!(from_text.file(), None);
    let line = format!(
        "invalid configuration in `{}`\n  `surprise`: unknown key",
        path.display()
    );
    assert!(from_file.to_string().starts_with(&line), "{from_file}");
    assert_eq!(
        with_env.problems().len(),
        from_file.problems().len() + 1,
        "{with_env}"
    );
}

#[test]
fn the_name_of_a_file_is_shown_on_one_line() {
    let error = IamConfig::from_file("no\nsuch\u{1b}.toml").unwrap_err();

    assert_eq!(error.file(), Some("no\\nsuch\\u{1b}.toml"));
}

#[test]
fn nothing_but_control_characters_is_escaped_in_the_name_of_a_file() {
    let name = "it's \"Grüße\" \\ new.toml";
    let error = IamConfig::from_file(name).unwrap_err();

    assert_eq!(error.file(), Some(name));
}

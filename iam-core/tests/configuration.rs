//! The configuration surface, complete: what of it this version takes, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use iam_core::config::{ConfigError, IamConfig, Problem, Settings};
use toml::{Table, Value};

/// Every key with its default, those that are needed for another set-up in comments.
const SURFACE: &str = include_str!("recordings/iam.example.toml");

/// The keys that stand in the surface's comments. The dots of the paths are the tables' own.
const COMMENTED: &str = r#"
    [tenants.default.oathkeeper]
    signature_header = "X-User-Signature"
    keys = ["base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    signature_encoding = "base64url"
    envelope_encoding = "json"
    [tenants.default.kratos]
    admin_token = "secret"
    [tenants.default.keto]
    token = "secret"
    permissions = "namespaces.keto.ts"
    [tenants.default.hydra]
    admin_token = "secret"
    client_id = "orders-api"
    client_secret = "secret"
    [tenants.default.upstream]
    rate = { per_second = 50, burst = 100, queue = 100 }
    [tenants.cloud]
    mode = "ory-network"
    transports = ["cookie-or-bearer"]
    [tenants.cloud.ory_network]
    project_slug = "slug"
    api_key = "secret"
    workspace_api_key = "secret"
    [stores]
    redis = "rediss://user@host:6379/0"
    prefix = "iam:"
    cache_key = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
"#;

/// What the surface names and this version does not have.
const UNAVAILABLE: [&str; 8] = [
    "tenants.default.hydra",
    "tenants.default.kratos.admin_url",
    "tenants.default.kratos.session_cookie",
    "tenants.default.kratos.required_aal",
    "tenants.default.kratos.login_url",
    "tenants.default.cache.negative_ttl",
    "tenants.default.upstream.retries",
    "tenants.default.upstream.breaker",
];

/// The same of its comments.
const COMMENTED_UNAVAILABLE: [&str; 11] = [
    "stores",
    "tenants.cloud.mode",
    "tenants.cloud.ory_network",
    "tenants.cloud.transports",
    "tenants.default.oathkeeper.signature_header",
    "tenants.default.oathkeeper.keys",
    "tenants.default.oathkeeper.signature_encoding",
    "tenants.default.oathkeeper.envelope_encoding",
    "tenants.default.kratos.admin_token",
    "tenants.default.keto.permissions",
    "tenants.default.upstream.rate",
];

#[test]
fn of_the_whole_surface_exactly_what_is_not_there_is_refused_and_each_key_says_what_to_do() {
    let refused = refused(&surface());

    assert_eq!(paths(&refused), sorted(&UNAVAILABLE), "{refused}");
    for problem in refused.problems() {
        let message = problem.message();
        assert!(
            message.contains(" not available in this version; remove the "),
            "{problem}"
        );
    }
    assert!(
        refused.problems().iter().any(|problem| problem.to_string()
            == "`tenants.default.hydra`: OAuth2 introspection is not available in this version; remove the block"),
        "{refused}"
    );
}

#[test]
fn the_surface_without_what_is_not_there_loads() {
    let mut table = surface();
    for path in UNAVAILABLE {
        remove(&mut table, path);
    }

    let settings = read(&table).unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().max_in_flight(), 100);
    assert_eq!(tenant.kratos().unwrap().public_url(), "http://127.0.0.1:4433");
}

#[test]
fn keys_of_the_surface_that_stand_in_comments_are_known_too() {
    let mut table = surface();
    merge(&mut table, COMMENTED.parse().unwrap());

    let refused = refused(&table);

    let expected = [&UNAVAILABLE[..], &COMMENTED_UNAVAILABLE].concat();
    assert_eq!(paths(&refused), sorted(&expected), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("secret"));

    for path in expected {
        remove(&mut table, path);
    }
    remove(&mut table, "tenants.cloud");
    read(&table).unwrap();
}

/// A default is no excuse: every key of the list says something that is not so.
#[test]
fn a_key_that_is_not_there_is_refused_at_every_value() {
    for (path, values) in [
        (
            "kratos.session_cookie",
            &["\"ory_kratos_session\"", "\"other\"", "\"\""][..],
        ),
        ("kratos.required_aal", &["\"aal1\"", "\"aal2\""]),
        ("kratos.login_url", &["\"https://app.example/login\"", "\"\""]),
        ("kratos.admin_url", &["\"http://127.0.0.1:4434\"", "\"\""]),
        ("oathkeeper.keys", &["[]", "[\"short\"]"]),
        ("oathkeeper.signature_encoding", &["\"base64\"", "\"hex\""]),
        ("oathkeeper.envelope_encoding", &["\"base64\"", "\"json\""]),
        ("hydra", &["{}", "{ tokens = \"introspect\" }"]),
        ("ory_network", &["{}"]),
        ("keto.permissions", &["\"\"", "\"namespaces.keto.ts\""]),
        ("cache.session_ttl", &["\"1ms\"", "\"24h\""]),
        ("upstream.retries", &["1", "4294967295"]),
        (
            "upstream.breaker",
            &["{}", "{ failures = 5, window = \"30s\", open = \"10s\" }"],
        ),
        ("keto.upstream.rate", &["{}", "{ per_second = 0.5 }"]),
    ] {
        for value in values {
            let refused = refused(&sound_with(path, value));

            assert_eq!(paths(&refused), [format!("tenants.default.{path}")], "{value}");
            assert!(
                refused.problems()[0].message().contains("; remove the "),
                "{refused}"
            );
        }
    }
}

#[test]
fn the_file_of_a_secret_that_is_not_there_is_not_opened() {
    let admin = "managing identities is not available in this version; remove the key";
    for (path, refused_at, message) in [
        ("kratos.admin_token_file", "kratos.admin_token_file", admin),
        (
            "hydra.client_secret_file",
            "hydra",
            "OAuth2 introspection is not available in this version; remove the block",
        ),
        (
            "ory_network.api_key_file",
            "ory_network",
            "Ory Network is not available in this version; remove the block",
        ),
    ] {
        // The folder of the test is no file either: an attempt to open it would be told.
        for file in ["\"/nope\"", "\".\"", "\"\""] {
            let refused = refused(&sound_with(path, file));

            assert_eq!(
                refused.problems(),
                [Problem::new(format!("tenants.default.{refused_at}"), message)],
                "{path} = {file}"
            );
        }
    }

    let no_path = refused(&sound_with("kratos.admin_token_file", "7"));
    assert_eq!(
        no_path.problems(),
        [Problem::new(
            "tenants.default.kratos.admin_token_file",
            "expected the path of a file"
        )]
    );
    let both = set(
        sound_with("kratos.admin_token_file", "\"/nope\""),
        "kratos.admin_token",
        "\"secret\"",
    );
    assert_eq!(
        paths(&refused(&both)),
        [
            "tenants.default.kratos.admin_token",
            "tenants.default.kratos.admin_token_file"
        ]
    );
}

#[test]
fn the_file_of_a_secret_is_not_opened_where_the_secret_has_no_place() {
    let refused = refused(&sound_with("keto.admin_token_file", "\"/nope\""));

    assert_eq!(
        paths(&refused),
        ["tenants.default.keto.admin_token_file"],
        "{refused}"
    );
    assert!(
        refused.problems()[0].message().starts_with("unknown key; "),
        "{refused}"
    );
}

#[test]
fn a_value_that_says_what_this_version_does_is_accepted() {
    for (path, value) in [
        ("mode", "\"self-hosted\""),
        ("oathkeeper.verifier", "\"jwt\""),
        ("cache.session_ttl", "\"0s\""),
        ("cache.introspection_ttl", "\"0s\""),
        ("cache.permission_ttl", "\"0s\""),
        ("cache.negative_ttl", "\"0s\""),
        ("upstream.retries", "0"),
        ("keto.upstream.retries", "0"),
    ] {
        if let Err(err) = read(&sound_with(path, value)) {
            panic!("{path}: {err}");
        }
    }
}

#[test]
fn keys_of_what_is_not_there_have_types_and_words_of_their_own() {
    for (path, value, problem) in [
        ("kratos.required_aal", "\"aal3\"", "kratos.required_aal"),
        ("kratos.login_url", "7", "kratos.login_url"),
        ("hydra", "{ tokens = \"guess\" }", "hydra.tokens"),
        ("hydra", "{ audience = \"a\" }", "hydra.audience"),
        ("hydra", "{ surprise = 1 }", "hydra.surprise"),
        ("oathkeeper.verifier", "\"rsa\"", "oathkeeper.verifier"),
        (
            "oathkeeper.signature_encoding",
            "\"base32\"",
            "oathkeeper.signature_encoding",
        ),
        (
            "oathkeeper.envelope_encoding",
            "\"xml\"",
            "oathkeeper.envelope_encoding",
        ),
        ("upstream.retries", "-1", "upstream.retries"),
        ("upstream.breaker", "{ window = 30 }", "upstream.breaker.window"),
        ("upstream.rate", "{ burst = \"many\" }", "upstream.rate.burst"),
        ("cache.negative_ttl", "2", "cache.negative_ttl"),
    ] {
        let refused = refused(&sound_with(path, value));
        let problem = format!("tenants.default.{problem}");

        let messages: Vec<_> = refused
            .problems()
            .iter()
            .filter(|one| one.path() == problem)
            .map(Problem::message)
            .collect();
        assert!(
            matches!(messages.as_slice(), [message] if message.starts_with("expected") || message.starts_with("unknown key")),
            "{path} = {value}: {refused}"
        );
    }
}

#[test]
fn settings_that_no_upstream_takes_are_refused_where_they_are_written() {
    let keys = [
        ("connect_timeout", "\"2s\""),
        ("timeout", "\"3s\""),
        ("max_body", "\"2MiB\""),
        ("max_in_flight", "7"),
    ];
    for (key, value) in keys {
        let general = format!("upstream.{key}");
        let mut alone = sound_with(&general, value);
        remove(&mut alone, "tenants.default.keto");
        let own = set(
            sound_with(&general, value),
            &format!("keto.upstream.{key}"),
            value,
        );
        let beside = set(own.clone(), "kratos.public_url", "\"http://127.0.0.1:4433\"");

        for overridden in [alone, own] {
            let refused = refused(&overridden);
            assert_eq!(
                paths(&refused),
                [format!("tenants.default.{general}")],
                "{refused}"
            );
        }
        read(&beside).unwrap();
    }
}

#[test]
fn a_value_that_no_upstream_takes_is_reported_once_however_wrong_it_is() {
    for (key, value) in [("timeout", "\"0s\""), ("max_in_flight", "0")] {
        let mut alone = sound_with(&format!("upstream.{key}"), value);
        remove(&mut alone, "tenants.default.keto");

        let refused = refused(&alone);

        assert_eq!(paths(&refused), [format!("tenants.default.upstream.{key}")]);
        assert!(
            refused.problems()[0].message().starts_with("has no effect"),
            "{refused}"
        );
    }
}

#[test]
fn how_upstreams_are_called_is_checked_where_it_is_written() {
    for table in ["upstream", "keto.upstream"] {
        for (key, inside, outside) in [
            ("connect_timeout", ["\"1ms\"", "\"60s\""], ["\"0s\"", "\"61s\""]),
            ("timeout", ["\"1ms\"", "\"60s\""], ["\"0s\"", "\"61s\""]),
            ("max_body", ["\"1KiB\"", "\"64MiB\""], ["\"1023B\"", "\"65MiB\""]),
            ("max_in_flight", ["1", "10000"], ["0", "10001"]),
        ] {
            let path = format!("{table}.{key}");
            for value in inside {
                read(&sound_with(&path, value)).unwrap();
            }
            for value in outside {
                let refused = refused(&sound_with(&path, value));
                assert_eq!(paths(&refused), [format!("tenants.default.{path}")], "{refused}");
            }
        }
    }
}

#[test]
fn an_upstream_takes_its_own_settings_before_the_tenants() {
    let general = sound_with("upstream.max_in_flight", "7");
    let both = set(
        set(general, "keto.upstream.max_in_flight", "3"),
        "kratos.public_url",
        "\"http://127.0.0.1:4433\"",
    );

    let settings = read(&both).unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().max_in_flight(), 3);
    assert_eq!(tenant.kratos().unwrap().max_in_flight(), 7);
}

/// The surface as a tree.
fn surface() -> Table {
    SURFACE.parse().unwrap()
}

/// A sound configuration with the key `path` of its tenant set to `value`.
fn sound_with(path: &str, value: &str) -> Table {
    let sound = r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        jwks.url = "https://gateway.example/jwks.json"
        [tenants.default.kratos]
        public_url = "https://kratos.example"
        [tenants.default.keto]
        read_url = "https://keto.example"
    "#;
    let mut table: Table = sound.parse().unwrap();
    if !path.starts_with("kratos") {
        remove(&mut table, "tenants.default.kratos");
    }
    set(table, path, value)
}

fn set(mut table: Table, path: &str, value: &str) -> Table {
    let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
    let dot = if above.is_empty() { "" } else { "." };
    let more = format!("[tenants.default{dot}{above}]\n{key} = {value}");

    merge(&mut table, more.parse().unwrap());
    table
}

fn merge(into: &mut Table, more: Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(more)) => merge(into, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn remove(table: &mut Table, path: &str) {
    match path.split_once('.') {
        None => {
            table.remove(path);
        }
        Some((first, rest)) => {
            if let Some(Value::Table(below)) = table.get_mut(first) {
                remove(below, rest);
            }
        }
    }
}

fn read(table: &Table) -> Result<Settings, ConfigError> {
    IamConfig::from_toml(&table.to_string())?.validate()
}

fn refused(table: &Table) -> ConfigError {
    read(table).unwrap_err()
}

fn paths(error: &ConfigError) -> Vec<String> {
    let mut paths: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.path().to_owned())
        .collect();
    paths.sort();
    paths
}

fn sorted(paths: &[&str]) -> Vec<String> {
    let mut paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
    paths.sort();
    paths
}

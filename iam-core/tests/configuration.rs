//! The complete configuration surface: which keys are accepted, and which are refused.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use iam_core::config::{ConfigError, IamConfig, Problem, Settings};
use toml::{Table, Value};

/// Every key with its default, those that are needed for another set-up in comments.
const SURFACE: &str = include_str!("recordings/iam.example.toml");

/// The keys that stand in the surface's comments. The dots of the paths are the tables' own. `hydra.admin_token` takes the place of
/// the client's id and secret.
const COMMENTED: &str = r#"
    [tenants.default.kratos]
    admin_token = "secret"
    [tenants.default.keto]
    token = "secret"
    permissions = "namespaces.keto.ts"
    [tenants.default.hydra]
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

/// Keys of the surface that are not implemented, and so are unknown.
const UNKNOWN: [&str; 2] = [
    "tenants.default.upstream.retries",
    "tenants.default.upstream.breaker",
];

/// The same of its comments.
const COMMENTED_UNKNOWN: [&str; 4] = [
    "stores",
    "tenants.cloud.ory_network",
    "tenants.default.keto.permissions",
    "tenants.default.upstream.rate",
];

/// Values of the surface's comments that are not implemented, and what they leave without a server.
const COMMENTED_VALUES: [&str; 2] = ["tenants.cloud.mode", "tenants.cloud.kratos"];

#[test]
fn a_key_exists_when_it_works_and_every_other_key_is_unknown() {
    let refused = refused(&surface());

    assert_eq!(paths(&refused), sorted(&UNKNOWN), "{refused}");
    for problem in refused.problems() {
        assert!(problem.message().starts_with("unknown key; "), "{problem}");
    }
}

#[test]
fn the_surface_without_unknown_keys_loads() {
    let mut table = surface();
    for path in UNKNOWN {
        remove(&mut table, path);
    }

    let settings = read(&table).unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().max_in_flight(), 100);
    assert_eq!(tenant.kratos().unwrap().public_url(), "http://127.0.0.1:4433");
    assert_eq!(tenant.hydra().unwrap().admin_url(), "http://127.0.0.1:4445");
}

#[test]
fn commented_keys_of_the_surface_are_known_when_they_work() {
    let mut table = surface();
    merge(&mut table, COMMENTED.parse().unwrap());

    let refused = refused(&table);

    let expected = [&UNKNOWN[..], &COMMENTED_UNKNOWN, &COMMENTED_VALUES].concat();
    assert_eq!(paths(&refused), sorted(&expected), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("secret"));

    for path in expected {
        remove(&mut table, path);
    }
    remove(&mut table, "tenants.cloud");
    read(&table).unwrap();
}

/// The keys of the other verifiers stand in the surface's comments, too. They take the place of those of `jwt`.
#[test]
fn commented_keys_of_the_other_verifiers_load() {
    let hmac = r#"
        [tenants.default.oathkeeper]
        verifier = "hmac"
        header = "X-User"
        signature_header = "X-User-Signature"
        keys = ["base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
        signature_encoding = "base64url"
        envelope_encoding = "json"
    "#;
    let headers = r#"
        [tenants.default.oathkeeper]
        verifier = "headers"
        header = "X-User-Id"
        proof_header = "X-Gateway-Secret"
        proof_secret = "0123456789abcdef0123456789abcdef"
        trusted_peers = ["10.1.2.0/24"]
        roles_header = "X-User-Role"
        tenant_header = "X-Tenant"
        headers = ["X-User-Email"]
    "#;

    for (commented, without) in [
        (hmac, &["issuer", "jwks"][..]),
        (headers, &["issuer", "jwks", "audience"]),
    ] {
        let mut table = surface();
        for path in UNKNOWN {
            remove(&mut table, path);
        }
        merge(&mut table, commented.parse().unwrap());

        let refused = refused(&table);

        let without: Vec<_> = without
            .iter()
            .map(|key| format!("tenants.default.oathkeeper.{key}"))
            .collect();
        let without: Vec<_> = without.iter().map(String::as_str).collect();
        assert_eq!(paths(&refused), sorted(&without), "{refused}");
        for path in without {
            remove(&mut table, path);
        }
        read(&table).unwrap();
        for key in commented.parse::<Table>().unwrap()["tenants"]["default"]["oathkeeper"]
            .as_table()
            .unwrap()
            .keys()
        {
            assert!(SURFACE.contains(&format!("{key} = ")), "{key}");
        }
    }
}

#[test]
fn values_that_do_not_work_are_refused_with_those_that_do() {
    for (path, value, at, message) in [
        ("mode", "\"ory-network\"", "mode", "expected \"self-hosted\""),
        (
            "oathkeeper.verifier",
            "\"saml\"",
            "oathkeeper.verifier",
            "expected one of \"headers\", \"hmac\", \"jwt\"",
        ),
        (
            "transports",
            "[\"oathkeeper\", \"pigeon\"]",
            "transports[1]",
            "expected one of \"bearer\", \"cookie\", \"cookie-or-bearer\", \"oathkeeper\", \"oauth2\", \"custom:NAME\"",
        ),
    ] {
        let refused = refused(&sound_with(path, value));

        assert_eq!(
            refused.problems(),
            [Problem::new(format!("tenants.default.{at}"), message)],
            "{path}"
        );
    }
    for (path, value) in [("mode", "\"self-hosted\""), ("oathkeeper.verifier", "\"jwt\"")] {
        read(&sound_with(path, value)).unwrap();
    }
}

#[test]
fn a_misspelt_key_or_word_names_the_one_that_was_meant() {
    for (path, value, at, meant) in [
        (
            "keto.read_ulr",
            "\"https://k.example\"",
            "keto.read_ulr",
            "did you mean `read_url`?",
        ),
        (
            "keto.readUrl",
            "\"https://k.example\"",
            "keto.readUrl",
            "did you mean `read_url`?",
        ),
        (
            "oathkeeper.audiences",
            "[]",
            "oathkeeper.audiences",
            "did you mean `audience`?",
        ),
        (
            "transports",
            "[\"oathkeper\"]",
            "transports[0]",
            "did you mean \"oathkeeper\"?",
        ),
    ] {
        let refused = refused(&sound_with(path, value));
        let at = format!("tenants.default.{at}");

        let problem = refused.problems().iter().find(|one| one.path() == at).unwrap();
        assert!(problem.message().contains(meant), "{problem}");
    }
    let far = refused(&sound_with("keto.surprise", "1"));
    assert!(!far.to_string().contains("did you mean"), "{far}");
}

#[test]
fn the_file_of_a_secret_is_not_opened_where_the_secret_has_no_place() {
    for path in ["keto.admin_token_file", "kratos.admin_token_file"] {
        let refused = refused(&sound_with(path, "\"/nope\""));

        assert_eq!(paths(&refused), [format!("tenants.default.{path}")], "{refused}");
        assert!(
            refused.problems()[0].message().starts_with("unknown key; "),
            "{refused}"
        );
    }
}

/// Plain http between the pods of a cluster needed `development = true`, which shows callers why they are refused.
#[test]
fn a_cluster_without_tls_needs_no_development_mode() {
    let cluster: Table = IN_A_CLUSTER.parse().unwrap();
    let jwks = "tenants.default.oathkeeper.jwks";

    let closed = refused(&cluster);
    assert_eq!(
        closed.problems(),
        [
            Problem::new(
                format!("{jwks}.url"),
                format!(
                    "not an https URL; to use plain http inside a cluster, set `{jwks}.allow_http = true`"
                )
            ),
            Problem::new(
                "tenants.default.keto.read_url",
                "not an https URL; to use plain http inside a cluster, set `tenants.default.keto.upstream.allow_http = true`"
            ),
        ]
    );

    let keys = set(cluster, "oathkeeper.jwks.allow_http", "true");
    for place in ["upstream", "keto.upstream"] {
        let settings = read(&set(keys.clone(), &format!("{place}.allow_http"), "true")).unwrap();

        assert!(!settings.registry().development());
        let keto = format!("plain http beyond loopback, allowed by `tenants.default.{place}.allow_http`");
        assert_eq!(
            settings.warnings(),
            [
                Problem::new(
                    format!("{jwks}.url"),
                    format!("plain http beyond loopback, allowed by `{jwks}.allow_http`")
                ),
                Problem::new("tenants.default.keto.read_url", keto),
            ]
        );
    }
}

#[test]
fn plain_http_of_one_upstream_allows_none_of_another() {
    let both = set(
        sound_with("keto.read_url", "\"http://keto.example\""),
        "kratos.public_url",
        "\"http://kratos.example\"",
    );

    let one = refused(&set(both.clone(), "keto.upstream.allow_http", "true"));
    assert_eq!(paths(&one), ["tenants.default.kratos.public_url"], "{one}");

    let all_but_one = set(
        set(both, "upstream.allow_http", "true"),
        "kratos.upstream.allow_http",
        "false",
    );
    let refused = refused(&all_but_one);
    assert_eq!(
        paths(&refused),
        ["tenants.default.kratos.public_url"],
        "{refused}"
    );
}

/// R124
#[test]
fn allow_http_allows_nothing_but_plain_http() {
    for url in [
        "http://169.254.169.254/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://user@keto.example",
        "http://keto.example/?a=b",
        "http:keto.example",
        "ftp://keto.example",
        "file:///etc/passwd",
    ] {
        let table = set(
            sound_with("keto.upstream.allow_http", "true"),
            "keto.read_url",
            &format!("\"{url}\""),
        );

        assert_eq!(
            paths(&refused(&table)),
            ["tenants.default.keto.read_url"],
            "{url}"
        );
    }
}

#[test]
fn https_and_loopback_urls_need_no_warning() {
    for url in [
        "https://keto.example",
        "http://127.0.0.1:4466",
        "http://localhost:4466",
    ] {
        let table = set(
            sound_with("keto.upstream.allow_http", "true"),
            "keto.read_url",
            &format!("\"{url}\""),
        );

        assert_eq!(read(&table).unwrap().warnings(), [], "{url}");
    }
}

#[test]
fn settings_that_no_upstream_takes_are_refused_where_they_are_written() {
    let keys = [
        ("allow_http", "true"),
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

/// As in `iam_in_a_cluster.toml`.
const IN_A_CLUSTER: &str = r#"
    [tenants.default]
    transports = ["oathkeeper"]
    [tenants.default.oathkeeper]
    issuer = "https://gateway.example/"
    audience = ["orders-api"]
    [tenants.default.oathkeeper.jwks]
    url = "http://oathkeeper-api.ory.svc.cluster.local:4456/.well-known/jwks.json"
    [tenants.default.keto]
    read_url = "http://keto-read.ory.svc.cluster.local"
"#;

/// The surface as a tree.
/// Returns the surface with the transport that its `hydra` table is for.
fn surface() -> Table {
    let (written, all) = (
        r#"transports = ["oathkeeper"]"#,
        r#"transports = ["oathkeeper", "oauth2"]"#,
    );
    assert!(SURFACE.contains(written));
    SURFACE.replacen(written, all, 1).parse().unwrap()
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

/// R109: the time for which a revocation may go unnoticed has a bound.
#[test]
fn cached_answers_live_for_a_minute_at_most() {
    for (key, wrong, right) in [
        ("permission_ttl", "\"60001ms\"", "\"60s\""),
        ("negative_ttl", "\"61s\"", "\"0s\""),
        ("max_entries", "0", "1"),
        ("max_entries", "10000001", "10000000"),
    ] {
        let with = |value: &str| {
            let on = sound_with("cache.permission_ttl", "\"10s\"");
            set(on, &format!("cache.{key}"), value)
        };

        let refused = refused(&with(wrong));
        assert_eq!(
            paths(&refused),
            [format!("tenants.default.cache.{key}")],
            "{refused}"
        );
        read(&with(right)).unwrap();
    }
}

/// D95: `cache.permissionTtlMs` did nothing.
#[test]
fn a_cache_key_without_effect_is_refused_unless_it_states_the_default() {
    for (key, default, other) in [
        ("negative_ttl", "\"2s\"", "\"1s\""),
        ("max_entries", "10000", "10"),
    ] {
        let path = format!("cache.{key}");
        read(&sound_with(&path, default)).unwrap();

        let refused = refused(&sound_with(&path, other));
        assert_eq!(
            refused.problems(),
            [Problem::new(
                format!("tenants.default.{path}"),
                "has no effect without `tenants.default.cache.permission_ttl`"
            )]
        );
    }

    let mut without_keto = sound_with("cache.permission_ttl", "\"10s\"");
    remove(&mut without_keto, "tenants.default.keto");
    let refused = refused(&without_keto);
    assert_eq!(
        refused.problems(),
        [Problem::new(
            "tenants.default.cache.permission_ttl",
            "has no effect without `tenants.default.keto`"
        )]
    );
}

/// The number is the capacity that the cache allocates at once: any number of a tenant without a gateway reached the allocator.
#[test]
fn too_many_verified_tokens_are_refused_before_they_are_allocated() {
    let gateway = sound_with("oathkeeper.verifier", "\"jwt\"");
    let mut hydra: Table = SESSIONS_AND_TOKENS.parse().unwrap();
    hydra = set(hydra, "hydra.tokens", "\"jwt\"");
    hydra = set(hydra, "hydra.jwks.url", "\"https://hydra.example/jwks.json\"");
    remove(&mut hydra, "tenants.default.hydra.admin_url");
    for table in [gateway, hydra] {
        let with = |count: &str| set(table.clone(), "cache.verified_tokens", count);
        for count in ["10000001", "9223372036854775807"] {
            assert_eq!(
                refused(&with(count)).problems(),
                [Problem::new(
                    "tenants.default.cache.verified_tokens",
                    "expected 0 to 10000000"
                )]
            );
        }
        for count in ["0", "1", "10001"] {
            read(&with(count)).unwrap();
        }
    }
}

/// D95
#[test]
fn a_number_of_verified_tokens_is_refused_where_no_jwt_is_verified() {
    let introspection: Table = SESSIONS_AND_TOKENS.parse().unwrap();
    let mut sessions = introspection.clone();
    sessions = set(sessions, "transports", "[\"cookie-or-bearer\"]");
    remove(&mut sessions, "tenants.default.hydra");
    let mut hmac = sound_with("oathkeeper.verifier", "\"hmac\"");
    let key = "[\"base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]";
    hmac = set(hmac, "oathkeeper.keys", key);
    remove(&mut hmac, "tenants.default.oathkeeper.issuer");
    remove(&mut hmac, "tenants.default.oathkeeper.jwks");
    for table in [introspection, sessions, hmac] {
        let with = |count: &str| set(table.clone(), "cache.verified_tokens", count);
        read(&with("10000")).unwrap();
        for count in ["0", "10001"] {
            assert_eq!(
                refused(&with(count)).problems(),
                [Problem::new(
                    "tenants.default.cache.verified_tokens",
                    "has no effect without `tenants.default.oathkeeper` and its `verifier = \"jwt\"`, \
                     or `tenants.default.hydra` and its `tokens = \"jwt\"`"
                )]
            );
        }
    }
}

const SESSIONS_AND_TOKENS: &str = r#"
    [tenants.default]
    transports = ["cookie-or-bearer", "oauth2"]
    [tenants.default.kratos]
    public_url = "https://kratos.example"
    [tenants.default.hydra]
    admin_url = "https://hydra-admin.example"
    issuer = "https://hydra.example"
    audience = ["jobs-api"]
"#;

/// R109, and `negative_ttl` and `max_entries` count without any other key: refusals are kept.
#[test]
fn sessions_and_introspections_are_kept_for_a_minute_at_most_and_not_unless_written() {
    let read = |cache: &str| {
        let text = format!("{SESSIONS_AND_TOKENS}[tenants.default.cache]\n{cache}");
        IamConfig::from_toml(&text).unwrap().validate()
    };
    let off = read("negative_ttl = \"1s\"\nmax_entries = 10").unwrap();
    let tenant = off.registry().default_tenant();
    for settings in [tenant.session_cache(), tenant.introspection_cache()] {
        assert_eq!(settings.life_of(false), Duration::ZERO);
        assert_eq!(settings.life_of(true), Duration::from_secs(1));
        assert_eq!(settings.limit(), 10);
    }

    let on = read("session_ttl = \"60s\"\nintrospection_ttl = \"30s\"").unwrap();
    let tenant = on.registry().default_tenant();
    assert_eq!(tenant.session_cache().life_of(false), Duration::from_secs(60));
    assert_eq!(
        tenant.introspection_cache().life_of(false),
        Duration::from_secs(30)
    );
    for key in ["session_ttl", "introspection_ttl"] {
        let refused = read(&format!("{key} = \"60001ms\"")).unwrap_err();
        assert_eq!(paths(&refused), [format!("tenants.default.cache.{key}")]);
    }
}

/// A tenant of gateway tokens asks neither Kratos nor Hydra about a credential.
#[test]
fn a_ttl_of_what_is_never_asked_is_refused() {
    for (key, remedy) in [
        (
            "session_ttl",
            "without the transport \"bearer\", \"cookie\" or \"cookie-or-bearer\"",
        ),
        (
            "introspection_ttl",
            "without the transport \"oauth2\" and introspected tokens",
        ),
    ] {
        let path = format!("cache.{key}");
        read(&sound_with(&path, "\"0s\"")).unwrap();
        assert_eq!(
            refused(&sound_with(&path, "\"10s\"")).problems(),
            [Problem::new(
                format!("tenants.default.{path}"),
                format!("has no effect {remedy}")
            )]
        );
    }
}

#[test]
fn permissions_are_cached_when_a_ttl_is_written() {
    let off = read(&sound_with("cache.permission_ttl", "\"0s\"")).unwrap();
    assert_eq!(off.registry().default_tenant().permission_cache(), None);

    let on = read(&sound_with("cache.permission_ttl", "\"10s\"")).unwrap();
    let cache = on.registry().default_tenant().permission_cache().unwrap();
    assert_eq!(cache.life_of(false), Duration::from_secs(10));
    assert_eq!(cache.life_of(true), Duration::from_secs(2));
    assert_eq!(cache.limit(), 10_000);
}

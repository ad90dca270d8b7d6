use super::*;

const SHIPPED: &str = include_str!("../../../config/kratos.yml");

fn read(text: &str) -> Result<KratosConfig, ConfigError> {
    let vars = Vars::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"), "/state");
    KratosConfig::from_document(&Document::parse(Path::new("kratos.yml"), text, &vars)?, &vars)
}

#[test]
fn shipped_configuration_is_read_and_its_unused_options_are_named() {
    let config = read(SHIPPED).unwrap();

    assert_eq!(config.session_lifespan, Duration::from_secs(24 * 3600));
    assert_eq!(config.login.lifespan, Duration::from_secs(600));
    assert_eq!(config.bcrypt_cost, 8);
    assert!(config.session_after_registration && config.verification);
    for option in [
        "log",
        "courier",
        "ciphers",
        "secrets.cipher",
        "selfservice.methods.totp.config",
    ] {
        assert!(
            config
                .warnings()
                .iter()
                .any(|w| w.contains(&format!("`{option}`"))),
            "{option}"
        );
    }
}

#[test]
fn option_that_would_change_behaviour_is_refused_with_its_path() {
    for (from, to, path) in [
        ("dsn: memory", "dsn: sqlite://x", "dsn"),
        (
            "required_aal: aal1",
            "required_aal: aal3",
            "session.whoami.required_aal",
        ),
        ("algorithm: bcrypt", "algorithm: argon2", "hashers.algorithm"),
        (
            "hook: session",
            "hook: web_hook",
            "selfservice.flows.registration.after.password.hooks[0].hook",
        ),
        ("cost: 8", "cost: 40", "hashers.bcrypt.cost"),
        (
            "session:\n",
            "session:\n  cookie: { name: other }\n",
            "session.cookie",
        ),
        (
            "haveibeenpwned_enabled: false",
            "min_password_length: 4",
            "selfservice.methods.password.config.haveibeenpwned_enabled",
        ),
        ("lifespan: 24h", "lifespan: 24", "session.lifespan"),
        ("log: {", "tracing: {}\nlog: {", "tracing"),
        ("host: 127.0.0.1", "host: 0.0.0.0", "serve.public.host"),
        (
            "default_schema_id: default",
            "default_schema_id: nope",
            "identity.default_schema_id",
        ),
        (
            "allowed_return_urls: [http://127.0.0.1:4455]",
            "allowed_return_urls: [http://127.0.0.1:4455, /dashboard]",
            "selfservice.allowed_return_urls[1]",
        ),
        (
            "cookie: [ development-only-cookie-secret-000000 ]",
            "cookie: []",
            "secrets.cookie",
        ),
        (
            "cookie: [ development-only-cookie-secret-000000 ]",
            "cookie: [ development-only-cookie-secret-000000, 15-characters-0 ]",
            "secrets.cookie[1]",
        ),
        (
            "cookie: [ development-only-cookie-secret-000000 ]",
            "cookie: [ x ]",
            "secrets.cookie[0]",
        ),
        (
            "secrets:\n",
            "secrets:\n  default: [ 15-characters-0 ]\n",
            "secrets.default[0]",
        ),
        (
            "32-LONG-DEV-SECRET-NOT-SECURE-00",
            "31-LONG-DEV-SECRET-NOT-SECURE-0",
            "secrets.cipher[0]",
        ),
        (
            "32-LONG-DEV-SECRET-NOT-SECURE-00",
            "33-LONG-DEV-SECRET-NOT-SECURE-000",
            "secrets.cipher[0]",
        ),
    ] {
        assert!(SHIPPED.contains(from), "{from}");
        let err = read(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(
            err.contains("`kratos.yml`") && err.contains(&format!("`{path}")),
            "{path}: {err}"
        );
    }
}

#[test]
fn wildcard_in_the_host_of_a_return_url_is_refused_and_one_in_its_path_means_itself() {
    let with = |url: &str| {
        let list = "allowed_return_urls: [http://127.0.0.1:4455]";
        assert!(SHIPPED.contains(list));
        read(&SHIPPED.replacen(list, &format!("allowed_return_urls: ['http://a/', '{url}']"), 1))
    };

    for url in [
        "https://*.example.org",
        "https://*.example.org:8443/x",
        "https://*",
        "https://*example.org/",
        "https://app.*.org/",
        "https://%2A.example.org/",
        "app://*.example.org/",
    ] {
        let err = with(url).unwrap_err().to_string();
        let path = "`selfservice.allowed_return_urls[1]`: wildcards are not supported";
        assert!(err.contains(path), "{url}: {err}");
    }
    let config = with("https://example.org/*").unwrap();
    assert_eq!(config.allowed_return_urls.last().unwrap().path(), "/*");
}

#[test]
fn secrets_that_are_just_long_enough_are_read() {
    let secrets = "secrets:\n  default: [ 16-characters-00 ]\n  cookie: [ 16-characters-01, 16-characters-\u{e4}\u{e4} ]\n";
    let (before, after) = SHIPPED.split_once("secrets:\n").unwrap();
    let (_, after) = after.split_once("000000 ]\n").unwrap();

    let config = read(&format!("{before}{secrets}{after}")).unwrap();

    assert_eq!(
        config.cookie_secrets,
        ["16-characters-01", "16-characters-\u{e4}\u{e4}"]
    );
    assert!(config.warnings().iter().any(|w| w.contains("`secrets.default`")));
}

#[test]
fn refused_secret_is_not_repeated() {
    let err =
        read(&SHIPPED.replacen("development-only-cookie-secret-000000", "short-secret", 1)).unwrap_err();

    assert!(!format!("{err} {err:?}").contains("short-secret"));
}

#[test]
fn base_url_follows_the_port_that_is_served() {
    let config = read(SHIPPED).unwrap().ports(0, 0);

    let served = "127.0.0.1:5555".parse().unwrap();
    assert_eq!(config.public.base_url(served).as_str(), "http://127.0.0.1:5555/");
}

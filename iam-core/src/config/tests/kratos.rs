//! Sessions of Kratos: the transports, the cookie, the level and the login page.

use super::*;
use crate::principal::AssuranceLevel;

fn with(transports: &str, more: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = {transports}
        [tenants.default.kratos]
        public_url = "https://kratos.example"
        {more}
        "#
    ))
    .unwrap()
}

#[test]
fn a_tenant_of_sessions_needs_kratos_and_no_gateway() {
    for (transport, headers) in [
        ("cookie", vec!["cookie", "origin", "sec-fetch-site", "upgrade"]),
        (
            "bearer",
            vec![
                "authorization",
                "origin",
                "sec-fetch-site",
                "upgrade",
                "x-session-token",
            ],
        ),
        (
            "cookie-or-bearer",
            vec![
                "authorization",
                "cookie",
                "origin",
                "sec-fetch-site",
                "upgrade",
                "x-session-token",
            ],
        ),
    ] {
        let settings = with(&format!("[\"{transport}\"]"), "").validate().unwrap();
        let tenant = settings.registry().default_tenant();
        let kratos = tenant.kratos().unwrap();

        assert_eq!(tenant.transport().as_str(), transport);
        assert!(tenant.verifier().is_none());
        assert_eq!(kratos.session_cookie(), "ory_kratos_session");
        assert_eq!(kratos.required_aal(), AssuranceLevel::Aal1);
        assert_eq!(kratos.login_url(), None);
        assert_eq!(settings.registry().credential_headers(), headers);

        let alone = format!("[tenants.default]\ntransports = [\"{transport}\"]");
        assert_eq!(
            problems(IamConfig::from_toml(&alone).unwrap()),
            [format!(
                "`tenants.default.kratos`: required for the transport \"{transport}\""
            )]
        );
    }

    let two = "[tenants.default]\ntransports = [\"bearer\", \"cookie\"]";
    assert_eq!(problems(IamConfig::from_toml(two).unwrap()).len(), 1);
}

#[test]
fn every_key_of_kratos_takes_effect() {
    let settings = with(
        "[\"cookie-or-bearer\"]",
        "session_cookie = \"ory_session_slug\"\nrequired_aal = \"aal2\"\nlogin_url = \"https://app.example/login?next=%2F\"",
    )
    .validate()
    .unwrap();
    let kratos = settings.registry().default_tenant().kratos().unwrap();

    assert_eq!(kratos.session_cookie(), "ory_session_slug");
    assert_eq!(kratos.required_aal(), AssuranceLevel::Aal2);
    assert_eq!(kratos.login_url(), Some("https://app.example/login?next=%2F"));
}

#[test]
fn what_is_no_cookie_name_level_or_page_is_refused() {
    let path = |key: &str| format!("`tenants.default.kratos.{key}`: ");
    for (key, value, message) in [
        ("session_cookie", "", "required"),
        ("session_cookie", "a b", "not the name of a cookie"),
        ("session_cookie", "a=b", "not the name of a cookie"),
        ("session_cookie", "a;b", "not the name of a cookie"),
        ("session_cookie", "é", "not the name of a cookie"),
        ("required_aal", "aal0", "expected \"aal1\" or \"aal2\""),
        ("required_aal", "aal3", "expected \"aal1\" or \"aal2\""),
        ("required_aal", "AAL2", "expected one of"),
        ("login_url", "", "required"),
        ("login_url", "/login", "not a URL"),
        ("login_url", "http://app.example/login", "not an https URL"),
        ("login_url", "javascript:alert(1)", "not an https URL"),
        (
            "login_url",
            "https://user:pass@app.example/",
            "a URL may not hold credentials",
        ),
        (
            "login_url",
            "https://app.example/ a",
            "not a URL in printable ASCII",
        ),
    ] {
        let found = problems(with("[\"cookie\"]", &format!("{key} = \"{value}\"")));

        assert_eq!(found.len(), 1, "{key} {value}: {found:?}");
        assert!(found[0].starts_with(&(path(key) + message)), "{found:?}");
    }

    for url in [
        "https://app.example/login",
        "http://127.0.0.1:4455/login",
        "http://localhost/",
    ] {
        assert_eq!(
            problems(with("[\"cookie\"]", &format!("login_url = \"{url}\""))),
            [""; 0]
        );
    }
}

#[test]
fn a_key_without_effect_is_refused() {
    for (transports, key, message) in [
        (
            "[\"bearer\"]",
            "session_cookie = \"mine\"",
            "`tenants.default.kratos.session_cookie`: has no effect without the transport \"cookie\" or \"cookie-or-bearer\"",
        ),
        (
            "[\"bearer\"]",
            "[tenants.default.csrf]\nallowed_origins = [\"https://app.example\"]",
            "`tenants.default.csrf.allowed_origins`: has no effect: browsers send the credential of no transport of the tenant by themselves",
        ),
    ] {
        assert_eq!(problems(with(transports, key)), [message]);
    }

    let behind = problems_with("[tenants.default.kratos.upstream]\n[tenants.other]\ntransports = []");
    assert!(
        !behind.iter().any(|problem| problem.contains("session_cookie")),
        "{behind:?}"
    );
    let mut config = config_with("");
    config
        .tenants
        .get_mut("default")
        .unwrap()
        .kratos
        .as_mut()
        .unwrap()
        .required_aal = AssuranceLevel::Aal2;
    assert_eq!(
        problems(config),
        [
            "`tenants.default.kratos.required_aal`: has no effect without the transport \"bearer\", \"cookie\" or \"cookie-or-bearer\""
        ]
    );
}

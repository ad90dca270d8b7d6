//! Where upstreams are, and from where browsers come.

use super::*;

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
                "`tenants.default.csrf.allowed_origins[1]`: wildcards are not supported in origins: write each origin, such as \"https://app.example\""
            ],
            "{origin}"
        );
    }
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

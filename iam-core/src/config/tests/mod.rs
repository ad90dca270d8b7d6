//! What is no configuration does not start, and says all that is wrong with it.

mod gateway;
mod hydra;
mod kratos;
mod load;
mod token;
mod urls;

use std::time::Duration;

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
    let keto = "`tenants.customer.keto.read_url`: not an https URL; ";
    assert!(
        problems.iter().any(|problem| problem.starts_with(keto)),
        "{problems:#?}"
    );
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

    let transports = problems_with("[tenants.other]\ntransports = [\"pigeon\", \"dove\"]");
    for path in [
        "`tenants.other.transports[0]`: ",
        "`tenants.other.transports[1]`: expected one of \"bearer\"",
    ] {
        assert!(
            transports.iter().any(|problem| problem.starts_with(path)),
            "{transports:?}"
        );
    }
}

#[test]
fn a_transport_that_cannot_be_read_does_not_make_its_block_useless() {
    let config = IamConfig::from_toml(
        r#"
        [tenants.default]
        transports = ["oathkeper", "dove"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        jwks.url = "https://gateway.example/jwks"
        "#,
    )
    .unwrap();

    assert_eq!(
        problems(config),
        [
            "`tenants.default.transports[0]`: expected one of \"bearer\", \"cookie\", \"cookie-or-bearer\", \"oathkeeper\", \"oauth2\", \"custom:NAME\"; did you mean \"oathkeeper\"?",
            "`tenants.default.transports[1]`: expected one of \"bearer\", \"cookie\", \"cookie-or-bearer\", \"oathkeeper\", \"oauth2\", \"custom:NAME\"",
        ]
    );
}

#[test]
fn transport_that_is_set_in_code_needs_its_block_too() {
    let mut config = config_with("");
    config.tenants.get_mut("default").unwrap().transports = vec![Transport::Oauth2];

    assert_eq!(
        problems(config),
        [
            "`tenants.default.oathkeeper`: has no effect without the transport \"oathkeeper\"",
            "`tenants.default.hydra`: required for the transport \"oauth2\"",
        ]
    );
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
fn roles_come_from_public_metadata_only() {
    let problems = problems_with("[tenants.other]\nroles_from = \"traits.roles\"");

    let expected = "`tenants.other.roles_from`: expected a path below `metadata_public`, such as \"metadata_public.roles\"";
    assert!(problems.iter().any(|problem| problem == expected), "{problems:?}");
}

/// D96
#[test]
fn the_default_tenant_is_looked_up_exactly() {
    let named = |name: &str| problems(config_with("").default_tenant(name));

    assert_eq!(named("toString"), ["`default_tenant`: names no tenant"]);
    assert_eq!(named("Default"), ["`default_tenant`: names no tenant"]);
    assert_eq!(named("default"), Vec::<String>::new());
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

/// R172, D79
#[test]
fn no_secret_appears_in_debug_output_or_problems() {
    let config = config_with("token = \"hunter2\"\n[stores]\ncache_key = \"hunter2\"");
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

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::{
    authenticate::authenticate,
    config::{IamConfig, Settings, TenantConfig},
    http::BoxFuture,
    requirement::{EffectivePolicy, RoutePolicy},
    tenant::{Target, Transport},
    testing::{NOW, block_on},
};

/// States what a test gives it about the credential `good`, at once or later.
#[derive(Debug)]
struct Scripted {
    name: &'static str,
    carriers: Vec<Carrier>,
    cross_site: CrossSite,
    later: bool,
    statement: fn() -> Result<Stated, LookUpError>,
}

impl Scripted {
    fn new(statement: fn() -> Result<Stated, LookUpError>) -> Self {
        Self {
            name: "api-key",
            carriers: vec![
                Carrier::Header("X-Api-Key".to_owned()),
                Carrier::Cookie("legacy".to_owned()),
            ],
            cross_site: CrossSite::Refuse,
            later: false,
            statement,
        }
    }
}

impl Authenticator for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn carriers(&self) -> Vec<Carrier> {
        self.carriers.clone()
    }

    fn cross_site(&self) -> CrossSite {
        self.cross_site
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn authenticate(&self, credential: &CustomCredential<'_>, now: Timestamp) -> Reply {
        assert_eq!((credential.tenant(), now), ("default", at(0)));
        if credential.bytes() != b"good" {
            return Reply::Now(Stated::Refused(Fault::Unknown));
        }
        let stated = (self.statement)();
        if self.later {
            let answer: BoxFuture<_> = Box::pin(async move { stated });
            return Reply::Later(answer);
        }
        Reply::Now(stated.unwrap())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(NOW.saturating_add_signed(seconds))
}

fn alice() -> Statement {
    Statement::identity("alice", "default", at(1))
}

fn validated(transports: &[&str], ports: Vec<Scripted>) -> Result<Settings, Vec<String>> {
    let ports: Vec<_> = ports
        .into_iter()
        .map(|port| Arc::new(port) as Arc<dyn Authenticator>)
        .collect();
    let tenant = TenantConfig {
        transports: transports.iter().map(|name| name.parse().unwrap()).collect(),
        ..TenantConfig::default()
    };
    let config = IamConfig::new().tenant("default", tenant);
    config.validate_with(&ports).map_err(|err| {
        err.problems()
            .iter()
            .map(|problem| format!("{}: {}", problem.path(), problem.message()))
            .collect()
    })
}

fn ask(port: Scripted, method: &str, headers: &[(&str, &str)]) -> Result<Authenticated, Refusal> {
    let settings = validated(&["custom:api-key"], vec![port]).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let head = RequestHead {
        method,
        authority: None,
        headers: &headers,
        peer: None,
    };
    let target = Target::of(settings.registry().default_tenant());
    match authenticate(&target, &head, at(0))? {
        Authentication::Known(authenticated) => Ok(authenticated),
        Authentication::Ask(Lookup::Custom(mut lookup)) => {
            assert_eq!(lookup.timeout(), LONGEST_TIMEOUT);
            let answer = block_on(lookup.take().unwrap());
            assert!(lookup.take().is_none());
            lookup.conclude(target.tenant(), Some(answer), at(0))
        }
        Authentication::Ask(other) => panic!("{other:?}"),
    }
}

fn known(statement: fn() -> Result<Stated, LookUpError>) -> Result<Authenticated, Refusal> {
    ask(Scripted::new(statement), "GET", &[GOOD])
}

fn code(result: Result<Authenticated, Refusal>) -> (Reason, Option<&'static str>) {
    let refusal = result.unwrap_err();
    (refusal.reason, refusal.detail)
}

const GOOD: (&str, &str) = ("x-api-key", "good");

#[test]
fn a_statement_becomes_a_principal_of_the_tenant() {
    let person = known(|| {
        Ok(Stated::Known(
            alice()
                .roles(["reader"])
                .metadata(json!({ "roles": ["writer"] }))
                .scopes(["orders:read", "orders:write"])
                .replay_id("k-1"),
        ))
    })
    .unwrap();
    let principal = person.principal();
    assert_eq!((principal.tenant(), principal.subject()), ("default", "alice"));
    assert_eq!(principal.actor(), "user:alice");
    assert!(principal.has_role("reader") && principal.has_role("writer") && !principal.has_role("admin"));
    assert_eq!(
        principal.scopes().collect::<Vec<_>>(),
        ["orders:read", "orders:write"]
    );
    assert_eq!(principal.custom().unwrap().authenticator(), "custom:api-key");
    let (id, until) = person.replay_id().unwrap();
    assert_eq!(
        (id.tenant, id.issuer, id.jti),
        ("default", "custom:api-key", "k-1")
    );
    assert_eq!(until, at(1));

    let client = known(|| Ok(Stated::Known(Statement::client("alice", "default", at(1))))).unwrap();
    assert_eq!(client.principal().actor(), "client:alice");
    assert!(client.replay_id().is_none());
    assert_ne!(client.principal(), principal);
}

/// R013, R020: what an application states is held to the rules of every other credential.
#[test]
fn a_statement_that_breaks_a_rule_is_refused() {
    type Case = (fn() -> Statement, Reason, &'static str);
    let cases: [Case; 10] = [
        (
            || Statement::identity("alice", "other", at(1)),
            Reason::TenantMismatch,
            "tenant_other",
        ),
        (
            || Statement::identity("alice", "", at(1)),
            Reason::TenantMismatch,
            "tenant_other",
        ),
        (
            || Statement::identity("alice", "default", at(0)),
            Reason::Expired,
            "exp_passed",
        ),
        (
            || Statement::client("alice", "default", at(-1)),
            Reason::Expired,
            "exp_passed",
        ),
        (
            || Statement::identity("", "default", at(1)),
            Reason::Malformed,
            "stated_subject",
        ),
        (
            || Statement::identity(" ", "default", at(1)),
            Reason::Malformed,
            "stated_subject",
        ),
        (
            || Statement::client("a\nb", "default", at(1)),
            Reason::Malformed,
            "stated_subject",
        ),
        (|| alice().replay_id(""), Reason::Malformed, "stated_replay_id"),
        (|| alice().roles([""]), Reason::Malformed, "stated_role"),
        (|| alice().scopes(["a b"]), Reason::Malformed, "stated_scope"),
    ];

    // Function pointers cannot capture, so each case has an authenticator of its own.
    #[derive(Debug)]
    struct States(fn() -> Statement);
    impl Authenticator for States {
        fn name(&self) -> &str {
            "api-key"
        }

        fn carriers(&self) -> Vec<Carrier> {
            vec![Carrier::Header("x-api-key".to_owned())]
        }

        fn authenticate(&self, _: &CustomCredential<'_>, _: Timestamp) -> Reply {
            Reply::Now(Stated::Known((self.0)()))
        }
    }
    for (statement, reason, detail) in cases {
        let mut tenant = TenantConfig::default();
        tenant.transports = vec!["custom:api-key".parse().unwrap()];
        let settings = IamConfig::new()
            .tenant("default", tenant)
            .validate_with(&[Arc::new(States(statement))])
            .unwrap();
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &[("x-api-key", b"x")],
            peer: None,
        };
        let target = Target::of(settings.registry().default_tenant());
        let refusal = authenticate(&target, &head, at(0)).unwrap_err();
        assert_eq!((refusal.reason, refusal.detail), (reason, Some(detail)));
    }
}

#[test]
fn an_authenticator_refuses_or_knows_nobody() {
    for (fault, reason) in [
        (known(|| Ok(Stated::Refused(Fault::Expired))), Reason::Expired),
        (known(|| Ok(Stated::Refused(Fault::Malformed))), Reason::Malformed),
        (
            known(|| Ok(Stated::Refused(Fault::Unknown))),
            Reason::TokenInactive,
        ),
        (known(|| Ok(Stated::Nobody)), Reason::SessionInactive),
    ] {
        assert_eq!(code(fault).0, reason);
    }
    assert!(Reason::SessionInactive.is_of_nobody() && !Reason::TokenInactive.is_of_nobody());
}

/// R085, R086, R093: its carriers are read as strictly as all others.
#[test]
fn the_carriers_are_read_by_this_crate() {
    let long = "g".repeat(4097);
    for (headers, reason) in [
        (vec![], Reason::MissingCredential),
        (vec![("authorization", "Bearer good")], Reason::MissingCredential),
        (vec![("cookie", "legacy=")], Reason::MissingCredential),
        (vec![("x-api-key", "")], Reason::Malformed),
        (vec![("x-api-key", "go od")], Reason::Malformed),
        (vec![("x-api-key", long.as_str())], Reason::Malformed),
        (vec![("x-api-key", "good,good")], Reason::AmbiguousCredential),
        (vec![GOOD, GOOD], Reason::AmbiguousCredential),
        (vec![GOOD, ("cookie", "legacy=good")], Reason::AmbiguousCredential),
        (
            vec![("cookie", "legacy=good; legacy=good")],
            Reason::AmbiguousCredential,
        ),
        (vec![("x-api-key", "wrong")], Reason::TokenInactive),
    ] {
        let result = ask(Scripted::new(|| Ok(Stated::Known(alice()))), "GET", &headers);
        assert_eq!(code(result).0, reason, "{headers:?}");
    }
    for header in [GOOD, ("cookie", "legacy=good")] {
        let result = ask(Scripted::new(|| Ok(Stated::Known(alice()))), "GET", &[header]);
        assert!(result.is_ok());
    }
}

/// The check is on unless the authenticator switches it off, and counts after the credential.
#[test]
fn pages_of_other_sites_are_refused_by_default() {
    let site = ("sec-fetch-site", "cross-site");
    for later in [false, true] {
        let port = |cross_site, statement| Scripted {
            cross_site,
            later,
            ..Scripted::new(statement)
        };
        let good: fn() -> _ = || Ok(Stated::Known(alice()));

        let refused = ask(port(CrossSite::Refuse, good), "POST", &[GOOD, site]);
        assert_eq!(code(refused).0, Reason::Csrf);
        assert!(ask(port(CrossSite::Refuse, good), "POST", &[GOOD]).is_ok());
        assert!(ask(port(CrossSite::Allow, good), "POST", &[GOOD, site]).is_ok());
        let unknown = ask(
            port(CrossSite::Refuse, || Ok(Stated::Nobody)),
            "POST",
            &[GOOD, site],
        );
        assert_eq!(code(unknown).0, Reason::SessionInactive);
    }
}

/// Fails closed.
#[test]
fn a_look_up_without_an_answer_is_unavailable() {
    let failed = ask(
        Scripted {
            later: true,
            ..Scripted::new(|| Err(LookUpError))
        },
        "GET",
        &[GOOD],
    );
    assert_eq!(
        code(failed),
        (Reason::AuthenticatorUnavailable, Some("look_up_failed"))
    );
    assert_eq!(Reason::AuthenticatorUnavailable.class().status(), 503);
}

#[test]
fn the_configuration_names_each_problem_of_an_authenticator() {
    let port = |name, carriers| Scripted {
        name,
        carriers,
        ..Scripted::new(|| Ok(Stated::Nobody))
    };
    let header = |name: &str| Carrier::Header(name.to_owned());
    let problems = |ports| validated(&["custom:api-key"], ports).unwrap_err().join("\n");

    assert!(
        problems(vec![])
            .contains("tenants.default.transports: \"custom:api-key\": no authenticator has the name")
    );
    assert!(problems(vec![port("other", vec![header("x-key")])]).contains("no authenticator has the name"));
    let two = || port("api-key", vec![header("x-key")]);
    assert!(problems(vec![two(), two()]).contains("two authenticators have the name"));
    assert!(problems(vec![port("api-key", vec![])]).contains("names no carrier"));
    assert!(problems(vec![port("api-key", vec![header("Host")])]).contains("names a header"));
    assert!(problems(vec![port("api-key", vec![header("a b")])]).contains("not a header name"));
    assert!(
        problems(vec![port("api-key", vec![header("X-Key"), header("x-key")])])
            .contains("names a carrier twice")
    );
    assert!(
        problems(vec![port("api-key", vec![Carrier::Cookie("a=b".to_owned())])]).contains("names a cookie")
    );
    assert!(validated(&["custom:api-key"], vec![two()]).is_ok());
}

/// Its carriers count in a list, and may not be those of another transport.
#[test]
fn it_stands_in_a_list_with_others() {
    let settings = |carrier: Carrier| {
        let port = Scripted {
            carriers: vec![carrier],
            ..Scripted::new(|| Ok(Stated::Nobody))
        };
        let config = IamConfig::from_toml(
            r#"
            [tenants.default]
            transports = ["bearer", "custom:api-key"]
            [tenants.default.kratos]
            public_url = "https://kratos.example/"
            "#,
        );
        config.unwrap().validate_with(&[Arc::new(port)]).unwrap()
    };
    let custom: Transport = "custom:api-key".parse().unwrap();
    let policy = RoutePolicy::new("here", "route").transports([Transport::Bearer, custom]);
    let policy = EffectivePolicy::merge(&[&policy]).unwrap();

    let own = settings(Carrier::Header("X-Api-Key".to_owned()));
    let target = own.registry().resolve(Some(&policy)).unwrap();
    let chosen = |headers: &[(&str, &[u8])]| {
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers,
            peer: None,
        };
        target.choose(&head).map_err(|refusal| refusal.reason)
    };
    let session: (&str, &[u8]) = ("authorization", b"Bearer ory_st_1");
    let key: (&str, &[u8]) = ("x-api-key", b"good");
    assert_eq!(chosen(&[key]), Ok(custom));
    assert_eq!(chosen(&[session]), Ok(Transport::Bearer));
    assert_eq!(chosen(&[session, key]), Err(Reason::AmbiguousCredential));
    assert!(
        own.registry()
            .credential_headers()
            .contains(&"x-api-key".to_owned())
    );

    let shared = settings(Carrier::Header("Authorization".to_owned()));
    let refusal = shared.registry().resolve(Some(&policy)).unwrap_err();
    assert_eq!(refusal.reason, Reason::PolicyConflict);
}

/// R071
#[test]
fn nothing_of_a_credential_or_a_principal_is_printed() {
    let credential = CustomCredential {
        tenant: "default",
        bytes: b"secret",
    };
    let stated = Stated::Known(
        Statement::identity("secret", "default", at(1)).metadata(json!({ "secret": "secret" })),
    );
    let known = known(|| Ok(Stated::Known(alice()))).unwrap();

    let printed = format!("{credential:?} {stated:?} {:?}", known.principal().custom());
    assert!(
        !printed.contains("secret") && !printed.contains("115") && !printed.contains("alice"),
        "{printed}"
    );
}

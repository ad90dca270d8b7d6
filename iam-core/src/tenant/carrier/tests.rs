use super::*;
use crate::{
    authenticate::{Authentication, Lookup, authenticate},
    clock::Timestamp,
    config::{IamConfig, Settings},
    credential::SessionCarrier,
    requirement::{EffectivePolicy, RoutePolicy},
    testing::NOW,
};

const COOKIE: (&str, &str) = ("cookie", "ory_kratos_session=c-1");
const SESSION: (&str, &str) = ("authorization", "Bearer ory_st_1");
const SESSION_HEADER: (&str, &str) = ("x-session-token", "ory_st_1");
const ACCESS: (&str, &str) = ("authorization", "Bearer ory_at_x.y");
const JWT: (&str, &str) = ("authorization", "Bearer eyJ.a.b");
const GATEWAY: (&str, &str) = ("x-gateway-token", "eyJ.a.b");

/// A tenant with every transport. The gateway's token is in a header of its own unless `header` is another one.
fn tenant(header: &str, hydra: &str) -> Settings {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper", "oauth2", "cookie-or-bearer", "bearer", "cookie"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        header = "{header}"
        [tenants.default.oathkeeper.jwks]
        url = "https://gateway.example/.well-known/jwks.json"
        [tenants.default.kratos]
        public_url = "https://kratos.example/"
        [tenants.default.hydra]
        issuer = "http://127.0.0.1:4444"
        audience = ["orders-api"]
        {hydra}
        "#
    ))
    .unwrap()
    .validate()
    .unwrap()
}

const INTROSPECTION: &str = "admin_url = \"http://127.0.0.1:4445/\"";
const LOCAL: &str = "tokens = \"jwt\"\njwks.url = \"http://127.0.0.1:4444/.well-known/jwks.json\"";

fn policy(transports: &[Transport]) -> EffectivePolicy {
    let policy = RoutePolicy::new("here", "route").transports(transports.iter().copied());
    EffectivePolicy::merge(&[&policy]).unwrap()
}

fn chosen(
    settings: &Settings,
    transports: &[Transport],
    headers: &[(&str, &str)],
) -> Result<Transport, Reason> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let policy = policy(transports);
    let target = settings.registry().resolve(Some(&policy)).unwrap();
    target.choose(&head(&headers)).map_err(|refusal| refusal.reason)
}

fn head<'a>(headers: &'a [(&'a str, &'a [u8])]) -> RequestHead<'a> {
    RequestHead {
        method: "POST",
        authority: None,
        headers,
        peer: None,
    }
}

fn resolved(settings: &Settings, transports: &[Transport]) -> Result<(), Refusal> {
    settings.registry().resolve(Some(&policy(transports))).map(drop)
}

#[test]
fn the_transport_of_the_presented_credential_decides() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let all = [
        Transport::Oauth2,
        Transport::CookieOrBearer,
        Transport::Oathkeeper,
    ];

    for (header, expected) in [
        (COOKIE, Transport::CookieOrBearer),
        (SESSION, Transport::CookieOrBearer),
        (SESSION_HEADER, Transport::CookieOrBearer),
        (ACCESS, Transport::Oauth2),
        (JWT, Transport::Oauth2),
        (GATEWAY, Transport::Oathkeeper),
    ] {
        assert_eq!(chosen(&settings, &all, &[header]), Ok(expected), "{header:?}");
    }
    assert_eq!(chosen(&settings, &all, &[]), Err(Reason::MissingCredential));
}

/// R093, R085: nothing is chosen where two credentials of the route's transports are presented, whatever their order.
#[test]
fn two_presented_credentials_are_ambiguous() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let all = [
        Transport::Oauth2,
        Transport::CookieOrBearer,
        Transport::Oathkeeper,
    ];
    let presented = [COOKIE, SESSION_HEADER, ACCESS, GATEWAY];

    for one in presented {
        for other in presented.into_iter().filter(|other| *other != one) {
            let result = chosen(&settings, &all, &[one, other]);
            assert_eq!(result, Err(Reason::AmbiguousCredential), "{one:?} {other:?}");
        }
    }
    for twice in [SESSION_HEADER, ACCESS, SESSION, GATEWAY, COOKIE] {
        let result = chosen(&settings, &all, &[twice, twice]);
        assert_eq!(result, Err(Reason::AmbiguousCredential), "{twice:?}");
    }
}

/// A malformed credential is presented: it neither steps aside for another one, nor counts as none.
#[test]
fn a_malformed_credential_is_counted() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let list = [Transport::Oauth2, Transport::CookieOrBearer];

    for malformed in [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer nonsense",
        "Bearer a.b",
        "Bearer a.b.c.d",
    ] {
        let header = ("authorization", malformed);
        assert_eq!(
            chosen(&settings, &list, &[header]),
            Err(Reason::Malformed),
            "{malformed}"
        );
        assert_eq!(
            chosen(&settings, &list, &[header, COOKIE]),
            Err(Reason::AmbiguousCredential),
            "{malformed}"
        );
    }
}

#[test]
fn other_schemes_and_empty_cookies_are_no_credentials() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let list = [Transport::Oauth2, Transport::CookieOrBearer];
    let basic = ("authorization", "Basic dXNlcjpwYXNz");
    let empty = ("cookie", "ory_kratos_session=");

    assert_eq!(
        chosen(&settings, &list, &[basic, empty]),
        Err(Reason::MissingCredential)
    );
    assert_eq!(
        chosen(&settings, &list, &[basic, COOKIE]),
        Ok(Transport::CookieOrBearer)
    );
    assert_eq!(chosen(&settings, &list, &[empty, ACCESS]), Ok(Transport::Oauth2));
}

/// Carriers of transports that the route does not list are neither read nor counted.
#[test]
fn only_carriers_of_the_listed_transports_are_counted() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let list = [Transport::Oauth2, Transport::Cookie];

    assert_eq!(
        chosen(
            &settings,
            &list,
            &[ACCESS, SESSION_HEADER, SESSION_HEADER, GATEWAY]
        ),
        Ok(Transport::Oauth2)
    );
    // The only reader of the header takes what is there, as it does alone.
    assert_eq!(chosen(&settings, &list, &[SESSION]), Ok(Transport::Oauth2));
    assert_eq!(
        chosen(
            &settings,
            &[Transport::Cookie, Transport::Oathkeeper],
            &[COOKIE, ACCESS]
        ),
        Ok(Transport::Cookie)
    );
}

/// R020: a token is verified as one kind only. With `tokens = "jwt"`, nobody takes opaque tokens.
#[test]
fn a_token_of_a_form_that_no_listed_transport_takes_is_malformed() {
    let settings = tenant("x-gateway-token", LOCAL);
    let list = [Transport::CookieOrBearer, Transport::Oauth2];

    assert_eq!(chosen(&settings, &list, &[ACCESS]), Err(Reason::Malformed));
    assert_eq!(chosen(&settings, &list, &[JWT]), Ok(Transport::Oauth2));
    assert_eq!(
        chosen(&settings, &list, &[SESSION]),
        Ok(Transport::CookieOrBearer)
    );
    for (token, expected) in [
        ("Bearer ory_st_a.b.c", Ok(Transport::CookieOrBearer)),
        ("Bearer ory_at_a.b.c", Err(Reason::Malformed)),
        ("Bearer ORY_ST_1", Err(Reason::Malformed)),
        ("bearer ory_st_1", Ok(Transport::CookieOrBearer)),
    ] {
        assert_eq!(chosen(&settings, &list, &[("authorization", token)]), expected);
    }
}

#[test]
fn transports_that_would_take_one_credential_are_refused() {
    use Transport::{Bearer, Cookie, CookieOrBearer, Oathkeeper, Oauth2};

    let own = tenant("x-gateway-token", INTROSPECTION);
    let shared = tenant("Authorization", INTROSPECTION);
    let jwts = tenant("Authorization", LOCAL);
    let conflict = Err(Refusal::with_detail(
        Reason::PolicyConflict,
        "transports_share_a_credential",
    ));

    for settings in [&own, &shared, &jwts] {
        for list in [
            [Bearer, CookieOrBearer],
            [CookieOrBearer, Bearer],
            [Cookie, CookieOrBearer],
        ] {
            assert_eq!(resolved(settings, &list), conflict, "{list:?}");
        }
        for list in [
            [Oauth2, CookieOrBearer],
            [Bearer, Oauth2],
            [Cookie, Bearer],
            [Oathkeeper, CookieOrBearer],
        ] {
            assert_eq!(resolved(settings, &list), Ok(()), "{list:?}");
        }
    }
    assert_eq!(resolved(&own, &[Oathkeeper, Oauth2]), Ok(()));
    assert_eq!(resolved(&shared, &[Oathkeeper, Oauth2]), conflict);
    assert_eq!(resolved(&jwts, &[Oauth2, Cookie, Oathkeeper]), conflict);
}

#[test]
fn a_list_with_a_transport_that_the_tenant_does_not_use_is_refused() {
    let settings = crate::testing::sessions_with(|tenant| tenant.transports = vec![Transport::Cookie]);
    let refusal = Err(Refusal::with_detail(
        Reason::UnknownTenant,
        "transport_not_configured",
    ));

    assert_eq!(
        resolved(&settings, &[Transport::Cookie, Transport::Oauth2]),
        refusal
    );
    assert_eq!(resolved(&settings, &[Transport::Cookie]), Ok(()));
}

/// The carrier is what decides about CSRF, in a list as alone: a cookie can be sent by another site's page, a token cannot.
#[test]
fn the_chosen_transport_reads_its_own_carrier() {
    let settings = tenant("x-gateway-token", INTROSPECTION);
    let policy = policy(&[Transport::Oauth2, Transport::CookieOrBearer]);
    let target = settings.registry().resolve(Some(&policy)).unwrap();
    let asked = |header: (&str, &str)| {
        let headers = [(header.0, header.1.as_bytes())];
        authenticate(&target, &head(&headers), Timestamp::from_secs(NOW)).unwrap()
    };
    let carrier = |asked| match asked {
        Authentication::Ask(Lookup::Session(lookup)) => Some(lookup.credential().carrier()),
        Authentication::Ask(_) | Authentication::Known(_) => None,
    };

    assert_eq!(carrier(asked(COOKIE)), Some(SessionCarrier::Cookie));
    assert_eq!(carrier(asked(SESSION)), Some(SessionCarrier::Token));
    assert_eq!(carrier(asked(SESSION_HEADER)), Some(SessionCarrier::Token));
    assert!(matches!(asked(ACCESS), Authentication::Ask(Lookup::Token(_))));
}

/// An envelope and its signature are one credential; what a template prints for nothing is none.
#[test]
fn the_gateways_own_headers_are_carriers_too() {
    let settings = |verifier: &str| {
        IamConfig::from_toml(&format!(
            r#"
            [tenants.default]
            transports = ["oathkeeper", "cookie"]
            [tenants.default.kratos]
            public_url = "https://kratos.example/"
            [tenants.default.oathkeeper]
            {verifier}
            header = "X-User"
            "#
        ))
        .unwrap()
        .validate()
        .unwrap()
    };
    let list = [Transport::Cookie, Transport::Oathkeeper];
    let envelope = "verifier = \"hmac\"\naudience = [\"orders-api\"]\nkeys = [\"base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]";

    for settings in [
        settings(envelope),
        settings("verifier = \"headers\"\ntrusted_peers = [\"127.0.0.1\"]"),
    ] {
        let user = ("x-user", "{\"sub\":\"alice\",\"aud\":[]}");
        assert_eq!(chosen(&settings, &list, &[user]), Ok(Transport::Oathkeeper));
        assert_eq!(
            chosen(&settings, &list, &[user, COOKIE]),
            Err(Reason::AmbiguousCredential)
        );
        for nothing in ["", "<no value>", "<nil>"] {
            let nothing = ("x-user", nothing);
            assert_eq!(
                chosen(&settings, &list, &[nothing, COOKIE]),
                Ok(Transport::Cookie)
            );
            assert_eq!(
                chosen(&settings, &list, &[nothing]),
                Err(Reason::MissingCredential)
            );
        }
    }
}

//! Requirements that no credential of a route's transports can meet.

use std::sync::Arc;

use actix_web::App;
use iam_actix::{AccessMap, AssuranceLevel, CheckError, Finding, Iam, RouteExt as _, ScopeExt as _};
use iam_core::{
    authenticate::{Authenticator, Carrier, CustomCredential, Fault, Reply, Stated},
    clock::Timestamp,
    config::IamConfig,
    tenant::Transport,
};

use super::{findings, route, web};
use crate::common::Keto;

/// Introspected tokens, plain headers, sessions, and an application's own credentials.
const WITHOUT_IDS: &str = r#"
    [tenants.default]
    transports = ["oathkeeper", "oauth2", "cookie", "bearer", "custom:api-key"]
    [tenants.default.oathkeeper]
    verifier = "headers"
    proof_secret = "only-the-gateway-knows-this-secret"
    [tenants.default.kratos]
    public_url = "https://kratos.example"
    [tenants.default.hydra]
    admin_url = "https://hydra-admin.example"
    issuer = "https://hydra.example"
    audience = ["jobs-api"]
"#;

/// The same with envelopes and JWT access tokens.
const WITH_IDS: &str = r#"
    [tenants.default]
    transports = ["oathkeeper", "oauth2", "cookie", "bearer", "custom:api-key"]
    [tenants.default.oathkeeper]
    verifier = "hmac"
    audience = ["orders-api"]
    keys = ["base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
    [tenants.default.kratos]
    public_url = "https://kratos.example"
    [tenants.default.hydra]
    tokens = "jwt"
    public_url = "https://hydra.example"
    issuer = "https://hydra.example"
    audience = ["jobs-api"]
"#;

#[derive(Debug)]
struct ApiKeys;

impl Authenticator for ApiKeys {
    fn name(&self) -> &'static str {
        "api-key"
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header("x-api-key".to_owned())]
    }

    fn authenticate(&self, _: &CustomCredential<'_>, _: Timestamp) -> Reply {
        Reply::Now(Stated::Refused(Fault::Unknown))
    }
}

fn api_key() -> Transport {
    "custom:api-key".parse().unwrap()
}

async fn checked(text: &str, routes: impl FnOnce(&mut web::ServiceConfig)) -> Result<AccessMap, CheckError> {
    let iam = Iam::builder(IamConfig::from_toml(text).unwrap())
        .http_client(Arc::new(Keto::default()))
        .authenticator(Arc::new(ApiKeys))
        .start()
        .await
        .unwrap();

    iam.check(|| App::new().configure(routes).wrap(iam.middleware()))
        .await
}

/// Returns the patterns of the routes with a finding.
fn patterns(result: Result<AccessMap, CheckError>, wanted: fn(&Finding) -> Option<&String>) -> Vec<String> {
    let error = result.unwrap_err();
    let patterns = error
        .findings()
        .iter()
        .map(|finding| wanted(finding).unwrap_or_else(|| panic!("{finding}")).clone());
    patterns.collect()
}

/// A session is used many times. Its route answered each request with 500, and the check said nothing.
#[actix_web::test]
async fn a_route_of_sessions_only_that_accepts_them_once_passed_the_check() {
    let found = findings(
        checked(WITH_IDS, |app| {
            app.route("/once", route().transport(Transport::Cookie).single_use());
        })
        .await,
    );

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "`/once`: `single_use` needs credentials with an id, and those of \"cookie\" of the tenant `default` have none:"
        ) && found[0].contains("leave `single_use` out, or name a transport")
            && found[0].contains("; `transport` in "),
        "{found:?}"
    );
}

/// Introspected tokens and plain headers have no id. Their route answered each request with 401, and clients fetched new tokens forever.
#[actix_web::test]
async fn a_route_that_accepts_credentials_without_ids_once_passed_the_check() {
    let found = patterns(
        checked(WITHOUT_IDS, |app| {
            app.route("/headers", route().single_use())
                .route("/tokens", route().transport(Transport::Oauth2).single_use())
                .route(
                    "/all",
                    route()
                        .transports([Transport::Oauth2, Transport::Cookie, Transport::Oathkeeper])
                        .single_use(),
                )
                .service(
                    web::scope("/scope")
                        .route("/inner", route().transport(Transport::Oauth2))
                        .single_use(),
                )
                .route("/custom", route().transport(api_key()).single_use())
                .route(
                    "/one-is-enough",
                    route().transports([Transport::Oauth2, api_key()]).single_use(),
                )
                .route("/often", route().transport(Transport::Oauth2));
        })
        .await,
        |finding| {
            if let Finding::NoReplayId { pattern, .. } = finding {
                Some(pattern)
            } else {
                None
            }
        },
    );

    assert_eq!(found, ["/all", "/headers", "/scope/inner", "/tokens"]);
}

/// Only sessions have a level and an age. The route answered 401 and asked for a new login, also after it.
#[actix_web::test]
async fn a_route_that_asks_for_a_level_or_age_without_sessions_passed_the_check() {
    let minute = std::time::Duration::from_secs(60);
    let result = checked(WITH_IDS, |app| {
        app.route("/level", route().require_aal(AssuranceLevel::Aal2))
            .route(
                "/age",
                route().transport(Transport::Oauth2).require_fresh_session(minute),
            )
            // A statement of an application's authenticator holds no session.
            .route(
                "/custom",
                route().transport(api_key()).require_aal(AssuranceLevel::Aal1),
            )
            .route(
                "/cookie",
                route()
                    .transport(Transport::Cookie)
                    .require_aal(AssuranceLevel::Aal2)
                    .require_fresh_session(minute),
            )
            .route(
                "/one-is-enough",
                route()
                    .transports([Transport::Oauth2, Transport::Bearer])
                    .require_aal(AssuranceLevel::Aal2),
            );
    })
    .await;

    let lines = findings(result.clone());
    assert!(
        lines[2].starts_with("`/level`: `aal:aal2` needs a session, and \"oathkeeper\" of the tenant `default` carries none: remove")
            && lines[2].contains("name a transport of sessions"),
        "{lines:?}"
    );
    assert!(
        lines[0].starts_with("`/age`: `max_age:60s` needs a session"),
        "{lines:?}"
    );
    let found = patterns(result, |finding| {
        if let Finding::NoSession { pattern, .. } = finding {
            Some(pattern)
        } else {
            None
        }
    });
    assert_eq!(found, ["/age", "/custom", "/level"]);
}

/// Sessions and plain headers have no scopes. The route answered each request with 403.
#[actix_web::test]
async fn a_route_that_asks_for_a_scope_without_tokens_passed_the_check() {
    let result = checked(WITHOUT_IDS, |app| {
        app.route("/headers", route().require_scope(["jobs:read"]))
            .route(
                "/sessions",
                route()
                    .transports([Transport::Cookie, Transport::Bearer])
                    .require_scope(["jobs:read", "jobs:write"]),
            )
            .route(
                "/tokens",
                route().transport(Transport::Oauth2).require_scope(["jobs:read"]),
            )
            .route(
                "/custom",
                route().transport(api_key()).require_scope(["jobs:read"]),
            )
            .route(
                "/one-is-enough",
                route()
                    .transports([Transport::Cookie, Transport::Oauth2])
                    .require_scope(["jobs:read"]),
            );
    })
    .await;

    let lines = findings(result.clone());
    assert!(
        lines[1].starts_with(
            "`/sessions`: `scope:jobs:read` needs credentials with scopes, and those of \"cookie\", \"bearer\" of the tenant `default` have none:"
        ) && lines[1].contains("such as \"oauth2\""),
        "{lines:?}"
    );
    let found = patterns(result, |finding| {
        if let Finding::NoScopes { pattern, .. } = finding {
            Some(pattern)
        } else {
            None
        }
    });
    assert_eq!(found, ["/headers", "/sessions", "/sessions"]);
}

#[actix_web::test]
async fn requirements_that_signed_credentials_can_meet_are_not_found() {
    let map = checked(WITH_IDS, |app| {
        app.route("/envelopes", route().single_use().require_scope(["jobs:read"]))
            .route(
                "/tokens",
                route()
                    .transport(Transport::Oauth2)
                    .single_use()
                    .require_scope(["jobs:read"]),
            )
            .route("/public", route().transport(Transport::Cookie).public());
    })
    .await
    .unwrap();

    assert!(map.strict().is_ok());
}

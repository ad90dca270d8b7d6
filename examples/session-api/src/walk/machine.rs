//! Step 4: machines, and people who act through a client, with access tokens of Hydra.

use std::io;

use scenario::{Promise, client::Request, text};
use serde_json::{Value, json};

use super::{ALLOWED, Walk, new_email};

/// Calls with access tokens, good ones and others.
///
/// # Errors
///
/// When Hydra gives no token, or Kratos no session.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(4, "Machines, and people through clients");
    let world = walk.world;
    let person = world.kratos.register(&new_email("carl")).await?;
    let client = world
        .hydra
        .client("jobs:read jobs:write offline", &["session-api", "other-api"])
        .await?;
    let reader = world
        .hydra
        .client_token(&client, "jobs:read", "session-api")
        .await?;
    let writer = world
        .hydra
        .client_token(&client, "jobs:read jobs:write", "session-api")
        .await?;
    let foreign = world
        .hydra
        .client_token(&client, "jobs:read", "other-api")
        .await?;
    let user = world
        .hydra
        .user_tokens(&client, &person.id, "jobs:read offline", "session-api")
        .await?;
    let user_token = text(&user, "/access_token")?;
    let list = |token: &str| Request::get("/jobs").bearer(token);
    let start = |token: &str| Request::post("/jobs", &json!({ "name": "nightly" })).bearer(token);

    let machine = json!({ "client": client.id, "user": null });
    let through = json!({ "client": client.id, "user": person.id });
    callers(walk, list(&reader), "a machine", &machine).await;
    callers(walk, list(&user_token), "a person through a client", &through).await;
    let beside = list(&reader).header("cookie", "ory_kratos_session=x");
    callers(
        walk,
        beside,
        "a session cookie beside the token is not looked at",
        &machine,
    )
    .await;
    scopes(walk, start(&reader), start(&writer)).await;

    let unauthenticated = |event, proves| Promise::new(401, event, proves);
    let inactive = "auth.failure.token_inactive";
    for (request, promise) in [
        (
            list(&foreign),
            unauthenticated("auth.failure.audience_mismatch", "a token for another service"),
        ),
        (
            list(&text(&user, "/refresh_token")?),
            unauthenticated(inactive, "a refresh token is no access token"),
        ),
        (
            list(&person.session_token),
            unauthenticated(inactive, "a session token is no access token"),
        ),
        (
            Request::get("/me").bearer(&reader),
            unauthenticated("auth.failure.session_inactive", "an access token is no session"),
        ),
        (
            Request::get("/jobs").header("x-session-token", &person.session_token),
            unauthenticated("auth.failure.missing_credential", "a session is not looked at"),
        ),
    ] {
        walk.report.ask(&world.service, request, promise).await;
    }
    world.hydra.revoke(&client, &writer).await?;
    let revoked = unauthenticated(inactive, "revoked at Hydra");
    walk.report.ask(&world.service, list(&writer), revoked).await;
    Ok(())
}

async fn callers(walk: &mut Walk<'_>, request: Request, proves: &'static str, expected: &Value) {
    let promise = Promise::new(200, ALLOWED, proves);
    if let Some(answer) = walk.report.ask(&walk.world.service, request, promise).await {
        let body = answer.json();
        walk.report
            .observe("its body", &body, "who that is", body == *expected);
    }
}

async fn scopes(walk: &mut Walk<'_>, without: Request, with: Request) {
    let service = &walk.world.service;
    let refused = Promise::new(403, "authz.scope.deny", "a missing scope is 403");
    if let Some(answer) = walk.report.ask(service, without, refused).await {
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let held = challenge.contains(r#"error="insufficient_scope""#)
            && challenge.contains(r#"scope="jobs:write""#);
        walk.report
            .observe("WWW-Authenticate", challenge, "names the scope (RFC 6750)", held);
    }
    let started = Promise::new(201, ALLOWED, "with the scope it is started");
    walk.report.ask(service, with, started).await;
}

//! Step 2: an application with a session token, a browser with a cookie.

use std::io;

use scenario::{Promise, client::Request};
use serde_json::{Value, json};

use super::{ALLOWED, Walk, new_email};

/// Registers, logs in, reads and writes.
///
/// # Errors
///
/// When Kratos gives no session.
pub(super) async fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.report.step(2, "With a session, as a token and as a cookie");
    let world = walk.world;
    let email = new_email("alice");
    let person = world.kratos.register(&email).await?;
    let cookie = world.kratos.log_in_as_browser(&email).await?;
    let token = || person.session_token.clone();

    let carriers = [
        (Request::get("/me").bearer(&token()), "`Authorization: Bearer`"),
        (
            Request::get("/me").header("x-session-token", token()),
            "`X-Session-Token`",
        ),
        (
            Request::get("/me").header("cookie", format!("theme=dark; {cookie}")),
            "the cookie",
        ),
    ];
    for (request, proves) in carriers {
        let answer = walk
            .report
            .ask(&world.service, request, Promise::new(200, ALLOWED, proves))
            .await;
        if let Some(answer) = answer {
            let me = answer.json();
            let members: Vec<_> = me
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name)
                .collect();
            let held = me.get("subject") == Some(&json!(person.id))
                && me.get("email") == Some(&json!(email))
                && me.get("aal") == Some(&json!("aal1"))
                && me.get("methods") == Some(&json!(["password"]))
                && me.get("session").is_some_and(Value::is_string)
                && members.len() == 5;
            walk.report
                .observe("its body", &me, "who that is, and nothing more", held);
        }
    }

    let refused = |proves| Promise::new(403, "authz.anonymous.deny", proves);
    walk.report
        .ask(
            &world.service,
            Request::get("/welcome").bearer(&token()),
            refused("only without a session"),
        )
        .await;
    let both = Request::get("/me")
        .bearer(&token())
        .header("cookie", cookie.clone());
    let promise = Promise::new(
        400,
        "auth.failure.malformed",
        "cookie and token together are refused",
    );
    walk.report.ask(&world.service, both, promise).await;

    writes(walk, &token(), &cookie).await;
    Ok(())
}

/// A page of another site must not write with the person's cookie.
async fn writes(walk: &mut Walk<'_>, token: &str, cookie: &str) {
    let service = &walk.world.service;
    let note = || Request::post("/notes", &json!({ "text": "milk" }));
    let by_cookie = |site: &str| {
        note()
            .header("cookie", cookie)
            .header("sec-fetch-site", site)
            .header("origin", "https://other.example")
    };
    let refused = |proves| Promise::new(403, "auth.failure.csrf", proves);
    let written = |proves| Promise::new(201, ALLOWED, proves);

    for (request, promise) in [
        (
            by_cookie("cross-site"),
            refused("a page of another site is refused"),
        ),
        (
            by_cookie("same-site"),
            refused("a page of a sibling domain is refused"),
        ),
        (
            note()
                .header("cookie", cookie)
                .header("origin", "https://other.example"),
            refused("so is an old browser's"),
        ),
        (by_cookie("same-origin"), written("the service's own page writes")),
        (
            note().bearer(token).header("sec-fetch-site", "cross-site"),
            written("a token is not sent by browsers on their own"),
        ),
    ] {
        walk.report.ask(service, request, promise).await;
    }

    let list = Request::get("/notes").bearer(token);
    let answer = walk
        .report
        .ask(
            service,
            list,
            Promise::new(200, ALLOWED, "the person's own notes"),
        )
        .await;
    let count = answer.and_then(|answer| Some(answer.json().get("notes")?.as_array()?.len()));
    walk.report.observe(
        "notes",
        count.unwrap_or_default(),
        "what was refused was not written",
        count == Some(2),
    );
}

//! Step 2: a request through the gateway arrives as the person who sent it.

use std::io;

use scenario::{Promise, client::Request};
use serde_json::{Value, json};

use crate::{step::login::LoggedIn, walk::Walk};

/// Reads the person's orders with the session token and with the cookie, and writes as a page in a browser does.
///
/// # Errors
///
/// When there is no answer.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(2, "Through the gateway");
    let world = walk.world;
    let promise = Promise::new(200, "auth.success", "the gateway's token is verified");

    let with_token = Request::get("/orders").bearer(&who.person.session_token);
    let with_cookie = Request::get("/orders").header("cookie", who.cookie.clone());
    for request in [with_token, with_cookie] {
        let answer = walk
            .ask_through(world.addresses.gateway, &world.orders_api, request, promise)
            .await;
        let body = answer.map(|response| response.json()).unwrap_or_default();
        let subject = body
            .get("user")
            .and_then(Value::as_str)
            .unwrap_or("nobody")
            .to_owned();
        walk.observe(
            "the answer's user",
            &subject,
            "it is the user's own id",
            subject == who.person.id,
        );
    }
    write_from_a_page(walk, who).await;
    health(walk).await
}

/// The gateway turns the visitor's cookie into a token for requests of any page, so the service checks the page's origin.
async fn write_from_a_page(walk: &mut Walk<'_>, who: &LoggedIn) {
    let world = walk.world;
    let place = |origin: &str| {
        Request::post("/orders", &json!({ "sku": "sku-1", "quantity": 1 }))
            .header("cookie", who.cookie.clone())
            .header("origin", origin)
    };
    let own = format!("http://{}", world.addresses.gateway);

    for (origin, promise) in [
        (
            "https://evil.example",
            Promise::new(
                403,
                "auth.failure.csrf",
                "a foreign page cannot use the cookie to write",
            ),
        ),
        (
            &own,
            Promise::new(201, "auth.success", "a page of the gateway's origin can"),
        ),
    ] {
        walk.ask_through(world.addresses.gateway, &world.orders_api, place(origin), promise)
            .await;
    }
}

/// A service declares its public routes; the gateway's rule decides whether an anonymous caller reaches them.
async fn health(walk: &mut Walk<'_>) -> io::Result<()> {
    let world = walk.world;
    let health = || Request::get("/inventory/health");

    let public = Promise::new(200, "auth.success", "health is public at the service, for probes");
    walk.ask(&world.inventory_api, health(), public).await;
    let answer = health().send(world.addresses.gateway).await?;
    walk.observe(
        "GET /inventory/health at the gateway",
        answer.status(),
        "the gateway's rule requires a session",
        answer.status() == 401,
    );
    Ok(())
}

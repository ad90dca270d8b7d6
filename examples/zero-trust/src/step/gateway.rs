//! Step 2: does a request through the gateway arrive as the person who sent it?

use std::io;

use serde_json::Value;

use crate::{
    client::Request,
    step::login::LoggedIn,
    walk::{Promise, Walk},
};

/// Reads the own orders, with the session token and with the cookie.
///
/// # Errors
///
/// When there is no answer.
pub async fn walk(walk: &mut Walk<'_>, who: &LoggedIn) -> io::Result<()> {
    walk.report.step(2, "Orders through the gateway");
    let world = walk.world;
    let promise = Promise::new(200, "auth.success", "the gateway's token is verified");

    let with_token = Request::get("/orders").bearer(&who.person.session_token);
    let with_cookie = Request::get("/orders").header("cookie", who.cookie.clone());
    for request in [with_token, with_cookie] {
        let answer = walk
            .ask_through(world.places.gateway, &world.orders_api, request, promise)
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
    Ok(())
}

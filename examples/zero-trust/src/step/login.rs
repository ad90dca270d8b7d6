//! Step 1: can people register and log in, from an application and from a browser?

use std::io;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::Request,
    walk::{Promise, Walk},
    world::{PASSWORD, Person, text},
};

/// What this step leaves behind for the others.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// Somebody with a session token.
    pub person: Person,
    /// The same person's session cookie.
    pub cookie: String,
}

/// Registers and logs in, native and as a browser with cookies.
///
/// # Errors
///
/// When an answer is so different that nothing can follow it.
pub async fn walk(walk: &mut Walk<'_>) -> io::Result<LoggedIn> {
    walk.report.step(1, "Register and log in through the gateway");
    let email = format!("alice-{}@example.com", Uuid::new_v4().simple());

    register(walk, &email).await?;
    wrong_password(walk, &email).await?;
    let person = log_in(walk, &email).await?;
    let cookie = log_in_as_browser(walk, &email).await?;
    Ok(LoggedIn { person, cookie })
}

async fn register(walk: &mut Walk<'_>, email: &str) -> io::Result<()> {
    let flow = start(walk, "/auth/registration", "a native registration starts").await?;
    let id = text(&flow, "/id")?;
    points_back(walk, &flow, &format!("/auth/registration/{id}"));
    let body = json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } });
    let request = Request::post(format!("/auth/registration/{id}"), &body);
    let done = send(
        walk,
        request,
        Promise::new(200, ALLOWED, "native registration gives a session token"),
    )
    .await?;
    Person::from_answer(&done).map(|_| ())
}

async fn wrong_password(walk: &mut Walk<'_>, email: &str) -> io::Result<()> {
    let flow = start(walk, "/auth/login", "a native login starts").await?;
    let id = text(&flow, "/id")?;
    let body = json!({ "method": "password", "identifier": email, "password": "not the password" });
    let world = walk.world;
    let response = Request::post(format!("/auth/login/{id}"), &body)
        .send(world.places.gateway)
        .await?;

    let again = response.json();
    let held = response.status() == 400
        && again.pointer("/ui/messages/0/id").and_then(Value::as_i64) == Some(4_000_006);
    walk.observe(
        "POST /auth/login/{flow}",
        response.status(),
        "a wrong password is Kratos's 400 with the flow",
        held,
    );
    points_back(walk, &again, &format!("/auth/login/{id}"));
    Ok(())
}

async fn log_in(walk: &mut Walk<'_>, email: &str) -> io::Result<Person> {
    let flow = start(walk, "/auth/login", "a native login starts").await?;
    let body = json!({ "method": "password", "identifier": email, "password": PASSWORD });
    let request = Request::post(format!("/auth/login/{}", text(&flow, "/id")?), &body);
    let done = send(
        walk,
        request,
        Promise::new(200, ALLOWED, "native login gives a session token"),
    )
    .await?;
    Person::from_answer(&done)
}

async fn log_in_as_browser(walk: &mut Walk<'_>, email: &str) -> io::Result<String> {
    let start = Request::get("/auth/login?kind=browser");
    let started = send(
        walk,
        start,
        Promise::new(200, ALLOWED, "a browser login starts and sets its CSRF cookie"),
    )
    .await?;
    let flow = started.json();
    let nodes = flow
        .pointer("/ui/nodes")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let csrf = nodes
        .iter()
        .find(|node| node.pointer("/attributes/name").and_then(Value::as_str) == Some("csrf_token"))
        .and_then(|node| node.pointer("/attributes/value"))
        .cloned()
        .unwrap_or_default();
    let path = format!("/auth/login/{}?kind=browser", text(&flow, "/id")?);
    let form = json!({ "method": "password", "identifier": email, "password": PASSWORD, "csrf_token": csrf });
    let world = walk.world;

    let forged = Request::post(path.clone(), &form)
        .send(world.places.gateway)
        .await?;
    walk.observe(
        "POST /auth/login/{flow}",
        forged.status(),
        "without the CSRF cookie it is 403",
        forged.status() == 403,
    );

    let request = Request::post(path, &form).header("cookie", started.cookies());
    let done = send(
        walk,
        request,
        Promise::new(200, ALLOWED, "with it the browser gets a session cookie"),
    )
    .await?;
    let cookie = done.cookies();
    let held = cookie.contains("ory_kratos_session=");
    walk.observe(
        "Set-Cookie",
        if held { "ory_kratos_session" } else { "nothing" },
        "the cookie is relayed",
        held,
    );
    Ok(cookie)
}

async fn start(walk: &mut Walk<'_>, path: &str, proves: &'static str) -> io::Result<Value> {
    send(walk, Request::get(path), Promise::new(200, ALLOWED, proves))
        .await
        .map(|response| response.json())
}

async fn send(
    walk: &mut Walk<'_>,
    request: Request,
    promise: Promise,
) -> io::Result<crate::client::Response> {
    let world = walk.world;
    let answer = walk
        .ask_through(world.places.gateway, &world.auth_bff, request, promise)
        .await;
    answer.ok_or_else(|| io::Error::other("nothing can follow this answer"))
}

fn points_back(walk: &mut Walk<'_>, flow: &Value, path: &str) {
    let action = flow
        .pointer("/ui/action")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let held = action
        .split('?')
        .next()
        .is_some_and(|action| action.ends_with(path))
        && !action.contains(":4433");
    walk.observe("ui.action", &action, "the form points back to the service", held);
}

const ALLOWED: &str = "auth.success";

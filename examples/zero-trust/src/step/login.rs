//! Step 1: people register and log in, from an application and from a browser.

use std::io;

use scenario::{
    Promise,
    client::{Request, Response},
    ory::{PASSWORD, Person},
    text,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::walk::Walk;

/// The results of this step for later steps.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// A person with a session token.
    pub person: Person,
    /// The same person's session cookie.
    pub cookie: String,
}

/// Registers and logs in, native and as a browser with cookies.
///
/// # Errors
///
/// When an answer lacks what the next request needs.
pub async fn walk(walk: &mut Walk<'_>) -> io::Result<LoggedIn> {
    walk.report.step(1, "Register and log in through the gateway");
    let email = format!("alice-{}@example.com", Uuid::new_v4().simple());

    register(walk, &email).await?;
    wrong_password(walk, &email).await?;
    let person = log_in(walk, &email).await?;
    register_as_browser(walk).await?;
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
    let path = format!("/auth/login/{}", text(&flow, "/id")?);
    let body = json!({ "method": "password", "identifier": email, "password": "not the password" });

    let promise = Promise::of_kratos(400, "a wrong password is Kratos's 400 with the flow");
    let again = send(walk, Request::post(path.clone(), &body), promise).await?;
    refused_in_the_form(walk, &again.json(), &path);
    Ok(())
}

/// Kratos's message, and a form that can be sent again.
fn refused_in_the_form(walk: &mut Walk<'_>, flow: &Value, path: &str) {
    let message = flow.pointer("/ui/messages/0/id").cloned().unwrap_or_default();
    walk.observe(
        "ui.messages",
        &message,
        "the flow says that the credentials are invalid",
        message.as_i64() == Some(4_000_006),
    );
    points_back(walk, flow, path);
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

/// A browser's flow: the action of its form, its anti-CSRF token, and its cookies.
struct Form {
    path: String,
    csrf: Value,
    cookies: String,
}

impl Form {
    async fn start(walk: &mut Walk<'_>, kind: &str, proves: &'static str) -> io::Result<Self> {
        let start = Request::get(format!("/auth/{kind}?kind=browser"));
        let started = send(walk, start, Promise::new(200, ALLOWED, proves)).await?;
        let flow = started.json();
        let path = format!("/auth/{kind}/{}", text(&flow, "/id")?);
        points_back(walk, &flow, &path);

        let nodes = flow.pointer("/ui/nodes").and_then(Value::as_array);
        let csrf = nodes
            .into_iter()
            .flatten()
            .find(|node| node.pointer("/attributes/name").and_then(Value::as_str) == Some("csrf_token"))
            .and_then(|node| node.pointer("/attributes/value"))
            .cloned()
            .unwrap_or_default();
        Ok(Self {
            path,
            csrf,
            cookies: started.cookies(),
        })
    }

    fn submit(&self, mut filled_in: Value) -> Request {
        if let Some(filled_in) = filled_in.as_object_mut() {
            filled_in.insert("method".to_owned(), "password".into());
            filled_in.insert("csrf_token".to_owned(), self.csrf.clone());
        }
        Request::post(format!("{}?kind=browser", self.path), &filled_in)
    }

    fn with_cookies(&self, filled_in: Value) -> Request {
        self.submit(filled_in).header("cookie", self.cookies.clone())
    }
}

async fn register_as_browser(walk: &mut Walk<'_>) -> io::Result<()> {
    let email = format!("bob-{}@example.com", Uuid::new_v4().simple());
    let form = Form::start(walk, "registration", "a browser registration starts").await?;

    let request = form.with_cookies(json!({ "password": PASSWORD, "traits": { "email": email } }));
    let promise = Promise::new(200, ALLOWED, "browser registration signs in");
    let done = send(walk, request, promise).await?;
    session_cookie(walk, &done);
    Ok(())
}

async fn log_in_as_browser(walk: &mut Walk<'_>, email: &str) -> io::Result<String> {
    let proves = "a browser login starts and sets its CSRF cookie";
    let form = Form::start(walk, "login", proves).await?;
    let right = json!({ "identifier": email, "password": PASSWORD });
    let wrong = json!({ "identifier": email, "password": "not the password" });

    let promise = Promise::of_kratos(403, "without the CSRF cookie it is Kratos's 403");
    send(walk, form.submit(right.clone()), promise).await?;
    let promise = Promise::of_kratos(400, "with it a wrong password is 400 with the flow");
    let again = send(walk, form.with_cookies(wrong), promise).await?;
    refused_in_the_form(walk, &again.json(), &form.path);

    let promise = Promise::new(200, ALLOWED, "and the right one gives a session cookie");
    let done = send(walk, form.with_cookies(right), promise).await?;
    Ok(session_cookie(walk, &done))
}

fn session_cookie(walk: &mut Walk<'_>, answer: &Response) -> String {
    let cookie = answer.cookies();
    let held = cookie.contains("ory_kratos_session=");
    walk.observe(
        "Set-Cookie",
        if held { "ory_kratos_session" } else { "nothing" },
        "the cookie is relayed",
        held,
    );
    cookie
}

async fn start(walk: &mut Walk<'_>, path: &str, proves: &'static str) -> io::Result<Value> {
    send(walk, Request::get(path), Promise::new(200, ALLOWED, proves))
        .await
        .map(|response| response.json())
}

async fn send(walk: &mut Walk<'_>, request: Request, promise: Promise) -> io::Result<Response> {
    let world = walk.world;
    let answer = walk
        .ask_through(world.addresses.gateway, &world.auth_bff, request, promise)
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

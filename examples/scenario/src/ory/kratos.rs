//! Registration, login, a second factor.

use std::{io, net::SocketAddr};

use ory_dev::kratos::{Clock, authenticator_code};
use serde_json::{Value, json};

use super::{PASSWORD, expect};
use crate::{
    client::{Request, Response},
    text,
};

/// A Kratos.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Kratos {
    /// The public port.
    pub public: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
}

/// A person with a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Person {
    /// The identity's id, which is the subject of every credential.
    pub id: String,
    /// The session's id.
    pub session: String,
    /// The session token.
    pub session_token: String,
}

impl Person {
    /// Reads the answer to a finished native login or registration.
    ///
    /// # Errors
    ///
    /// When it holds no session.
    pub fn from_answer(answer: &Response) -> io::Result<Self> {
        let body = expect(answer, 200)?;
        Ok(Self {
            id: text(&body, "/session/identity/id")?,
            session: text(&body, "/session/id")?,
            session_token: text(&body, "/session_token")?,
        })
    }
}

impl Kratos {
    /// Returns a Kratos on its two ports.
    pub fn new(public: SocketAddr, admin: SocketAddr) -> Self {
        Self { public, admin }
    }

    /// Registers a person in an application.
    ///
    /// # Errors
    ///
    /// When Kratos refuses.
    pub async fn register(&self, email: &str) -> io::Result<Person> {
        let form = json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } });
        Person::from_answer(&self.native("registration", "", None, &form).await?)
    }

    /// Logs a person in, in an application.
    ///
    /// # Errors
    ///
    /// When Kratos refuses.
    pub async fn log_in(&self, email: &str) -> io::Result<Person> {
        let form = json!({ "method": "password", "identifier": email, "password": PASSWORD });
        Person::from_answer(&self.native("login", "", None, &form).await?)
    }

    /// Logs a person in, in a browser. Returns the session's cookie as `name=value`.
    ///
    /// # Errors
    ///
    /// When Kratos refuses.
    pub async fn log_in_as_browser(&self, email: &str) -> io::Result<String> {
        let start = Request::get("/self-service/login/browser")
            .send(self.public)
            .await?;
        let flow = expect(&start, 200)?;
        let form = json!({
            "method": "password",
            "identifier": email,
            "password": PASSWORD,
            "csrf_token": node_value(&flow, "csrf_token"),
        });
        let path = format!("/self-service/login?flow={}", text(&flow, "/id")?);
        let done = Request::post(path, &form)
            .header("cookie", start.cookies())
            .send(self.public)
            .await?;

        expect(&done, 200)?;
        done.cookies()
            .split("; ")
            .find(|cookie| cookie.starts_with("ory_kratos_session="))
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other("no session cookie in the answer"))
    }

    /// Sets up an authenticator app for a person. Returns its secret.
    ///
    /// # Errors
    ///
    /// When Kratos refuses.
    pub async fn set_up_totp(&self, person: &Person) -> io::Result<String> {
        let token = Some(person.session_token.as_str());
        let flow = self.start("settings", "", token).await?;
        let secret = nodes(&flow)
            .find_map(|node| node.pointer("/attributes/text/context/secret")?.as_str())
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other("no secret for an authenticator app in the answer"))?;
        let done = self.submit("settings", &flow, token, &totp(&secret)?).await?;
        expect(&done, 200)?;
        Ok(secret)
    }

    /// Raises a person's session to the second level with the code of an authenticator app.
    ///
    /// # Errors
    ///
    /// When Kratos refuses.
    pub async fn step_up(&self, person: &Person, secret: &str) -> io::Result<Person> {
        let token = Some(person.session_token.as_str());
        Person::from_answer(&self.native("login", "?aal=aal2", token, &totp(secret)?).await?)
    }

    async fn native(
        &self,
        flow: &str,
        query: &str,
        token: Option<&str>,
        form: &Value,
    ) -> io::Result<Response> {
        let started = self.start(flow, query, token).await?;
        self.submit(flow, &started, token, form).await
    }

    async fn start(&self, flow: &str, query: &str, token: Option<&str>) -> io::Result<Value> {
        let start = with_session(Request::get(format!("/self-service/{flow}/api{query}")), token);
        expect(&start.send(self.public).await?, 200)
    }

    async fn submit(
        &self,
        flow: &str,
        started: &Value,
        token: Option<&str>,
        form: &Value,
    ) -> io::Result<Response> {
        let path = format!("/self-service/{flow}?flow={}", text(started, "/id")?);
        with_session(Request::post(path, form), token)
            .send(self.public)
            .await
    }
}

fn with_session(request: Request, token: Option<&str>) -> Request {
    match token {
        Some(token) => request.header("x-session-token", token),
        None => request,
    }
}

fn totp(secret: &str) -> io::Result<Value> {
    let code = authenticator_code(secret, &Clock::default())
        .ok_or_else(|| io::Error::other("the secret of the authenticator app cannot be read"))?;
    Ok(json!({ "method": "totp", "totp_code": code }))
}

fn nodes(flow: &Value) -> impl Iterator<Item = &Value> {
    let nodes = flow.pointer("/ui/nodes").and_then(Value::as_array);
    nodes.into_iter().flatten()
}

fn node_value(flow: &Value, name: &str) -> Value {
    nodes(flow)
        .find(|node| node.pointer("/attributes/name").and_then(Value::as_str) == Some(name))
        .and_then(|node| node.pointer("/attributes/value"))
        .cloned()
        .unwrap_or_default()
}

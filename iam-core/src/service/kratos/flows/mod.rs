//! Self-service flows, for an application with its own login and registration pages.
//!
//! A flow is created, shown, and submitted until it succeeds. Cookies and anti-CSRF tokens are exchanged between the
//! browser and Kratos. The application forwards only these parts:
//!
//! - from a browser: Kratos's cookies, and no cookie of the application;
//! - from a native client: the session token, and no cookie;
//! - never both, because Kratos may answer that with an error;
//! - to the client: Kratos's status, JSON body and cookies.

mod context;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::Value;

pub use self::context::{FlowContext, FlowKind};
use crate::{
    http::HttpClient,
    json::{self, JsonLimits},
    service::{CallError, call},
    tenant::KratosSettings,
};

/// The purpose of a flow.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Flow {
    /// Logging in.
    Login,
    /// Registering.
    Registration,
}

impl Flow {
    /// Returns the name of the flow in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Registration => "registration",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Login => "self-service/login",
            Self::Registration => "self-service/registration",
        }
    }
}

/// A client of one tenant's self-service flows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FlowClient {
    settings: Arc<KratosSettings>,
    client: Arc<dyn HttpClient>,
}

impl FlowClient {
    /// Creates a client for flows that sends its requests through `client`.
    pub fn new(settings: impl Into<Arc<KratosSettings>>, client: Arc<dyn HttpClient>) -> Self {
        Self {
            settings: settings.into(),
            client,
        }
    }

    /// Creates a flow. Kratos decides whether the return URL is allowed.
    ///
    /// # Errors
    ///
    /// [`CallError`] when Kratos gives no answer. A refusal by Kratos is an answer.
    pub async fn create(
        &self,
        flow: Flow,
        context: &FlowContext,
        return_to: Option<&str>,
    ) -> Result<FlowAnswer, CallError> {
        let kind = match context.kind() {
            FlowKind::Browser => "browser",
            FlowKind::Native => "api",
        };
        let url = format!("{}/{}/{kind}", self.settings.public_url(), flow.path());
        let query: Vec<_> = return_to
            .map(|url| ("return_to", url.to_owned()))
            .into_iter()
            .collect();

        self.send(
            Method::GET,
            &call::with_query(&url, &query),
            context,
            Bytes::new(),
        )
        .await
    }

    /// Returns a flow in its current state.
    ///
    /// # Errors
    ///
    /// As [`FlowClient::create`].
    pub async fn get(&self, flow: Flow, context: &FlowContext, id: &str) -> Result<FlowAnswer, CallError> {
        let url = format!("{}/{}/flows", self.settings.public_url(), flow.path());

        self.send(Method::GET, &with_id(&url, "id", id)?, context, Bytes::new())
            .await
    }

    /// Submits a flow with the user's input, as JSON.
    ///
    /// # Errors
    ///
    /// As [`FlowClient::create`], and [`CallError::Request`] for a body that is not a form.
    pub async fn submit(
        &self,
        flow: Flow,
        context: &FlowContext,
        id: &str,
        body: Bytes,
    ) -> Result<FlowAnswer, CallError> {
        if body.len() > MAX_SUBMISSION {
            return Err(CallError::Request);
        }
        let url = format!("{}/{}", self.settings.public_url(), flow.path());

        self.send(Method::POST, &with_id(&url, "flow", id)?, context, body)
            .await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        context: &FlowContext,
        body: Bytes,
    ) -> Result<FlowAnswer, CallError> {
        let limits = self.settings.limits();
        let mut request = call::request(method, url.to_owned(), None, context.request_id());
        request = context.credential(request);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }

        let response = call::send(&*self.client, request, body, limits).await?;
        answer(&response, JsonLimits::new(limits.max_body, MAX_DEPTH))
    }
}

fn with_id(url: &str, name: &'static str, id: &str) -> Result<String, CallError> {
    if id.is_empty() || id.len() > MAX_ID {
        return Err(CallError::Request);
    }
    Ok(call::with_query(url, &[(name, id.to_owned())]))
}

/// Reads Kratos's answer. Statuses below 500 are answers, except redirects, because JSON was requested.
fn answer(response: &Response<Bytes>, limits: JsonLimits) -> Result<FlowAnswer, CallError> {
    let status = response.status();
    if status.is_server_error() || status.is_redirection() || status.is_informational() {
        return Err(CallError::Status);
    }

    let body = json::parse_object(response.body(), limits).map_err(|_| CallError::Unreadable)?;
    let cookies = response
        .headers()
        .get_all(header::SET_COOKIE)
        .iter()
        .take(MAX_COOKIES)
        .filter_map(|cookie| cookie.to_str().ok().map(str::to_owned))
        .collect();
    Ok(FlowAnswer {
        status,
        cookies,
        body: Value::Object(body),
    })
}

/// An answer of Kratos, to be relayed to the client.
///
/// `Debug` shows only the status: body and cookies contain credentials.
#[derive(Clone, Eq, PartialEq)]
pub struct FlowAnswer {
    status: StatusCode,
    cookies: Vec<String>,
    body: Value,
}

impl FlowAnswer {
    /// Returns the status: 200, or the status of Kratos's refusal.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the values of the `Set-Cookie` headers, each to be sent on a line of its own.
    pub fn cookies(&self) -> &[String] {
        &self.cookies
    }

    /// Returns the body.
    pub const fn body(&self) -> &Value {
        &self.body
    }

    /// Returns the id of the flow, if the body is a flow.
    pub fn flow_id(&self) -> Option<&str> {
        self.body.get("ui")?;
        self.body.get("id")?.as_str()
    }

    /// Replaces the URL of the form by `action`. Has no effect on a body without a form.
    #[must_use]
    pub fn with_action(mut self, action: &str) -> Self {
        if let Some(own) = self.body.pointer_mut("/ui/action") {
            *own = Value::String(action.to_owned());
        }
        self
    }

    /// Returns status, cookies and body.
    pub fn into_parts(self) -> (StatusCode, Vec<String>, Value) {
        (self.status, self.cookies, self.body)
    }
}

impl std::fmt::Debug for FlowAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlowAnswer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The longest id of a flow. Kratos's are UUIDs.
const MAX_ID: usize = 128;

/// The largest submission, in bytes.
const MAX_SUBMISSION: usize = 64 << 10;

/// The largest number of cookies in one answer.
const MAX_COOKIES: usize = 32;

/// The deepest nesting of an answer: a form in a flow in an error.
const MAX_DEPTH: usize = 32;

#[cfg(test)]
mod tests;

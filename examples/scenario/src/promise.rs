//! Sends requests and checks the promises about their answers.

use std::net::SocketAddr;

use serde_json::Value;
use uuid::Uuid;

use crate::{
    Report, RunningService,
    client::{Request, Response},
};

/// The expected answer to a request.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// The status code.
    pub status: u16,
    /// The name of the audit event.
    pub event: &'static str,
    /// The property that it proves.
    pub proves: &'static str,
    body: Body,
}

/// The origin of a body.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// Kratos: any JSON.
    Kratos,
    /// The gate or a handler: problem details where the request is refused.
    Ours,
}

impl Promise {
    /// Promises a status code and an audit event.
    pub const fn new(status: u16, event: &'static str, proves: &'static str) -> Self {
        Self {
            status,
            event,
            proves,
            body: Body::Ours,
        }
    }

    /// Promises an answer of Kratos, relayed by a service whose gate allowed the request.
    pub const fn of_kratos(status: u16, proves: &'static str) -> Self {
        Self {
            status,
            event: "auth.success",
            proves,
            body: Body::Kratos,
        }
    }
}

impl Report {
    /// Sends a request to a service and checks status, body and audit event against a promise.
    pub async fn ask(
        &mut self,
        service: &RunningService,
        request: Request,
        promise: Promise,
    ) -> Option<Response> {
        self.ask_through(service.address, service, request, promise).await
    }

    /// Sends a request through another server, such as the gateway.
    pub async fn ask_through(
        &mut self,
        through: SocketAddr,
        service: &RunningService,
        request: Request,
        promise: Promise,
    ) -> Option<Response> {
        let asked = request.line();
        let id = Uuid::new_v4().to_string();
        let response = match request.header("x-request-id", &id).send(through).await {
            Ok(response) => response,
            Err(err) => {
                self.promise(&asked, &format!("no answer: {err}"), promise.proves, false);
                return None;
            }
        };
        let event = service.audit.of(&id).await;

        let event = event
            .as_ref()
            .map_or("no audit event", |event| event.event.as_str());
        let fault = match promise.body {
            Body::Kratos => response.json().is_null().then_some("(no JSON)"),
            Body::Ours => body_fault(&response),
        };
        let fault = fault.unwrap_or_default();
        let answered = format!("{} {event} {fault}", response.status());
        let held = response.status() == promise.status && event == promise.event && fault.is_empty();
        self.promise(&asked, &answered, promise.proves, held);
        held.then_some(response)
    }

    /// Records a promise about an observation.
    pub fn observe(&mut self, what: &str, seen: impl std::fmt::Display, proves: &str, held: bool) {
        self.promise(what, &seen.to_string(), proves, held);
    }
}

/// Returns the fault of a response: a refusal is problem details (RFC 9457), repeats the status, has the headers that the status
/// requires and must not be stored.
fn body_fault(response: &Response) -> Option<&'static str> {
    let status = response.status();
    if status == 204 {
        return None;
    }
    if status < 400 {
        return response.json().is_null().then_some("(no JSON)");
    }
    let challenged = response.header("www-authenticate").is_some();
    if status == 401 && !challenged {
        return Some("(no challenge)");
    }
    if status == 503 && response.header("retry-after").is_none() {
        return Some("(no Retry-After)");
    }
    if response.header("content-type") != Some("application/problem+json") {
        return Some("(no problem details)");
    }
    if response.header("cache-control") != Some("no-store") {
        return Some("(may be stored)");
    }
    let repeated = response.json().get("status").and_then(Value::as_u64) == Some(u64::from(status));
    (!repeated).then_some("(another status in the body)")
}

//! The API listener: rules, keys, health and decisions.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{ACCEPT, CONTENT_LENGTH},
    },
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::oathkeeper::{
    gate::{Gate, Incoming, end_to_end, host_of, is_host},
    proxy::Clients,
    refusal::{Refusal, json_line},
    target::Target,
};

/// Answers one request to the API.
pub(crate) async fn api(request: HttpRequest, gate: Arc<Gate>, clients: Clients) -> HttpResponse {
    let path = request.uri().path();
    if path == DECISIONS
        || path
            .strip_prefix(DECISIONS)
            .is_some_and(|rest| rest.starts_with('/'))
    {
        return decide(&request, &gate, &clients).await;
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return not_found(&request);
    }
    match path {
        "/rules" => rules(&request, &gate),
        "/.well-known/jwks.json" => keys(&gate),
        "/health/ready" if gate.rules.is_empty() => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header(("Content-Type", "application/json"));
            json_line(
                &mut response,
                &json!({"errors": {"rules": "The requested resource could not be found"}}),
            )
        }
        "/health/alive" | "/health/ready" => json_ok(&json!({"status": "ok"})),
        _ => match path.strip_prefix("/rules/") {
            Some(id) if !id.is_empty() && !id.contains('/') => rule(&request, &gate, id),
            Some(_) | None => not_found(&request),
        },
    }
}

fn rules(request: &HttpRequest, gate: &Gate) -> HttpResponse {
    let parameter = |name: &str| {
        url::form_urlencoded::parse(request.query_string().as_bytes())
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.parse::<i64>().ok())
    };
    let limit = usize::try_from(parameter("limit").unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)).unwrap_or(0);
    let offset = usize::try_from(parameter("offset").unwrap_or(0)).unwrap_or(0);
    let shown: Vec<_> = gate
        .rules
        .iter()
        .skip(offset)
        .take(limit)
        .map(|rule| &rule.shown)
        .collect();
    json_ok(&shown)
}

fn rule(request: &HttpRequest, gate: &Gate, id: &str) -> HttpResponse {
    let Ok(id) = Target::parse(&format!("/{id}"), None).map(|target| target.path()) else {
        return not_found(request);
    };
    let found = gate
        .rules
        .iter()
        .find(|rule| id.strip_prefix('/') == Some(rule.id()));
    found.map_or_else(
        || Refusal::no_resource().into_response(request_id(request)),
        |rule| json_ok(&rule.shown),
    )
}

fn keys(gate: &Gate) -> HttpResponse {
    let keys: Vec<Value> = gate
        .mint
        .rings
        .values()
        .flat_map(|ring| ring.keys().public().to_vec())
        .collect();
    json_ok(&json!({ "keys": keys }))
}

/// Decides about the request that the headers describe, without forwarding it.
async fn decide(request: &HttpRequest, gate: &Gate, clients: &Clients) -> HttpResponse {
    let described = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let method = described("x-forwarded-method").map_or_else(
        || Ok(request.method().clone()),
        |method| Method::from_bytes(method.as_bytes()),
    );
    let path = described("x-forwarded-uri")
        .map(|uri| uri.split('?').next().unwrap_or_default().to_owned())
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| {
            request
                .uri()
                .path()
                .strip_prefix(DECISIONS)
                .unwrap_or_default()
                .to_owned()
        });
    let host = match described("x-forwarded-host") {
        Some(host) => is_host(&host).then_some(host),
        None => host_of(request),
    };
    let target = Target::parse(&path, request.uri().query());
    let (Ok(method), Ok(target), Some(host)) = (method, target, host) else {
        return HttpResponse::BadRequest()
            .content_type("text/plain; charset=utf-8")
            .body("400 Bad Request");
    };
    // Nothing is forwarded, so the describing headers are kept, as in the real gateway.
    let mut headers = request.headers().clone();
    headers.remove("host");
    let incoming = Incoming {
        method,
        scheme: described("x-forwarded-proto").unwrap_or_else(|| "http".to_owned()),
        host,
        target,
        headers,
    };

    match gate.admit(clients.for_checks(), &incoming).await {
        Err(refusal) => gate.worded(refusal).into_response(request_id(request)),
        Ok((_, session)) => {
            let mut response = HttpResponse::Ok();
            // Connection headers are omitted; the answer holds only headers for the service.
            for (name, value) in end_to_end(&session.headers, true) {
                if name != CONTENT_LENGTH {
                    response.insert_header((name, value));
                }
            }
            response.finish()
        }
    }
}

fn json_ok(value: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(("Content-Type", "application/json; charset=utf-8"));
    json_line(&mut response, value)
}

fn request_id(request: &HttpRequest) -> Option<&str> {
    request
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
}

/// The 404 page, in the media type that the caller prefers.
fn not_found(request: &HttpRequest) -> HttpResponse {
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let wanted = accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .find(|range| matches!(*range, "text/html" | "text/plain" | "application/json"));
    let mut response = HttpResponse::NotFound();
    match wanted {
        Some("application/json") => {
            response.insert_header(("Content-Type", "application/json; charset=utf-8"));
            let error = json!({"code": 404, "message": "Not Found", "reason": NOT_FOUND});
            json_line(&mut response, &json!({ "error": error }))
        }
        Some("text/plain") => {
            response.insert_header(("Content-Type", "text/plain; charset=utf-8"));
            response.body(format!("Error 404 - {NOT_FOUND}"))
        }
        Some(_) | None => {
            response.insert_header(("Content-Type", "text/html; charset=utf-8"));
            response.body(include_str!("404.html"))
        }
    }
}

const DECISIONS: &str = "/decisions";

const DEFAULT_LIMIT: i64 = 50;

const MAX_LIMIT: i64 = 500;

const NOT_FOUND: &str =
    "The requested route does not exist. Make sure you are using the right path, domain, and port.";

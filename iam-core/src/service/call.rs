//! One upstream call: build the request, send it, check the status.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Builder};
use url::form_urlencoded::Serializer;

use crate::{
    http::{CallLimits, HttpClient, TransportError},
    secret::Secret,
};

/// Why an upstream call failed. Holds nothing of the request or the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The upstream refuses the credential of this service, or its permissions. The configuration must be changed.
    #[error("the upstream refuses the credential of this service")]
    Credential,
    /// The request cannot be written as HTTP.
    #[error("the request cannot be sent")]
    Request,
    /// The upstream responded with an unexpected status.
    #[error("the upstream responded with an unexpected status")]
    Status,
    /// No response.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The response has an unexpected format.
    #[error("the upstream's response cannot be read")]
    Unreadable,
}

impl CallError {
    /// Returns the stable code of the error, as written in audit events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Credential => "upstream_refuses_credential",
            Self::Request => "upstream_request",
            Self::Status => "upstream_status",
            Self::Transport(TransportError::Busy) => "upstream_busy",
            Self::Transport(TransportError::Cancel) => "upstream_cancelled",
            Self::Transport(TransportError::Connect) => "upstream_connect",
            Self::Transport(TransportError::Protocol) => "upstream_protocol",
            Self::Transport(TransportError::Timeout) => "upstream_timeout",
            Self::Transport(TransportError::Tls) => "upstream_tls",
            Self::Transport(TransportError::TooLarge) => "upstream_too_large",
            Self::Unreadable => "upstream_unreadable",
        }
    }
}

/// Starts a request that accepts JSON and carries the request id.
pub(super) fn request(method: Method, url: String, token: Option<&Secret>, request_id: &str) -> Builder {
    let mut builder = Request::builder()
        .method(method)
        .uri(url)
        .header(header::ACCEPT, "application/json");

    if let Some(token) = token
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
    {
        value.set_sensitive(true);
        builder = builder.header(header::AUTHORIZATION, value);
    }
    // An invalid id is left out: it came from a caller.
    match HeaderValue::from_str(request_id) {
        Ok(id) if !id.is_empty() && id.len() <= MAX_REQUEST_ID => builder.header("x-request-id", id),
        Ok(_) | Err(_) => builder,
    }
}

/// Writes a URL with a query.
pub(super) fn with_query(url: &str, pairs: &[(&str, String)]) -> String {
    if pairs.is_empty() {
        return url.to_owned();
    }

    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{url}?{query}")
}

pub(super) async fn send(
    client: &dyn HttpClient,
    builder: Builder,
    body: Bytes,
    limits: CallLimits,
) -> Result<Response<Bytes>, CallError> {
    let request = builder.body(body).map_err(|_| CallError::Request)?;
    let response = client.send(request, limits).await?;

    // Checked again here: the decoders must not rely on the client.
    if response.body().len() > limits.max_body {
        return Err(TransportError::TooLarge.into());
    }
    Ok(response)
}

/// Requires one status.
pub(super) fn expect(response: &Response<Bytes>, expected: StatusCode) -> Result<(), CallError> {
    match response.status() {
        status if status == expected => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(CallError::Credential),
        _ => Err(CallError::Status),
    }
}

/// Tells whether a response declares JSON in its one `Content-Type`, with or without parameters.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let kind = line
        .as_bytes()
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();

    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

const MAX_REQUEST_ID: usize = 128;

//! Form bodies and JSON bodies. The first field of a name counts.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
    web::{Bytes, Payload},
};
use serde_json::Value;

use super::answer::Refusal;

/// The fields of a form.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body of a request to an OAuth 2 endpoint. An empty body is rejected.
    pub(crate) async fn read(request: &HttpRequest, body: Payload) -> Result<Self, Refusal> {
        let media = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let media = media
            .and_then(|value| value.split(';').next())
            .map_or("", str::trim);
        let body = read_body(body).await?;
        if body.is_empty() {
            return Err(Refusal::invalid_request().hint("The POST body can not be empty."));
        }
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::invalid_request().hint(
                "Unable to parse HTTP body, make sure to send a properly formatted form request body.",
            ));
        }
        Ok(Self::parse(&body))
    }

    pub(crate) fn parse(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Returns the first field of that name, or an empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Returns the space-separated words of a field.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        self.text(name)
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Reads a JSON body of the admin interface.
pub(crate) async fn read_json(body: Payload) -> Result<Value, Refusal> {
    let body = read_body(body).await?;
    serde_json::from_slice(&body).map_err(|_| {
        Refusal::admin(
            StatusCode::BAD_REQUEST,
            "Bad Request",
            "Unable to decode the request body as JSON",
        )
    })
}

async fn read_body(body: Payload) -> Result<Bytes, Refusal> {
    match body.to_bytes_limited(MAX_BODY).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Refusal::invalid_request().hint("The request body could not be read.")),
        Err(_) => Err(Refusal::admin(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Request Entity Too Large",
            "The request body is too large",
        )),
    }
}

const MAX_BODY: usize = 256 * 1024;

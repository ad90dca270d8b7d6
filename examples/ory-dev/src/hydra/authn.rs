//! Client authentication at the token and revocation endpoints.

use std::sync::Arc;

use actix_web::{HttpRequest, http::header};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    answer::Refusal,
    client::{AuthMethod, Client},
    form::Form,
    shared::Shared,
};

/// Authenticates the client of a request. The request must use the method that is configured for the client.
pub(crate) fn authenticate(
    shared: &Shared,
    request: &HttpRequest,
    form: &Form,
) -> Result<Arc<Client>, Refusal> {
    let presented = Presented::by(request, form)?;
    let client = shared.store().client(&presented.id).map(Arc::clone);
    let client = client.ok_or_else(Refusal::invalid_client)?;

    let (wanted, used) = (client.auth_method(), presented.method);
    if used != AuthMethod::None && used != wanted {
        let (wanted, used) = (wanted.name(), used.name());
        return Err(Refusal::invalid_client().hint(format!(
            "The OAuth 2.0 Client supports client authentication method '{wanted}', but method '{used}' was \
             requested. You must configure the OAuth 2.0 client's 'token_endpoint_auth_method' value to accept \
             '{used}'."
        )));
    }
    if wanted == AuthMethod::None || client.has_secret(&presented.secret) {
        Ok(client)
    } else {
        Err(Refusal::invalid_client())
    }
}

/// The client credentials of a request. *Unverified.*
struct Presented {
    id: String,
    secret: String,
    method: AuthMethod,
}

impl Presented {
    fn by(request: &HttpRequest, form: &Form) -> Result<Self, Refusal> {
        if let Some((id, secret)) = basic(request)? {
            let method = if secret.is_empty() {
                AuthMethod::None
            } else {
                AuthMethod::Basic
            };
            return Ok(Self { id, secret, method });
        }
        let (id, secret) = (form.text("client_id"), form.text("client_secret"));
        if id.is_empty() {
            return Err(Refusal::invalid_request()
                .hint("Client credentials missing or malformed in both HTTP Authorization header and HTTP POST body."));
        }
        Ok(Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            method: if secret.is_empty() {
                AuthMethod::None
            } else {
                AuthMethod::Post
            },
        })
    }
}

/// Returns the id and the secret of the `Authorization` header. Both are percent-encoded in it (RFC 6749 §2.3.1).
fn basic(request: &HttpRequest) -> Result<Option<(String, String)>, Refusal> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let Some((scheme, credentials)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = STANDARD.decode(credentials.trim()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_ref().and_then(|text| text.split_once(':'));
    match pair {
        Some((id, secret)) => Ok(Some((form_decoded(id), form_decoded(secret)))),
        None => Err(Refusal::invalid_request().hint("The HTTP Authorization header is malformed.")),
    }
}

fn form_decoded(text: &str) -> String {
    // A form with one field, named by the text.
    url::form_urlencoded::parse(text.replace('&', "%26").replace('=', "%3D").as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

//! Introspects access tokens (RFC 7662): `POST /admin/oauth2/introspect` of Hydra's admin port.
//!
//! The answer is read strictly: a missing or mistyped member is no answer (503). Whether the values are good is decided by
//! [`TokenLookup::conclude`](crate::authenticate::TokenLookup::conclude).

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Builder};
use serde_json::{Map, Value};
use url::form_urlencoded::Serializer;

use crate::{
    ascii,
    clock::Timestamp,
    decision::{Reason, Refusal},
    http::HttpClient,
    json::{self, JsonLimits},
    jwt::{MAX_NAME_BYTES, is_blank, numeric_date},
    secret::Secret,
    service::{CallError, Validity, call, validity::MAX_KEPT_BODY},
    tenant::HydraSettings,
};

/// Asks whether an access token is active.
///
/// The request holds the token, this service's own credential and the request id; nothing else of the caller.
///
/// The future borrows nothing: it may outlive the request that waits for it.
///
/// # Errors
///
/// [`Reason::IntrospectionUnavailable`] when there is no usable answer, also where the endpoint refuses the credential of this
/// service.
pub fn introspect(
    settings: &Arc<HydraSettings>,
    client: &Arc<dyn HttpClient>,
    token: &Secret,
    request_id: &str,
) -> impl Future<Output = Result<Introspection, Refusal>> + Send + 'static + use<> {
    let (settings, client) = (Arc::clone(settings), Arc::clone(client));
    let request = request(&settings, token, request_id);

    async move {
        let (builder, body) = request;
        let response = call::send(&*client, builder, body, settings.limits)
            .await
            .map_err(unavailable)?;
        read(&response, settings.limits.max_body).map_err(unavailable)
    }
}

/// What the endpoint says about a token.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an answer that is not known must not be taken for another one"
)]
pub enum Introspection {
    /// The token is active. Its members are still to be checked.
    Active(Arc<IntrospectedToken>),
    /// The token is unknown, expired, revoked, or no token that the endpoint tells about.
    Inactive,
}

impl Introspection {
    /// Returns how long the answer may be kept. One of more than 64 KiB about an active token is never kept.
    pub fn validity(&self) -> Validity {
        match self {
            // The token of nobody is no answer (R078): the next request asks again.
            Self::Active(told) if told.names_nobody() => Validity::Never,
            Self::Active(told) if told.body_bytes > MAX_KEPT_BODY => Validity::Never,
            Self::Active(told) => Validity::Until(told.expires_at),
            Self::Inactive => Validity::Refusal,
        }
    }

    /// Returns `sub` of an active token.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Active(told) => told.subject.as_deref(),
            Self::Inactive => None,
        }
    }
}

/// The members of the answer about an active token: of the right type, their values *unverified*.
#[derive(Clone)]
pub struct IntrospectedToken {
    pub(crate) audience: Vec<String>,
    /// The length of the answer.
    body_bytes: usize,
    pub(crate) client_id: Option<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) ext: Map<String, Value>,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) issuer: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) scope: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) token_type: Option<String>,
    pub(crate) token_use: Option<String>,
    pub(crate) username: Option<String>,
}

impl IntrospectedToken {
    fn names_nobody(&self) -> bool {
        match &self.subject {
            Some(subject) => subject.is_empty(),
            None => self.client_id.is_none(),
        }
    }

    /// Returns `exp`: nothing that is remembered about the token may be used at or after this time.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Prints no member: they are personal data.
impl fmt::Debug for IntrospectedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectedToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Builds the request. RFC 7662 §2.1: the token stands in the body, never in the URL.
fn request(settings: &HydraSettings, token: &Secret, request_id: &str) -> (Builder, Bytes) {
    let url = format!("{}/admin/oauth2/introspect", settings.admin_url);
    let mut builder = call::request(Method::POST, url, None, request_id)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(credential) = &settings.credential
        && let Ok(mut value) = HeaderValue::from_str(credential.expose())
    {
        value.set_sensitive(true);
        builder = builder.header(header::AUTHORIZATION, value);
    }

    let body = Serializer::new(String::new())
        .append_pair("token", token.expose())
        .finish();
    (builder, Bytes::from(body))
}

/// Reads the answer: 200 and a JSON object whose `active` is a boolean (R074, D30).
fn read(response: &Response<Bytes>, max_body: usize) -> Result<Introspection, CallError> {
    call::expect(response, StatusCode::OK)?;
    if !call::is_json(response.headers()) {
        return Err(CallError::Unreadable);
    }
    let members = json::parse_object(response.body(), JsonLimits::new(max_body, MAX_DEPTH))
        .map_err(|_| CallError::Unreadable)?;

    match members.get("active") {
        // R075: the other members of an inactive token mean nothing.
        Some(Value::Bool(false)) => Ok(Introspection::Inactive),
        Some(Value::Bool(true)) => {
            token(&members, response.body().len()).map(|token| Introspection::Active(Arc::new(token)))
        }
        Some(Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_))
        | None => Err(CallError::Unreadable),
    }
}

fn token(members: &Map<String, Value>, body_bytes: usize) -> Result<IntrospectedToken, CallError> {
    Ok(IntrospectedToken {
        audience: audience(members.get("aud"))?,
        body_bytes,
        client_id: name(members, "client_id")?.filter(|id| !id.is_empty()),
        expires_at: time(members, "exp")?.ok_or(CallError::Unreadable)?,
        ext: match members.get("ext") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(ext)) => ext.clone(),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                return Err(CallError::Unreadable);
            }
        },
        issued_at: time(members, "iat")?,
        issuer: text(members, "iss")?.ok_or(CallError::Unreadable)?,
        not_before: time(members, "nbf")?,
        scope: text(members, "scope")?,
        subject: name(members, "sub")?,
        token_type: text(members, "token_type")?,
        token_use: text(members, "token_use")?,
        username: text(members, "username")?,
    })
}

fn text(members: &Map<String, Value>, member: &str) -> Result<Option<String>, CallError> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(CallError::Unreadable)
        }
    }
}

/// Reads an id, which will be compared and logged. An empty one is read: an empty `sub` must not pass for an absent one.
fn name(members: &Map<String, Value>, member: &str) -> Result<Option<String>, CallError> {
    match text(members, member)? {
        Some(name)
            if name.len() > MAX_NAME_BYTES
                || ascii::has_control(&name)
                || (is_blank(&name) && !name.is_empty()) =>
        {
            Err(CallError::Unreadable)
        }
        name => Ok(name),
    }
}

fn time(members: &Map<String, Value>, member: &str) -> Result<Option<Timestamp>, CallError> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::Number(number)) => numeric_date(number).map(Some).ok_or(CallError::Unreadable),
        Some(Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => {
            Err(CallError::Unreadable)
        }
    }
}

/// RFC 7662 §2.2: a string or a list of strings. Hydra writes `[]` where no audience was asked for.
fn audience(value: Option<&Value>) -> Result<Vec<String>, CallError> {
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or(CallError::Unreadable);
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => all.iter().map(one).collect(),
        Some(value) => one(value).map(|one| vec![one]),
    }
}

/// R079, D77: also a refusal of our own credential is an outage to the caller.
fn unavailable(err: CallError) -> Refusal {
    Refusal::with_detail(Reason::IntrospectionUnavailable, err.code())
}

/// The nesting depth of the deepest answer: `ext` holds what a consent application chooses.
const MAX_DEPTH: usize = 16;

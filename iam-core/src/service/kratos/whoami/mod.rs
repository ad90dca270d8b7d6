//! Asks Kratos whose session a credential stands for: `GET /sessions/whoami`.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Builder};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    ascii,
    clock::Timestamp,
    credential::{SESSION_TOKEN, SessionCarrier, SessionCredential},
    decision::{Reason, Refusal},
    http::HttpClient,
    json::{self, JsonLimits},
    principal::{AssuranceLevel, AuthenticationMethod, Device, Session},
    service::{CallError, Validity, call, validity::MAX_KEPT_BODY},
    tenant::KratosSettings,
};

/// Asks Kratos about one credential. Nothing of the caller's request is sent but the credential and the request id.
///
/// The future borrows nothing: it may outlive the request that waits for it.
///
/// # Errors
///
/// [`Reason::SessionUnavailable`] for anything but an answer about a session.
pub fn whoami(
    settings: &KratosSettings,
    client: &Arc<dyn HttpClient>,
    credential: &SessionCredential,
    request_id: &str,
) -> impl Future<Output = Result<Whoami, Refusal>> + Send + 'static + use<> {
    let request = request(settings, credential, request_id);
    let (client, limits) = (Arc::clone(client), settings.limits());
    async move {
        let request = request.map_err(unavailable)?;
        let response = call::send(&*client, request, Bytes::new(), limits)
            .await
            .map_err(unavailable)?;

        answer(&response, JsonLimits::new(limits.max_body, MAX_DEPTH)).map_err(unavailable)
    }
}

fn request(
    settings: &KratosSettings,
    credential: &SessionCredential,
    request_id: &str,
) -> Result<Builder, CallError> {
    // A token always goes into the header that no other server reads.
    let (name, value) = match credential.carrier() {
        SessionCarrier::Cookie => {
            let prefix = format!("{}=", settings.session_cookie());
            (
                header::COOKIE.as_str(),
                [prefix.as_bytes(), credential.expose()].concat(),
            )
        }
        SessionCarrier::Token => (SESSION_TOKEN, credential.expose().to_vec()),
    };
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| CallError::Request)?;
    value.set_sensitive(true);

    let url = format!("{}/sessions/whoami", settings.public_url());
    Ok(call::request(Method::GET, url, None, request_id).header(name, value))
}

/// What Kratos says about a credential. *Unverified* until [`conclude`](crate::authenticate::SessionLookup::conclude) has checked it.
#[derive(Clone, Debug)]
pub struct Whoami(pub(crate) Finding);

#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// 403 `session_aal2_required`.
    SecondFactorDue,
    Session(Found),
    /// 401 with an error of Kratos.
    Unknown,
}

/// A session of a 200. INVARIANT: it leaves this crate through `conclude` only.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) is_active: bool,
    pub(crate) is_of_active_identity: bool,
    pub(crate) session: Arc<Session>,
    /// The length of the answer.
    body_bytes: usize,
}

impl Whoami {
    /// Returns when the session ends, if the answer is a session: an answer is of no use after that.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.session().map(Session::expires_at)
    }

    /// Returns how long the answer may be kept, where every session must have a level.
    ///
    /// A session that lacks a factor is never kept: its person is about to prove it, and the session counts as soon as that is done.
    /// An answer of more than 64 KiB about a session is never kept either.
    pub fn validity(&self, required: AssuranceLevel) -> Validity {
        match &self.0 {
            Finding::SecondFactorDue => Validity::Never,
            Finding::Session(found) if found.body_bytes > MAX_KEPT_BODY => Validity::Never,
            Finding::Session(found) if !(found.is_active && found.is_of_active_identity) => Validity::Refusal,
            Finding::Session(found) if found.session.aal() < required => Validity::Never,
            Finding::Session(found) => Validity::Until(found.session.expires_at()),
            Finding::Unknown => Validity::Refusal,
        }
    }

    /// Returns the id of the session, if the answer is one.
    pub fn session_id(&self) -> Option<&str> {
        self.session().map(Session::id)
    }

    /// Returns the id of the identity, if the answer is a session.
    pub fn identity_id(&self) -> Option<&str> {
        self.session().map(Session::identity_id)
    }

    fn session(&self) -> Option<&Session> {
        match &self.0 {
            Finding::Session(found) => Some(&found.session),
            Finding::SecondFactorDue | Finding::Unknown => None,
        }
    }
}

/// Reads an answer. What is not recorded of Kratos is no answer about a session.
fn answer(response: &Response<Bytes>, limits: JsonLimits) -> Result<Whoami, CallError> {
    let finding = match response.status() {
        StatusCode::OK => {
            let body = object(response, limits)?;
            Finding::Session(found(&body, response.body().len()).ok_or(CallError::Unreadable)?)
        }
        // Unknown, revoked, expired, or of an inactive or deleted identity: Kratos tells none of them apart.
        // A 401 of something else, such as a proxy in front of Kratos, would end the sessions of everybody.
        StatusCode::UNAUTHORIZED if has_error(&object(response, limits)?) => Finding::Unknown,
        StatusCode::UNAUTHORIZED => return Err(CallError::Unreadable),
        StatusCode::FORBIDDEN if error_id(&object(response, limits)?) == Some(SECOND_FACTOR_DUE) => {
            Finding::SecondFactorDue
        }
        _ => return Err(CallError::Status),
    };
    Ok(Whoami(finding))
}

fn object(response: &Response<Bytes>, limits: JsonLimits) -> Result<Value, CallError> {
    if !call::is_json(response.headers()) {
        return Err(CallError::Unreadable);
    }
    json::parse_object(response.body(), limits)
        .map(Value::Object)
        .map_err(|_| CallError::Unreadable)
}

/// Tells whether a body has the form of Kratos's errors.
fn has_error(body: &Value) -> bool {
    body.get("error").is_some_and(Value::is_object)
}

fn error_id(body: &Value) -> Option<&str> {
    body.pointer("/error/id")?.as_str()
}

fn found(body: &Value, body_bytes: usize) -> Option<Found> {
    let wire = WireSession::deserialize(body).ok()?;
    let identity = wire.identity;
    let session = Session {
        id: id(wire.id)?,
        authenticated_at: Timestamp::from_rfc3339(&wire.authenticated_at)?,
        expires_at: Timestamp::from_rfc3339(&wire.expires_at)?,
        aal: wire.authenticator_assurance_level,
        methods: wire
            .authentication_methods
            .unwrap_or_default()
            .into_iter()
            .map(method)
            .collect::<Option<_>>()?,
        devices: wire.devices.unwrap_or_default().into_iter().map(device).collect(),
        actor: format!("user:{}", identity.id),
        identity_id: id(identity.id)?,
        schema_id: identity.schema_id,
        traits: identity.traits,
        metadata_public: identity.metadata_public,
    };

    Some(Found {
        is_active: wire.active,
        is_of_active_identity: match identity.state {
            WireState::Active => true,
            WireState::Inactive => false,
        },
        session: Arc::new(session),
        body_bytes,
    })
}

/// D11, D32: nobody is called nothing. An id ends in relation tuples and audit events.
fn id(text: String) -> Option<String> {
    let is_id = !text.trim().is_empty() && text.len() <= MAX_ID && !ascii::has_control(&text);
    is_id.then_some(text)
}

fn method(wire: WireMethod) -> Option<AuthenticationMethod> {
    let completed_at = match wire.completed_at {
        Some(text) => Some(Timestamp::from_rfc3339(&text)?),
        None => None,
    };
    Some(AuthenticationMethod {
        method: wire.method,
        aal: wire.aal,
        completed_at,
    })
}

fn device(wire: WireDevice) -> Device {
    Device {
        id: wire.id,
        ip_address: wire.ip_address,
        user_agent: wire.user_agent,
        location: wire.location,
    }
}

fn unavailable(err: CallError) -> Refusal {
    Refusal::with_detail(Reason::SessionUnavailable, err.code())
}

/// The id of Kratos's error about a session whose second factor is due.
const SECOND_FACTOR_DUE: &str = "session_aal2_required";

/// Traits are nested no deeper than their form.
const MAX_DEPTH: usize = 32;

/// The longest id, in bytes. Kratos's are UUIDs.
const MAX_ID: usize = 255;

/// `session` of Kratos's API. Members that are not read here may be added by Kratos at any time.
#[derive(Deserialize)]
struct WireSession {
    id: String,
    active: bool,
    expires_at: String,
    authenticated_at: String,
    authenticator_assurance_level: AssuranceLevel,
    authentication_methods: Option<Vec<WireMethod>>,
    identity: WireIdentity,
    devices: Option<Vec<WireDevice>>,
}

#[derive(Deserialize)]
struct WireMethod {
    method: String,
    aal: Option<AssuranceLevel>,
    completed_at: Option<String>,
}

#[derive(Deserialize)]
struct WireIdentity {
    id: String,
    schema_id: String,
    state: WireState,
    traits: Value,
    metadata_public: Option<Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireState {
    Active,
    Inactive,
}

#[derive(Deserialize)]
struct WireDevice {
    id: String,
    ip_address: Option<String>,
    user_agent: Option<String>,
    location: Option<String>,
}

#[cfg(test)]
mod tests;

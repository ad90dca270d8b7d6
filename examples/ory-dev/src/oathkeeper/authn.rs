//! Authenticators. Each one accepts the caller, rejects the caller, or is not responsible.

use actix_web::http::{
    Method,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue},
};
use awc::Client;
use serde_json::Value;
use url::Url;

use crate::oathkeeper::{
    gate::Incoming,
    introspection::Introspection,
    proxy::send_empty,
    refusal::Refusal,
    session::{JsonPath, Session},
};

/// One authenticator of a rule, with its configuration.
#[derive(Debug, Clone)]
pub(crate) enum Authenticator {
    /// Accepts requests without an `Authorization` header.
    Anonymous { subject: String },
    /// Accepts every request, without a subject.
    Noop,
    /// Asks an introspection endpoint.
    Introspection(Box<Introspection>),
    /// Asks a session service.
    Session(Box<SessionCheck>),
    /// Rejects every request.
    Unauthorized,
}

/// The result of one authenticator.
#[derive(Debug)]
pub(crate) enum Outcome {
    Known(Session),
    NotResponsible,
    Refused(Refusal),
}

/// How a session service is called, and which parts of its answer are used.
#[derive(Debug, Clone)]
pub(crate) struct SessionCheck {
    pub(crate) credential: Credential,
    pub(crate) url: Url,
    /// Calls the path of the URL instead of the original request's path.
    pub(crate) preserve_path: bool,
    /// Sends the query of the URL instead of the original request's query.
    pub(crate) preserve_query: bool,
    /// Sends the original `Host` as `X-Forwarded-Host`.
    pub(crate) preserve_host: bool,
    /// The method of the call; defaults to the original request's method.
    pub(crate) force_method: Option<Method>,
    pub(crate) forward_headers: Vec<HeaderName>,
    pub(crate) additional_headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) subject_from: JsonPath,
    pub(crate) extra_from: JsonPath,
}

/// The credential that makes a session check responsible for a request.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// One of these cookies; any cookie when the list is empty.
    Cookie { only: Vec<String> },
    /// A token that starts with the prefix.
    Token { place: TokenPlace, prefix: String },
}

/// Where a request carries a token.
#[derive(Debug, Clone)]
pub(crate) enum TokenPlace {
    Bearer,
    Cookie(String),
    Header(HeaderName),
    Query(String),
}

impl Authenticator {
    /// Decides about one request.
    pub(crate) async fn authenticate(&self, client: &Client, incoming: &Incoming) -> Outcome {
        match self {
            Self::Anonymous { .. }
                if incoming
                    .headers
                    .get(AUTHORIZATION)
                    .is_some_and(|value| !value.is_empty()) =>
            {
                Outcome::NotResponsible
            }
            Self::Anonymous { subject } => Outcome::Known(Session {
                subject: subject.clone(),
                ..Session::default()
            }),
            Self::Noop => Outcome::Known(Session::default()),
            Self::Introspection(introspection) if introspection.credential.is_shown(incoming) => {
                introspection
                    .ask(client, incoming)
                    .await
                    .map_or_else(Outcome::Refused, Outcome::Known)
            }
            Self::Session(check) if check.credential.is_shown(incoming) => check
                .ask(client, incoming)
                .await
                .map_or_else(Outcome::Refused, Outcome::Known),
            Self::Introspection(_) | Self::Session(_) => Outcome::NotResponsible,
            Self::Unauthorized => Outcome::Refused(Refusal::unauthorized()),
        }
    }
}

impl Credential {
    /// The token of a request; empty for cookies and for a request without a token.
    pub(crate) fn token(&self, incoming: &Incoming) -> Vec<u8> {
        match self {
            Self::Cookie { .. } => Vec::new(),
            Self::Token { place, .. } => place.token(incoming),
        }
    }

    fn is_shown(&self, incoming: &Incoming) -> bool {
        match self {
            Self::Cookie { only } if only.is_empty() => cookies(&incoming.headers).next().is_some(),
            Self::Cookie { only } => {
                cookies(&incoming.headers).any(|(name, _)| only.iter().any(|wanted| wanted == name))
            }
            Self::Token { place, prefix } => {
                let token = place.token(incoming);
                !token.is_empty() && token.starts_with(prefix.as_bytes())
            }
        }
    }
}

impl TokenPlace {
    fn token(&self, incoming: &Incoming) -> Vec<u8> {
        match self {
            Self::Bearer => bearer(&incoming.headers).to_vec(),
            Self::Cookie(wanted) => cookies(&incoming.headers)
                .find(|(name, _)| name == wanted)
                .map_or_else(Vec::new, |(_, value)| value.as_bytes().to_vec()),
            Self::Header(name) => incoming
                .headers
                .get(name)
                .map_or_else(Vec::new, |value| value.as_bytes().to_vec()),
            Self::Query(wanted) => {
                url::form_urlencoded::parse(incoming.target.query().unwrap_or_default().as_bytes())
                    .find(|(name, _)| name == wanted)
                    .map_or_else(Vec::new, |(_, value)| value.as_bytes().to_vec())
            }
        }
    }
}

impl SessionCheck {
    async fn ask(&self, client: &Client, incoming: &Incoming) -> Result<Session, Refusal> {
        let mut url = self.url.clone();
        if !self.preserve_path {
            url.set_path(&incoming.target.path());
        }
        if !self.preserve_query {
            url.set_query(incoming.target.query());
        }
        let method = self
            .force_method
            .clone()
            .unwrap_or_else(|| incoming.method.clone());
        let mut request = client.request(method, url.as_str());
        for (name, value) in &incoming.headers {
            if self.forward_headers.contains(name) {
                request = request.append_header((name.clone(), value.clone()));
            }
        }
        for header in &self.additional_headers {
            request = request.insert_header(header.clone());
        }
        if self.preserve_host {
            request = request.insert_header(("X-Forwarded-Host", incoming.host.as_str()));
        }

        let mut answer = send_empty(request).await.map_err(|error| {
            tracing::warn!(%error, "the session check is unreachable");
            Refusal::unchecked("the session check is unreachable")
        })?;
        match answer.status().as_u16() {
            200 => {}
            429 => return Err(Refusal::too_many_requests(answer.headers())),
            _ => return Err(Refusal::unauthorized()),
        }
        let body = answer.body().limit(MAX_ANSWER).await.map_err(|error| {
            tracing::warn!(%error, "the answer of the session check cannot be read");
            Refusal::internal("Unable to fetch cookie session context from remote")
        })?;
        self.read(&body)
    }

    /// Extracts the session from an answer. The real gateway takes an answer that is not JSON for a session without a
    /// subject; this stand-in rejects it.
    fn read(&self, body: &[u8]) -> Result<Session, Refusal> {
        let answer: Value = serde_json::from_slice(body)
            .map_err(|_| Refusal::internal("The answer of the session check is not JSON"))?;
        let subject = match self.subject_from.find(&answer) {
            Value::String(subject) => subject,
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Refusal::unchecked(
                    "The configured subject_from path does not lead to a string",
                ));
            }
        };
        let extra = match self.extra_from.find(&answer) {
            Value::Object(extra) => Some(extra),
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::String(_) => {
                return Err(Refusal::unchecked(
                    "The configured extra_from path does not lead to an object",
                ));
            }
        };
        Ok(Session {
            subject,
            extra,
            ..Session::default()
        })
    }
}

/// The credentials of the first `Authorization` header, when its scheme is Bearer in any letter case.
fn bearer(headers: &HeaderMap) -> &[u8] {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return b"";
    };
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
    match (parts.next(), parts.next()) {
        (Some(scheme), Some(token)) if scheme.eq_ignore_ascii_case(b"bearer") => token,
        (_, _) => b"",
    }
}

/// The cookies of all `Cookie` headers; malformed ones are skipped.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| {
            let pair = pair.trim();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value
                .strip_prefix('"')
                .and_then(|inner| inner.strip_suffix('"'))
                .unwrap_or(value);
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let is_value = |byte: u8| (0x20..0x7f).contains(&byte) && !b"\";\\".contains(&byte);
            let is_well_formed =
                !name.is_empty() && name.bytes().all(is_token) && value.bytes().all(is_value);
            is_well_formed.then_some((name, value))
        })
}

/// Far larger than any session or introspection answer.
pub(crate) const MAX_ANSWER: usize = 1 << 20;

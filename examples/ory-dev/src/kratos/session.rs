//! Who is logged in? Sessions, and the credential by which a request names one.

use std::time::Duration;

use actix_web::{HttpRequest, http::header};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    answer::Refusal,
    clock::Moment,
    identity::Identity,
    secret::{self, CookieError, CookieKeys, Handle},
    store::{SessionKey, Store},
};

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) identity: Uuid,
    pub(crate) token: String,
    pub(crate) handle: Option<Handle>,
    pub(crate) logout_token: String,
    active: bool,
    issued_at: Moment,
    authenticated_at: Moment,
    pub(crate) expires_at: Moment,
    devices: Vec<Device>,
}

/// Where a session was used from.
#[derive(Clone, Debug)]
struct Device {
    id: Uuid,
    address: String,
    agent: String,
}

/// How an answer shows the devices of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Devices {
    Empty,
    Null,
    Shown,
}

impl Session {
    pub(crate) fn new(
        identity: Uuid,
        now: Moment,
        lifespan: Duration,
        with_cookie: bool,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            id: Uuid::new_v4(),
            identity,
            token: secret::token("ory_st_")?,
            handle: if with_cookie {
                Some(secret::random()?)
            } else {
                None
            },
            logout_token: secret::token("ory_lo_")?,
            active: true,
            issued_at: now,
            authenticated_at: now,
            expires_at: now.after(lifespan),
            devices: Vec::new(),
        })
    }

    /// Notes where the request came from.
    pub(crate) fn seen_from(&mut self, request: &HttpRequest) {
        let agent = request
            .headers()
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok());
        self.devices = vec![Device {
            id: Uuid::new_v4(),
            address: request
                .peer_addr()
                .map(|address| address.to_string())
                .unwrap_or_default(),
            agent: agent.unwrap_or_default().chars().take(MAX_AGENT).collect(),
        }];
    }

    /// Starts the lifespan again after the person has proven again who they are.
    pub(crate) fn authenticate_again(&mut self, now: Moment, lifespan: Duration) {
        self.authenticated_at = now;
        self.expires_at = now.after(lifespan);
    }

    pub(crate) fn revoke(&mut self) {
        self.active = false;
    }

    pub(crate) fn is_active(&self, now: Moment) -> bool {
        self.active && now < self.expires_at
    }

    pub(crate) fn issued_at(&self) -> Moment {
        self.issued_at
    }

    /// Writes the session, as it is `now`, around the given identity.
    pub(crate) fn json(&self, now: Moment, identity: Option<Value>, devices: Devices) -> Value {
        let at = self.authenticated_at.rfc3339();
        let mut members = Map::new();
        members.insert("id".into(), self.id.to_string().into());
        members.insert("active".into(), self.is_active(now).into());
        members.insert("expires_at".into(), self.expires_at.rfc3339().into());
        members.insert("authenticated_at".into(), at.as_str().into());
        members.insert("authenticator_assurance_level".into(), "aal1".into());
        members.insert(
            "authentication_methods".into(),
            json!([{"method": "password", "aal": "aal1", "completed_at": at}]),
        );
        members.insert("issued_at".into(), self.issued_at.rfc3339().into());
        if let Some(identity) = identity {
            members.insert("identity".into(), identity);
        }
        let devices = match devices {
            Devices::Empty => json!([]),
            Devices::Null => Value::Null,
            Devices::Shown => self.devices.iter().map(Device::json).collect(),
        };
        members.insert("devices".into(), devices);
        Value::Object(members)
    }
}

impl Device {
    fn json(&self) -> Value {
        json!({"id": self.id.to_string(), "ip_address": self.address, "user_agent": self.agent, "location": ""})
    }
}

/// What a request presents as its session, unverified. One credential counts: `X-Session-Token`, then a session
/// cookie that can be opened, then a bearer token.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) key: Option<SessionKey>,
    /// The session cookie, where there is one that cannot be opened.
    pub(crate) bad_cookie: Option<CookieError>,
}

impl Presented {
    pub(crate) fn by(request: &HttpRequest, keys: &CookieKeys) -> Self {
        let cookie = cookie(request, SESSION_COOKIE).map(|text| keys.open(&text));
        let header = text(request, "X-Session-Token").filter(|token| !token.is_empty());
        let (handle, bad_cookie) = match cookie {
            Some(Ok(handle)) => (Some(handle), None),
            Some(Err(err)) => (None, Some(err)),
            None => (None, None),
        };
        let key = match (header, handle) {
            (Some(token), _) => Some(SessionKey::Token(token.to_owned())),
            (None, Some(handle)) => Some(SessionKey::Handle(handle)),
            (None, None) => bearer(request).map(SessionKey::Token),
        };
        Self { key, bad_cookie }
    }

    /// Returns the session and identity that the request names, when they are active.
    pub(crate) fn find<'s>(&self, store: &'s Store, now: Moment) -> Option<(&'s Session, &'s Identity)> {
        store.active_session(self.key.as_ref()?, now)
    }
}

/// Returns the value of the first cookie of that name.
pub(crate) fn cookie(request: &HttpRequest, name: &str) -> Option<String> {
    let headers = request
        .headers()
        .get_all(header::COOKIE)
        .filter_map(|value| value.to_str().ok());
    let mut pairs = headers
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let (scheme, token) = text(request, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.to_owned())
}

fn text<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The name of Kratos's session cookie.
pub(crate) const SESSION_COOKIE: &str = "ory_kratos_session";

const MAX_AGENT: usize = 512;

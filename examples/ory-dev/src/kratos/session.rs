//! Sessions, and the credentials that name them.

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
    methods: Vec<CompletedMethod>,
    devices: Vec<Device>,
}

/// The assurance level of a session's authenticators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aal {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
}

/// The required assurance level of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two settings of Kratos")]
pub enum RequiredAal {
    /// One factor is enough.
    Aal1,
    /// A person who has a second factor must have shown it.
    HighestAvailable,
}

/// One factor that the person has shown.
#[derive(Clone, Copy, Debug)]
struct CompletedMethod {
    name: &'static str,
    aal: Aal,
    at: Moment,
}

/// A device that used the session.
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
            methods: vec![CompletedMethod {
                name: "password",
                aal: Aal::Aal1,
                at: now,
            }],
            devices: Vec::new(),
        })
    }

    /// Records the device of a request.
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

    /// Restarts the lifespan after the person has authenticated again.
    pub(crate) fn authenticate_again(&mut self, now: Moment, lifespan: Duration) {
        self.complete("password", Aal::Aal1, now, lifespan);
    }

    /// Records the second factor, and restarts the lifespan.
    pub(crate) fn complete_totp(&mut self, now: Moment, lifespan: Duration) {
        self.complete("totp", Aal::Aal2, now, lifespan);
    }

    /// Returns the session as the answer to its second factor shows it: with new times, and with one more device.
    pub(crate) fn as_stepped_up(&self, request: &HttpRequest) -> Self {
        let mut shown = self.clone();
        shown.issued_at = self.authenticated_at;
        let mut seen = self.clone();
        seen.seen_from(request);
        shown
            .devices
            .extend(seen.devices.into_iter().map(|device| Device {
                id: Uuid::nil(),
                ..device
            }));
        shown
    }

    pub(crate) fn revoke(&mut self) {
        self.active = false;
    }

    pub(crate) fn is_active(&self, now: Moment) -> bool {
        self.active && now < self.expires_at
    }

    /// Returns the assurance level.
    pub(crate) fn aal(&self) -> Aal {
        self.methods
            .iter()
            .map(|method| method.aal)
            .max()
            .unwrap_or(Aal::Aal1)
    }

    /// Returns whether the assurance level suffices for this person.
    pub(crate) fn fulfils(&self, required: RequiredAal, person: &Identity) -> bool {
        match required {
            RequiredAal::Aal1 => true,
            RequiredAal::HighestAvailable => person.totp_secret.is_none() || self.aal() == Aal::Aal2,
        }
    }

    /// Returns how long ago the person authenticated.
    pub(crate) fn authenticated_since(&self, now: Moment) -> Duration {
        now.since(self.authenticated_at)
    }

    pub(crate) fn issued_at(&self) -> Moment {
        self.issued_at
    }

    /// Writes the session as of `now`, with the given identity.
    pub(crate) fn json(&self, now: Moment, identity: Option<Value>, devices: Devices) -> Value {
        let at = self.authenticated_at.rfc3339();
        let mut members = Map::new();
        members.insert("id".into(), self.id.to_string().into());
        members.insert("active".into(), self.is_active(now).into());
        members.insert("expires_at".into(), self.expires_at.rfc3339().into());
        members.insert("authenticated_at".into(), at.as_str().into());
        members.insert("authenticator_assurance_level".into(), self.aal().name().into());
        let methods = self.methods.iter().map(CompletedMethod::json);
        members.insert("authentication_methods".into(), methods.collect());
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

    fn complete(&mut self, name: &'static str, aal: Aal, now: Moment, lifespan: Duration) {
        self.methods.retain(|method| method.name != name);
        self.methods.push(CompletedMethod { name, aal, at: now });
        self.authenticated_at = now;
        self.expires_at = now.after(lifespan);
    }
}

impl Aal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
        }
    }
}

impl CompletedMethod {
    fn json(&self) -> Value {
        json!({"method": self.name, "aal": self.aal.name(), "completed_at": self.at.rfc3339()})
    }
}

impl Device {
    fn json(&self) -> Value {
        json!({"id": self.id.to_string(), "ip_address": self.address, "user_agent": self.agent, "location": ""})
    }
}

/// The session credential of a request. *Unverified.* The first of these counts: `X-Session-Token`, a session cookie that
/// can be opened, a bearer token.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) key: Option<SessionKey>,
    /// A session cookie that cannot be opened.
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

    /// Returns the active session that the credential names, with its identity.
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

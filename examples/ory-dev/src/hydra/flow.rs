//! The state of an authorization flow: the request, and the answers of the login and consent applications.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::kratos::clock::Moment;

/// One authorization flow of a browser, from the authorization request to the code.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) id: Uuid,
    pub(crate) request: AuthorizationRequest,
    pub(crate) expires_at: Moment,
    pub(crate) login: Stage<Login>,
    pub(crate) consent: Stage<ConsentAnswer>,
    pub(crate) consent_request_id: Uuid,
    /// The id of the login session, which is new or already known to the browser.
    pub(crate) session_id: Uuid,
    /// The subject of the browser's existing login session.
    pub(crate) remembered: Option<String>,
    /// Whether an earlier consent covers the request.
    pub(crate) is_consent_remembered: bool,
    /// When the person logged in.
    pub(crate) authenticated_at: Moment,
}

/// An authorization request of an application (RFC 6749 §4.1.1).
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) state: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<String>,
    /// The original query string.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) url: String,
}

/// One of the two requests to an application: login or consent.
#[derive(Clone, Debug)]
pub(crate) struct Stage<T> {
    /// Identifies the request at the admin interface.
    pub(crate) challenge: String,
    /// Stored in a cookie of the browser that started the flow.
    pub(crate) csrf: String,
    /// Proves once at the authorization endpoint that the application has answered the request.
    pub(crate) verifier: Option<String>,
    pub(crate) answer: Option<Result<T, Rejection>>,
}

/// The accepted login.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) subject: String,
    /// How long the login is remembered, in seconds; `None` if it is not remembered.
    pub(crate) remember: Option<u64>,
    pub(crate) acr: String,
    pub(crate) amr: Vec<String>,
    pub(crate) context: Value,
}

/// The granted consent.
#[derive(Clone, Debug)]
pub(crate) struct ConsentAnswer {
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) access_token: Map<String, Value>,
    pub(crate) id_token: Map<String, Value>,
    pub(crate) remember: Option<u64>,
}

/// The error with which a login or consent request was rejected.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    pub(crate) error: String,
    pub(crate) description: String,
}

/// A remembered login of a browser.
#[derive(Clone, Debug)]
pub(crate) struct BrowserSession {
    pub(crate) id: Uuid,
    pub(crate) subject: String,
    pub(crate) authenticated_at: Moment,
    pub(crate) expires_at: Moment,
}

/// A remembered consent.
#[derive(Clone, Debug)]
pub(crate) struct Consent {
    pub(crate) subject: String,
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) expires_at: Option<Moment>,
}

impl<T> Stage<T> {
    pub(crate) fn new(challenge: String, csrf: String) -> Self {
        Self {
            challenge,
            csrf,
            verifier: None,
            answer: None,
        }
    }

    /// Consumes the verifier, so that it cannot be used again.
    pub(crate) fn take(&mut self, verifier: &str) -> bool {
        let fits = self.verifier.as_deref() == Some(verifier);
        if fits {
            self.verifier = None;
        }
        fits
    }
}

impl Consent {
    /// Returns whether the consent covers what a client asks for.
    pub(crate) fn covers(&self, request: &AuthorizationRequest, subject: &str, now: Moment) -> bool {
        self.subject == subject
            && self.client == request.client
            && self.expires_at.is_none_or(|expires_at| now < expires_at)
            && request.scopes.iter().all(|scope| self.scopes.contains(scope))
            && request
                .audience
                .iter()
                .all(|audience| self.audience.contains(audience))
    }
}

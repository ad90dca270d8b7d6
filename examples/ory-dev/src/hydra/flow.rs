//! Where does a browser stand on its way to a code? What it asked for, and what login and consent answered.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::kratos::clock::Moment;

/// One way of a browser from the authorization request to the code.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) id: Uuid,
    pub(crate) request: AuthorizationRequest,
    pub(crate) expires_at: Moment,
    pub(crate) login: Stage<Login>,
    pub(crate) consent: Stage<ConsentAnswer>,
    pub(crate) consent_request_id: Uuid,
    /// The login session: a new one, or the one that the browser already has.
    pub(crate) session_id: Uuid,
    /// The person whose login session the browser has.
    pub(crate) remembered: Option<String>,
    /// Whether an earlier consent covers what is asked for.
    pub(crate) is_consent_remembered: bool,
    /// When the person logged in.
    pub(crate) authenticated_at: Moment,
}

/// What an application asks for (RFC 6749 §4.1.1).
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) state: String,
    pub(crate) nonce: Option<String>,
    pub(crate) challenge: Option<String>,
    /// The query as it came.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) url: String,
}

/// One of the two questions, to the login and to the consent application.
#[derive(Clone, Debug)]
pub(crate) struct Stage<T> {
    /// Names the request at the admin interface.
    pub(crate) challenge: String,
    /// Stands in a cookie of the browser that asked.
    pub(crate) csrf: String,
    /// Proves at the authorization endpoint that the request was answered, once.
    pub(crate) verifier: Option<String>,
    pub(crate) answer: Option<Result<T, Rejection>>,
}

/// Who logged in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) subject: String,
    /// How long the browser stays logged in, in seconds; `None` when it does not.
    pub(crate) remember: Option<u64>,
    pub(crate) acr: String,
    pub(crate) amr: Vec<String>,
    pub(crate) context: Value,
}

/// What a person agreed to.
#[derive(Clone, Debug)]
pub(crate) struct ConsentAnswer {
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) access_token: Map<String, Value>,
    pub(crate) id_token: Map<String, Value>,
    pub(crate) remember: Option<u64>,
}

/// Why a person does not get what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    pub(crate) error: String,
    pub(crate) description: String,
}

/// A browser that stays logged in.
#[derive(Clone, Debug)]
pub(crate) struct BrowserSession {
    pub(crate) id: Uuid,
    pub(crate) subject: String,
    pub(crate) authenticated_at: Moment,
    pub(crate) expires_at: Moment,
}

/// A consent that is remembered.
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

    /// Takes the verifier, so that it proves nothing a second time.
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

//! The `oauth2_introspection` authenticator.

use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use awc::Client;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use crate::oathkeeper::{
    authn::{Credential, MAX_ANSWER},
    gate::Incoming,
    refusal::Refusal,
    session::Session,
};

/// How an introspection endpoint is called, and the requirements on a token.
#[derive(Debug, Clone)]
pub(crate) struct Introspection {
    pub(crate) credential: Credential,
    pub(crate) url: Url,
    pub(crate) scope_strategy: ScopeStrategy,
    pub(crate) required_scope: Vec<String>,
    pub(crate) target_audience: Vec<String>,
    /// Any issuer when empty.
    pub(crate) trusted_issuers: Vec<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Sends the original `Host` as `X-Forwarded-Host`.
    pub(crate) preserve_host: bool,
}

/// How scopes are compared, and by which side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeStrategy {
    Exact,
    /// `orders` covers `orders.read`.
    Hierarchic,
    /// The endpoint compares; the request contains the required scopes.
    None,
    /// `orders.*` covers `orders.read`.
    Wildcard,
}

/// The answer of the endpoint (RFC 7662 §2.2).
#[derive(Debug, Deserialize)]
struct Answer {
    active: bool,
    #[serde(default)]
    aud: Audience,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    ext: Option<Map<String, Value>>,
    #[serde(default)]
    iss: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    token_use: String,
    #[serde(default)]
    username: String,
}

/// One audience or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    Many(Vec<String>),
    One(String),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Audience {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::Many(list) => list,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

impl Introspection {
    /// Introspects the token of a request and returns the session. Answers are not cached, so a revoked token is rejected
    /// at once.
    pub(crate) async fn ask(&self, client: &Client, incoming: &Incoming) -> Result<Session, Refusal> {
        let token = self.credential.token(incoming);
        let token = String::from_utf8(token).map_err(|_| Refusal::unauthorized())?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", &token);
        if self.scope_strategy == ScopeStrategy::None {
            form.append_pair("scope", &self.required_scope.join(" "));
        }
        let mut request = client
            .post(self.url.as_str())
            .insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        for header in &self.headers {
            request = request.insert_header(header.clone());
        }
        if self.preserve_host {
            request = request.insert_header(("X-Forwarded-Host", incoming.host.as_str()));
        }

        let mut answer = request.send_body(form.finish()).await.map_err(|error| {
            tracing::warn!(%error, "the introspection endpoint is unreachable");
            Refusal::internal("The introspection endpoint is unreachable")
        })?;
        if answer.status() != 200 {
            return Err(Refusal::internal(
                "The introspection endpoint did not answer with status 200",
            ));
        }
        let body = answer.body().limit(MAX_ANSWER).await.map_err(|error| {
            tracing::warn!(%error, "the answer of the introspection endpoint cannot be read");
            Refusal::internal("The answer of the introspection endpoint cannot be read")
        })?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| Refusal::internal("The answer of the introspection endpoint is not one"))?;
        self.judge(answer)
    }

    fn judge(&self, answer: Answer) -> Result<Session, Refusal> {
        if !answer.active {
            return Err(Refusal::unauthorized());
        }
        let audience = answer.aud.as_slice();
        let is_meant = self
            .target_audience
            .iter()
            .all(|wanted| audience.contains(wanted));
        let is_trusted = self.trusted_issuers.is_empty() || self.trusted_issuers.contains(&answer.iss);
        let is_access_token = answer.token_use.is_empty() || answer.token_use == "access_token";
        let has_scopes = self.required_scope.iter().all(|wanted| {
            let mut own = answer.scope.split(' ');
            own.any(|own| self.scope_strategy.covers(own, wanted))
        });
        if !(is_meant && is_trusted && is_access_token && has_scopes) {
            return Err(Refusal::forbidden());
        }

        let mut extra = answer.ext.unwrap_or_default();
        if !audience.is_empty() {
            extra.insert("aud".to_owned(), audience.into());
        }
        extra.insert("client_id".to_owned(), answer.client_id.into());
        extra.insert("scope".to_owned(), answer.scope.into());
        extra.insert("username".to_owned(), answer.username.into());
        Ok(Session {
            subject: answer.sub,
            extra: Some(extra),
            ..Session::default()
        })
    }
}

impl ScopeStrategy {
    fn covers(self, own: &str, wanted: &str) -> bool {
        match self {
            Self::Exact => own == wanted,
            Self::Hierarchic => {
                let below = wanted.strip_prefix(own);
                !own.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            // The endpoint has already compared the scopes.
            Self::None => true,
            Self::Wildcard => {
                let (own, wanted): (Vec<_>, Vec<_>) = (own.split('.').collect(), wanted.split('.').collect());
                let fits = |(own, wanted): (&&str, &&str)| *own == "*" && !wanted.is_empty() || own == wanted;
                let ends_open = own.last() == Some(&"*") && own.len() < wanted.len();
                (own.len() == wanted.len() || ends_open) && own.iter().zip(&wanted).all(fits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::authn::TokenPlace, *};

    fn introspection() -> Introspection {
        Introspection {
            credential: Credential::Token {
                place: TokenPlace::Bearer,
                prefix: String::new(),
            },
            url: Url::parse("http://127.0.0.1:4445/admin/oauth2/introspect").unwrap(),
            scope_strategy: ScopeStrategy::Exact,
            required_scope: vec!["orders:read".to_owned()],
            target_audience: vec!["orders-api".to_owned()],
            trusted_issuers: vec!["http://127.0.0.1:4444".to_owned()],
            headers: Vec::new(),
            preserve_host: false,
        }
    }

    fn answer() -> Value {
        json!({
            "active": true, "aud": ["orders-api"], "client_id": "worker", "iss": "http://127.0.0.1:4444",
            "scope": "orders:read orders:write", "sub": "worker", "token_use": "access_token", "ext": {"tenant": "a"},
        })
    }

    #[test]
    fn token_that_says_everything_makes_a_session() {
        let session = introspection()
            .judge(serde_json::from_value(answer()).unwrap())
            .unwrap();

        assert_eq!(session.subject, "worker");
        let extra = json!({
            "aud": ["orders-api"], "client_id": "worker", "scope": "orders:read orders:write", "tenant": "a", "username": "",
        });
        assert_eq!(session.extra.map(Value::Object), Some(extra));
    }

    #[test]
    fn token_that_lacks_what_the_rule_asks_for_is_forbidden() {
        for (member, value) in [
            ("aud", json!(["other"])),
            ("aud", json!([])),
            ("aud", json!("other")),
            ("iss", json!("http://other/")),
            ("scope", json!("orders")),
            ("scope", json!("")),
            ("token_use", json!("refresh_token")),
        ] {
            let mut answer = answer();
            answer[member] = value;
            let refused = introspection().judge(serde_json::from_value(answer).unwrap());
            assert!(refused.is_err(), "{member}");
        }
    }

    #[test]
    fn scope_strategies_compare_as_oathkeeper_does() {
        for (strategy, own, wanted, expected) in [
            (ScopeStrategy::Exact, "a.b", "a.b", true),
            (ScopeStrategy::Exact, "a", "a.b", false),
            (ScopeStrategy::Hierarchic, "a", "a.b", true),
            (ScopeStrategy::Hierarchic, "a", "ab", false),
            (ScopeStrategy::Hierarchic, "", "a", false),
            (ScopeStrategy::Wildcard, "a.*", "a.b.c", true),
            (ScopeStrategy::Wildcard, "a.*", "b.c", false),
            (ScopeStrategy::None, "", "a", true),
        ] {
            assert_eq!(
                strategy.covers(own, wanted),
                expected,
                "{strategy:?} {own} {wanted}"
            );
        }
    }
}

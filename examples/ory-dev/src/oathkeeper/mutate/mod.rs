//! Mutators, which tell the service about the caller, and the tokens that they mint.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::oathkeeper::{
    clock::Clock, keys::KeyRing, refusal::Refusal, session::Session, template::Template,
};

/// One mutator of a rule, with its configuration.
#[derive(Debug, Clone)]
pub(crate) enum Mutator {
    /// Sets headers from templates.
    Header(Vec<(HeaderName, Template)>),
    /// Replaces `Authorization` by a signed token.
    IdToken(Box<IdToken>),
    /// Forwards the request unchanged, except that each header gets one value.
    Noop,
}

/// The settings of an `id_token` mutator.
#[derive(Debug, Clone)]
pub(crate) struct IdToken {
    pub(crate) issuer: String,
    pub(crate) key_file: PathBuf,
    pub(crate) ttl: Duration,
    pub(crate) claims: Option<Template>,
}

/// The state that mutators of all rules share.
#[derive(Debug)]
pub(crate) struct Mint {
    pub(crate) rings: BTreeMap<PathBuf, Arc<KeyRing>>,
    pub(crate) clock: Clock,
    pub(crate) cache: TokenCache,
}

impl Mutator {
    /// Changes the session of one request. Errors name the rule by its id, `rule`.
    pub(crate) fn mutate(
        &self,
        session: &mut Session,
        headers: &HeaderMap,
        mint: &Mint,
        rule: &str,
    ) -> Result<(), Refusal> {
        match self {
            Self::Header(templates) => {
                for (name, template) in templates {
                    let text = template.render(session).map_err(|error| {
                        Refusal::internal(format!(
                            "error executing headers template in rule \"{rule}\": {error}"
                        ))
                    })?;
                    // A line feed in a value would let the caller inject a header.
                    let value = HeaderValue::from_str(&text).map_err(|_| Refusal::bad_gateway())?;
                    session.headers.insert(name.clone(), value);
                }
            }
            Self::IdToken(id_token) => {
                let token = id_token.token(session, mint, rule)?;
                let value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| Refusal::internal("the token is not a header value"))?;
                session.headers.insert(AUTHORIZATION, value);
            }
            Self::Noop => {
                for name in headers.keys() {
                    if let (Some(value), false) = (headers.get(name), session.headers.contains_key(name)) {
                        session.headers.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        Ok(())
    }
}

impl IdToken {
    fn token(&self, session: &Session, mint: &Mint, rule: &str) -> Result<String, Refusal> {
        let rendered = self
            .claims
            .as_ref()
            .map(|template| template.render(session))
            .transpose()
            .map_err(|error| {
                Refusal::internal(format!(
                    "error executing claims template in rule \"{rule}\": {error}"
                ))
            })?;
        let mut claims: Map<String, Value> = match &rendered {
            None => Map::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| {
                Refusal::internal(format!(
                    "the rendered claims of rule \"{rule}\" are not a JSON object"
                ))
            })?,
        };
        let key = CacheKey {
            issuer: self.issuer.clone(),
            ttl: self.ttl,
            key_file: self.key_file.clone(),
            claims: rendered.unwrap_or_default(),
            subject: session.subject.clone(),
        };
        let now = mint.clock.now();
        if let Some(token) = mint.cache.find(&key, now) {
            return Ok(token);
        }

        let expires = now.saturating_add(self.ttl);
        for (name, value) in [
            ("exp", expires.as_secs().into()),
            ("iat", now.as_secs().into()),
            ("iss", self.issuer.clone().into()),
            ("jti", Uuid::new_v4().to_string().into()),
            ("nbf", now.as_secs().into()),
            ("sub", session.subject.clone().into()),
        ] {
            claims.insert(name.to_owned(), value);
        }
        let ring = mint.rings.get(&self.key_file);
        let token = ring
            .and_then(|ring| ring.keys().sign(&claims))
            .ok_or_else(|| Refusal::internal("the token could not be signed"))?;
        if !self.claims.as_ref().is_some_and(Template::is_always_fresh) {
            mint.cache.keep(key, expires, token.clone(), now);
        }
        Ok(token)
    }
}

/// Minted tokens, keyed by all their inputs except the key. After a rotation a cached token of the old key is still sent,
/// as by the real gateway.
#[derive(Default)]
pub(crate) struct TokenCache {
    tokens: Mutex<HashMap<CacheKey, (Duration, String)>>,
}

impl fmt::Debug for TokenCache {
    /// Omits the tokens, which are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    issuer: String,
    ttl: Duration,
    key_file: PathBuf,
    claims: String,
    subject: String,
}

impl TokenCache {
    /// Returns a token with more than a tenth of its lifetime left.
    fn find(&self, key: &CacheKey, now: Duration) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (expires, token) = tokens.get(key)?;
        let tenth = key.ttl.checked_div(10).unwrap_or_default();
        (*expires >= now.saturating_add(tenth)).then(|| token.clone())
    }

    fn keep(&self, key: CacheKey, expires: Duration, token: String, now: Duration) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, (expires, _)| *expires > now);
        }
        if tokens.len() < MAX_TOKENS {
            tokens.insert(key, (expires, token));
        }
    }
}

/// About ten megabytes.
const MAX_TOKENS: usize = 10_000;

#[cfg(test)]
mod tests;

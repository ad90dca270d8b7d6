//! The state that all workers share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use url::Url;
use uuid::Uuid;

use super::{
    answer::Refusal,
    client::Client,
    config::{HydraConfig, TokenStrategy},
    keys::SigningKeys,
    secret::TokenMint,
    store::{Grant, Store, Token, TokenKind},
};
use crate::kratos::clock::Moment;

/// The state of one Hydra.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: HydraConfig,
    pub(crate) issuer: String,
    pub(crate) keys: SigningKeys,
    pub(crate) mint: TokenMint,
    store: Mutex<Store>,
}

/// A token that was just issued.
pub(crate) struct Issued {
    pub(crate) text: String,
    pub(crate) expires_in: u64,
}

impl Shared {
    pub(crate) fn new(config: HydraConfig, issuer: String) -> Self {
        Self {
            mint: TokenMint::new(&config.system_secret),
            keys: SigningKeys::default(),
            store: Mutex::new(Store::default()),
            issuer,
            config,
        }
    }

    /// Locks the store. The guard is never held across an `await`.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // A panic while the lock was held would have left the maps as they were between two statements.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Moment {
        self.config.clock.now()
    }

    /// Returns a URL of the public interface.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.issuer.trim_end_matches('/'))
    }

    /// Returns whether one of the client's scopes covers `wanted`.
    pub(crate) fn covers_scope<'s>(&self, mut own: impl Iterator<Item = &'s str>, wanted: &str) -> bool {
        own.any(|own| own == wanted || (self.config.wildcard_scopes && matches_wildcard(own, wanted)))
    }

    /// Issues and stores an access token for a grant.
    pub(crate) fn issue_access_token(
        &self,
        client: &Client,
        grant: &Arc<Grant>,
        lifespan: Duration,
    ) -> Result<Issued, Refusal> {
        let now = self.now();
        let expires_at = now.whole_seconds().after(lifespan);
        let strategy = client
            .access_token_strategy()
            .unwrap_or(self.config.access_tokens);
        let text = match strategy {
            TokenStrategy::Jwt => {
                let claims = self.access_claims(grant, now, expires_at);
                self.keys
                    .access_token(&claims)
                    .ok_or_else(Refusal::server_error)?
            }
            TokenStrategy::Opaque => self.mint.token("ory_at_")?,
        };
        let token = Token {
            grant: Arc::clone(grant),
            kind: TokenKind::Access,
            issued_at: now,
            expires_at: Some(expires_at),
            active: true,
        };
        self.store().add_token(text.clone(), token);
        Ok(Issued {
            text,
            expires_in: expires_at.since(now).as_secs(),
        })
    }

    /// Issues and stores a refresh token for a grant.
    pub(crate) fn issue_refresh_token(
        &self,
        client: &Client,
        grant: &Arc<Grant>,
        kind: &str,
    ) -> Result<String, Refusal> {
        let now = self.now();
        let own = client.lifespan(&format!("{kind}_grant_refresh_token_lifespan"));
        let lifespan = own.or(self.config.lifespans.refresh_token);
        let text = self.mint.token("ory_rt_")?;
        let token = Token {
            grant: Arc::clone(grant),
            kind: TokenKind::Refresh,
            issued_at: now,
            expires_at: lifespan.map(|lifespan| now.whole_seconds().after(lifespan)),
            active: true,
        };
        self.store().add_token(text.clone(), token);
        Ok(text)
    }

    /// Returns the claims of a JWT access token. `ext` holds the custom claims; the configuration selects those that also
    /// appear at the top level.
    fn access_claims(&self, grant: &Grant, now: Moment, expires_at: Moment) -> Map<String, Value> {
        let mut claims: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, value) in &grant.ext {
            if self.config.allowed_top_level_claims.contains(name) {
                claims.insert(name, value.clone());
            }
        }
        claims.extend([
            ("aud", json!(grant.audience)),
            ("client_id", json!(grant.client)),
            ("exp", json!(expires_at.unix_seconds())),
            ("ext", Value::Object(grant.ext.clone())),
            ("iat", json!(now.unix_seconds())),
            ("iss", json!(self.issuer)),
            ("jti", json!(Uuid::new_v4().to_string())),
            ("nbf", json!(now.unix_seconds())),
            ("scp", json!(grant.scopes)),
            ("sub", json!(grant.subject)),
        ]);
        claims
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Returns whether a scope with wildcards covers `wanted`: `orders.*` covers `orders.read`.
fn matches_wildcard(own: &str, wanted: &str) -> bool {
    let (own, wanted): (Vec<_>, Vec<_>) = (own.split('.').collect(), wanted.split('.').collect());
    let ends_open = own.last() == Some(&"*");
    let fits = |(own, wanted): (&&str, &&str)| *own == "*" && !wanted.is_empty() || own == wanted;
    (own.len() == wanted.len() || (ends_open && own.len() < wanted.len()))
        && own.iter().zip(&wanted).all(fits)
}

/// Returns whether an audience of the client covers a requested URL: same origin, and a path below.
pub(crate) fn covers_audience<'a>(mut own: impl Iterator<Item = &'a str>, wanted: &str) -> bool {
    own.any(|own| own == wanted || is_below(own, wanted))
}

fn is_below(own: &str, wanted: &str) -> bool {
    let (Ok(own), Ok(wanted)) = (Url::parse(own), Url::parse(wanted)) else {
        return false;
    };
    let base = own.path().trim_end_matches('/');
    own.has_host()
        && own.origin() == wanted.origin()
        && wanted
            .path()
            .strip_prefix(base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_scope_covers_what_is_below_it_and_nothing_else() {
        for (own, wanted, expected) in [
            ("orders.*", "orders.read", true),
            ("orders.*", "orders.read.all", true),
            ("orders.*", "orders", false),
            ("orders.*", "orders.", false),
            ("orders.*", "inventory.read", false),
            ("*", "anything", true),
            ("orders.*.own", "orders.read.own", true),
            ("orders.*.own", "orders.read.all", false),
            ("orders", "orders.read", false),
        ] {
            assert_eq!(matches_wildcard(own, wanted), expected, "{own} {wanted}");
        }
    }

    #[test]
    fn audience_covers_its_paths_and_no_other_host() {
        let own = ["orders-api", "https://api.example/v1"];
        for (wanted, expected) in [
            ("orders-api", true),
            ("orders-api-2", false),
            ("https://api.example/v1/orders", true),
            ("https://api.example/v10", false),
            ("https://evil.example/v1", false),
        ] {
            assert_eq!(covers_audience(own.into_iter(), wanted), expected, "{wanted}");
        }
    }
}

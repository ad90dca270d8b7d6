//! Signing keys: one for ID tokens, one for JWT access tokens. One key set publishes both.

use std::{path::Path, sync::OnceLock, thread};

use serde_json::{Map, Value, json};

use crate::oathkeeper::{Keys, fresh_rsa, parse_keys};

/// The two keys, generated on first use. They have 2048 bits; the real server's keys have 4096.
#[derive(Debug, Default)]
pub(crate) struct SigningKeys {
    id_token: OnceLock<Option<Keys>>,
    access_token: OnceLock<Option<Keys>>,
}

impl SigningKeys {
    /// Generates both keys in parallel. Generating them takes longer than the timeout of a client that fetches the key set.
    pub(crate) fn make(&self) {
        thread::scope(|scope| {
            scope.spawn(|| self.id_token.get_or_init(fresh));
            self.access_token.get_or_init(fresh);
        });
    }

    /// Signs an access token; `None` when the cryptographic library fails.
    pub(crate) fn access_token(&self, claims: &Map<String, Value>) -> Option<String> {
        self.access_token.get_or_init(fresh).as_ref()?.sign(claims)
    }

    /// Signs an ID token; `None` when the cryptographic library fails.
    pub(crate) fn id_token(&self, claims: &Map<String, Value>) -> Option<String> {
        self.id_token.get_or_init(fresh).as_ref()?.sign(claims)
    }

    /// Returns the public key set.
    pub(crate) fn public(&self) -> Value {
        let both = [
            self.id_token.get_or_init(fresh),
            self.access_token.get_or_init(fresh),
        ];
        let keys: Vec<&Value> = both.into_iter().flatten().flat_map(Keys::public).collect();
        json!({ "keys": keys })
    }
}

fn fresh() -> Option<Keys> {
    let (_, key) = fresh_rsa().ok()?;
    parse_keys(Path::new("hydra"), &json!({ "keys": [key] }).to_string()).ok()
}

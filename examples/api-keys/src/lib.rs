//! api-keys: machines that authenticate with keys of this service's own.
//!
//! ```text
//! GET /health    public
//! GET /orders    needs the scope orders:read
//! ```
//!
//! A key is `ak_ID_SECRET` in the header `X-Api-Key`; the secret is 32 random bytes in base64url. The table holds the SHA-256 of the
//! secret, so that a stolen table lets nobody in. A fast hash suffices: nobody guesses 256 random bits. `ID` finds the row, and the
//! hashes are compared in constant time.

use std::{collections::HashMap, fmt, fs, path::Path};

use actix_web::{App, Responder, get, web::Json};
use aws_lc_rs::{
    digest::{SHA256, digest},
    error::Unspecified,
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use constant_time_eq::constant_time_eq;
use iam_actix::{
    Client, Ports,
    authenticator::{Authenticator, Carrier, CrossSite, CustomCredential, Fault, Reply, Stated, Statement},
    clock::Timestamp,
    public, require_scope,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::{BoxError, Config, Running, serve};

/// A row of the table: everything but the secret.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a row of a table")]
pub struct KeyRow {
    /// The public part of the key, which finds the row.
    pub id: String,
    /// The SHA-256 of the secret, in base64url.
    pub hash: String,
    /// The client that the key belongs to.
    pub client: String,
    /// The tenant of the client.
    pub tenant: String,
    /// What the key may be used for.
    pub scopes: Vec<String>,
    /// The end of the key, in seconds since 1970.
    pub expires_at: u64,
}

/// Accepts the keys of a table.
pub struct ApiKeys {
    rows: HashMap<String, KeyRow>,
}

impl ApiKeys {
    /// Takes the rows of a table.
    pub fn new(rows: impl IntoIterator<Item = KeyRow>) -> Self {
        Self {
            rows: rows.into_iter().map(|row| (row.id.clone(), row)).collect(),
        }
    }

    /// Reads a table of JSON.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no table.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BoxError> {
        let rows: Vec<KeyRow> = serde_json::from_slice(&fs::read(path)?)?;
        Ok(Self::new(rows))
    }

    fn find(&self, key: &[u8]) -> Result<&KeyRow, Fault> {
        let text = str::from_utf8(key).map_err(|_| Fault::Malformed)?;
        let (id, secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(Fault::Malformed)?;
        let presented = hash(secret);

        let row = self.rows.get(id).ok_or(Fault::Unknown)?;
        if constant_time_eq(row.hash.as_bytes(), presented.as_bytes()) {
            Ok(row)
        } else {
            Err(Fault::Unknown)
        }
    }
}

impl Authenticator for ApiKeys {
    fn name(&self) -> &'static str {
        "api-key"
    }

    fn carriers(&self) -> Vec<Carrier> {
        vec![Carrier::Header("X-Api-Key".to_owned())]
    }

    /// No browser sends this header by itself.
    fn cross_site(&self) -> CrossSite {
        CrossSite::Allow
    }

    /// A table in memory answers at once. A database is asked in [`Reply::Later`].
    fn authenticate(&self, credential: &CustomCredential<'_>, _: Timestamp) -> Reply {
        Reply::Now(match self.find(credential.bytes()) {
            // The tenant and the expiry are stated as the table has them; the gate compares both.
            Ok(row) => {
                let until = Timestamp::from_secs(row.expires_at);
                Stated::Known(Statement::client(&row.client, &row.tenant, until).scopes(&row.scopes))
            }
            Err(fault) => Stated::Refused(fault),
        })
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").finish_non_exhaustive()
    }
}

/// Makes a key of a client. Returns the key, which only its owner keeps, and its row.
///
/// # Errors
///
/// [`NoRandomness`] when the system gives no random bytes.
pub fn issue(
    client: &str,
    scopes: impl IntoIterator<Item = String>,
    until: Timestamp,
) -> Result<(String, KeyRow), NoRandomness> {
    let (mut id, mut secret) = ([0; 6], [0; 32]);
    rand::fill(&mut id).map_err(|Unspecified| NoRandomness)?;
    rand::fill(&mut secret).map_err(|Unspecified| NoRandomness)?;
    let id = id.map(|byte| format!("{byte:02x}")).concat();
    let secret = URL_SAFE_NO_PAD.encode(secret);

    let row = KeyRow {
        hash: hash(&secret),
        client: client.to_owned(),
        tenant: "default".to_owned(),
        scopes: scopes.into_iter().collect(),
        expires_at: until.as_secs(),
        id: id.clone(),
    };
    Ok((format!("{PREFIX}{id}_{secret}"), row))
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system gives no random bytes")]
#[non_exhaustive]
pub struct NoRandomness;

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, secret.as_bytes()))
}

const PREFIX: &str = "ak_";

#[public]
#[get("/health")]
async fn health() -> impl Responder {
    Json(json!({ "status": "ok" }))
}

#[require_scope("orders:read")]
#[get("/orders")]
async fn orders(client: Client) -> impl Responder {
    Json(json!({ "client": client.client_id(), "orders": [] }))
}

/// Starts the service.
///
/// # Errors
///
/// When the configuration or a policy is wrong, or the address is in use.
pub async fn run(config: Config, keys: ApiKeys, ports: Ports) -> Result<Running, BoxError> {
    let ports = ports.authenticator(std::sync::Arc::new(keys));
    serve(config.or_port(3004), ports, |iam| {
        let iam = iam.clone();
        Ok(move || App::new().wrap(iam.middleware()).service(health).service(orders))
    })
    .await
}

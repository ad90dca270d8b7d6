//! Fuzz targets for `hydra.yml` and OAuth 2 clients.

use serde_json::Value;

use super::{
    client::{Client, Description},
    config::HydraConfig,
};
use crate::{
    fuzz::{assert_known, document},
    kratos::Clock,
};

/// Files like `hydra.yml`.
///
/// # Panics
///
/// When an unknown option or an address beyond loopback is accepted.
pub fn hydra_yml(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let Ok(config) = HydraConfig::from_document(&document) else {
        return;
    };
    assert_known(document.root(), CONFIGURATION);
    assert!(
        [config.public, config.admin]
            .iter()
            .all(|address| address.ip().is_loopback()),
        "it would listen beyond this machine"
    );
    assert!(!config.system_secret.is_empty(), "no secret signs the tokens");
}

/// Clients, as the admin interface reads them.
///
/// # Panics
///
/// When a client does not survive a round trip, or its secret is shown.
pub fn hydra_client(data: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Ok(description) = Description::read(&body) else {
        return;
    };
    let now = Clock::default().now();
    let Ok(client) = Client::new(&description, now) else {
        return;
    };
    let shown = client.json();
    assert!(shown.get("client_secret").is_none(), "the secret is shown");
    let again = Description::read(&shown).map(|description| client.replaced(&description, now).json());
    assert_eq!(again.ok(), Some(shown), "a client reads back as another one");
}

const CONFIGURATION: &[&str] = &[
    "dsn",
    "hashers",
    "log",
    "oauth2",
    "oidc",
    "secrets",
    "serve",
    "strategies",
    "ttl",
    "urls",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_configuration_and_a_client_pass() {
        hydra_yml(include_bytes!("../../config/hydra.yml"));
        hydra_client(br#"{"client_id":"a","scope":"x","redirect_uris":["http://a/"],"metadata":{"a":1}}"#);
        hydra_client(b"{}");
    }
}

//! Whom do we believe that it is who it says?

use std::sync::Arc;

use iam_core::http::TransportError;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Returns a TLS configuration that trusts Mozilla's roots, verifies names, and names its cryptography.
///
/// The provider is explicit because the process may have none, or two, and guessing then panics. HTTP/1.1 only: it is what
/// the exchange's length checks are made for.
///
/// # Errors
///
/// When the provider supports no safe protocol version.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, TransportError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());

    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TransportError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

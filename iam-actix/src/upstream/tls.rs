//! TLS trust roots.

use std::sync::Arc;

use iam_core::http::TransportError;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Returns a TLS configuration that trusts Mozilla's roots, verifies names, and names its cryptography.
///
/// The provider is explicit: rustls panics when the process has none or several. HTTP/1.1 only: the length checks of the
/// exchange are made for it.
///
/// # Errors
///
/// When the provider supports no safe protocol version.
pub(super) fn client_config() -> Result<Arc<ClientConfig>, TransportError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, TransportError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TransportError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        thread,
        time::Duration,
    };

    use bytes::Bytes;
    use iam_core::http::CallLimits;
    use rustls::{
        ServerConfig, ServerConnection, Stream,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    };
    use tokio::task::LocalSet;

    use super::*;
    use crate::upstream::exchange::{Clients, exchange};

    /// Starts a server for `localhost` with the returned certificate.
    fn serve() -> (SocketAddr, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let config = Arc::new(config);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = Stream::new(&mut connection, &mut stream);
                // A client that does not trust the certificate disconnects here.
                if tls.read(&mut [0; 1024]).is_ok() {
                    let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
                    let _ = tls.flush();
                }
            }
        });
        (addr, certificate)
    }

    async fn ask(clients: Clients, host: &str, addr: SocketAddr) -> Result<Bytes, TransportError> {
        let url = format!("https://{host}:{}/", addr.port());
        let request = http::Request::get(url).body(Bytes::new()).unwrap();
        // The clients are created inside the set, because awc closes its connections there.
        let call = async move { exchange(&clients, request, LIMITS).await };
        LocalSet::new()
            .run_until(call)
            .await
            .map(http::Response::into_body)
    }

    fn clients_that_trust(certificate: CertificateDer<'static>) -> Clients {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        Clients::with_tls(trusting(roots).unwrap())
    }

    #[tokio::test]
    async fn an_upstream_that_proves_who_it_is_is_asked() {
        let (addr, certificate) = serve();

        let answer = ask(clients_that_trust(certificate), "localhost", addr).await;

        assert_eq!(answer, Ok(Bytes::from_static(b"{}")));
    }

    /// R129
    #[tokio::test]
    async fn an_upstream_with_a_certificate_of_its_own_making_is_refused() {
        let (addr, _) = serve();

        let answer = ask(Clients::default(), "localhost", addr).await;

        assert_eq!(answer, Err(TransportError::Tls));
    }

    /// R129: a valid certificate of another server.
    #[tokio::test]
    async fn an_upstream_with_a_certificate_for_another_name_is_refused() {
        let (addr, certificate) = serve();

        let answer = ask(clients_that_trust(certificate), "127.0.0.1", addr).await;

        assert_eq!(answer, Err(TransportError::Tls));
    }

    const LIMITS: CallLimits = CallLimits::new(Duration::from_secs(5), 1024);
}

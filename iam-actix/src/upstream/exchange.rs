//! Sends one request and reads its response.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    error::Error,
    io,
    sync::Arc,
    time::Duration,
};

use actix_http::error::{ParseError, PayloadError};
use actix_web::http::{
    Method, StatusCode, Uri,
    header::{self, HeaderName, HeaderValue},
};
use awc::{
    ClientRequest, ClientResponse, Connector,
    error::{ConnectError, SendRequestError},
};
use bytes::Bytes;
use http::{Request, Response};
use iam_core::http::{CallLimits, TransportError};
use rustls::ClientConfig;

use super::{connect::Connect, tls};

/// Sends one request and reads the whole response. The caller keeps the deadline: dropping the future ends the exchange.
pub(super) async fn exchange(
    clients: &Clients,
    request: Request<Bytes>,
    limits: CallLimits,
) -> Result<Response<Bytes>, TransportError> {
    let (parts, body) = request.into_parts();
    let outgoing = convert(clients, &parts, limits)?;

    let sending = if body.is_empty() && parts.method == http::Method::GET {
        outgoing.send()
    } else {
        outgoing.send_body(body)
    };
    let mut answer = sending.await.map_err(|err| refused(&err))?;

    // No encoding was offered, and none is decoded: a small body cannot become a large one.
    if is_encoded(&answer) {
        return Err(TransportError::Protocol);
    }
    let body = answer
        .body()
        .limit(limits.max_body)
        .await
        .map_err(|err| unreadable(&err))?;
    if is_cut_short(&answer, &parts.method, body.len()) {
        return Err(TransportError::Protocol);
    }
    assemble(&answer, body)
}

/// The awc clients of one thread, one for each configured connect timeout.
#[derive(Default)]
pub(super) struct Clients {
    known: RefCell<HashMap<(bool, Duration), awc::Client>>,
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Clients {
    /// Creates clients with other trust roots.
    #[cfg(test)]
    pub(super) fn with_tls(config: Arc<ClientConfig>) -> Self {
        Self {
            tls: OnceCell::from(config),
            ..Self::default()
        }
    }

    fn client(&self, https: bool, connect_timeout: Duration) -> Result<awc::Client, TransportError> {
        let key = (https, connect_timeout);
        if let Some(client) = self.known.borrow().get(&key) {
            return Ok(client.clone());
        }
        let tls = https.then(|| self.tls()).transpose()?;
        let connector = Connector::new()
            .connector(Connect::new(tls))
            .timeout(connect_timeout)
            // The limit of the pool counts all upstreams together; each upstream has a `ConcurrencyLimit` of its own.
            .limit(0);
        let client = awc::Client::builder()
            .connector(connector)
            .disable_redirects()
            // awc's timeout ends with the head of the response; the deadline around the exchange covers the body.
            .disable_timeout()
            .no_default_headers()
            .finish();
        self.known.borrow_mut().insert(key, client.clone());
        Ok(client)
    }

    /// Created at the first https request: loading the trust roots takes time, and many services need no TLS.
    fn tls(&self) -> Result<Arc<ClientConfig>, TransportError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = tls::client_config()?;
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }
}

fn convert(
    clients: &Clients,
    parts: &http::request::Parts,
    limits: CallLimits,
) -> Result<ClientRequest, TransportError> {
    let https = parts.uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let method =
        Method::from_bytes(parts.method.as_str().as_bytes()).map_err(|_| TransportError::Protocol)?;
    let uri = target(&parts.uri, https).ok_or(TransportError::Protocol)?;

    let mut request = clients
        .client(https, limits.connect_timeout)?
        .request(method, uri)
        .no_decompress();
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| TransportError::Protocol)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| TransportError::Protocol)?;
        request.headers_mut().append(name, value);
    }
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(request)
}

/// Returns the URI for awc. The connector does TLS, so to awc every connection is a plain one.
fn target(uri: &http::Uri, https: bool) -> Option<Uri> {
    if !https {
        return Uri::try_from(uri.to_string()).ok();
    }
    let port = uri.port_u16().unwrap_or(443);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Uri::try_from(format!("http://{}:{port}{path}", uri.host()?)).ok()
}

fn is_encoded<S>(answer: &ClientResponse<S>) -> bool {
    answer
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Tells whether the connection ended before the announced length, which awc reads as the end of the body.
///
/// A truncated chunked body, or one that ends with the connection, is not detected here. The reader of its JSON refuses it.
fn is_cut_short<S>(answer: &ClientResponse<S>, method: &http::Method, length: usize) -> bool {
    // RFC 9110 §8.6: these announce a length without a body.
    if method == http::Method::HEAD || answer.status() == StatusCode::NOT_MODIFIED {
        return false;
    }
    answer
        .headers()
        .get(header::CONTENT_LENGTH)
        .is_some_and(|value| announced(value) != Some(length))
}

fn announced(value: &HeaderValue) -> Option<usize> {
    value.to_str().ok()?.trim().parse().ok()
}

fn assemble<S>(answer: &ClientResponse<S>, body: Bytes) -> Result<Response<Bytes>, TransportError> {
    let mut response = Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status().as_u16()).map_err(|_| TransportError::Protocol)?;
    for (name, value) in answer.headers() {
        let name =
            http::HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| TransportError::Protocol)?;
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|_| TransportError::Protocol)?;
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// D78: every failure has a kind, and none of them holds the request or the response (D79, D80).
fn refused(err: &SendRequestError) -> TransportError {
    if let SendRequestError::Connect(err) = err {
        return unconnected(err);
    }
    if matches!(err, SendRequestError::Timeout) {
        TransportError::Timeout
    } else if matches!(err, SendRequestError::Response(ParseError::TooLarge)) {
        TransportError::TooLarge
    } else {
        TransportError::Protocol
    }
}

fn unconnected(err: &ConnectError) -> TransportError {
    if matches!(err, ConnectError::Timeout) {
        TransportError::Timeout
    } else if matches!(err, ConnectError::Disconnected) {
        // The connection ended without a response.
        TransportError::Protocol
    } else if matches!(err, ConnectError::SslIsNotSupported)
        || matches!(err, ConnectError::Io(err) if is_tls(err))
    {
        TransportError::Tls
    } else {
        TransportError::Connect
    }
}

fn is_tls(err: &io::Error) -> bool {
    err.get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}

fn unreadable(err: &PayloadError) -> TransportError {
    if matches!(err, PayloadError::Overflow) {
        TransportError::TooLarge
    } else {
        TransportError::Protocol
    }
}

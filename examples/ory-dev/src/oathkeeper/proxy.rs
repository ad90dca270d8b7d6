//! The proxy listener, which forwards admitted requests and relays the answers.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{self, SizedStream},
    http::{
        Method, StatusCode,
        header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING},
    },
    web,
};
use awc::{
    Client, ClientRequest, ClientResponse, Connector, SendClientRequest,
    error::{ConnectError, PayloadError, SendRequestError},
};
use bytes::Bytes;
use futures_util::stream::{self, Stream};

use crate::oathkeeper::{
    gate::{Gate, Incoming, connection_options, end_to_end, host_of, is_hop_by_hop},
    refusal::Refusal,
    rule::{Rule, Upstream},
    session::Session,
    target::Target,
};

/// The HTTP clients of one worker.
#[derive(Clone)]
pub(crate) struct Clients {
    /// Reuses connections.
    pooled: Client,
    /// Opens a new connection for each request.
    fresh: Client,
}

impl Clients {
    pub(crate) fn new() -> Self {
        Self {
            pooled: client(KEEP_ALIVE),
            fresh: client(Duration::ZERO),
        }
    }

    /// Returns the client for session checks.
    pub(crate) fn for_checks(&self) -> &Client {
        &self.pooled
    }
}

/// Answers one request to the proxy.
pub(crate) async fn proxy(
    request: HttpRequest,
    payload: web::Payload,
    gate: Arc<Gate>,
    clients: Clients,
) -> HttpResponse {
    let headers = end_to_end(request.headers(), gate.trusts_forwarded);
    let request_id = headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let target = Target::parse(request.uri().path(), request.uri().query());
    let (Ok(target), Some(host)) = (target, host_of(&request)) else {
        return HttpResponse::BadRequest()
            .content_type("text/plain; charset=utf-8")
            .body("400 Bad Request");
    };
    let forwarded_scheme = headers
        .get("x-forwarded-proto")
        .and_then(|scheme| scheme.to_str().ok());
    let incoming = Incoming {
        method: request.method().clone(),
        scheme: if forwarded_scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
            "https".to_owned()
        } else {
            "http".to_owned()
        },
        host,
        target,
        headers,
    };

    let answer = match gate.admit(clients.for_checks(), &incoming).await {
        Ok((rule, session)) => forward(&request, payload, &incoming, rule, session, &clients).await,
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|refusal| gate.worded(refusal).into_response(request_id.as_deref()))
}

async fn forward(
    request: &HttpRequest,
    payload: web::Payload,
    incoming: &Incoming,
    rule: &Rule,
    session: Session,
    clients: &Clients,
) -> Result<HttpResponse, Refusal> {
    let outgoing = Outgoing::new(incoming, rule, &session)?;
    let result = match body_of(request.headers()) {
        Body::None | Body::Sized(0) => match send_empty(outgoing.prepare(&clients.pooled)).await {
            // The service may close an idle connection at the moment it is reused. The request was not answered, and
            // repeating it is safe (RFC 9110 §9.2.2).
            Err(SendRequestError::Send(_) | SendRequestError::Response(_))
                if outgoing.method.is_idempotent() =>
            {
                send_empty(outgoing.prepare(&clients.fresh)).await
            }
            first => first,
        },
        Body::Sized(length) => {
            outgoing
                .prepare(&clients.pooled)
                .send_body(SizedStream::new(length, payload))
                .await
        }
        Body::Chunked => outgoing.prepare(&clients.pooled).send_stream(payload).await,
    };
    match result {
        Ok(answer) => Ok(relay(answer, &outgoing.method)),
        Err(error) => {
            tracing::warn!(rule = rule.id(), %error, "the service did not answer");
            let is_late = matches!(
                error,
                SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout)
            );
            Err(if is_late {
                Refusal::gateway_timeout()
            } else {
                Refusal::bad_gateway()
            })
        }
    }
}

/// A request to the service, without its body.
struct Outgoing {
    method: Method,
    url: String,
    headers: HeaderMap,
}

impl Outgoing {
    fn new(incoming: &Incoming, rule: &Rule, session: &Session) -> Result<Self, Refusal> {
        let Some(upstream) = &rule.upstream else {
            return Err(Refusal::internal(
                "Unable to forward the request because matched rule does not define an upstream URL",
            ));
        };
        let Upstream {
            preserve_host,
            strip_path,
            ..
        } = &rule.shown.upstream;
        let authority = upstream.authority();
        let path = incoming
            .target
            .forward(upstream.path().trim_end_matches('/'), strip_path);

        let mut headers = incoming.headers.clone();
        for name in session.headers.keys() {
            if let Some(value) = session.headers.get(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        let host = if *preserve_host {
            incoming.host.as_str()
        } else {
            authority
        };
        headers.insert(
            HOST,
            HeaderValue::try_from(host).map_err(|_| Refusal::bad_gateway())?,
        );
        Ok(Self {
            method: incoming.method.clone(),
            url: format!("http://{authority}{path}"),
            headers,
        })
    }

    fn prepare(&self, client: &Client) -> ClientRequest {
        // A compressed answer is relayed as it is; the caller decompresses it.
        let mut request = client
            .request(self.method.clone(), self.url.as_str())
            .no_decompress();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// Relays an answer without its hop-by-hop headers.
fn relay(
    answer: ClientResponse<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static>,
    method: &Method,
) -> HttpResponse {
    let length = match body_of(answer.headers()) {
        Body::Sized(length) => Some(length),
        Body::None | Body::Chunked => None,
    };
    let status = answer.status();
    let mut response = HttpResponse::build(status);
    let options = connection_options(answer.headers());
    for (name, value) in answer.headers() {
        if !is_hop_by_hop(name) && !options.contains(name) && *name != CONTENT_LENGTH {
            response.append_header((name.clone(), value.clone()));
        }
    }
    let has_no_body = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
        || status.is_informational();
    match (has_no_body, length) {
        // For HEAD, the length is that of the body that GET would return.
        (true, Some(length)) => response.body(SizedStream::new(
            length,
            stream::empty::<Result<Bytes, PayloadError>>(),
        )),
        (true, None) => response.finish(),
        (false, Some(length)) => response.body(SizedStream::new(length, answer)),
        (false, None) => response.streaming(answer),
    }
}

/// Sends a request without a body. `Content-Length: 0` is sent only for methods that usually have a body.
pub(crate) fn send_empty(request: ClientRequest) -> SendClientRequest {
    match *request.get_method() {
        Method::PATCH | Method::POST | Method::PUT => request.send(),
        _ => request.send_body(body::None::new()),
    }
}

enum Body {
    Chunked,
    None,
    Sized(u64),
}

fn body_of(headers: &HeaderMap) -> Body {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Body::Chunked;
    }
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|text| text.parse().ok());
    length.map_or(Body::None, Body::Sized)
}

fn client(keep_alive: Duration) -> Client {
    let connector = Connector::new()
        .timeout(CONNECT_TIMEOUT)
        .conn_keep_alive(keep_alive)
        .conn_lifetime(MAX_LIFE)
        .limit(0);
    Client::builder()
        .connector(connector)
        .timeout(ANSWER_TIMEOUT)
        .disable_redirects()
        .no_default_headers()
        .finish()
}

/// Shorter than the five seconds after which Actix servers close idle connections.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

const MAX_LIFE: Duration = Duration::from_secs(3_600);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout for the head of a service's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

//! The copy of a request's head that the gate keeps.
//!
//! The request moves into the router, and is dropped with the unpolled future when it is refused. So the gate copies before what it
//! needs afterwards: what decisions read, and what middleware outside the gate reads from the request of a response, such as its
//! method, its `Origin` or its `User-Agent`. Header values are reference counted, so a copy costs little.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    dev::{ServiceRequest, Url},
    http::{
        Method, Uri, Version,
        header::{HOST, HeaderName, HeaderValue, ORIGIN},
        uri::PathAndQuery,
    },
    test::TestRequest,
};
use iam_core::credential::CsrfRule;
use smallvec::SmallVec;

use super::context::{GateContext, Route};

/// A copy of a request's head.
pub(crate) struct CapturedHead {
    method: Method,
    target: RequestTarget,
    version: Version,
    peer: Option<SocketAddr>,
    lines: Vec<(HeaderName, HeaderValue)>,
}

impl CapturedHead {
    /// Copies the head of a request.
    pub(crate) fn of(request: &ServiceRequest) -> Self {
        let head = request.head();

        Self {
            method: head.method.clone(),
            target: RequestTarget::of(&head.uri),
            version: head.version,
            peer: head.peer_addr,
            lines: head
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }

    /// Returns the method.
    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Returns the address that the connection comes from: that of the socket, never one that a header tells.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer.map(|address| address.ip())
    }

    /// Returns the authority that the request was sent to (RFC 9112 §3.2.2): that of the target, else the only `Host` header.
    pub(crate) fn authority(&self) -> Option<&[u8]> {
        if let RequestTarget::Other(uri) = &self.target
            && let Some(authority) = uri.authority()
        {
            return Some(authority.as_str().as_bytes());
        }

        let mut hosts = self.lines.iter().filter(|(name, _)| name == HOST);
        match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => Some(host.as_bytes()),
            (_, _) => None,
        }
    }

    /// Returns the route of this worker's application that fits the method and the target.
    pub(crate) fn route_in<'w>(&self, context: &'w GateContext) -> Option<&'w Route> {
        context.route_of(&self.method, self.target.path())
    }

    /// Returns the value of `Origin`, for the log.
    pub(crate) fn origin(&self) -> Option<&[u8]> {
        let mut origins = self.lines.iter().filter(|(name, _)| name == ORIGIN);
        origins.next().map(|(_, value)| value.as_bytes())
    }

    /// Returns the lines of the headers `names`, which are in lower case.
    pub(crate) fn lines(&self, names: &[String]) -> SmallVec<[(&str, &[u8]); 4]> {
        self.lines
            .iter()
            .filter(|(line, _)| names.iter().any(|name| name == line.as_str()))
            .map(|(line, value)| (line.as_str(), value.as_bytes()))
            .collect()
    }

    /// Makes a request that looks, to middleware outside the gate, like the original one.
    ///
    /// It has no payload, no path parameters, no matched pattern, no application data, and no credential: the headers `credentials`
    /// are omitted, except those that CORS reads too.
    pub(crate) fn rebuild(&self, credentials: &[String]) -> HttpRequest {
        let mut request = TestRequest::default().to_srv_request();

        let uri = self.target.uri();
        request.match_info_mut().set(Url::new(uri.clone()));
        let head = request.head_mut();
        head.method = self.method.clone();
        head.uri = uri;
        head.version = self.version;
        head.peer_addr = self.peer;
        head.headers.clear();
        for (name, value) in &self.lines {
            let secret = credentials.iter().any(|credential| credential == name.as_str());
            if secret && !CsrfRule::HEADERS.contains(&name.as_str()) {
                continue;
            }
            head.headers.append(name.clone(), value.clone());
        }

        let (request, _) = request.into_parts();
        request.extensions_mut().clear();
        request
    }
}

/// The target of a request (RFC 9112 §3.2). It is mostly a path, which is cheaper to copy than a whole URI.
enum RequestTarget {
    Path(PathAndQuery),
    Other(Uri),
}

impl RequestTarget {
    fn of(uri: &Uri) -> Self {
        match uri.path_and_query() {
            Some(path) if uri.scheme().is_none() && uri.authority().is_none() => Self::Path(path.clone()),
            Some(_) | None => Self::Other(uri.clone()),
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Path(path) => path.path(),
            Self::Other(uri) => uri.path(),
        }
    }

    fn uri(&self) -> Uri {
        match self {
            Self::Path(path) => Uri::from(path.clone()),
            Self::Other(uri) => uri.clone(),
        }
    }
}

/// R071: only what says nothing about who sent it. Headers hold credentials, and so may the target.
impl fmt::Debug for CapturedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedHead")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuilt_request_is_the_old_one_without_its_credentials() {
        let request = TestRequest::post()
            .uri("/a%2Fb?c=d")
            .version(Version::HTTP_2)
            .peer_addr("127.0.0.1:80".parse().unwrap())
            .append_header(("origin", "https://app.example"))
            .append_header(("x-two", "1"))
            .append_header(("x-two", "2"))
            .append_header(("authorization", "Bearer a.b.c"))
            .to_srv_request();

        let credentials = ["authorization".to_owned(), "origin".to_owned()];
        let head = CapturedHead::of(&request);
        let rebuilt = head.rebuild(&credentials);

        assert_eq!(
            head.lines(&credentials[..1]).as_slice(),
            [("authorization", b"Bearer a.b.c".as_slice())]
        );
        assert_eq!(rebuilt.method(), Method::POST);
        assert_eq!(rebuilt.uri(), "/a%2Fb?c=d");
        assert_eq!(rebuilt.version(), Version::HTTP_2);
        assert_eq!(rebuilt.peer_addr(), request.peer_addr());
        assert_eq!(rebuilt.headers().get_all("x-two").count(), 2);
        assert_eq!(rebuilt.headers().len_keys(), 2);
        assert_eq!(rebuilt.match_info().as_str(), "/a%2Fb");
    }

    #[test]
    fn targets_that_are_no_paths_are_rebuilt_too() {
        for target in ["*", "example.com:443", "http://example.com/a?b", "//a", "/"] {
            let mut request = TestRequest::default().to_srv_request();
            request.head_mut().uri = target.parse().unwrap();

            let rebuilt = CapturedHead::of(&request).rebuild(&[]);

            assert_eq!(rebuilt.uri(), request.uri());
        }
    }
}

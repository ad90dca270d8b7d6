//! The decision about a request: rule, authenticators, authorizer and mutators, in this order.

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{
            CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE,
            PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
        },
        uri::Authority,
    },
};
use awc::Client;

use crate::oathkeeper::{
    authn::Outcome,
    mutate::Mint,
    refusal::Refusal,
    rule::{Authorizer, Rule},
    session::Session,
    target::Target,
};

/// The state that the workers of one gateway share.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) rules: Vec<Rule>,
    pub(crate) mint: Mint,
    /// Whether error bodies contain details, or only the text of the status.
    pub(crate) is_verbose: bool,
    /// Whether `X-Forwarded-*` headers of the caller are trusted and forwarded.
    pub(crate) trusts_forwarded: bool,
    /// Set when the proxy listens on another address than the configured one, which the rules match against.
    pub(crate) moved: Option<Moved>,
}

/// The actual and the configured address of a listener.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) actual: String,
    pub(crate) configured: String,
}

/// A request as the pipeline sees it: without hop-by-hop headers, and without headers that only a proxy may set.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
}

impl Gate {
    /// Decides about one request, and returns the matching rule and the session for the service.
    pub(crate) async fn admit(
        &self,
        client: &Client,
        incoming: &Incoming,
    ) -> Result<(&Rule, Session), Refusal> {
        let rule = self.rule(incoming)?;

        let mut known = None;
        for authenticator in &rule.authenticators {
            match authenticator.authenticate(client, incoming).await {
                Outcome::Known(session) => {
                    known = Some(session);
                    break;
                }
                Outcome::NotResponsible => {}
                Outcome::Refused(refusal) => return Err(refusal),
            }
        }
        let mut session = known.ok_or_else(Refusal::unauthorized)?;

        match rule.authorizer {
            Authorizer::Allow => {}
            Authorizer::Deny => return Err(Refusal::forbidden()),
        }

        for mutator in &rule.mutators {
            mutator.mutate(&mut session, &incoming.headers, &self.mint, rule.id())?;
        }
        Ok((rule, session))
    }

    /// Applies the configured verbosity to an error.
    pub(crate) fn worded(&self, refusal: Refusal) -> Refusal {
        if self.is_verbose { refusal } else { refusal.terse() }
    }

    fn rule(&self, incoming: &Incoming) -> Result<&Rule, Refusal> {
        let host = match &self.moved {
            Some(moved) if moved.actual == incoming.host => &moved.configured,
            Some(_) | None => &incoming.host,
        };
        let url = format!("{}://{host}{}", incoming.scheme, incoming.target.path());
        let mut matching = self
            .rules
            .iter()
            .filter(|rule| rule.matches(incoming.method.as_str(), &url));
        match (matching.next(), matching.next()) {
            (None, _) => Err(Refusal::no_rule()),
            (Some(rule), None) => Ok(rule),
            (Some(_), Some(_)) => Err(Refusal::several_rules()),
        }
    }
}

/// The caller's `Host`; empty if absent. Returns `None` for an invalid host, which could be mistaken for the beginning of a
/// path.
pub(crate) fn host_of(request: &HttpRequest) -> Option<String> {
    let header = match request.headers().get(HOST) {
        None => "",
        Some(value) => value.to_str().ok()?,
    };
    let host = request.uri().authority().map_or(header, Authority::as_str);

    is_host(host).then(|| host.to_owned())
}

/// Returns whether a text has only characters that Go allows in a `Host` (RFC 3986 §3.2.2, with a port).
pub(crate) fn is_host(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte))
}

/// The caller's headers without hop-by-hop headers (RFC 9110 §7.6.1), without `Content-Length` and `Host`, which the next
/// hop sets anew, and without untrusted headers of proxies.
pub(crate) fn end_to_end(headers: &HeaderMap, trusts_forwarded: bool) -> HeaderMap {
    let named_by_connection = connection_options(headers);
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let is_forwarded = name == "forwarded" || name.as_str().starts_with("x-forwarded");
        let is_trusted = trusts_forwarded
            && matches!(
                name.as_str(),
                "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto"
            );
        if !is_hop_by_hop(name)
            && !named_by_connection.contains(name)
            && *name != HOST
            && *name != CONTENT_LENGTH
            // `100 Continue` was already sent on this connection, and the body follows.
            && *name != EXPECT
            && (!is_forwarded || is_trusted)
        {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// The names that the `Connection` header lists.
pub(crate) fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|option| HeaderName::try_from(option.trim()).ok())
        .collect()
}

/// Returns whether a header is hop-by-hop.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

//! The headers that may carry a token.
//!
//! These are `Authorization` and headers that only the application uses. Headers with another meaning are logged, rewritten
//! or dropped by proxies, or read by other software, so they must not carry tokens.

/// Returns why a header must not carry tokens. `name` is in lower case.
pub(super) fn fault(name: &str) -> Option<&'static str> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Some("not a header name");
    }

    let is_taken = TAKEN.iter().any(|family| is_of(name, family));
    is_taken.then_some(
        "a header with a meaning of its own: write \"Authorization\", or a name that only the application uses, such as \"X-Id-Token\"",
    )
}

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Families of headers: a word, and all names that begin with that word and a hyphen.
const TAKEN: &[&str] = &[
    "accept",
    "access-control",
    "alt",
    "b3",
    "baggage",
    "cache",
    "cdn-loop",
    "cf-connecting-ip",
    "client-cert",
    "connection",
    "content",
    "cookie",
    "correlation-id",
    "date",
    "digest",
    "dnt",
    "dpop",
    "early-data",
    "expect",
    "forwarded",
    "from",
    "grpc",
    "host",
    "http2-settings",
    "if",
    "keep-alive",
    "last-event-id",
    "link",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "proxy",
    "range",
    "referer",
    "request-id",
    "sec",
    "set-cookie",
    "signature",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "want",
    "x-amzn-trace-id",
    "x-b3",
    "x-client-ip",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-csrf-token",
    "x-envoy",
    "x-forwarded",
    "x-http-method",
    "x-method-override",
    "x-original",
    "x-real",
    "x-request-id",
    "x-requested-with",
    "x-rewrite",
    "x-xsrf-token",
];

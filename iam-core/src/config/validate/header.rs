//! Which header may carry a token?
//!
//! `Authorization`, and every header that an application names itself. A header that means something else is printed by
//! loggers, rewritten or dropped by proxies, or read by others: a token in it would be an accident.

/// Tells why a header is not for tokens. `name` is in lower case.
pub(super) fn fault(name: &str) -> Option<&'static str> {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Some("not a header name");
    }

    let is_taken = TAKEN.iter().any(|family| is_of(name, family));
    is_taken.then_some(
        "a header with a meaning of its own: write \"Authorization\", or a name that nobody else uses, such as \"X-Id-Token\"",
    )
}

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Families of headers: each is a word, and whatever begins with that word and a hyphen.
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

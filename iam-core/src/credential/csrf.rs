//! Cross-site request forgery: refuses requests that another site makes a user's browser send.
//!
//! A session cookie travels with every request of the browser, and a gateway turns it into a token, so neither proves that the
//! application made the request. The browser's own headers do: `Sec-Fetch-Site`, and `Origin` where `Sec-Fetch-Site` is absent. A
//! request with neither header comes from a client that is not a browser, and passes.

use crate::request::RequestHead;

/// Which requests of browsers are let through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CsrfRule {
    origins: Vec<String>,
}

impl CsrfRule {
    /// The headers that the rule looks at.
    pub const HEADERS: [&'static str; 3] = ["origin", "sec-fetch-site", "upgrade"];

    /// Makes a rule that lets the origins listed pass, besides the application's own.
    pub fn new(allowed_origins: impl IntoIterator<Item = String>) -> Self {
        Self {
            origins: allowed_origins.into_iter().collect(),
        }
    }

    /// Checks a request. Safe methods pass unless they open a WebSocket, to which the same-origin policy does not apply.
    ///
    /// Without `Sec-Fetch-Site`, an `Origin` passes when it is configured or when its authority equals the request's own: the same
    /// comparison as Go's `net/http.CrossOriginProtection`.
    ///
    /// # Errors
    ///
    /// [`CsrfError`] for an unsafe request that a browser sent from another site, or that contradicts itself.
    pub fn check(&self, head: &RequestHead<'_>) -> Result<(), CsrfError> {
        if is_safe(head.method) && !opens_websocket(head) {
            return Ok(());
        }

        let origin = head.single("origin").map_err(|_| CsrfError)?;
        let allowed = origin.is_some_and(|origin| self.allows(origin));
        match head.single("sec-fetch-site").map_err(|_| CsrfError)? {
            // `none`: the user typed the address or opened a bookmark.
            Some(b"same-origin" | b"none") => Ok(()),
            // `same-site` is not enough: a sibling domain may belong to another owner.
            Some(_) if allowed => Ok(()),
            None if allowed || origin.is_none_or(|origin| is_own(origin, head)) => Ok(()),
            Some(_) | None => Err(CsrfError),
        }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin)
    }
}

/// Tells whether an origin is the authority that the request was sent to. The scheme is not compared: a service behind a proxy that
/// ends TLS does not know its own.
fn is_own(origin: &[u8], head: &RequestHead<'_>) -> bool {
    let authority = origin
        .strip_prefix(b"https://")
        .or_else(|| origin.strip_prefix(b"http://"));

    authority.is_some_and(|authority| !authority.is_empty() && head.authority == Some(authority))
}

fn is_safe(method: &str) -> bool {
    // RFC 9110 §9.2.1. Methods are case-sensitive: `get` is not `GET`.
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

fn opens_websocket(head: &RequestHead<'_>) -> bool {
    head.lines("upgrade").next().is_some()
}

/// The request may have been sent by another site.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("request across sites")]
#[non_exhaustive]
pub struct CsrfError;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&str, &str)]) -> bool {
        check_at(None, method, headers)
    }

    fn check_at(authority: Option<&str>, method: &str, headers: &[(&str, &str)]) -> bool {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        CsrfRule::new(["https://app.example".to_owned()])
            .check(&RequestHead {
                method,
                authority: authority.map(str::as_bytes),
                headers: &headers,
                peer: None,
            })
            .is_ok()
    }

    #[test]
    fn an_unsafe_request_of_another_site_is_refused() {
        for method in ["POST", "PUT", "PATCH", "DELETE", "get", "FOO"] {
            for site in ["cross-site", "same-site", "", "SAME-ORIGIN", "nonsense"] {
                assert!(!check(method, &[("sec-fetch-site", site)]), "{method} {site}");
            }
            for origin in [
                "https://evil.example",
                "null",
                "",
                "https://app.example.evil",
                "https://app.example/",
            ] {
                assert!(!check(method, &[("origin", origin)]), "{method} {origin}");
            }
        }
    }

    #[test]
    fn a_websocket_of_another_site_is_refused() {
        let upgrade = ("upgrade", "websocket");

        assert!(!check("GET", &[upgrade, ("origin", "https://evil.example")]));
        assert!(check("GET", &[upgrade, ("origin", "https://app.example")]));
        assert!(check(
            "GET",
            &[
                upgrade,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://x.example")
            ]
        ));
    }

    #[test]
    fn an_origin_equal_to_the_requests_own_host_is_not_refused() {
        for (own, origin) in [
            ("orders.example", "https://orders.example"),
            ("orders.example", "http://orders.example"),
            ("orders.example:8443", "https://orders.example:8443"),
            ("[::1]:3002", "http://[::1]:3002"),
        ] {
            assert!(check_at(Some(own), "POST", &[("origin", origin)]), "{origin}");
        }

        for (own, origin) in [
            (Some("orders.example"), "https://evil.example"),
            (Some("orders.example"), "https://orders.example.evil"),
            (Some("orders.example"), "https://orders.example:8443"),
            (Some("orders.example:8443"), "https://orders.example"),
            (Some("orders.example"), "orders.example"),
            (Some("orders.example"), "ftp://orders.example"),
            (Some("orders.example"), "https://user@orders.example"),
            (Some("orders.example"), "https://orders.example/"),
            (Some("null"), "null"),
            (Some(""), "https://"),
            (None, "https://"),
            (None, "https://orders.example"),
        ] {
            assert!(!check_at(own, "POST", &[("origin", origin)]), "{own:?} {origin}");
        }
        // What the browser says of itself counts more than two headers that happen to be equal.
        let site = ("sec-fetch-site", "cross-site");
        let origin = ("origin", "https://orders.example");
        assert!(!check_at(Some("orders.example"), "POST", &[site, origin]));
    }

    #[test]
    fn repeated_headers_are_refused() {
        let origin = ("origin", "https://app.example");
        let own = ("sec-fetch-site", "same-origin");

        assert!(!check("POST", &[origin, origin]));
        assert!(!check("POST", &[own, ("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn safe_methods_own_origins_allowed_origins_and_other_clients_pass() {
        assert!(check(
            "GET",
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://evil.example")
            ]
        ));
        assert!(check(
            "POST",
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://orders.example")
            ]
        ));
        assert!(check("POST", &[("sec-fetch-site", "none")]));
        assert!(check(
            "POST",
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://app.example")
            ]
        ));
        assert!(check("POST", &[("origin", "https://app.example")]));
        assert!(check("POST", &[]));
    }
}

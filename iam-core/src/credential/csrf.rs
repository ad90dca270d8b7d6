//! Did the application make this request, or did another site make the user's browser send it?
//!
//! A gateway turns a session cookie into a token, so a token does not prove that the application asked. What browsers
//! say about themselves does: `Sec-Fetch-Site`, and `Origin` where that is not sent. Clients that send neither are no
//! browsers and hold no cookie that another site could use.

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

    /// Checks a request: safe methods pass unless they open a WebSocket, which no same-origin policy guards.
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
            // `none`: the user did it by hand, in the address bar or from a bookmark.
            Some(b"same-origin" | b"none") => Ok(()),
            // `same-site` is not enough: a sibling domain may belong to somebody else.
            Some(_) if allowed => Ok(()),
            None if allowed || origin.is_none() => Ok(()),
            Some(_) | None => Err(CsrfError),
        }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin)
    }
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
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        CsrfRule::new(["https://app.example".to_owned()])
            .check(&RequestHead {
                method,
                headers: &headers,
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

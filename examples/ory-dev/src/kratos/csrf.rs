//! Anti-CSRF tokens: a cookie, and a masked copy in the form.

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    answer::{Refusal, wants_json},
    secret,
    session::cookie,
};

/// The anti-CSRF token of a request, from its cookie or newly generated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CsrfToken {
    token: [u8; LENGTH],
    /// Whether the token came from the request's cookie.
    pub(crate) presented: bool,
}

impl CsrfToken {
    pub(crate) fn of(request: &HttpRequest, name: &str) -> Result<Self, Refusal> {
        let sent = cookie(request, name).and_then(|text| STANDARD.decode(text).ok());
        match sent.and_then(|bytes| bytes.try_into().ok()) {
            Some(token) => Ok(Self {
                token,
                presented: true,
            }),
            None => Self::generate(),
        }
    }

    pub(crate) fn generate() -> Result<Self, Refusal> {
        Ok(Self {
            token: secret::random()?,
            presented: false,
        })
    }

    /// Returns the value of the `Set-Cookie` header for the token.
    pub(crate) fn set_cookie(&self, name: &str) -> String {
        let value = STANDARD.encode(self.token);
        format!("{name}={value}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax")
    }

    /// Returns the token for a form. It is masked differently each time, so that compression does not reveal it.
    pub(crate) fn mask(&self) -> Result<String, Refusal> {
        let mask: [u8; LENGTH] = secret::random()?;
        let masked = mask.iter().zip(self.token).map(|(mask, byte)| mask ^ byte);
        Ok(STANDARD.encode(mask.into_iter().chain(masked).collect::<Vec<_>>()))
    }

    /// Returns whether `sent` is this token, masked or plain.
    pub(crate) fn matches(&self, sent: &str) -> bool {
        let Ok(bytes) = STANDARD.decode(sent) else {
            return false;
        };
        let plain = match bytes.split_at_checked(LENGTH) {
            Some((mask, masked)) if masked.len() == LENGTH => {
                mask.iter().zip(masked).map(|(mask, byte)| mask ^ byte).collect()
            }
            Some((plain, [])) => plain.to_vec(),
            Some(_) | None => return false,
        };
        aws_lc_rs::constant_time::verify_slices_are_equal(&plain, &self.token).is_ok()
    }
}

/// Returns the name of the cookie. It differs between installations, so that two on one host do not collide.
pub(crate) fn cookie_name(public_url: &str) -> String {
    let hash = digest::digest(&digest::SHA256, public_url.as_bytes());
    hash.as_ref()
        .iter()
        .fold("csrf_token_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// Returns the error for an invalid anti-CSRF token, with details about the request.
pub(crate) fn violation(request: &HttpRequest, name: &str, token_sent: bool) -> Refusal {
    let reject_reason = if request
        .headers()
        .get(header::COOKIE)
        .is_none_or(HeaderValue::is_empty)
    {
        "The HTTP Cookie Header is empty or not set."
    } else if cookie(request, name).is_none() {
        "The HTTP Cookie Header was set but did not include the anti-CSRF cookie."
    } else if token_sent {
        "The HTTP Cookie Header was set and a CSRF token was sent but they do not match. We recommend deleting all \
         cookies for this domain and retrying the flow."
    } else {
        "The anti-CSRF cookie was found but the CSRF token was not included in the HTTP request body (csrf_token) \
         nor in the HTTP Header (X-CSRF-Token)."
    };
    let ajax = request.headers().contains_key("x-requested-with") || request.headers().contains_key("origin");
    let hint = if ajax && wants_json(request.headers()) {
        AJAX_HINT
    } else {
        HINT
    };
    Refusal::new(
        StatusCode::FORBIDDEN,
        "the request was rejected to protect you from Cross-Site-Request-Forgery",
    )
    .id("security_csrf_violation")
    .reason(
        "Please retry the flow and optionally clear your cookies. The request was rejected to protect you from \
         Cross-Site-Request-Forgery (CSRF) which could cause account takeover, leaking personal information, and \
         other serious security issues.",
    )
    .details(json!({
        "docs": "https://www.ory.sh/kratos/docs/debug/csrf",
        "hint": hint,
        "reject_reason": reject_reason,
    }))
}

const LENGTH: usize = 32;

const HINT: &str = "We detected a regular browser or server-side call. To debug browser calls check your Browser's \
    Network Tab to see what cookies are included or excluded. If you are calling from a server ensure that the \
    appropriate cookies are being forwarded and that the SDK method is called correctly.";

const AJAX_HINT: &str = "We detected an AJAX call, please ensure that CORS is enabled and configured correctly, and \
    that your AJAX code sends cookies and has credentials enabled. For further debugging, check your Browser's \
    Network Tab to see what cookies are included or excluded.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_matches_masked_or_plain() {
        let (token, other) = (CsrfToken::generate().unwrap(), CsrfToken::generate().unwrap());
        let (first, second) = (token.mask().unwrap(), token.mask().unwrap());

        assert_ne!(first, second);
        assert!(token.matches(&first) && token.matches(&second));
        assert!(token.matches(&STANDARD.encode(token.token)));
        for sent in [
            other.mask().unwrap(),
            String::new(),
            "x".into(),
            STANDARD.encode([0; 33]),
            STANDARD.encode([0; 96]),
        ] {
            assert!(!token.matches(&sent), "{sent}");
        }
    }

    #[test]
    fn cookie_is_named_after_the_public_url() {
        assert_eq!(
            cookie_name("http://127.0.0.1:4433/"),
            "csrf_token_806060ca5bf70dff3caa0e5c860002aade9d470a5a4dce73bcfa7ba10778f481"
        );
    }
}

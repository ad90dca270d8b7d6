//! The challenge of a 401.
//!
//! RFC 6750 §3: every 401 carries one challenge. It has an error code only when a credential was presented.
//!
//! The types of `actix-web-httpauth` write it. They put no comma between two parameters (RFC 9110 §11.6.1 wants one),
//! so every challenge here has exactly one: the realm when nothing was presented, the error otherwise.

use actix_web::http::header::{HeaderValue, TryIntoHeaderValue};
use actix_web_httpauth::headers::www_authenticate::bearer::{Bearer, Error};
use iam_core::decision::Reason;

/// The realm of a challenge. It says nothing about tenants.
const REALM: &str = "api";

/// Returns the value of `WWW-Authenticate` for a refusal, if one belongs there.
pub(crate) fn challenge(reason: Reason) -> Option<HeaderValue> {
    let bearer = match reason {
        // RFC 6750 §3.1: no error code, no other information, when nothing was presented.
        Reason::MissingCredential => Bearer::build().realm(REALM),
        Reason::AmbiguousCredential => Bearer::build().error(Error::InvalidRequest),
        Reason::AudienceMismatch
        | Reason::Expired
        | Reason::InvalidSignature
        | Reason::IssuerMismatch
        | Reason::Malformed
        | Reason::NotYetValid
        | Reason::Replay
        | Reason::SessionInactive
        | Reason::TenantMismatch
        | Reason::TokenInactive
        | Reason::UnknownKey => Bearer::build().error(Error::InvalidToken),
        // RFC 9470 §3.
        Reason::InsufficientLevel => {
            return Some(HeaderValue::from_static(
                r#"Bearer error="insufficient_user_authentication""#,
            ));
        }
        // The same for all three: which of them it was is nothing for the caller.
        Reason::PermissionDeny | Reason::RoleDeny | Reason::ScopeDeny => {
            Bearer::build().error(Error::InsufficientScope)
        }
        Reason::AlreadyAuthenticated
        | Reason::Csrf
        | Reason::IntrospectionUnavailable
        | Reason::InvalidObject
        | Reason::InvalidRequirement
        | Reason::KeysUnavailable
        | Reason::PermissionUnavailable
        | Reason::PolicyConflict
        | Reason::ReplayUnavailable
        | Reason::SessionUnavailable
        | Reason::UnknownTenant => return None,
    };

    bearer.finish().try_into_value().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reason: Reason) -> Option<String> {
        challenge(reason).map(|value| value.to_str().unwrap().to_owned())
    }

    /// R068
    #[test]
    fn the_error_code_is_that_of_what_was_presented() {
        let table = [
            (Reason::MissingCredential, r#"Bearer realm="api""#),
            (Reason::Expired, r#"Bearer error="invalid_token""#),
            (Reason::AmbiguousCredential, r#"Bearer error="invalid_request""#),
            (Reason::ScopeDeny, r#"Bearer error="insufficient_scope""#),
        ];

        for (reason, expected) in table {
            assert_eq!(text(reason).as_deref(), Some(expected));
        }
    }

    /// R067, R069
    #[test]
    fn every_challenge_has_exactly_one_parameter_of_printable_ascii() {
        for reason in Reason::ALL {
            let Some(text) = text(reason) else { continue };
            let parameter = text.strip_prefix("Bearer ").unwrap();
            let (name, value) = parameter.split_once('=').unwrap();

            assert!(name == "realm" || name == "error");
            assert!(value.len() > 2 && !value.contains(','));
            assert!(
                value
                    .trim_matches('"')
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
        }
    }
}

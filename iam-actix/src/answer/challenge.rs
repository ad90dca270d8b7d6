//! The challenge of a 401.
//!
//! RFC 6750 §3: every 401 carries one challenge. It has an error code only when a credential was presented.
//!
//! The types of `actix-web-httpauth` write a challenge with one parameter: the realm when nothing was presented, the error
//! otherwise. They put no comma between two parameters (RFC 9110 §11.6.1 wants one), so a challenge with two is written here.

use std::iter;

use actix_web::http::header::{HeaderValue, TryIntoHeaderValue};
use actix_web_httpauth::headers::www_authenticate::bearer::{Bearer, Error};
use iam_core::decision::{Reason, Refusal, StepUp};

/// The realm of a challenge. It says nothing about tenants.
const REALM: &str = "api";

/// Returns the value of `WWW-Authenticate` for a refusal, if one belongs there.
pub(crate) fn challenge(refusal: Refusal) -> Option<HeaderValue> {
    let bearer = match refusal.reason {
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
        Reason::InsufficientLevel => return step_up(refusal.step_up.unwrap_or_default()),
        // Where the policies of the route are known, `insufficient_scope` replaces the challenge of a missing scope.
        Reason::PermissionDeny | Reason::RoleDeny | Reason::ScopeDeny => {
            Bearer::build().error(Error::InsufficientScope)
        }
        Reason::AlreadyAuthenticated
        | Reason::Csrf
        | Reason::IntrospectionUnavailable
        | Reason::InvalidObject
        | Reason::InvalidRequirement
        | Reason::AuthenticatorUnavailable
        | Reason::KeysUnavailable
        | Reason::PermissionUnavailable
        | Reason::PolicyConflict
        | Reason::ReplayUnavailable
        | Reason::SessionUnavailable
        | Reason::UnknownTenant => return None,
    };

    bearer.finish().try_into_value().ok()
}

/// Returns the challenge for a missing scope, which names all scopes that the route requires (RFC 6750 §3.1); nothing when it
/// requires none.
pub(crate) fn insufficient_scope<'s>(required: impl Iterator<Item = &'s str>) -> Option<HeaderValue> {
    let mut scopes: Vec<&str> = Vec::new();
    for scope in required {
        // INVARIANT: a policy holds scopes of RFC 6749 §3.3 only, which need no quoting.
        if iam_grammar::check_scope(scope).is_ok() && !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return None;
    }

    let text = format!(
        r#"Bearer error="insufficient_scope", scope="{}""#,
        scopes.join(" ")
    );
    HeaderValue::from_str(&text).ok()
}

/// RFC 9470 §3: what the caller has to prove.
fn step_up(step_up: StepUp) -> Option<HeaderValue> {
    let level = step_up.level.map(|level| format!(r#", acr_values="{level}""#));
    let age = step_up
        .max_age
        .map(|age| format!(r#", max_age="{}""#, age.as_secs()));
    let error = r#"Bearer error="insufficient_user_authentication""#.to_owned();

    let text: String = iter::once(error).chain(level).chain(age).collect();
    text.try_into_value().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use iam_core::principal::AssuranceLevel;

    use super::*;

    /// R062
    #[test]
    fn missing_scope_is_named_with_all_others_of_the_route() {
        let challenge = |scopes: &[&str]| {
            let value = insufficient_scope(scopes.iter().copied())?;
            value.to_str().ok().map(str::to_owned)
        };

        assert_eq!(challenge(&[]), None);
        assert_eq!(
            challenge(&["jobs:write"]).as_deref(),
            Some(r#"Bearer error="insufficient_scope", scope="jobs:write""#)
        );
        assert_eq!(
            challenge(&["jobs:read", "jobs:write", "jobs:read"]).as_deref(),
            Some(r#"Bearer error="insufficient_scope", scope="jobs:read jobs:write""#)
        );
        // A text that no scope is would end the quoted text.
        assert_eq!(challenge(&["a\"b", "c\\d", "e f", ""]), None);
    }

    fn text(reason: Reason) -> Option<String> {
        challenge(Refusal::new(reason)).map(|value| value.to_str().unwrap().to_owned())
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

    /// R072: RFC 9470 §3.
    #[test]
    fn a_step_up_says_what_has_to_be_proved() {
        let (level, age) = (Some(AssuranceLevel::Aal2), Some(Duration::from_secs(900)));

        for (level, max_age, parameters) in [
            (level, None, r#", acr_values="aal2""#),
            (None, age, r#", max_age="900""#),
            (level, age, r#", acr_values="aal2", max_age="900""#),
            (None, None, ""),
        ] {
            let refusal = Refusal::insufficient(StepUp { level, max_age }, "level");
            let expected = format!(r#"Bearer error="insufficient_user_authentication"{parameters}"#);

            assert_eq!(challenge(refusal).unwrap(), expected.as_str());
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

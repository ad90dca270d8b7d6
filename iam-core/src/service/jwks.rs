//! Fetches key sets.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use super::{CallError, call};
use crate::{
    http::HttpClient,
    jwks::{KeyProblem, KeySet, KeySetError},
    tenant::JwksSource,
};

/// Fetches a key set, and lists its unusable keys.
///
/// The future borrows nothing: it may outlive the request that waits for it.
///
/// # Errors
///
/// [`JwksError`] when there is no response, or it is not a key set. The current keys stay in use.
pub fn fetch(
    source: &JwksSource,
    client: &Arc<dyn HttpClient>,
) -> impl Future<Output = Result<(KeySet, Vec<KeyProblem>), JwksError>> + Send + 'static + use<> {
    let (source, client) = (source.clone(), Arc::clone(client));
    async move {
        let request = call::request(Method::GET, source.url().to_owned(), None, "");
        let response = call::send(&*client, request, Bytes::new(), source.limits()).await?;
        if response.status() != StatusCode::OK {
            return Err(JwksError::Status(response.status()));
        }
        if !may_be_keys(response.headers()) {
            return Err(JwksError::ContentType);
        }

        Ok(KeySet::parse(response.body(), source.key_limits())?)
    }
}

/// Tells whether a response declares JSON or a key set (RFC 7517 §8.5.2), or what file servers and object stores say of any file.
fn may_be_keys(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (declared, None) = (lines.next(), lines.next()) else {
        return false;
    };
    declared.is_none_or(|line| {
        let kind = line.as_bytes().split(|&byte| byte == b';').next();
        let kind = kind.unwrap_or_default().trim_ascii();
        TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known))
    })
}

const TYPES: [&[u8]; 4] = [
    b"application/json",
    b"application/jwk-set+json",
    b"application/octet-stream",
    b"text/plain",
];

/// Why a key set was not fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The issuer did not respond.
    #[error("the request failed")]
    Call(#[from] CallError),
    /// The response declares a content type other than JSON.
    #[error("the response is not declared as JSON")]
    ContentType,
    /// The response is not a key set.
    #[error("the response is not a key set")]
    KeySet(#[from] KeySetError),
    /// The issuer responded with another status than 200.
    #[error("the response has the status {0}")]
    Status(StatusCode),
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::{
        http::TransportError,
        testing::{ScriptedClient, block_on, settings_with},
    };

    fn fetch_from(client: &ScriptedClient) -> Result<(KeySet, Vec<KeyProblem>), JwksError> {
        let settings = settings_with("");
        let source = settings.registry().default_tenant().jwks().unwrap().clone();
        let client: Arc<dyn HttpClient> = Arc::new(client.clone());
        block_on(fetch(&source, &client))
    }

    /// R123, D16
    #[test]
    fn anything_but_a_key_set_with_status_200_is_no_key_set() {
        for (status, body) in [
            (204, ""),
            (302, r#"{"keys":[]}"#),
            (404, "404 page not found"),
            (500, r#"{"keys":[]}"#),
            (401, r#"{"keys":[]}"#),
            (200, "<html>"),
            (200, ""),
            (200, r#"{"keys":{}}"#),
            (200, r#"{"keys":[],"keys":[]}"#),
        ] {
            let client = ScriptedClient::new();
            client.answer(Response::builder().status(status).body(body.into()).unwrap());

            assert!(fetch_from(&client).is_err(), "{status} {body}");
        }

        let client = ScriptedClient::new();
        client.fail(TransportError::Timeout);
        assert_eq!(
            fetch_from(&client).unwrap_err(),
            JwksError::Call(CallError::Transport(TransportError::Timeout))
        );
    }

    #[test]
    fn key_set_with_another_declared_type_is_refused() {
        let key_set = r#"{"keys":[]}"#;
        let fetched = |types: &[&str]| {
            let client = ScriptedClient::new();
            let mut response = Response::builder();
            for kind in types {
                response = response.header("content-type", *kind);
            }
            client.answer(response.body(key_set.into()).unwrap());
            fetch_from(&client).err()
        };

        for kind in [
            "application/json",
            "Application/JSON ; charset=utf-8",
            "application/jwk-set+json",
            "application/octet-stream",
            "text/plain; charset=utf-8",
        ] {
            assert_eq!(fetched(&[kind]), None, "{kind}");
        }
        assert_eq!(fetched(&[]), None);
        for kind in ["text/html", "application/problem+json", "application/jsonp", ""] {
            assert_eq!(fetched(&[kind]), Some(JwksError::ContentType), "{kind}");
        }
        assert_eq!(
            fetched(&["application/json", "application/json"]),
            Some(JwksError::ContentType)
        );
    }

    #[test]
    fn an_unexpected_status_is_part_of_the_error() {
        let client = ScriptedClient::new();
        client.answer(Response::builder().status(404).body(Bytes::new()).unwrap());

        let error = fetch_from(&client).unwrap_err();

        assert_eq!(error.to_string(), "the response has the status 404 Not Found");
    }

    #[test]
    fn an_answer_beyond_the_limit_is_no_key_set() {
        let client = ScriptedClient::new();
        client.answer(Response::new(vec![b' '; 300 * 1024].into()));

        assert!(fetch_from(&client).is_err());
    }

    #[test]
    fn a_key_set_is_fetched_without_any_credential() {
        let client = ScriptedClient::new();
        client.answer(Response::new(Bytes::from_static(br#"{"keys":[]}"#)));

        let (keys, problems) = fetch_from(&client).unwrap();

        assert!(keys.is_empty() && problems.is_empty());
        let request = &client.requests()[0];
        assert_eq!(request.uri(), "https://gateway.example/.well-known/jwks.json");
        assert!(!request.headers().contains_key("authorization"));
    }
}

//! The id of a request.
//!
//! Every request has one id: the caller's, if it is a single line of 1 to 128 harmless characters, or a new one. The id is
//! in every response, in every audit event, and in every upstream call that the request causes.

use std::fmt;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Uuid, fmt::Hyphenated};

/// The header of the id, in requests and responses.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest accepted id of a caller.
const MAX_LENGTH: usize = 128;

/// The id of one request: the caller's, or one that the gate generated. Cloning is cheap.
///
/// Pass it to further calls, so that other logs can be correlated with the audit events. As an extractor it fails with 500
/// if the request did not pass through the gate. Keep `as_str().to_owned()` where the id outlives the request, because a
/// caller's id shares the buffer of its connection.
///
/// ```
/// use iam_actix::RequestId;
///
/// async fn which(id: RequestId) -> String {
///     id.as_str().to_owned()
/// }
/// ```
///
/// # Security
///
/// *Unverified*: a caller may choose it, even the id of another request.
#[derive(Clone)]
pub struct RequestId(Id);

#[derive(Clone)]
enum Id {
    Accepted(HeaderValue),
    /// Stored inline: no allocation, no reference count.
    Made([u8; Hyphenated::LENGTH]),
}

impl RequestId {
    /// Accepts the caller's id or generates one.
    ///
    /// An id is rejected if it is repeated, empty, too long, or has characters other than letters, digits and `-._:/+=@`,
    /// because it is written to logs and upstream requests.
    pub(crate) fn accept_or_make(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(X_REQUEST_ID);

        match (lines.next(), lines.next()) {
            (Some(value), None) if is_acceptable(value.as_bytes()) => Self(Id::Accepted(value.clone())),
            (_, _) => Self::random(),
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        // INVARIANT: only visible ASCII characters are accepted. `to_str` would check each byte again.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the id as the value of a header.
    pub(crate) fn header(&self) -> HeaderValue {
        match &self.0 {
            Id::Accepted(value) => value.clone(),
            // INVARIANT: hexadecimal digits and hyphens are valid in a header.
            Id::Made(text) => HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static("-")),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Id::Accepted(value) => value.as_bytes(),
            Id::Made(text) => text,
        }
    }

    fn random() -> Self {
        // The id cannot be guessed. With the feature `fast-rng` it needs no system call for each request.
        let mut text = [0; Hyphenated::LENGTH];
        Uuid::new_v4().hyphenated().encode_lower(&mut text);

        Self(Id::Made(text))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.as_str()).finish()
    }
}

fn is_acceptable(value: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:/+=@".contains(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn accepted(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        }

        let id = RequestId::accept_or_make(&headers);
        values
            .iter()
            .any(|value| *value == id.as_str().as_bytes())
            .then(|| id.as_str().to_owned())
    }

    /// D24
    #[test]
    fn an_id_of_any_length_and_content_is_not_taken_over() {
        assert_eq!(accepted(&[b""]), None);
        assert_eq!(accepted(&[b"a b"]), None);
        assert_eq!(accepted(&[b"a\tb"]), None);
        assert_eq!(accepted(&[b"a\"b"]), None);
        assert_eq!(accepted(&[b"\xff"]), None);
        assert_eq!(accepted(&[&[b'a'; 129]]), None);
        assert_eq!(accepted(&[&[b'a'; 128]]).map(|id| id.len()), Some(128));
    }

    /// R085
    #[test]
    fn an_id_on_two_lines_is_not_taken_over() {
        assert_eq!(accepted(&[b"a", b"a"]), None);
        assert_eq!(accepted(&[b"a", b"b"]), None);
    }

    #[test]
    fn the_ids_of_usual_proxies_are_taken_over() {
        for id in [
            "7f3c9a52-5f0e-4d0a-9b1e-0c2d3e4f5a6b",
            "Root=1-67891233-abcdef012345678912345678",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "host/1a2b-000001",
        ] {
            assert_eq!(accepted(&[id.as_bytes()]).as_deref(), Some(id));
        }
    }

    #[test]
    fn an_id_is_printed_as_text() {
        let id = RequestId::random();

        assert_eq!(format!("{id:?}"), format!("RequestId({:?})", id.as_str()));
        assert_eq!(id.header(), id.as_str());
    }

    #[test]
    fn made_ids_differ() {
        let ids: HashSet<_> = (0..1000)
            .map(|_| RequestId::random().as_str().to_owned())
            .collect();

        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 36));
    }
}

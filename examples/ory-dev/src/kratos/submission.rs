//! The body of a form submission: JSON or form fields, as one JSON object.

use actix_web::{
    HttpRequest,
    web::{Bytes, Payload},
};
use serde_json::{Map, Value};

use super::answer::{Refusal, media_type};

/// A body that is neither a JSON object nor form fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecodable;

/// The submitted values.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Submission(Map<String, Value>);

impl Submission {
    /// Reads the body. The last of duplicate members counts, as in Go.
    pub(crate) fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, Undecodable> {
        if media_type(request.headers()).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self::from_form(body));
        }
        Self::from_json(body)
    }

    pub(crate) fn from_json(body: &[u8]) -> Result<Self, Undecodable> {
        serde_json::from_slice(body).map(Self).map_err(|_| Undecodable)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Converts form fields: `traits.email` becomes a member of an object `traits`.
    pub(crate) fn from_form(body: &[u8]) -> Self {
        let mut members = Map::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            let mut place = &mut members;
            let mut segments = name.splitn(MAX_DEPTH, '.').peekable();
            while let Some(segment) = segments.next() {
                if segments.peek().is_none() {
                    place.insert(segment.to_owned(), value.as_ref().into());
                    break;
                }
                let next = place.entry(segment).or_insert_with(|| Map::new().into());
                if !next.is_object() {
                    *next = Map::new().into();
                }
                let Some(inner) = next.as_object_mut() else { break };
                place = inner;
            }
        }
        Self(members)
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_body(body: Payload, limit: usize) -> Result<Bytes, Refusal> {
    match body.to_bytes_limited(limit).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Refusal::bad_request("The request body could not be read.")),
        Err(_) => Err(Refusal::too_large()),
    }
}

/// The largest body of a form.
pub(crate) const MAX_FORM: usize = 64 * 1024;

/// The largest body of an admin request.
pub(crate) const MAX_ADMIN: usize = 256 * 1024;

const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;

    fn read(media: &str, body: &[u8]) -> Result<Value, Undecodable> {
        let request = TestRequest::post()
            .insert_header(("content-type", media))
            .to_http_request();
        Submission::read(&request, body).map(|submission| Value::Object(submission.0))
    }

    #[test]
    fn bodies_that_are_not_an_object_are_undecodable() {
        let deep = "[".repeat(10_000);
        for body in ["", "{", "[]", "\"text\"", "null", "{\"a\":1}x", &deep] {
            assert_eq!(
                read("application/json", body.as_bytes()),
                Err(Undecodable),
                "{body:.20}"
            );
        }
        assert_eq!(read("application/json", b"{\"a\":\"\xff\"}"), Err(Undecodable));
        assert_eq!(read("", b"{\"a\":1}"), Ok(json!({"a": 1})));
        assert_eq!(
            read("application/json", b"{\"a\":1,\"a\":2}"),
            Ok(json!({"a": 2}))
        );
    }

    #[test]
    fn form_fields_with_dots_become_objects() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";

        assert_eq!(
            read(form, b"method=password&traits.email=a%40b.c&traits.name.first=A"),
            Ok(json!({"method": "password", "traits": {"email": "a@b.c", "name": {"first": "A"}}}))
        );
        assert_eq!(read(form, b"a=1&a.b=2&a.b=3"), Ok(json!({"a": {"b": "3"}})));
        assert!(read(form, "x.".repeat(5000).as_bytes()).is_ok());
    }
}

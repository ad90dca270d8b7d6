//! The session of a caller, as the gateway sees it.

use actix_web::http::header::HeaderMap;
use serde_json::{Map, Value};

/// The result of an authenticator, with the changes of the mutators.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Empty for a caller without a subject.
    pub(crate) subject: String,
    /// The answer of the session check.
    pub(crate) extra: Option<Map<String, Value>>,
    /// Headers that replace the caller's in the forwarded request.
    pub(crate) headers: HeaderMap,
}

/// A path into a JSON answer: `@this`, or member names and array indexes separated by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonPath {
    This,
    Members(Vec<String>),
}

impl JsonPath {
    /// Parses a path. The further syntax of the real gateway's path language is not supported.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        if path == "@this" {
            return Some(Self::This);
        }
        let members: Vec<String> = path.split('.').map(str::to_owned).collect();
        let is_plain = |name: &String| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|character| character.is_alphanumeric() || "_-".contains(character))
        };
        members.iter().all(is_plain).then_some(Self::Members(members))
    }

    /// Returns the value at the path, or null.
    pub(crate) fn find(&self, value: &Value) -> Value {
        let Self::Members(members) = self else {
            return value.clone();
        };
        let mut found = value;
        for name in members {
            let next = match found {
                Value::Object(object) => object.get(name),
                Value::Array(items) => name.parse().ok().and_then(|index: usize| items.get(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            let Some(next) = next else { return Value::Null };
            found = next;
        }
        found.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::JsonPath;

    #[test]
    fn paths_outside_the_subset_are_refused() {
        for path in [
            "",
            "a..b",
            ".a",
            "a.#.b",
            "a|@reverse",
            "@pretty",
            "a.*",
            "a\\.b",
            "a.#(x==1)",
        ] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn paths_find_members_and_positions_and_null_otherwise() {
        let value = json!({"identity": {"id": "x", "list": [{"a": 1}]}});
        let find = |path: &str| JsonPath::parse(path).expect("a path").find(&value);
        assert_eq!(find("@this"), value);
        assert_eq!(find("identity.id"), json!("x"));
        assert_eq!(find("identity.list.0.a"), json!(1));
        assert_eq!(find("identity.list.1.a"), Value::Null);
        assert_eq!(find("identity.id.more"), Value::Null);
    }
}

//! Who is calling, as far as the gateway found out.

use actix_web::http::header::HeaderMap;
use serde_json::{Map, Value};

/// What an authenticator learned about the caller, and what the mutators made of it.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Empty for a caller whom nobody asked.
    pub(crate) subject: String,
    /// What the session check answered.
    pub(crate) extra: Option<Map<String, Value>>,
    /// Headers that replace the caller's on the way upstream.
    pub(crate) headers: HeaderMap,
}

/// A path into a JSON answer: `@this`, or member names and array positions with dots between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonPath {
    This,
    Members(Vec<String>),
}

impl JsonPath {
    /// Reads a path; none of the further syntax of the real gateway's path language is known.
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

    /// The value there, or null.
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

//! The roles of a principal.
//!
//! They come from public metadata, which only administrators can write. A list with an element of the wrong type gives no roles.

use serde_json::Value;

/// The place of a principal's roles in its public metadata.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleSource {
    /// The path inside the metadata.
    path: Vec<String>,
}

impl RoleSource {
    /// Creates a source of roles at `path` inside the metadata.
    pub(crate) const fn metadata(path: Vec<String>) -> Self {
        Self { path }
    }

    /// Returns the roles that *verified* public metadata grants.
    pub(crate) fn roles<'a>(&self, metadata: Option<&'a Value>) -> impl Iterator<Item = &'a str> + use<'a> {
        list(&self.path, metadata).iter().filter_map(Value::as_str)
    }
}

fn list<'a>(path: &[String], metadata: Option<&'a Value>) -> &'a [Value] {
    let value = path
        .iter()
        .try_fold(metadata, |value, key| Some(value?.as_object()?.get(key)))
        .flatten();

    match value.and_then(Value::as_array) {
        Some(list) if list.iter().all(Value::is_string) => list,
        Some(_) | None => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roles(metadata: &Value) -> Vec<&str> {
        list(&["roles".to_owned()], Some(metadata))
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }

    #[test]
    fn roles_of_a_wrong_type_are_no_roles() {
        for metadata in [
            json!(null),
            json!("admin"),
            json!(["admin"]),
            json!({}),
            json!({"roles": null}),
            json!({"roles": "admin"}),
            json!({"roles": {"admin": true}}),
            json!({"roles": ["admin", 1]}),
            json!({"roles": [["admin"]]}),
            json!({"role": ["admin"]}),
            json!({"Roles": ["admin"]}),
        ] {
            assert_eq!(roles(&metadata), Vec::<&str>::new(), "{metadata}");
        }
        assert_eq!(list(&["roles".to_owned()], None), &[] as &[Value]);
        assert_eq!(roles(&json!({"roles": ["admin", "user"]})), ["admin", "user"]);
    }
}

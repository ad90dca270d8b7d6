//! JSON Patch (RFC 6902) with Kratos's limits: `test` is not supported, and some members are read-only.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::answer::Refusal;

/// Applies all operations of `patch` to `document`, or none.
pub(crate) fn apply(patch: &Value, document: &Value) -> Result<Value, Refusal> {
    let Value::Array(operations) = patch else {
        return Err(Refusal::bad_request("The request body is not a JSON Patch"));
    };
    let mut room = Room(MAX_VALUES);
    room.take("", document).map_err(refuse)?;
    let mut changed = document.clone();
    for operation in operations {
        one(operation, &mut changed, &mut room).map_err(refuse)?;
    }
    Ok(changed)
}

fn one(operation: &Value, document: &mut Value, room: &mut Room) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let pointer = |name: &str| {
        let pointer = text(name).ok_or_else(|| format!("invalid operation: no `{name}`"))?;
        if pointer.is_empty() || !pointer.starts_with('/') {
            return Err(format!("invalid operation: `{name}` is not a path"));
        }
        if DENIED.iter().any(|denied| names(pointer, denied)) {
            return Err(format!("patch includes denied path: {pointer}"));
        }
        Ok(pointer)
    };
    let mut value = |pointer| {
        let value = operation
            .get("value")
            .ok_or_else(|| "invalid operation: no `value`".to_owned())?;
        room.take(pointer, value)?;
        Ok::<_, String>(value.clone())
    };

    match text("op") {
        Some("add") => {
            let pointer = pointer("path")?;
            add(document, pointer, value(pointer)?)
        }
        Some("replace") => {
            let pointer = pointer("path")?;
            let target = document
                .pointer_mut(pointer)
                .ok_or_else(|| missing("replace", pointer))?;
            *target = value(pointer)?;
            Ok(())
        }
        Some("remove") => remove(document, pointer("path")?).map(drop),
        Some("move") => {
            let (from, to) = (pointer("from")?, pointer("path")?);
            // RFC 6902 §4.4: a value cannot be moved into itself.
            if to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                return Err(format!("move operation does not apply: {to} is inside of {from}"));
            }
            let moved = remove(document, from)?;
            room.take(to, &moved)?;
            add(document, to, moved)
        }
        Some("copy") => {
            let (from, to) = (pointer("from")?, pointer("path")?);
            let copied = document.pointer(from).ok_or_else(|| missing("copy", from))?;
            room.take(to, copied)?;
            let copied = copied.clone();
            add(document, to, copied)
        }
        Some(other) => Err(format!(
            "unsupported operation: {}",
            other.chars().take(32).collect::<String>()
        )),
        None => Err("invalid operation: no `op`".to_owned()),
    }
}

fn add(document: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let (parent, name) = split(pointer);
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(name, value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let index = if name == "-" {
                items.len()
            } else {
                index(&name).ok_or_else(|| missing("add", pointer))?
            };
            if index > items.len() {
                return Err(missing("add", pointer));
            }
            items.insert(index, value);
            Ok(())
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            Err(missing("add", pointer))
        }
    }
}

fn remove(document: &mut Value, pointer: &str) -> Result<Value, String> {
    let (parent, name) = split(pointer);
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(&name).ok_or_else(|| missing("remove", pointer)),
        Some(Value::Array(items)) => match index(&name).filter(|index| *index < items.len()) {
            Some(index) => Ok(items.remove(index)),
            None => Err(missing("remove", pointer)),
        },
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            Err(missing("remove", pointer))
        }
    }
}

/// Splits a pointer into its parent's pointer and the decoded last part.
fn split(pointer: &str) -> (&str, String) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    // RFC 6901 §4: `~1` first, then `~0`.
    (parent, name.replace("~1", "/").replace("~0", "~"))
}

/// RFC 6901 §4: digits without leading zeros.
fn index(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// Returns whether the pointer is `denied` or lies inside. Letter case is ignored, as Go matches members.
fn names(pointer: &str, denied: &str) -> bool {
    let (_, rest) = pointer.split_at_checked(1).unwrap_or_default();
    let first = rest.split('/').next().unwrap_or_default();
    split(&format!("/{first}")).1.eq_ignore_ascii_case(denied)
}

fn missing(operation: &str, pointer: &str) -> String {
    let mut text = format!("{operation} operation does not apply: doc is missing path: ");
    // Writing to a `String` is infallible.
    let _ = write!(text, "{:?}", pointer.chars().take(256).collect::<String>());
    text
}

/// How many more values the document may take. Without this limit, copying a value into itself a few times would exhaust
/// the memory, or overflow the stack of recursive code.
struct Room(usize);

impl Room {
    /// Reserves room for a value at `pointer`, and visits no more values than the remaining room.
    fn take(&mut self, pointer: &str, value: &Value) -> Result<(), String> {
        let too_large = || "the patched document is too large".to_owned();
        let mut open = vec![(value, pointer.split('/').count())];
        while let Some((value, depth)) = open.pop() {
            let inside = depth.saturating_add(1);
            let size = match value {
                Value::Null | Value::Bool(_) | Value::Number(_) => 1,
                Value::String(text) => text.len().saturating_add(1),
                Value::Array(items) => {
                    open.extend(items.iter().map(|item| (item, inside)));
                    1
                }
                Value::Object(members) => {
                    open.extend(members.values().map(|item| (item, inside)));
                    members
                        .keys()
                        .fold(1, |sum: usize, name| sum.saturating_add(name.len()))
                }
            };
            self.0 = self.0.checked_sub(size).ok_or_else(too_large)?;
            if depth > MAX_DEPTH {
                return Err(too_large());
            }
        }
        Ok(())
    }
}

fn refuse(message: String) -> Refusal {
    Refusal::new(actix_web::http::StatusCode::BAD_REQUEST, message)
        .reason("An error occured when applying the JSON patch")
}

const DENIED: &[&str] = &["id", "stateChangedAt", "state_changed_at", "credentials"];
/// The nesting limit of an accepted body.
const MAX_DEPTH: usize = 128;
const MAX_VALUES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: &Value) -> Result<Value, String> {
        let document =
            json!({"schema_id": "default", "traits": {"a/b": 1, "list": [1, 2]}, "metadata_public": null});
        apply(patch, &document).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn operations_change_what_they_name() {
        let changed = patched(&json!([
            {"op": "add", "path": "/metadata_public", "value": {"roles": ["x"]}},
            {"op": "add", "path": "/metadata_public/roles/-", "value": "y"},
            {"op": "add", "path": "/metadata_public/roles/0", "value": "w"},
            {"op": "replace", "path": "/traits/a~1b", "value": 2},
            {"op": "remove", "path": "/traits/list/0"},
            {"op": "copy", "from": "/traits/list", "path": "/metadata_public/copied"},
            {"op": "move", "from": "/traits/a~1b", "path": "/traits/c"},
        ]));

        let expected = json!({
            "schema_id": "default",
            "traits": {"list": [2], "c": 2},
            "metadata_public": {"roles": ["w", "x", "y"], "copied": [2]},
        });
        assert_eq!(changed, Ok(expected));
    }

    #[test]
    fn operations_that_do_not_apply_are_refused() {
        for operation in [
            json!({"op": "remove", "path": "/nothing"}),
            json!({"op": "replace", "path": "/nothing", "value": 1}),
            json!({"op": "add", "path": "/nothing/inside", "value": 1}),
            json!({"op": "add", "path": "/traits/list/3", "value": 1}),
            json!({"op": "add", "path": "/traits/list/01", "value": 1}),
            json!({"op": "remove", "path": "/traits/list/-"}),
            json!({"op": "move", "from": "/traits", "path": "/traits/list/0"}),
            json!({"op": "copy", "from": "/nothing", "path": "/x"}),
            json!({"op": "add", "path": "/x"}),
            json!({"op": "add", "path": "", "value": {}}),
            json!({"op": "add", "path": "x", "value": {}}),
            json!({"op": "add", "value": {}}),
            json!({"path": "/x", "value": {}}),
            json!({"op": 1}),
            json!("text"),
        ] {
            assert!(patched(&json!([operation])).is_err(), "{operation}");
        }
        assert!(patched(&json!({"op": "add"})).is_err());
    }

    #[test]
    fn test_operation_and_denied_paths_are_refused_as_recorded() {
        assert_eq!(
            patched(&json!([{"op": "test", "path": "/schema_id", "value": "default"}])),
            Err("unsupported operation: test".to_owned())
        );
        for path in ["/credentials", "/credentials/password", "/Credentials", "/id"] {
            let operations = [
                json!({"op": "replace", "path": path, "value": {}}),
                json!({"op": "remove", "path": path}),
                json!({"op": "copy", "from": path, "path": "/metadata_public"}),
            ];
            for operation in operations {
                let expected = format!("patch includes denied path: {path}");
                assert_eq!(patched(&json!([operation])), Err(expected));
            }
        }
    }

    #[test]
    fn list_that_is_copied_into_itself_does_not_grow_without_end() {
        let copies = vec![json!({"op": "copy", "from": "/traits", "path": "/traits/list/-"}); 64];

        assert_eq!(
            patched(&Value::Array(copies)),
            Err("the patched document is too large".to_owned())
        );
    }

    #[test]
    fn document_does_not_grow_without_end_by_many_patches() {
        let mut document = json!({"traits": {"list": ["x".repeat(1024)]}});
        let copy = json!([{"op": "copy", "from": "/traits/list/0", "path": "/traits/list/-"}]);
        let patches = (0..MAX_VALUES).take_while(|_| match apply(&copy, &document) {
            Ok(changed) => {
                document = changed;
                true
            }
            Err(_) => false,
        });

        assert!((200..256).contains(&patches.count()));
    }

    /// Each copy into its own deepest leaf doubles the depth, so a few copies would overflow the stack of recursive code.
    #[test]
    fn what_is_copied_into_its_own_depth_does_not_nest_without_end() {
        let mut operations = vec![json!({"op": "add", "path": "/metadata_public", "value": {"a": {}}})];
        let mut deepest = "/metadata_public/a".to_owned();
        for _ in 0..20 {
            operations
                .push(json!({"op": "copy", "from": "/metadata_public", "path": format!("{deepest}/a")}));
            deepest = format!("{deepest}{}", deepest.replacen("/metadata_public", "/a", 1));
        }
        let refused = Err("the patched document is too large".to_owned());
        assert_eq!(patched(&Value::Array(operations)), refused);

        let mut operations = vec![json!({"op": "add", "path": "/metadata_public", "value": {}})];
        let mut path = "/metadata_public".to_owned();
        for _ in 0..1_000 {
            path.push_str("/a");
            operations.push(json!({"op": "add", "path": path, "value": {}}));
        }
        assert_eq!(patched(&Value::Array(operations)), refused);
    }
}

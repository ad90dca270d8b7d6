//! Relation tuples and subjects, as configuration, attributes and tools write them.

use iam_grammar::{Permission, RelationTuple, Subject};

/// A text that is read prints to a text that is read as the same, and the position of an error lies within the text.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };

    match text.parse::<RelationTuple>() {
        Ok(tuple) => {
            assert_eq!(
                tuple.to_string().parse(),
                Ok(tuple.clone()),
                "printed as another tuple"
            );
            let parts = RelationTuple::new(
                tuple.namespace(),
                tuple.object(),
                tuple.relation(),
                tuple.subject().clone(),
            );
            assert_eq!(parts, Ok(tuple), "read what cannot be made of its parts");
        }
        Err(err) => assert!(err.position() <= text.len(), "a refusal outside of the text"),
    }

    if let Ok(subject) = text.parse::<Subject>() {
        assert_eq!(
            subject.to_string().parse(),
            Ok(subject),
            "printed as another subject"
        );
    }

    match Permission::tuple(text) {
        Ok(permission) => {
            let printed = permission.to_string();
            assert_eq!(
                Permission::tuple(&printed),
                Ok(permission),
                "printed as another permission"
            );
        }
        Err(err) => assert!(err.position() <= text.len(), "a refusal outside of the text"),
    }
}

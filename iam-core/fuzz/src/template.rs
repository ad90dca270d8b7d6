//! Object templates, and the values of a request that fill them. The first line is the template, the rest the value.

use std::borrow::Cow;

use iam_grammar::{Permission, RelationTuple, Subject, Template};

/// A template prints as it was written, a value becomes part of the text unchanged, and a resolved tuple keeps its parts.
///
/// # Panics
///
/// When that does not hold.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (written, value) = text.split_once('\n').unwrap_or((&text, "7"));
    let values = |_: &str| Some(Cow::Borrowed(value));

    match Template::parse(written) {
        Ok(template) => {
            assert_eq!(template.to_string(), written, "printed as another template");
            if let Ok(filled) = template.resolve(&values) {
                let placeholders = template.placeholders().count();
                assert!(
                    placeholders <= filled.matches(value).count(),
                    "a value was changed on its way into the text"
                );
                assert!(
                    !filled.split('/').any(|segment| matches!(segment, "." | ".."))
                        || written.split('/').any(|segment| matches!(segment, "." | "..")),
                    "a value completed a dot segment"
                );
            }
        }
        Err(err) => assert!(err.position() <= written.len(), "a refusal outside of the text"),
    }

    let (Ok(permission), Ok(caller)) = (Permission::tuple(written), Subject::id("caller")) else {
        return;
    };
    if let Ok(question) = permission.resolve(&values, &caller) {
        for tuple in question.tuples() {
            assert_eq!(
                tuple.to_string().parse::<RelationTuple>().as_ref(),
                Ok(tuple),
                "resolved to a tuple that reads as another"
            );
        }
        assert_eq!(question.answer(&[]), None, "an answer to nothing");
    }
}

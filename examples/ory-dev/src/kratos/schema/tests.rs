use std::path::Path;

use super::*;
use crate::config::Vars;

fn read(text: &str) -> Result<Schema, ConfigError> {
    let document = Document::parse(Path::new("schema.json"), text, &Vars::new("/c", "/s"))?;
    Schema::read("default", &document, &mut Vec::new())
}

fn shipped() -> Schema {
    read(include_str!("../../../config/identity.schema.json")).unwrap()
}

fn with_traits(traits: &str) -> Result<Schema, ConfigError> {
    read(&format!(
        r#"{{"type":"object","properties":{{"traits":{traits}}}}}"#
    ))
}

fn ids(violations: &[Violation]) -> Vec<(&str, u64)> {
    violations
        .iter()
        .map(|v| (v.path.as_str(), v.message["id"].as_u64().unwrap()))
        .collect()
}

#[test]
fn traits_that_the_schema_refuses_are_reported_with_their_paths() {
    let schema = shipped();

    for (traits, expected) in [
        (json!({}), vec![("traits.email", 4_000_002)]),
        (
            json!({"email": "x"}),
            vec![("traits.email", 4_000_003), ("traits.email", 4_000_040)],
        ),
        (json!({"email": 1}), vec![("traits.email", 4_000_026)]),
        (
            json!({"email": "a@b.c", "name": "x".repeat(201)}),
            vec![("traits.name", 4_000_017)],
        ),
        (
            json!({"email": "a@b.c", "admin": true}),
            vec![("traits", 4_000_001)],
        ),
        (json!("text"), vec![("traits", 4_000_026)]),
        (json!(null), vec![("traits", 4_000_026)]),
        (json!({"email": "a@b.c", "name": "x".repeat(200)}), vec![]),
    ] {
        assert_eq!(ids(&schema.violations(&traits)), expected, "{traits}");
    }
}

#[test]
fn every_keyword_is_checked() {
    let schema = with_traits(
        r#"{"type":"object","properties":{
            "age":{"type":"integer","minimum":18,"maximum":99},
            "size":{"type":"string","enum":["s","m"]},
            "tags":{"type":"array","minItems":1,"maxItems":2,"items":{"type":"string"}},
            "ok":{"type":"boolean"}}}"#,
    )
    .unwrap();

    for (traits, expected) in [
        (json!({"age": 17}), vec![("traits.age", 4_000_018)]),
        (json!({"age": 100}), vec![("traits.age", 4_000_020)]),
        (json!({"age": 20.5}), vec![("traits.age", 4_000_026)]),
        (json!({"size": "l"}), vec![("traits.size", 4_000_001)]),
        (json!({"tags": []}), vec![("traits.tags", 4_000_024)]),
        (json!({"tags": ["a", "b", "c"]}), vec![("traits.tags", 4_000_023)]),
        (json!({"tags": [1]}), vec![("traits.tags.0", 4_000_026)]),
        (json!({"ok": "yes"}), vec![("traits.ok", 4_000_026)]),
        (
            json!({"age": 18, "size": "m", "tags": ["a"], "ok": true, "other": 1}),
            vec![],
        ),
    ] {
        assert_eq!(ids(&schema.violations(&traits)), expected, "{traits}");
    }
}

#[test]
fn keyword_that_is_not_checked_is_a_start_up_error() {
    for traits in [
        r#"{"type":"object","patternProperties":{}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string","pattern":"^x$"}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"string","format":"uri"}}}"#,
        r#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"text"}}}"#,
        r#"{"anyOf":[]}"#,
        r#"{"type":"object","properties":{"a":{"type":"number","minimum":"5"}}}"#,
        r#"{"type":"object","properties":{"a":{"type":"number","maximum":true}}}"#,
    ] {
        let err = with_traits(traits).unwrap_err().to_string();
        assert!(err.contains("properties.traits"), "{err}");
    }
    assert!(read(r#"{"type":"object"}"#).is_err());
    assert!(read("[]").is_err());
}

#[test]
fn identifiers_and_addresses_are_read_without_regard_to_case() {
    let extracted = shipped().extract(&json!({"email": " Alice@Example.com "}));

    let address = vec!["alice@example.com".to_owned()];
    assert_eq!(
        extracted,
        Extracted {
            password_identifiers: address.clone(),
            code_identifiers: address.clone(),
            verifiable: address.clone(),
            recovery: address,
        }
    );
}

#[test]
fn only_addresses_pass_as_email() {
    for (text, expected) in [
        ("a@b.c", true),
        ("a.b+c@example-x.com", true),
        ("a@localhost", true),
        ("a@", false),
        ("@b", false),
        ("a b@c.d", false),
        ("a@b@c.d", false),
        ("a@-b.c", false),
        ("a@b..c", false),
        ("a\n@b.c", false),
        ("not an address", false),
        ("", false),
    ] {
        assert_eq!(rule::is_email(text), expected, "{text:?}");
    }
    assert!(!rule::is_email(&format!("{}@b.c", "a".repeat(65))));
}

#[test]
fn schema_that_ends_early_is_refused() {
    let text = include_str!("../../../config/identity.schema.json").trim_end();
    for length in 0..text.len() {
        let cut: String = text.chars().take(length).collect();
        assert!(read(&cut).is_err(), "{cut}");
    }
}

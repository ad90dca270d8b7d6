//! Fuzz targets: one function for each parser of this stand-in, which the package `iam-fuzz` drives.
//!
//! Each function takes arbitrary bytes. The parser must not panic; the function panics when an accepted input breaks an
//! invariant.

use std::path::Path;

use crate::config::{Document, Vars};

pub use crate::{
    hydra::fuzz::{hydra_client, hydra_yml},
    keto::fuzz::{keto_body, keto_query, keto_yml},
    kratos::fuzz::{
        claims_mapper, identity_schema, kratos_cookie, kratos_form, kratos_identity, kratos_patch, kratos_yml,
    },
    oathkeeper::fuzz::{
        access_rules, gateway_keys, gateway_path, gateway_pattern, gateway_template, oathkeeper_yml,
    },
};

/// Parses the input as JSON if it looks like JSON, else as YAML.
pub(crate) fn document(data: &[u8]) -> Option<Document> {
    let text = str::from_utf8(data).ok()?;
    let name = if text.trim_start().starts_with(['{', '[']) {
        "fuzz.json"
    } else {
        "fuzz.yml"
    };
    Document::parse(Path::new(name), text, &vars()).ok()
}

/// The folder of the shipped files, so that a configuration can refer to them.
pub(crate) fn vars() -> Vars {
    Vars::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"), "/state")
}

/// Checks that all members of a mapping are known.
///
/// # Panics
///
/// When a member is unknown, because then an option was ignored silently.
pub(crate) fn assert_known(value: &serde_json::Value, known: &[&str]) {
    let mut members = value.as_object().into_iter().flatten();
    assert!(
        members.all(|(name, _)| known.contains(&name.as_str())),
        "an unknown option was accepted"
    );
}

//! What becomes of damaged input? One body for each parser of this stand-in, which the package `iam-fuzz` drives.
//!
//! Each takes any bytes, must not panic on its own account, and panics when what was accepted breaks a promise.

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

/// Parses the input as a file, in the notation that it looks like.
pub(crate) fn document(data: &[u8]) -> Option<Document> {
    let text = str::from_utf8(data).ok()?;
    let name = if text.trim_start().starts_with(['{', '[']) {
        "fuzz.json"
    } else {
        "fuzz.yml"
    };
    Document::parse(Path::new(name), text, &vars()).ok()
}

/// The folder of the shipped files, so that a configuration finds the files that it names.
pub(crate) fn vars() -> Vars {
    Vars::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"), "/state")
}

/// Checks that the members of a mapping are among those that somebody knows.
///
/// # Panics
///
/// When one is not: then an option was passed over in silence.
pub(crate) fn assert_known(value: &serde_json::Value, known: &[&str]) {
    let mut members = value.as_object().into_iter().flatten();
    assert!(
        members.all(|(name, _)| known.contains(&name.as_str())),
        "an unknown option was accepted"
    );
}

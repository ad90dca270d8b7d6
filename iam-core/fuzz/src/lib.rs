//! One fuzz target body for each parser of outside bytes.
//!
//! A body takes arbitrary bytes. The parser must not panic; the body panics when an accepted input breaks an invariant. To
//! add one: a file here with `pub fn run(data: &[u8])`, a line in [`TARGETS`], a folder under `corpus/` with a few good and
//! bad inputs, and a one-line file under `fuzz_targets/` with its `[[bin]]`.
//!
//! The bodies for the files and requests of the embedded Ory stack are in `ory_dev::fuzz`, beside its private parsers.
//!
//! `cargo test -p iam-fuzz` drives every body on stable Rust: its corpus, then mutations of it from a fixed seed. `cargo
//! +nightly fuzz run --features libfuzzer NAME`, run in this folder, fuzzes without an end.

pub mod authorization;
pub mod claims;
pub mod config;
pub mod envelope;
pub mod json;
pub mod jwks;
pub mod jws;
pub mod opl;
pub mod policy;
pub mod upstream;
pub mod template;
pub mod tuple;

/// Takes arbitrary bytes and panics when an invariant is broken.
pub type Body = fn(&[u8]);

/// Every target by its name, which is also the name of its corpus folder.
pub const TARGETS: &[(&str, Body)] = &[
    ("authorization", authorization::run),
    ("claims", claims::run),
    ("config", config::run),
    ("envelope", envelope::run),
    ("json", json::run),
    ("jwks", jwks::run),
    ("jws", jws::run),
    ("opl", opl::run),
    ("hydra_introspection", upstream::hydra_introspection),
    ("keto_batch", upstream::keto_batch),
    ("keto_list", upstream::keto_list),
    ("kratos_flow", upstream::kratos_flow),
    ("policy", policy::run),
    ("template", template::run),
    ("tuple", tuple::run),
    ("access_rules", ory_dev::fuzz::access_rules),
    ("claims_mapper", ory_dev::fuzz::claims_mapper),
    ("gateway_keys", ory_dev::fuzz::gateway_keys),
    ("gateway_path", ory_dev::fuzz::gateway_path),
    ("gateway_pattern", ory_dev::fuzz::gateway_pattern),
    ("gateway_template", ory_dev::fuzz::gateway_template),
    ("hydra_client", ory_dev::fuzz::hydra_client),
    ("hydra_yml", ory_dev::fuzz::hydra_yml),
    ("identity_schema", ory_dev::fuzz::identity_schema),
    ("keto_body", ory_dev::fuzz::keto_body),
    ("keto_query", ory_dev::fuzz::keto_query),
    ("keto_yml", ory_dev::fuzz::keto_yml),
    ("kratos_cookie", ory_dev::fuzz::kratos_cookie),
    ("kratos_form", ory_dev::fuzz::kratos_form),
    ("kratos_identity", ory_dev::fuzz::kratos_identity),
    ("kratos_patch", ory_dev::fuzz::kratos_patch),
    ("kratos_yml", ory_dev::fuzz::kratos_yml),
    ("oathkeeper_yml", ory_dev::fuzz::oathkeeper_yml),
];

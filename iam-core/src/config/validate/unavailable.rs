//! Keys of features that this version does not have.
//!
//! Whatever their value: a key that does nothing says something that is not so. The exceptions are those values that say
//! what happens, listed in the documentation of [`config`](crate::config#which-keys-are-accepted).

use std::{fmt, time::Duration};

use crate::config::{
    CacheConfig, KetoConfig, KratosConfig, Mode, OathkeeperConfig, TenantConfig, UpstreamConfig,
    VerifierKind, report::Report,
};

/// A feature that this version does not have.
#[derive(Clone, Copy)]
pub(in crate::config) struct Unavailable {
    /// The feature, with its verb.
    pub(super) what: &'static str,
    /// What has to go from the configuration.
    pub(super) remove: &'static str,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, remove } = self;
        write!(f, "{what} not available in this version; remove the {remove}")
    }
}

pub(super) fn check(report: &mut Report, path: &str, written: &TenantConfig) {
    let blocks = [
        ("mode", written.mode != Mode::SelfHosted, key("Ory Network is")),
        (
            "ory_network",
            written.ory_network.is_some(),
            block("Ory Network is"),
        ),
        ("hydra", written.hydra.is_some(), block("OAuth2 introspection is")),
    ];
    let kratos = written.kratos.iter().flat_map(kratos);
    let oathkeeper = written.oathkeeper.iter().flat_map(oathkeeper);
    let keto = written.keto.iter().flat_map(keto);

    let keys = blocks
        .into_iter()
        .chain(oathkeeper)
        .chain(kratos)
        .chain(keto)
        .chain(cache(&written.cache));
    for (key, _, feature) in keys.filter(|(_, is_written, _)| *is_written) {
        report.unavailable(&format!("{path}.{key}"), feature);
    }
}

/// The admin port of Kratos, whose credential may stand in a file.
pub(in crate::config) const ADMIN: Unavailable = key("managing identities is");

/// The keys of stores that several processes share.
pub(super) const STORES: Unavailable = block("shared stores are");

/// The keys of how upstreams are called, in one table of them.
pub(super) fn upstream(report: &mut Report, path: &str, written: &UpstreamConfig) {
    let keys = [
        (
            "retries",
            written.retries.is_some_and(|retries| retries != 0),
            key("calling again after a failure is"),
        ),
        ("breaker", written.breaker.is_some(), key("a circuit breaker is")),
        ("rate", written.rate.is_some(), key("a rate limit is")),
    ];
    for (key, _, feature) in keys.into_iter().filter(|(_, is_written, _)| *is_written) {
        report.unavailable(&format!("{path}.{key}"), feature);
    }
}

type Key = (&'static str, bool, Unavailable);

fn oathkeeper(written: &OathkeeperConfig) -> [Key; 5] {
    let hmac = key("the verifier \"hmac\" is");
    [
        ("oathkeeper.verifier", written.verifier != VerifierKind::Jwt, hmac),
        (
            "oathkeeper.signature_header",
            written.signature_header.is_some(),
            hmac,
        ),
        ("oathkeeper.keys", written.keys.is_some(), hmac),
        (
            "oathkeeper.signature_encoding",
            written.signature_encoding.is_some(),
            hmac,
        ),
        (
            "oathkeeper.envelope_encoding",
            written.envelope_encoding.is_some(),
            hmac,
        ),
    ]
}

fn kratos(written: &KratosConfig) -> [Key; 5] {
    let sessions = key("authentication by Kratos sessions is");
    [
        ("kratos.admin_url", written.admin_url.is_some(), ADMIN),
        ("kratos.admin_token", written.admin_token.is_some(), ADMIN),
        (
            "kratos.session_cookie",
            written.session_cookie.is_some(),
            sessions,
        ),
        ("kratos.required_aal", written.required_aal.is_some(), sessions),
        (
            "kratos.login_url",
            written.login_url.is_some(),
            key("asking for a second factor is"),
        ),
    ]
}

fn keto(written: &KetoConfig) -> [Key; 1] {
    [(
        "keto.permissions",
        written.permissions.is_some(),
        key("checking names against a permission file is"),
    )]
}

fn cache(written: &CacheConfig) -> [Key; 4] {
    let is_on = |ttl: Option<Duration>| ttl.is_some_and(|ttl| !ttl.is_zero());
    [
        (
            "cache.session_ttl",
            is_on(written.session_ttl),
            key("remembering sessions is"),
        ),
        (
            "cache.introspection_ttl",
            is_on(written.introspection_ttl),
            key("remembering introspections is"),
        ),
        (
            "cache.permission_ttl",
            is_on(written.permission_ttl),
            key("remembering permissions is"),
        ),
        (
            "cache.negative_ttl",
            is_on(written.negative_ttl),
            key("remembering refusals is"),
        ),
    ]
}

const fn key(what: &'static str) -> Unavailable {
    Unavailable { what, remove: "key" }
}

const fn block(what: &'static str) -> Unavailable {
    Unavailable {
        what,
        remove: "block",
    }
}

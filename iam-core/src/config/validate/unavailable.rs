//! Keys of features that this version does not have: an error where they would have switched something on.

use std::time::Duration;

use crate::config::{CacheConfig, Mode, TenantConfig, UpstreamConfig, VerifierKind, report::Report};

pub(super) fn check(report: &mut Report, path: &str, written: &TenantConfig) {
    if written.mode != Mode::SelfHosted {
        report.unavailable(&format!("{path}.mode"));
    }

    let kratos = written.kratos.iter().flat_map(|kratos| {
        [
            ("kratos.admin_url", kratos.admin_url.is_some()),
            ("kratos.admin_token", kratos.admin_token.is_some()),
            (
                "kratos.session_cookie",
                differs(kratos.session_cookie.as_deref(), "ory_kratos_session"),
            ),
            (
                "kratos.required_aal",
                differs(kratos.required_aal.as_deref(), "aal1"),
            ),
            ("kratos.login_url", kratos.login_url.is_some()),
        ]
    });
    let oathkeeper = written.oathkeeper.iter().flat_map(|oathkeeper| {
        [
            ("oathkeeper.verifier", oathkeeper.verifier == VerifierKind::Hmac),
            (
                "oathkeeper.signature_header",
                oathkeeper.signature_header.is_some(),
            ),
            ("oathkeeper.keys", !oathkeeper.keys.is_empty()),
            (
                "oathkeeper.signature_encoding",
                oathkeeper.signature_encoding.is_some(),
            ),
            (
                "oathkeeper.envelope_encoding",
                oathkeeper.envelope_encoding.is_some(),
            ),
        ]
    });
    let permissions = written
        .keto
        .iter()
        .map(|keto| ("keto.permissions", keto.permissions.is_some()));
    let blocks = [
        ("hydra", written.hydra.is_some()),
        ("ory_network", written.ory_network.is_some()),
    ];

    let switches = blocks
        .into_iter()
        .chain(kratos)
        .chain(oathkeeper)
        .chain(permissions)
        .chain(cache(&written.cache));
    for (key, _) in switches.filter(|(_, is_on)| *is_on) {
        report.unavailable(&format!("{path}.{key}"));
    }

    upstream(report, &format!("{path}.upstream"), &written.upstream);
    if let Some(keto) = &written.keto {
        upstream(report, &format!("{path}.keto.upstream"), &keto.upstream);
    }
    if let Some(kratos) = &written.kratos {
        upstream(report, &format!("{path}.kratos.upstream"), &kratos.upstream);
    }
}

fn cache(written: &CacheConfig) -> [(&'static str, bool); 4] {
    let is_on = |ttl: Option<Duration>| ttl.is_some_and(|ttl| !ttl.is_zero());
    [
        ("cache.session_ttl", is_on(written.session_ttl)),
        ("cache.introspection_ttl", is_on(written.introspection_ttl)),
        ("cache.permission_ttl", is_on(written.permission_ttl)),
        ("cache.negative_ttl", is_on(written.negative_ttl)),
    ]
}

fn upstream(report: &mut Report, path: &str, written: &UpstreamConfig) {
    let switches = [
        ("retries", written.retries.is_some_and(|retries| retries > 0)),
        ("max_in_flight", written.max_in_flight.is_some()),
        ("breaker", written.breaker.is_some()),
        ("rate", written.rate.is_some()),
    ];
    for (key, _) in switches.into_iter().filter(|(_, is_on)| *is_on) {
        report.unavailable(&format!("{path}.{key}"));
    }
}

fn differs(written: Option<&str>, default: &str) -> bool {
    written.is_some_and(|written| written != default)
}

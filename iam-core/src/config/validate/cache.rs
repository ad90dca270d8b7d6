//! Caches of upstream answers.

use std::time::Duration;

use super::MINUTE;
use crate::{
    config::{CacheConfig, TenantConfig, TokenCheck, report::Report},
    tenant::{CacheSettings, Caches, Transport},
};

/// Checks the caches of upstream answers.
///
/// A key with its default value states the default, and is accepted wherever it stands. Any other value must have an effect.
pub(super) fn caches(report: &mut Report, path: &str, tenant: &TenantConfig) -> Caches {
    let at = |key: &str| format!("{path}.cache.{key}");
    let (written, default) = (&tenant.cache, CacheConfig::default());
    let asks_sessions = tenant
        .transports
        .iter()
        .any(|transport| transport.is_of_sessions());
    let introspects = tenant.transports.contains(&Transport::Oauth2)
        && tenant
            .hydra
            .as_ref()
            .is_some_and(|hydra| hydra.tokens == TokenCheck::Introspect);
    for (key, ttl, has_effect, remedy) in [
        (
            "session_ttl",
            written.session_ttl,
            asks_sessions,
            "without the transport \"bearer\", \"cookie\" or \"cookie-or-bearer\"".to_owned(),
        ),
        (
            "introspection_ttl",
            written.introspection_ttl,
            introspects,
            "without the transport \"oauth2\" and introspected tokens".to_owned(),
        ),
        (
            "permission_ttl",
            written.permission_ttl,
            tenant.keto.is_some(),
            format!("without `{path}.keto`"),
        ),
    ] {
        // INVARIANT: a longer life would make a revocation in another process wait for more than a minute (R109).
        report.duration(&at(key), ttl, Duration::ZERO..=MINUTE);
        if !ttl.is_zero() && !has_effect {
            report.add(&at(key), format!("has no effect {remedy}"));
        }
    }
    report.duration(&at("negative_ttl"), written.negative_ttl, Duration::ZERO..=MINUTE);
    report.range(&at("max_entries"), written.max_entries, 1..=10_000_000);

    let keeps_permissions = !written.permission_ttl.is_zero();
    for (key, is_default) in [
        ("negative_ttl", written.negative_ttl == default.negative_ttl),
        ("max_entries", written.max_entries == default.max_entries),
    ] {
        if !(keeps_permissions || asks_sessions || introspects || is_default) {
            report.add(
                &at(key),
                format!("has no effect without `{}`", at("permission_ttl")),
            );
        }
    }

    let settings = |ttl| {
        CacheSettings::new(ttl)
            .negative_ttl(written.negative_ttl)
            .max_entries(written.max_entries)
    };
    Caches {
        introspections: settings(written.introspection_ttl),
        permissions: keeps_permissions.then(|| settings(written.permission_ttl)),
        sessions: settings(written.session_ttl),
    }
}

//! Caches of upstream answers.

use std::time::Duration;

use super::MINUTE;
use crate::{
    config::{CacheConfig, TenantConfig, report::Report},
    tenant::CacheSettings,
};

/// Checks the caches of upstream answers, and returns the one of permissions unless it is off.
///
/// A key with its default value states the default, and is accepted wherever it stands. Any other value must have an effect.
pub(super) fn permissions(report: &mut Report, path: &str, tenant: &TenantConfig) -> Option<CacheSettings> {
    let at = |key: &str| format!("{path}.cache.{key}");
    let (written, default) = (&tenant.cache, CacheConfig::default());
    // INVARIANT: a longer life would make a revocation in another process wait for more than a minute (R109).
    report.duration(
        &at("permission_ttl"),
        written.permission_ttl,
        Duration::ZERO..=MINUTE,
    );
    report.duration(&at("negative_ttl"), written.negative_ttl, Duration::ZERO..=MINUTE);
    report.range(&at("max_entries"), written.max_entries, 1..=10_000_000);

    let is_on = !written.permission_ttl.is_zero();
    if is_on && tenant.keto.is_none() {
        report.add(
            &at("permission_ttl"),
            format!("has no effect without `{path}.keto`"),
        );
    }
    for (key, is_default) in [
        ("negative_ttl", written.negative_ttl == default.negative_ttl),
        ("max_entries", written.max_entries == default.max_entries),
    ] {
        if !is_on && !is_default {
            report.add(
                &at(key),
                format!("has no effect without `{}`", at("permission_ttl")),
            );
        }
    }

    is_on.then(|| {
        CacheSettings::new(written.permission_ttl)
            .negative_ttl(written.negative_ttl)
            .max_entries(written.max_entries)
    })
}

//! Caches of upstream answers and of verified tokens.

use std::{ops::RangeInclusive, time::Duration};

use super::MINUTE;
use crate::{
    config::{
        CacheConfig, HydraConfig, OathkeeperConfig, TenantConfig, TokenCheck, VerifierKind, report::Report,
    },
    tenant::{CacheSettings, Caches, Transport},
};

/// Checks the caches, and returns those of upstream answers.
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
    report.range(&at("verified_tokens"), written.verified_tokens, VERIFIED_TOKENS);
    if written.verified_tokens != default.verified_tokens && !verifies_jwts(tenant) {
        report.add(
            &at("verified_tokens"),
            format!(
                "has no effect without `{path}.oathkeeper` and its `verifier = \"jwt\"`, or `{path}.hydra` and its `tokens = \"jwt\"`"
            ),
        );
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

/// Returns the capacity of a cache of verified tokens, which is allocated while the configuration is still being checked. One that is
/// out of range is reported by [`caches`], and allocates nothing.
pub(super) fn verified_tokens(tenant: &TenantConfig) -> usize {
    let written = tenant.cache.verified_tokens;
    if VERIFIED_TOKENS.contains(&written) {
        written
    } else {
        0
    }
}

fn verifies_jwts(tenant: &TenantConfig) -> bool {
    let of_gateway = |gateway: &OathkeeperConfig| gateway.verifier == VerifierKind::Jwt;
    let of_hydra = |hydra: &HydraConfig| hydra.tokens == TokenCheck::Jwt;

    tenant.oathkeeper.as_ref().is_some_and(of_gateway) || tenant.hydra.as_ref().is_some_and(of_hydra)
}

const VERIFIED_TOKENS: RangeInclusive<usize> = 0..=10_000_000;

//! Settings of calls to upstreams.

use std::time::Duration;

use super::{MILLISECOND, MINUTE};
use crate::{
    config::{
        TenantConfig, TokenCheck, UpstreamConfig,
        report::{PlainHttp, Report},
    },
    http::CallLimits,
};

/// Checks each table at its own path, and that every key of the tenant's table is used by at least one upstream.
pub(super) fn check(report: &mut Report, path: &str, tenant: &TenantConfig) {
    let keto = tenant.keto.as_ref().map(|keto| ("keto", &keto.upstream));
    let kratos = tenant.kratos.as_ref().map(|kratos| ("kratos", &kratos.upstream));
    // Keys are fetched with the limits of their own table.
    let hydra = tenant.hydra.as_ref();
    let hydra = hydra.filter(|hydra| hydra.tokens == TokenCheck::Introspect);
    let hydra = hydra.map(|hydra| ("hydra", &hydra.upstream));
    let special: Vec<_> = [keto, kratos, hydra].into_iter().flatten().collect();

    // Before the ranges: an unused value needs no range check.
    let is_overridden = |is_written: IsWritten| special.iter().all(|(_, written)| is_written(written));
    for (key, is_written) in KEYS {
        if is_written(&tenant.upstream) && is_overridden(is_written) {
            report.add(
                &format!("{path}.upstream.{key}"),
                "has no effect: no upstream of the tenant uses it",
            );
        }
    }

    table(report, &format!("{path}.upstream"), &tenant.upstream);
    for (name, written) in &special {
        table(report, &format!("{path}.{name}.upstream"), written);
    }
}

/// Returns the rule for plain http of the upstream `name`: its own table decides before the tenant's.
pub(super) fn plain_http(
    path: &str,
    name: &str,
    general: &UpstreamConfig,
    special: &UpstreamConfig,
) -> PlainHttp {
    match (special.allow_http, general.allow_http) {
        (None, Some(allowed)) => PlainHttp::new(format!("{path}.upstream.allow_http"), Some(allowed)),
        (own, _) => PlainHttp::new(format!("{path}.{name}.upstream.allow_http"), own),
    }
}

/// Returns the limits of one call.
pub(super) fn limits(general: &UpstreamConfig, special: &UpstreamConfig) -> CallLimits {
    let timeout = special.timeout.or(general.timeout).unwrap_or(TIMEOUT);
    let max_body = special.max_body.or(general.max_body).unwrap_or(MAX_BODY);

    let limits = CallLimits::new(timeout, max_body);
    match special.connect_timeout.or(general.connect_timeout) {
        Some(connect_timeout) => limits.connect_timeout(connect_timeout),
        None => limits,
    }
}

/// Returns the number of concurrent calls.
pub(super) fn max_in_flight(general: &UpstreamConfig, special: &UpstreamConfig) -> usize {
    special
        .max_in_flight
        .or(general.max_in_flight)
        .unwrap_or(MAX_IN_FLIGHT)
}

fn table(report: &mut Report, path: &str, written: &UpstreamConfig) {
    let at = |key: &str| format!("{path}.{key}");

    if let Some(connect_timeout) = written.connect_timeout {
        report.duration(&at("connect_timeout"), connect_timeout, MILLISECOND..=MINUTE);
    }
    if let Some(timeout) = written.timeout {
        report.duration(&at("timeout"), timeout, MILLISECOND..=MINUTE);
    }
    if let Some(max_body) = written.max_body {
        report.range(&at("max_body"), max_body, 1024..=64 << 20);
    }
    if let Some(max_in_flight) = written.max_in_flight {
        report.range(&at("max_in_flight"), max_in_flight, 1..=10_000);
    }
}

type IsWritten = fn(&UpstreamConfig) -> bool;

/// The keys that an upstream takes from the tenant's table when its own table leaves them out.
const KEYS: [(&str, IsWritten); 5] = [
    ("allow_http", |written| written.allow_http.is_some()),
    ("connect_timeout", |written| written.connect_timeout.is_some()),
    ("timeout", |written| written.timeout.is_some()),
    ("max_body", |written| written.max_body.is_some()),
    ("max_in_flight", |written| written.max_in_flight.is_some()),
];

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1 << 20;
const MAX_IN_FLIGHT: usize = 100;

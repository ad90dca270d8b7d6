//! The gateway's tokens and the keys that they are signed with.

use std::{sync::Arc, time::Duration};

use super::{MILLISECOND, MINUTE, cache, header};
use crate::{
    config::{
        JwksConfig, OathkeeperConfig, TenantConfig,
        report::{PlainHttp, Report},
        tree::printable,
    },
    http::CallLimits,
    jwks::{KeyLimits, KeySet, KeyStore, RefreshPolicy},
    jwt::{
        Algorithm, CLAIMS_OF_EVERY_TOKEN, MAX_CLOCK_SKEW, MAX_NAME_BYTES, MAX_TOKEN_BYTES, Profile,
        ProfileBuilder, SCOPE, TenantRule, Verifier, is_subject,
    },
    tenant::{JwksSource, ReplayMode, TokenSource},
};

/// The `oathkeeper` table of one tenant.
#[derive(Clone, Copy)]
pub(super) struct Place<'c> {
    /// The path of the table.
    pub(super) path: &'c str,
    pub(super) name: &'c str,
    pub(super) tenant: &'c TenantConfig,
    pub(super) written: &'c OathkeeperConfig,
    /// Whether there is more than one tenant.
    pub(super) several: bool,
}

impl Place<'_> {
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

pub(super) fn token(report: &mut Report, place: Place<'_>) -> Option<(TokenSource, Option<JwksSource>)> {
    let (written, tenant) = (place.written, place.tenant);
    let header = header(report, &place.at("header"), written.header_name());
    report.text(&place.at("issuer"), &written.issuer);
    audience(report, &place.at("audience"), &written.audience);
    let algorithms = algorithms(report, &place.at("algorithms"), &written.algorithms);
    limits(report, place);
    let (store, source) = keys(report, &place.at("jwks"), &written.jwks)?;

    let profile = profile(place, &written.issuer)
        .algorithms(algorithms)
        .build()
        // INVARIANT: the report holds every fault of the profile by now.
        .map_err(|err| report.add_of_table(place.path, err.to_string()))
        .ok()?;
    let verifier = Verifier::new(profile, Arc::new(store), cache::verified_tokens(tenant));
    let source = source.map(|source| *source);

    Some((
        TokenSource {
            verifier,
            header,
            replay: written.replay,
        },
        source,
    ))
}

/// Checks what holds for tokens and envelopes alike.
pub(super) fn limits(report: &mut Report, place: Place<'_>) {
    let written = place.written;
    report.duration(
        &place.at("clock_skew"),
        written.clock_skew,
        Duration::ZERO..=MAX_CLOCK_SKEW,
    );
    report.duration(
        &place.at("max_lifetime"),
        written.max_lifetime,
        SECOND..=LONGEST_LIFE,
    );
    claims(
        report,
        &place.at("tenant_claim"),
        &place.at("metadata_claim"),
        written,
    );
    scope_claims(report, place.path, written);
    anonymous_subjects(
        report,
        &place.at("anonymous_subjects"),
        &written.anonymous_subjects,
    );
    max_token(report, &place.at("max_token"), written.max_token);
}

/// Returns the rules for tokens and envelopes alike.
pub(super) fn profile(place: Place<'_>, issuer: &str) -> ProfileBuilder {
    let written = place.written;
    let rule = TenantRule::new(written.tenant_claim.as_str(), place.name);

    Profile::builder(issuer, written.audience.clone())
        .clock_skew(written.clock_skew)
        .max_lifetime(written.max_lifetime)
        // D9: with several tenants a token that names none belongs to none.
        .tenant(if place.several { rule.required() } else { rule })
        .metadata_claim(written.metadata_claim.as_str())
        .jti_required(written.replay == ReplayMode::Always)
        .scope_claims(written.scope_claim.clone())
        .anonymous_subjects(written.anonymous_subjects.clone())
        .max_token(written.max_token)
        // The first step names the metadata.
        .roles_path(
            place
                .tenant
                .roles_from
                .split('.')
                .skip(1)
                .map(str::to_owned)
                .collect(),
        )
}

pub(super) fn header(report: &mut Report, path: &str, written: &str) -> String {
    let name = written.to_ascii_lowercase();
    if let Some(fault) = header::fault(&name) {
        report.add(path, fault);
    }
    name
}

pub(super) fn audience(report: &mut Report, path: &str, written: &[String]) {
    if written.is_empty() {
        report.empty(path, "required");
    }
    for (index, audience) in written.iter().enumerate() {
        let path = report.element(path, index);
        report.text(&path, audience);
        if audience.contains('*') {
            report.add(
                &path,
                "wildcards are not supported in audiences: write the name of the service, as it is in the token",
            );
        }
    }
}

/// Checks the claims of the tenant and the metadata: each has one meaning.
fn claims(report: &mut Report, tenant: &str, metadata: &str, written: &OathkeeperConfig) {
    for (path, claim, example) in [
        (tenant, &written.tenant_claim, "tenant"),
        (metadata, &written.metadata_claim, "metadataPublic"),
    ] {
        report.text(path, claim);
        if CLAIMS_OF_EVERY_TOKEN.contains(&claim.as_str()) {
            report.add(
                path,
                format!("`{claim}` has another meaning in every token: write a claim of its own, such as \"{example}\""),
            );
        }
    }

    if !written.tenant_claim.is_empty() && written.tenant_claim == written.metadata_claim {
        report.add(
            metadata,
            format!("the same claim as `{tenant}`: write a claim of its own for each, such as \"tenant\" and \"metadataPublic\""),
        );
    }
}

fn scope_claims(report: &mut Report, path: &str, written: &OathkeeperConfig) {
    let list = format!("{path}.scope_claim");
    if written.scope_claim.is_empty() {
        report.empty(&list, "at least one claim is required");
    }
    for (index, claim) in written.scope_claim.iter().enumerate() {
        let at = report.element(&list, index);
        report.text(&at, claim);
        if claim != SCOPE && CLAIMS_OF_EVERY_TOKEN.contains(&claim.as_str()) {
            report.add(
                &at,
                format!("`{claim}` has another meaning in every token: write a claim that holds scopes, such as \"scp\""),
            );
        }
        for (key, other) in [
            ("tenant_claim", &written.tenant_claim),
            ("metadata_claim", &written.metadata_claim),
        ] {
            if !claim.is_empty() && claim != SCOPE && claim == other {
                report.add(
                    &at,
                    format!("the same claim as `{path}.{key}`: write a claim of its own for each"),
                );
            }
        }
        if written
            .scope_claim
            .iter()
            .take(index)
            .any(|earlier| earlier == claim)
        {
            report.add(&at, format!("`{}` is listed twice", printable(claim)));
        }
    }
}

/// The gateway can sign an empty subject. An empty list makes every subject a principal.
pub(super) fn anonymous_subjects(report: &mut Report, path: &str, written: &[String]) {
    for (index, subject) in written.iter().enumerate() {
        let at = report.element(path, index);
        if !is_subject(subject) {
            report.add(
                &at,
                format!("expected a text of at most {MAX_NAME_BYTES} bytes without control characters"),
            );
        }
        if written.iter().take(index).any(|earlier| earlier == subject) {
            report.add(&at, format!("`{}` is listed twice", printable(subject)));
        }
    }
}

/// A token is longer than its signature, so less than a kibibyte would refuse every token of some keys.
fn max_token(report: &mut Report, path: &str, bytes: usize) {
    if !(LEAST_TOKEN..=MAX_TOKEN_BYTES).contains(&bytes) {
        report.add(path, "expected 1KiB to 64KiB");
    }
}

pub(super) fn algorithms(report: &mut Report, path: &str, written: &[String]) -> Vec<Algorithm> {
    if written.is_empty() {
        report.empty(path, "at least one algorithm is required");
    }

    let mut algorithms = Vec::new();
    for (index, name) in written.iter().enumerate() {
        let path = report.element(path, index);
        match name.parse::<Algorithm>() {
            Ok(algorithm) if algorithms.contains(&algorithm) => {
                report.add(&path, format!("`{algorithm}` is listed twice"));
            }
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) => report.add(
                &path,
                format!(
                    "`{}` is not an algorithm with public keys; known: {}",
                    printable(name),
                    Algorithm::ALL.map(Algorithm::name).join(", ")
                ),
            ),
        }
    }
    algorithms
}

pub(super) fn keys(
    report: &mut Report,
    path: &str,
    written: &JwksConfig,
) -> Option<(KeyStore, Option<Box<JwksSource>>)> {
    let at = |key: &str| format!("{path}.{key}");
    match (&written.url, written.keys.is_empty()) {
        (None, true) => {
            report.add(&at("url"), "required, unless there are `keys`");
            fetching(report, path, written);
            None
        }
        (Some(url), false) => {
            report.add(path, "either `url` or `keys`, not both");
            // Both are checked, because the operator may remove either.
            remote(report, path, written, url);
            inline(report, &at("keys"), written);
            None
        }
        (None, false) => {
            for (key, is_written) in of_fetching(written) {
                if is_written {
                    report.add(&at(key), "has no effect beside `keys`");
                }
            }
            inline(report, &at("keys"), written).map(|store| (store, None))
        }
        (Some(url), true) => remote(report, path, written, url)
            .map(|source| (KeyStore::remote(source.policy), Some(Box::new(source)))),
    }
}

fn remote(report: &mut Report, path: &str, written: &JwksConfig, url: &str) -> Option<JwksSource> {
    let (policy, key_limits, limits) = fetching(report, path, written);
    let http = PlainHttp::new(format!("{path}.allow_http"), written.allow_http);
    Some(JwksSource {
        url: report.url(&format!("{path}.url"), url, &http)?.into(),
        limits,
        key_limits,
        policy,
    })
}

fn fetching(report: &mut Report, path: &str, written: &JwksConfig) -> (RefreshPolicy, KeyLimits, CallLimits) {
    let policy = policy(report, path, written);
    let key_limits = key_limits(report, path, written);
    let timeout = written.timeout.unwrap_or(TIMEOUT);
    report.duration(&format!("{path}.timeout"), timeout, MILLISECOND..=MINUTE);

    (policy, key_limits, CallLimits::new(timeout, key_limits.max_body))
}

fn inline(report: &mut Report, path: &str, written: &JwksConfig) -> Option<KeyStore> {
    match KeySet::inline(&written.keys, KeyLimits::default()) {
        Ok(keys) => Some(KeyStore::fixed(keys)),
        Err(error) => {
            for problem in &error.problems {
                report.add(&format!("{path}[{}]", problem.index), problem.fault.to_string());
            }
            if error.problems.is_empty() {
                report.add(path, error.to_string());
            }
            None
        }
    }
}

/// Returns when keys are fetched.
fn policy(report: &mut Report, path: &str, written: &JwksConfig) -> RefreshPolicy {
    let at = |key: &str| format!("{path}.{key}");
    let default = RefreshPolicy::default();
    let policy = RefreshPolicy {
        refresh: written.refresh.unwrap_or(default.refresh),
        refetch_interval: written.refetch_interval.unwrap_or(default.refetch_interval),
        wait: written.wait.unwrap_or(default.wait),
        stale: written.stale.unwrap_or(default.stale),
        grace: written.grace.unwrap_or(default.grace),
        ..default
    };

    report.duration(&at("refresh"), policy.refresh, SECOND..=DAY);
    report.duration(
        &at("refetch_interval"),
        policy.refetch_interval,
        HUNDREDTH..=MINUTE,
    );
    report.duration(&at("wait"), policy.wait, Duration::ZERO..=LONGEST_WAIT);
    report.duration(&at("stale"), policy.stale, Duration::ZERO..=WEEK);
    report.duration(&at("grace"), policy.grace, Duration::ZERO..=DAY);
    policy
}

/// Returns how much of a key set is accepted.
fn key_limits(report: &mut Report, path: &str, written: &JwksConfig) -> KeyLimits {
    let at = |key: &str| format!("{path}.{key}");
    let default = KeyLimits::default();
    let limits = KeyLimits {
        max_body: written.max_body.unwrap_or(default.max_body),
        max_keys: written.max_keys.unwrap_or(default.max_keys),
        ..default
    };

    report.range(&at("max_body"), limits.max_body, 1024..=16 << 20);
    report.range(&at("max_keys"), limits.max_keys, 1..=1000);
    limits
}

/// The settings that say how keys are fetched.
fn of_fetching(written: &JwksConfig) -> [(&'static str, bool); 9] {
    [
        ("allow_http", written.allow_http.is_some()),
        ("refresh", written.refresh.is_some()),
        ("refetch_interval", written.refetch_interval.is_some()),
        ("wait", written.wait.is_some()),
        ("stale", written.stale.is_some()),
        ("grace", written.grace.is_some()),
        ("timeout", written.timeout.is_some()),
        ("max_body", written.max_body.is_some()),
        ("max_keys", written.max_keys.is_some()),
    ]
}

const LEAST_TOKEN: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
const HUNDREDTH: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

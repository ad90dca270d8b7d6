//! From the written configuration to validated settings.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use iam_grammar::check_tenant;

use super::{
    AuditConfig, AuditSinkConfig, ConfigError, DeploymentMode, IamConfig, Problem, TenantConfig,
    report::Report,
};
use crate::{
    authenticate::Authenticator,
    credential::CsrfRule,
    role::RoleSource,
    tenant::{Tenant, TenantFacts, TenantRegistry, Transport},
};

mod cache;
mod custom;
mod gateway;
mod header;
mod hydra;
mod keto;
mod kratos;
mod token;
mod upstream;

/// The default of `roles_from`.
pub(super) const METADATA_ROLES: &str = "metadata_public.roles";

/// A complete and checked configuration.
#[derive(Debug)]
pub struct Settings {
    registry: TenantRegistry,
    audit: AuditConfig,
    warnings: Vec<Problem>,
}

impl Settings {
    /// Returns the tenants.
    pub const fn registry(&self) -> &TenantRegistry {
        &self.registry
    }

    /// Returns the audit configuration.
    pub const fn audit(&self) -> &AuditConfig {
        &self.audit
    }

    /// Returns what is accepted and should be known at every start: plain http to an upstream, and environment variables that
    /// are ignored although they look like ours.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Returns the tenants and the audit configuration.
    pub fn into_parts(self) -> (TenantRegistry, AuditConfig) {
        (self.registry, self.audit)
    }
}

pub(super) fn validate(
    config: IamConfig,
    authenticators: &[Arc<dyn Authenticator>],
) -> Result<Settings, ConfigError> {
    let mut report = Report::new(config.problems, config.development);
    audit(&mut report, &config.audit);

    let several = config.tenants.len() > 1;
    let tenants: Vec<_> = config
        .tenants
        .iter()
        .filter_map(|(name, written)| {
            tenant(
                &mut report,
                name,
                written,
                Around {
                    authenticators,
                    several,
                },
            )
        })
        .map(Arc::new)
        .collect();
    hydra::apart(&mut report, &config.tenants);
    let default = default_tenant(&mut report, &config.tenants, config.default_tenant.as_deref());

    let warnings = report.finish()?;
    let default = tenants
        .iter()
        .find(|tenant| Some(tenant.name()) == default.as_deref());
    // INVARIANT: without a problem every tenant was made, and the default one is among them.
    let Some(default) = default.map(Arc::clone) else {
        return Err(Problem::new("default_tenant", "names no tenant").into());
    };
    Ok(Settings {
        registry: TenantRegistry::new(tenants, default, config.development),
        audit: config.audit,
        warnings: [config.warnings, warnings].concat(),
    })
}

fn audit(report: &mut Report, audit: &AuditConfig) {
    report.range("audit.queue", audit.queue, 1..=1_000_000);
    if matches!(&audit.sink, AuditSinkConfig::File(path) if path.is_empty()) {
        report.add("audit.sink.file", "required");
    }
}

/// Returns the name of the default tenant, compared exactly.
fn default_tenant(
    report: &mut Report,
    tenants: &BTreeMap<String, TenantConfig>,
    named: Option<&str>,
) -> Option<String> {
    match (named, tenants.keys().next()) {
        (_, None) => report.add("tenants", "at least one tenant is required"),
        (Some(name), Some(_)) if tenants.contains_key(name) => return Some(name.to_owned()),
        (Some(_), Some(_)) => report.add("default_tenant", "names no tenant"),
        (None, Some(only)) if tenants.len() == 1 => return Some(only.clone()),
        (None, Some(_)) => report.add("default_tenant", "required when there is more than one tenant"),
    }
    None
}

/// What a tenant is checked against.
#[derive(Clone, Copy)]
struct Around<'a> {
    authenticators: &'a [Arc<dyn Authenticator>],
    several: bool,
}

fn tenant(report: &mut Report, name: &str, written: &TenantConfig, around: Around<'_>) -> Option<Tenant> {
    let several = around.several;
    let path = format!("tenants.{}", super::tree::printable(name));
    if check_tenant(name).is_err() {
        report.add(&path, "not a tenant name");
    }
    upstream::check(report, &path, written);
    transports(report, &path, written);

    let gateway = match &written.oathkeeper {
        Some(oathkeeper) => gateway::gateway(
            report,
            token::Place {
                path: &format!("{path}.oathkeeper"),
                name,
                tenant: written,
                written: oathkeeper,
                several,
            },
        ),
        None => None,
    };
    let (gateway, jwks) = gateway.unzip();
    let roles = roles(report, &path, &written.roles_from);
    Some(Tenant {
        custom: custom::transports(report, &path, written, around.authenticators),
        transports: written.transports.clone(),
        gateway,
        jwks: jwks.flatten(),
        access_tokens: written
            .hydra
            .as_ref()
            .and_then(|hydra| hydra::hydra(report, &path, name, written, hydra)),
        csrf: csrf(report, &path, written),
        caches: cache::caches(report, &path, written),
        keto: written
            .keto
            .as_ref()
            .and_then(|keto| keto::keto(report, &path, written, keto)),
        kratos: written
            .kratos
            .as_ref()
            .and_then(|kratos| kratos::kratos(report, &path, written, kratos)),
        // Last, because nothing behind it would be checked.
        facts: Arc::new(TenantFacts {
            name: name.to_owned(),
            roles: roles?,
        }),
    })
}

fn transports(report: &mut Report, path: &str, written: &TenantConfig) {
    let at = format!("{path}.transports");
    match written.mode {
        DeploymentMode::SelfHosted if written.transports.is_empty() => report.empty(&at, "required"),
        DeploymentMode::SelfHosted => {}
    }
    for (index, transport) in written.transports.iter().enumerate() {
        if written
            .transports
            .iter()
            .take(index)
            .any(|earlier| earlier == transport)
        {
            report.add(&at, format!("names \"{transport}\" twice"));
        }
    }
    let of_sessions = written
        .transports
        .iter()
        .find(|transport| transport.is_of_sessions());
    if let (Some(transport), None) = (of_sessions, &written.kratos) {
        report.add(
            &format!("{path}.kratos"),
            format!("required for the transport \"{transport}\""),
        );
    }

    for (transport, block, is_written) in [
        (Transport::Oathkeeper, "oathkeeper", written.oathkeeper.is_some()),
        (Transport::Oauth2, "hydra", written.hydra.is_some()),
    ] {
        let is_used = written.transports.contains(&transport);
        let block = format!("{path}.{block}");
        // An unreadable transport may have been a misspelt one of this block.
        let is_complete = !written.transports.is_empty() && report.unread_elements(&at).is_empty();
        if is_used && !is_written {
            report.add(&block, format!("required for the transport \"{transport}\""));
        } else if is_written && !is_used && is_complete {
            report.add(
                &block,
                format!("has no effect without the transport \"{transport}\""),
            );
        }
    }
}

fn roles(report: &mut Report, path: &str, from: &str) -> Option<RoleSource> {
    let mut steps = from.split('.').map(str::to_owned);
    let first = steps.next();
    let path_inside: Vec<_> = steps.collect();
    let at = format!("{path}.roles_from");

    if from.len() > 256 || path_inside.is_empty() || path_inside.iter().any(String::is_empty) {
        report.add(&at, format!("expected a path such as \"{METADATA_ROLES}\""));
        return None;
    }
    if first.as_deref() != Some("metadata_public") {
        report.add(
            &at,
            format!("expected a path below `metadata_public`, such as \"{METADATA_ROLES}\""),
        );
        return None;
    }
    Some(RoleSource::metadata(path_inside))
}

fn csrf(report: &mut Report, path: &str, tenant: &TenantConfig) -> Option<CsrfRule> {
    let written = &tenant.csrf;
    let at = format!("{path}.csrf.allowed_origins");
    // Without any transport that is a problem of its own.
    let is_checked = tenant.transports.is_empty()
        || tenant
            .transports
            .iter()
            .any(|transport| transport.is_sent_by_browsers());
    if !is_checked && !written.allowed_origins.is_empty() {
        report.add(
            &at,
            "has no effect: browsers send the credential of no transport of the tenant by themselves",
        );
    }
    if !written.enabled {
        if !written.allowed_origins.is_empty() {
            report.add(&at, "has no effect when `enabled` is false");
        }
        return None;
    }

    for (index, origin) in written.allowed_origins.iter().enumerate() {
        report.origin(&report.element(&at, index), origin);
    }
    Some(CsrfRule::new(written.allowed_origins.iter().cloned()))
}

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

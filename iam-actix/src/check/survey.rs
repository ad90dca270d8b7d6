//! What the samples tell about the routes.

use actix_http::Request;
use actix_web::{
    Error,
    dev::{Service, ServiceResponse},
};
use iam_core::{
    requirement::{EffectivePolicy, RoutePolicy},
    tenant::{Target, TenantRegistry},
};

use super::{
    Application, Reached,
    finding::{CheckError, Finding},
    layout::{Layout, Location},
    map::{AccessMap, RouteAccess},
    sample::{GuardedResource, SampleTarget},
    seen::Seen,
    unsampled::{Declaration, EnclosedPolicy, Unreached, UnsampledPolicy},
};
use crate::route::chain::Chain;

/// What the samples have told so far.
pub(super) struct Survey<'r> {
    registry: &'r TenantRegistry,
    layout: Layout,
    map: AccessMap,
    findings: Vec<Finding>,
    cors: Vec<String>,
    nested: Vec<String>,
    two_gates: Vec<String>,
}

impl<'r> Survey<'r> {
    pub(super) fn new(registry: &'r TenantRegistry, layout: Layout) -> Self {
        Self {
            registry,
            layout,
            map: AccessMap::default(),
            findings: Vec::new(),
            cors: Vec::new(),
            nested: Vec::new(),
            two_gates: Vec::new(),
        }
    }

    /// Sends samples to each method of a pattern.
    pub(super) async fn visit<S, B>(
        &mut self,
        application: &Application<'_, S>,
        resource: &GuardedResource,
        resources: &[GuardedResource],
    ) where
        S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    {
        let guards = resource.unsampled_guards();
        let mut is_preflight_sent = false;

        for target in resource.targets() {
            if let Some(guards) = &guards {
                self.map
                    .push_unsampled_route(&target, &Unreached::Guarded(guards.clone()));
            }
            match application.reach(&target, resources).await {
                Ok(reached) => {
                    self.record(&target, &reached, resource, guards.as_deref());
                    if !is_preflight_sent
                        && reached.seen.has_reached_gate()
                        && application
                            .has_cors_inside(&reached.sampled, &target.method)
                            .await
                    {
                        self.cors.push(resource.pattern.clone());
                    }
                    is_preflight_sent = true;
                }
                Err(reason) => {
                    self.layout.push_unreached(resource.name.as_deref());
                    if guards.is_none() {
                        self.map.push_unsampled_route(&target, &reason);
                    }
                }
            }
        }

        if let Some(target) = resource.other_methods()
            && let Ok(Reached { seen, is_certain, .. }) = application.reach(&target, resources).await
        {
            let row = self.map.next_row();
            let access = RouteAccess::new(self.registry, &target, seen.chain.as_deref());
            self.map.push_if_open_beside_closed(access);
            if row != self.map.next_row() {
                self.push_row(&target, &seen, None, is_certain && guards.is_none());
                self.note_row(row, guards.as_deref());
            }
        }
    }

    fn record(
        &mut self,
        target: &SampleTarget<'_>,
        reached: &Reached,
        resource: &GuardedResource,
        guards: Option<&str>,
    ) {
        let seen = &reached.seen;
        match seen.gates.as_slice() {
            [] | [false] => {
                let route = target.to_string();
                self.findings.push(Finding::OutsideGate { route });
                return;
            }
            [true] => {}
            [_, ..] if seen.gates.contains(&false) => {
                self.two_gates.push(target.to_string());
                return;
            }
            [_, ..] => self.nested.push(target.to_string()),
        }

        if let Some(chain) = &seen.chain {
            find_faults(self.registry, chain, seen, target.pattern, &mut self.findings);
        }
        let row = self.map.next_row();
        self.map
            .push(RouteAccess::new(self.registry, target, seen.chain.as_deref()));
        let is_sampled = reached.is_certain && guards.is_none();
        self.push_row(target, seen, resource.name.as_deref(), is_sampled);
        self.note_row(row, guards);
    }

    fn push_row(&mut self, target: &SampleTarget<'_>, seen: &Seen, name: Option<&str>, is_sampled: bool) {
        let policies = seen.chain.iter().flat_map(|chain| chain.policies());
        self.layout.push(policies, target.to_string(), name, is_sampled);
    }

    /// Notes why a row is not exact, as far as its own sample tells.
    fn note_row(&mut self, row: usize, guards: Option<&str>) {
        let scope = self
            .layout
            .row(row)
            .and_then(|row| self.layout.closed_scope_of(row));
        if let Some(scope) = scope.and_then(|scope| self.layout.policy(scope)) {
            let scope = Declaration::without_line(scope);
            self.map.note(
                row,
                format!("samples end at the closed scope {scope}, and routes inside may require more"),
            );
        }
        if let Some(guards) = guards {
            self.map.note(
                row,
                format!("requests that fulfil the guards {guards} may be served otherwise"),
            );
        }
    }

    /// Locates the policies that no sample reached.
    pub(super) fn finish(mut self) -> Result<AccessMap, CheckError> {
        for (position, policy) in self.layout.unsampled() {
            let unsampled = UnsampledPolicy::new(self.registry, policy);
            match self.layout.locate(position) {
                Some(Location::Enclosed(scope)) => {
                    if let Some(scope) = self.layout.policy(scope) {
                        self.map.push_enclosed(EnclosedPolicy {
                            declared: Declaration::of(policy),
                            scope: Declaration::of(scope),
                        });
                    }
                }
                Some(Location::Hidden(rows, is_certain)) => {
                    let declared = Declaration::without_line(policy);
                    let effect = unsampled.effect();
                    for row in &rows {
                        self.map.note(
                            *row,
                            if is_certain {
                                format!("a middleware inside the gate hides {declared}, which {effect}")
                            } else {
                                format!(
                                    "a middleware inside the gate may hide {declared} here, which {effect}"
                                )
                            },
                        );
                    }
                    if is_certain && !rows.is_empty() && unsampled.is_refused_when_hidden() {
                        let routes = rows.iter().filter_map(|row| self.layout.row(*row));
                        self.findings.push(Finding::HiddenPolicy {
                            policy: unsampled,
                            routes: routes.map(|row| row.route.clone()).collect(),
                        });
                        continue;
                    }
                    warn(policy, &unsampled);
                    self.map.push_unsampled(unsampled);
                }
                None => self.map.push_unsampled(unsampled),
            }
        }

        let mut findings = self.findings;
        if !self.two_gates.is_empty() {
            findings.push(Finding::TwoGates {
                routes: self.two_gates,
            });
        }
        if !self.nested.is_empty() {
            findings.push(Finding::NestedGate { routes: self.nested });
        }
        if !self.cors.is_empty() {
            findings.push(Finding::CorsInsideGate { patterns: self.cors });
        }
        if findings.is_empty() {
            Ok(self.map)
        } else {
            Err(CheckError::new(findings))
        }
    }
}

/// Writes a warning about a policy that may be hidden, if requests are refused where it is.
fn warn(policy: &RoutePolicy, unsampled: &UnsampledPolicy) {
    if unsampled.is_refused_when_hidden() {
        tracing::warn!(
            declared_at = policy.declared_at(),
            name = policy.name(),
            "no sample of the access check reached a policy that {}: if a middleware inside the gate hides it, its route answers \
             401; register that middleware outside of the gate, or give the enclosing scope the same policy",
            unsampled.effect()
        );
    }
}

fn find_faults(
    registry: &TenantRegistry,
    chain: &Chain,
    seen: &Seen,
    pattern: &str,
    findings: &mut Vec<Finding>,
) {
    let declared = || Declaration::of(chain.policy());

    if let Some(conflict) = chain.conflict() {
        findings.push(Finding::Conflict {
            conflict,
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    for name in chain
        .placeholders()
        .iter()
        .filter(|name| !seen.params.contains(*name))
    {
        findings.push(Finding::Placeholder {
            name: name.clone(),
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    for name in chain
        .reserved()
        .iter()
        .filter(|name| seen.params.contains(**name))
    {
        findings.push(Finding::ReservedParameter {
            name: (*name).to_owned(),
            declared: declared(),
            pattern: pattern.to_owned(),
        });
    }
    if let Ok(policy) = chain.effective() {
        findings.extend(find_faults_of_tenant(registry, policy, &declared(), pattern));
    }
}

/// Finds what a policy needs and its tenant does not have.
fn find_faults_of_tenant(
    registry: &TenantRegistry,
    policy: &EffectivePolicy,
    declared: &Declaration,
    pattern: &str,
) -> Vec<Finding> {
    let Ok(target) = registry.resolve(Some(policy)) else {
        return vec![unresolved(registry, policy, declared, pattern)];
    };
    let tenant = target.tenant();

    let permissions = policy
        .permissions()
        .filter(|_| tenant.keto().is_none())
        .map(|permission| Finding::NoPermissionServer {
            declared: declared.clone(),
            pattern: pattern.to_owned(),
            requirement: format!("permission:{permission}"),
            tenant: tenant.name().to_owned(),
        });
    permissions
        .chain(find_faults_of_transports(&target, policy, declared, pattern))
        .collect()
}

/// Finds what a policy needs and no credential of the route's transports can have. One transport whose credentials can have it is
/// enough.
fn find_faults_of_transports(
    target: &Target<'_>,
    policy: &EffectivePolicy,
    declared: &Declaration,
    pattern: &str,
) -> Vec<Finding> {
    let tenant = target.tenant();
    let transports = target.transports();
    let mut findings = Vec::new();

    // An application's authenticator states no session, so its credentials meet no level and no age.
    if !transports.iter().any(|transport| transport.is_of_sessions()) {
        findings.extend(
            policy
                .step_up_requirements()
                .map(|requirement| Finding::NoSession {
                    declared: declared.clone(),
                    pattern: pattern.to_owned(),
                    requirement,
                    tenant: tenant.name().to_owned(),
                    transports: transports.to_vec(),
                }),
        );
    }
    if !transports
        .iter()
        .any(|transport| tenant.may_have_scopes(*transport))
    {
        findings.extend(policy.scopes().map(|scope| Finding::NoScopes {
            declared: declared.clone(),
            pattern: pattern.to_owned(),
            requirement: format!("scope:{scope}"),
            tenant: tenant.name().to_owned(),
            transports: transports.to_vec(),
        }));
    }
    if policy.is_single_use()
        && !transports
            .iter()
            .any(|transport| tenant.may_have_replay_id(*transport))
    {
        findings.push(Finding::NoReplayId {
            declared: declared.clone(),
            pattern: pattern.to_owned(),
            tenant: tenant.name().to_owned(),
            transports: transports.to_vec(),
        });
    }
    findings
}

/// Tells why a policy has no target: its tenant is not configured, or does not use a transport, or two transports take the same
/// credentials.
fn unresolved(
    registry: &TenantRegistry,
    policy: &EffectivePolicy,
    declared: &Declaration,
    pattern: &str,
) -> Finding {
    let named = policy
        .tenant()
        .unwrap_or_else(|| registry.default_tenant().name());
    let (declared, pattern) = (declared.clone(), pattern.to_owned());

    match registry.get(named) {
        None => Finding::Tenant {
            name: named.to_owned(),
            declared,
            pattern,
        },
        Some(tenant) => {
            let listed = policy.transports().unwrap_or_default();
            let unknown = listed.iter().find(|named| !tenant.transports().contains(named));
            match unknown {
                Some(transport) => Finding::Transport {
                    declared,
                    pattern,
                    tenant: tenant.name().to_owned(),
                    transport: *transport,
                },
                None => Finding::SharedCredential {
                    declared,
                    pattern,
                    tenant: tenant.name().to_owned(),
                    transports: listed.to_vec(),
                },
            }
        }
    }
}

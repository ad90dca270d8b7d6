use std::fmt;

use iam_core::{
    requirement::{Access, EffectivePolicy},
    tenant::{TenantRegistry, Transport},
};
use serde::Serialize;

use super::{
    finding::{CheckError, Finding},
    sample::SampleTarget,
    unsampled::{Declaration, EnclosedPolicy, Unreached, UnsampledPolicy, UnsampledRoute},
};
use crate::route::chain::Chain;

/// What every route of an application requires.
///
/// Prints as a table and serializes to JSON, so that a test can compare the routes with a snapshot. Neither has line numbers
/// unless [`AccessMap::with_lines`] adds them: a snapshot stays the same when code moves inside its file.
///
/// A row that is not exact says so, in [`RouteAccess::exact`] and [`RouteAccess::notes`].
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AccessMap {
    routes: Vec<RouteAccess>,
    enclosed: Vec<EnclosedPolicy>,
    unsampled: Vec<UnsampledPolicy>,
    unsampled_routes: Vec<UnsampledRoute>,
}

impl AccessMap {
    pub(super) fn push(&mut self, mut route: RouteAccess) {
        for declared in &mut route.declared {
            declared.shows_line = false;
        }
        self.routes.push(route);
    }

    /// Adds the row for the methods that no guard asks for, if it is open and a method of the same pattern is not.
    pub(super) fn push_if_open_beside_closed(&mut self, others: RouteAccess) {
        let mut named = self.routes.iter().filter(|route| route.pattern == others.pattern);

        if others.openness.is_open() && named.any(|route| !route.openness.is_open()) {
            self.push(others);
        }
    }

    pub(super) fn push_unsampled_route(&mut self, target: &SampleTarget<'_>, reason: &Unreached) {
        let route = UnsampledRoute {
            route: target.to_string(),
            reason: reason.to_string(),
        };
        self.unsampled_routes.push(route);
    }

    pub(super) fn push_unsampled(&mut self, mut policy: UnsampledPolicy) {
        policy.declared.shows_line = false;
        self.unsampled.push(policy);
        self.unsampled.sort();
        self.unsampled.dedup();
    }

    pub(super) fn push_enclosed(&mut self, mut policy: EnclosedPolicy) {
        policy.declared.shows_line = false;
        policy.scope.shows_line = false;
        self.enclosed.push(policy);
        self.enclosed.sort();
        self.enclosed.dedup();
    }

    pub(super) fn note(&mut self, row: usize, note: String) {
        if let Some(route) = self.routes.get_mut(row) {
            route.doubt(note);
        }
    }

    pub(super) const fn next_row(&self) -> usize {
        self.routes.len()
    }

    /// Adds the line numbers of declarations to the table and to the JSON.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        let of_routes = self.routes.iter_mut().flat_map(|route| &mut route.declared);
        let of_enclosed = self
            .enclosed
            .iter_mut()
            .flat_map(|policy| [&mut policy.declared, &mut policy.scope]);
        let of_unsampled = self.unsampled.iter_mut().map(|policy| &mut policy.declared);

        of_routes
            .chain(of_enclosed)
            .chain(of_unsampled)
            .for_each(|declared| declared.shows_line = true);
        self
    }

    /// Returns the routes that were sampled: one row for each method of each pattern. A row with the method `*` follows for the methods
    /// that no guard asks for, where they are open and another method of the pattern is not. A pattern with a `Host` or `Header`
    /// guard has rows for requests without that header and, with [`RouteAccess::guard`], for requests with it.
    pub fn routes(&self) -> &[RouteAccess] {
        &self.routes
    }

    /// Returns the policies inside of closed scopes ([`ScopeExt::protected`](crate::ScopeExt::protected)). No sample goes there. Strict
    /// mode accepts them: such a scope requires an authenticated principal, whatever the policies inside say.
    pub fn enclosed(&self) -> &[EnclosedPolicy] {
        &self.enclosed
    }

    /// Returns the policies that were built but that no sample reached. What they apply to is missing in the rows.
    pub fn unsampled(&self) -> &[UnsampledPolicy] {
        &self.unsampled
    }

    /// Returns the routes whose requirements the samples do not tell, with the reason.
    pub fn unsampled_routes(&self) -> &[UnsampledRoute] {
        &self.unsampled_routes
    }

    /// Returns the rows of routes that declare no policy and have none from a scope around them. They are protected.
    ///
    /// A row for requests that do not fulfil a `Host` or `Header` guard is not among them: usually the default service answers such
    /// requests, and it has no policy.
    pub fn unannotated(&self) -> impl Iterator<Item = &RouteAccess> {
        let has_guarded_twin = |route: &RouteAccess| {
            self.routes.iter().any(|other| {
                other.guard.is_some() && other.pattern == route.pattern && other.method == route.method
            })
        };

        self.routes.iter().filter(move |route| {
            route.declared.is_empty() && (route.guard.is_some() || !has_guarded_twin(route))
        })
    }

    /// Returns the map if every route is annotated, and every route and every policy was sampled.
    ///
    /// Rows of closed scopes pass, although they are not exact: what is inside requires an authenticated principal at least.
    ///
    /// # Errors
    ///
    /// [`CheckError`] with every route and policy for which that does not hold.
    pub fn strict(self) -> Result<Self, CheckError> {
        let unannotated = self.unannotated().map(|route| Finding::Unannotated {
            method: route.method.clone(),
            pattern: route.pattern.clone(),
        });
        let unsampled = self.unsampled.iter().map(|policy| Finding::UnsampledPolicy {
            policy: policy.clone().with_line(),
        });
        let unreached = self
            .unsampled_routes
            .iter()
            .map(|route| Finding::UnsampledRoute { route: route.clone() });
        let findings: Vec<_> = unannotated.chain(unsampled).chain(unreached).collect();

        if findings.is_empty() {
            Ok(self)
        } else {
            Err(CheckError::new(findings))
        }
    }
}

impl fmt::Display for AccessMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for route in &self.routes {
            writeln!(f, "{route}")?;
        }
        for policy in &self.enclosed {
            writeln!(f, "enclosed: {policy}")?;
        }
        for policy in &self.unsampled {
            writeln!(f, "not sampled: {policy}")?;
        }
        for route in &self.unsampled_routes {
            writeln!(f, "not sampled: {route}")?;
        }
        Ok(())
    }
}

/// What one method of one pattern requires.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RouteAccess {
    /// The method; `*` for all methods that no route of the pattern asks for.
    pub method: String,
    /// The full pattern.
    pub pattern: String,
    /// The guard that requests of this row fulfil, as `Host(admin.example)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// Which requests are admitted at all.
    pub openness: Openness,
    /// The tenant whose principals are accepted.
    pub tenant: String,
    /// The transports of the credential, in their order.
    pub transports: Vec<String>,
    #[serde(skip)]
    names_transports: bool,
    /// The requirements of a principal, as audit events write them.
    pub requirements: Vec<String>,
    /// Where the policies on the way are declared, the innermost first.
    pub declared: Vec<Declaration>,
    /// Whether the row is all that decides about its requests. If not, the notes tell why.
    pub exact: bool,
    /// Why the row is not exact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Which requests a route admits at all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Openness {
    /// Those without a principal.
    Anonymous,
    /// None: the policies on the way contradict each other.
    Closed,
    /// All but those with an invalid credential.
    Optional,
    /// Those of authenticated principals.
    Protected,
    /// All.
    Public,
}

impl Openness {
    /// Returns the word for it, as in the JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Closed => "closed",
            Self::Optional => "optional",
            Self::Protected => "protected",
            Self::Public => "public",
        }
    }

    pub(super) const fn is_open(self) -> bool {
        match self {
            Self::Closed | Self::Protected => false,
            Self::Anonymous | Self::Optional | Self::Public => true,
        }
    }

    pub(super) const fn of(policy: &EffectivePolicy) -> Self {
        match policy.access() {
            Access::Anonymous => Self::Anonymous,
            Access::Optional => Self::Optional,
            Access::Protected => Self::Protected,
            Access::Public => Self::Public,
        }
    }
}

impl RouteAccess {
    pub(super) fn new(registry: &TenantRegistry, target: &SampleTarget<'_>, chain: Option<&Chain>) -> Self {
        let policy = chain.map(Chain::effective);
        let effective: Option<&EffectivePolicy> =
            policy.as_ref().and_then(|policy| policy.as_ref().ok().copied());
        // A route whose policies have no target is a finding; its row names the default tenant.
        let resolved = registry.resolve(effective).ok();
        let tenant = resolved.map_or_else(|| registry.default_tenant(), |resolved| resolved.tenant());
        let transports = resolved.map_or_else(
            || tenant.transports().get(..1).unwrap_or_default(),
            |resolved| resolved.transports(),
        );

        Self {
            method: target.method_name().to_owned(),
            pattern: target.pattern.to_owned(),
            guard: target.guard.map(|guard| guard.name.clone()),
            openness: match policy {
                Some(Err(_)) => Openness::Closed,
                None => Openness::Protected,
                Some(Ok(policy)) => Openness::of(policy),
            },
            tenant: tenant.name().to_owned(),
            transports: names(transports),
            names_transports: *transports != [tenant.transport()],
            requirements: chain
                .iter()
                .flat_map(|chain| chain.requirements())
                .map(ToString::to_string)
                .collect(),
            declared: chain
                .map(|chain| chain.policies().map(Declaration::of).collect())
                .unwrap_or_default(),
            exact: true,
            notes: Vec::new(),
        }
    }

    /// Marks the row as not exact.
    pub(super) fn doubt(&mut self, note: String) {
        self.exact = false;
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl fmt::Display for RouteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:7} {:40} {:9} {}",
            self.method,
            self.pattern,
            self.openness.as_str(),
            self.tenant
        )?;

        if self.names_transports {
            write!(f, " by {}", self.transports.join("|"))?;
        }
        for requirement in &self.requirements {
            write!(f, " {requirement}")?;
        }
        if let Some(guard) = &self.guard {
            write!(f, " if {guard}")?;
        }
        if !self.exact {
            write!(f, " (not exact: {})", self.notes.join("; "))?;
        }
        Ok(())
    }
}

/// Returns the names of transports, as the configuration writes them.
pub(super) fn names(transports: &[Transport]) -> Vec<String> {
    transports.iter().map(ToString::to_string).collect()
}

//! What does a route require?
//!
//! A [`RoutePolicy`] is written at one place of the code: a set of attributes, or one call of an extension trait. A route, its
//! resource and the scopes around it may each have one. Together they make the [`EffectivePolicy`] of the route:
//!
//! - Without any policy, an authenticated principal is required.
//! - Of `public`, `optional` and `protected` the strictest counts. A public scope opens the routes inside it that have no policy of
//!   their own. A public route inside a protected scope stays protected.
//! - `anonymous` is stricter than `public` and `optional`. It contradicts `protected` and every requirement: no request meets both.
//! - A requirement of any policy overrules `public` and `optional`, because it needs a principal.
//! - Requirements add up: those of the scope, of the route and of stacked attributes must all be met.
//! - Of several assurance levels the highest counts, of several longest ages of a session the shortest.
//! - Two tenants, or two different lists of transports, contradict each other: neither is chosen, and every request is refused.
//! - All permissions are asked of the permission server together. If they are more than one query may hold, every request is
//!   refused.

mod conflict;

use std::{sync::Arc, time::Duration};

use iam_grammar::{GrammarError, Permission, check_role, check_scope, check_tenant};

pub use self::conflict::Conflict;
use crate::{
    authenticate::Authenticated,
    decision::{Reason, Refusal, StepUp},
    principal::AssuranceLevel,
    tenant::Transport,
};

/// Which requests a route admits, before its requirements are checked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be decided")]
pub enum Access {
    /// All requests; credentials are ignored.
    Public,
    /// Requests without a credential, and those with a valid one.
    Optional,
    /// Requests without a principal only. A credential that is presented must belong to a session that is over.
    Anonymous,
    /// Requests of authenticated principals only.
    Protected,
}

impl Access {
    /// Tells whether routes of this access look at credentials.
    pub const fn reads_credentials(self) -> bool {
        match self {
            Self::Public => false,
            Self::Optional | Self::Anonymous | Self::Protected => true,
        }
    }

    /// Admits a request to routes of this access, after one attempt to authenticate it. `Ok(None)` is a request whose credentials were
    /// not looked at.
    ///
    /// | Credential | public | optional | anonymous | protected |
    /// |---|---|---|---|---|
    /// | none, or an empty cookie | admitted, no principal | admitted, no principal | admitted, no principal | 401 |
    /// | good | admitted, no principal | admitted, principal | 403 | admitted, principal |
    /// | a session that Kratos does not know, or that is over | admitted, no principal | admitted, no principal | admitted, no principal | 401 |
    /// | a session whose second factor is due | admitted, no principal | 401, step-up | 401, step-up | 401, step-up |
    /// | any other bad one: malformed, forged, expired | admitted, no principal | 401 | 401 | 401 |
    /// | two, or one twice | admitted, no principal | 400 | 400 | 400 |
    /// | good, sent by a page of another site | admitted, no principal | 403 | 403 | 403 |
    /// | any, and the upstream gives no answer | admitted, no principal | 503 | 503 | 503 |
    ///
    /// A session that is over does not lock its person out of the pages where one logs in. One whose second factor is due is known: the
    /// answer names the page where it is proved, which has to be public, or another application's.
    ///
    /// # Errors
    ///
    /// The refusal to answer with.
    pub fn admit(self, attempt: Result<Option<&Authenticated>, Refusal>) -> Result<(), Refusal> {
        match (self, attempt) {
            (Self::Public, Ok(None)) | (Self::Optional | Self::Protected, Ok(Some(_))) => Ok(()),
            (Self::Optional | Self::Anonymous, Err(refusal)) if refusal.reason.is_of_nobody() => Ok(()),
            (Self::Anonymous, Ok(Some(_))) => Err(Refusal::new(Reason::AlreadyAuthenticated)),
            (Self::Public | Self::Optional | Self::Anonymous | Self::Protected, Err(refusal)) => Err(refusal),
            // INVARIANT: only public routes skip authentication.
            (Self::Public, Ok(Some(_))) | (Self::Optional | Self::Anonymous | Self::Protected, Ok(None)) => {
                Err(Refusal::new(Reason::MissingCredential))
            }
        }
    }
}

/// How old an upstream's answer may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "an answer is cached, or it is not")]
pub enum Freshness {
    /// A cached answer will do.
    Cached,
    /// The upstream is asked after the request arrived.
    Fresh,
}

/// The policy that is written at one place of the code, for the routes that it covers.
///
/// ```
/// use iam_core::requirement::{Access, EffectivePolicy, RoutePolicy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scope = RoutePolicy::new("src/main.rs:7", "scope").public();
/// let route = RoutePolicy::new("src/main.rs:21", "adjust").require_role(["warehouse:admin"]);
///
/// assert_eq!(EffectivePolicy::merge(&[])?.access(), Access::Protected);
/// assert_eq!(EffectivePolicy::merge(&[&scope])?.access(), Access::Public);
/// assert_eq!(EffectivePolicy::merge(&[&scope, &route])?.access(), Access::Protected);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RoutePolicy {
    declared_at: &'static str,
    name: &'static str,
    access: Option<Access>,
    tenant: Option<Arc<str>>,
    transports: Option<Arc<[Transport]>>,
    rules: Arc<Rules>,
    conflict: Option<Conflict>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Rules {
    aal: Option<AssuranceLevel>,
    max_age: Option<Duration>,
    permissions: Vec<Permission>,
    roles: Vec<Box<[String]>>,
    scopes: Vec<String>,
    single_use: bool,
    /// Whether the permissions must be asked anew for each request.
    fresh: bool,
}

impl RoutePolicy {
    /// Starts an empty policy. `declared_at` and `name` tell a developer where it is written.
    pub fn new(declared_at: &'static str, name: &'static str) -> Self {
        Self {
            declared_at,
            name,
            access: None,
            tenant: None,
            transports: None,
            rules: Arc::default(),
            conflict: None,
        }
    }

    /// Admits all requests, and ignores credentials.
    #[must_use]
    pub fn public(self) -> Self {
        self.access(Access::Public)
    }

    /// Admits requests without a credential. A presented credential must be valid.
    #[must_use]
    pub fn optional(self) -> Self {
        self.access(Access::Optional)
    }

    /// Opens the routes to requests without a principal only: login and registration pages. A principal is refused (403).
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.access(Access::Anonymous)
    }

    /// Requires an authenticated principal, which is also the default.
    #[must_use]
    pub fn protected(self) -> Self {
        self.access(Access::Protected)
    }

    /// Requires any of the roles. A second call adds a second list: a principal must then have a role of each.
    ///
    /// Without a role, or with an invalid role name, the policy refuses every request.
    #[must_use]
    pub fn require_role<R: Into<String>>(mut self, any_of: impl IntoIterator<Item = R>) -> Self {
        let roles: Box<[String]> = any_of.into_iter().map(Into::into).collect();
        if roles.is_empty() || roles.iter().any(|role| check_role(role).is_err()) {
            return self.broken(Conflict::InvalidRole);
        }

        self.rules_mut().roles.push(roles);
        self
    }

    /// Requires all of the scopes.
    ///
    /// Without a scope, or with an invalid scope name, the policy refuses every request.
    #[must_use]
    pub fn require_scope<S: Into<String>>(mut self, all_of: impl IntoIterator<Item = S>) -> Self {
        let scopes: Vec<String> = all_of.into_iter().map(Into::into).collect();
        if scopes.is_empty() || scopes.iter().any(|scope| check_scope(scope).is_err()) {
            return self.broken(Conflict::InvalidScope);
        }

        self.rules_mut().scopes.extend(scopes);
        self
    }

    /// Requires a permission. With an invalid permission, the policy refuses every request.
    #[must_use]
    pub fn require_permission(mut self, permission: Result<Permission, GrammarError>) -> Self {
        let Ok(permission) = permission else {
            return self.broken(Conflict::InvalidPermission);
        };

        self.rules_mut().permissions.push(permission);
        self
    }

    /// Requires a session of at least this assurance level. Called again, the highest level counts. A principal without a session is
    /// refused.
    #[must_use]
    pub fn require_aal(mut self, level: AssuranceLevel) -> Self {
        let rules = self.rules_mut();
        rules.aal = rules.aal.max(Some(level));
        self
    }

    /// Requires a session whose person has proved who they are within `max_age`. Called again, the shortest age counts. A principal
    /// without a session is refused.
    ///
    /// An age below one second, or with a fraction of one, makes the policy refuse every request: `max_age` of RFC 9470 counts
    /// seconds.
    #[must_use]
    pub fn require_fresh_session(mut self, max_age: Duration) -> Self {
        if max_age.as_secs() == 0 || max_age.subsec_nanos() != 0 {
            return self.broken(Conflict::InvalidAge);
        }

        let rules = self.rules_mut();
        rules.max_age = shorter(rules.max_age, Some(max_age));
        self
    }

    /// Requires a permission, and asks the permission server for each request. Neither this permission nor another one of the same
    /// route is answered from a cache, nor is the session or access token of the request.
    #[must_use]
    pub fn require_fresh_permission(mut self, permission: Result<Permission, GrammarError>) -> Self {
        self.rules_mut().fresh = true;
        self.require_permission(permission)
    }

    /// Accepts each credential only once.
    #[must_use]
    pub fn single_use(mut self) -> Self {
        self.rules_mut().single_use = true;
        self
    }

    /// Accepts principals of the tenant `name`. With an invalid name, or two different names, the policy refuses every request.
    #[must_use]
    pub fn tenant(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if check_tenant(&name).is_err() {
            return self.broken(Conflict::InvalidTenant);
        }
        if self.tenant.as_deref().is_some_and(|tenant| *tenant != *name) {
            return self.broken(Conflict::Tenants);
        }

        self.tenant = Some(name.into());
        self
    }

    /// Accepts credentials by `transport`. With two different transports, the policy refuses every request.
    #[must_use]
    pub fn transport(self, transport: Transport) -> Self {
        self.transports([transport])
    }

    /// Accepts credentials by any of the transports, in their order. The one whose credential is presented decides; a request that
    /// presents credentials of two of them is refused with 400.
    ///
    /// Without a transport, with one listed twice, or with two different lists, the policy refuses every request. Two transports that
    /// would take the same credential are refused for the tenant of the route
    /// ([`TenantRegistry::resolve`](crate::tenant::TenantRegistry::resolve)).
    #[must_use]
    pub fn transports(mut self, in_order: impl IntoIterator<Item = Transport>) -> Self {
        let listed: Arc<[Transport]> = in_order.into_iter().collect();
        let is_repeated = |(index, transport)| listed.iter().take(index).any(|earlier| earlier == transport);
        if listed.is_empty() || listed.iter().enumerate().any(is_repeated) {
            return self.broken(Conflict::InvalidTransports);
        }
        if self.transports.as_ref().is_some_and(|chosen| *chosen != listed) {
            return self.broken(Conflict::Transports);
        }

        self.transports = Some(listed);
        self
    }

    /// Accepts credentials by the transports of these names, as attributes write them ([`RoutePolicy::transports`]). With an unknown
    /// name, the policy refuses every request.
    #[must_use]
    pub fn transports_named<'n>(self, in_order: impl IntoIterator<Item = &'n str>) -> Self {
        match in_order
            .into_iter()
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()
        {
            Ok(transports) => self.transports(transports),
            Err(_) => self.broken(Conflict::InvalidTransport),
        }
    }

    /// Requires a session of at least the level of this name, as attributes write it. An unknown name makes the policy one that
    /// refuses everybody.
    #[must_use]
    pub fn require_aal_named(self, name: &str) -> Self {
        match name.parse() {
            Ok(level) => self.require_aal(level),
            Err(_) => self.broken(Conflict::InvalidLevel),
        }
    }

    /// Returns where the policy is written.
    pub const fn declared_at(&self) -> &'static str {
        self.declared_at
    }

    /// Returns the name under which the policy is reported, such as that of its handler.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether a principal must meet a requirement.
    pub fn has_requirements(&self) -> bool {
        *self.rules != Rules::default()
    }

    /// Returns the placeholders of all permissions, reserved ones included.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.rules.permissions.iter().flat_map(Permission::placeholders)
    }

    fn access(mut self, access: Access) -> Self {
        let both = [self.access, Some(access)];
        if both.contains(&Some(Access::Anonymous)) && both.contains(&Some(Access::Protected)) {
            return self.broken(Conflict::AnonymousPrincipal);
        }

        // The stricter one counts, also within one policy.
        self.access = self.access.max(Some(access));
        self
    }

    fn rules_mut(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }

    fn broken(mut self, conflict: Conflict) -> Self {
        self.conflict = self.conflict.or(Some(conflict));
        self
    }
}

/// The policy of one route: its own and those of its resource and scopes, added up.
#[derive(Clone, Debug)]
pub struct EffectivePolicy {
    access: Access,
    tenant: Option<Arc<str>>,
    transports: Option<Arc<[Transport]>>,
    rules: Vec<Arc<Rules>>,
    permission: Option<Permission>,
}

impl EffectivePolicy {
    /// Adds up the policies of a route, its resource and its scopes, in any order.
    ///
    /// # Errors
    ///
    /// [`Conflict`] when they contradict each other, or one of them is invalid. Every request must then be refused.
    pub fn merge(policies: &[&RoutePolicy]) -> Result<Self, Conflict> {
        let mut merged = Self {
            access: Access::Protected,
            tenant: None,
            transports: None,
            rules: Vec::new(),
            permission: None,
        };
        let mut access: Option<Access> = None;

        for policy in policies {
            if let Some(conflict) = policy.conflict {
                return Err(conflict);
            }
            access = access.max(policy.access);
            if policy.has_requirements() {
                merged.rules.push(Arc::clone(&policy.rules));
            }
            one(&mut merged.tenant, policy.tenant.as_ref(), Conflict::Tenants)?;
            one(
                &mut merged.transports,
                policy.transports.as_ref(),
                Conflict::Transports,
            )?;
        }

        let is_anonymous = policies
            .iter()
            .any(|policy| policy.access == Some(Access::Anonymous));
        if is_anonymous && (access == Some(Access::Protected) || !merged.rules.is_empty()) {
            return Err(Conflict::AnonymousPrincipal);
        }

        // INVARIANT: a requirement needs an authenticated principal, also where another policy is public.
        if merged.rules.is_empty() {
            merged.access = access.unwrap_or(Access::Protected);
        }
        merged.permission = merged.all_permissions()?;
        Ok(merged)
    }

    /// Returns which requests are admitted, before the requirements are checked.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Returns the tenant, or `None` for the default tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the transports in their order, or `None` for the tenant's first one.
    pub fn transports(&self) -> Option<&[Transport]> {
        self.transports.as_deref()
    }

    /// Returns whether each credential is accepted only once.
    pub fn is_single_use(&self) -> bool {
        self.rules.iter().any(|rules| rules.single_use)
    }

    /// Returns what a session has to meet: the highest level and the shortest age that are asked for.
    pub fn step_up(&self) -> StepUp {
        self.rules.iter().fold(StepUp::default(), |all, rules| StepUp {
            level: all.level.max(rules.aal),
            max_age: shorter(all.max_age, rules.max_age),
        })
    }

    /// Returns how old the answers about the permissions, and about the credential, may be.
    pub fn freshness(&self) -> Freshness {
        if self.rules.iter().any(|rules| rules.fresh) {
            Freshness::Fresh
        } else {
            Freshness::Cached
        }
    }

    /// Returns the lists of roles: a principal must have one role of each list.
    pub fn roles(&self) -> impl Iterator<Item = &[String]> {
        self.rules
            .iter()
            .flat_map(|rules| rules.roles.iter().map(|any_of| &**any_of))
    }

    /// Returns the scopes: a principal must have them all.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.rules
            .iter()
            .flat_map(|rules| rules.scopes.iter().map(String::as_str))
    }

    /// Returns the permissions: a principal must have them all.
    pub fn permissions(&self) -> impl Iterator<Item = &Permission> {
        self.rules.iter().flat_map(|rules| &rules.permissions)
    }

    /// Returns all permissions as one, or `None` if the permission server need not be asked.
    pub const fn permission(&self) -> Option<&Permission> {
        self.permission.as_ref()
    }

    /// Returns whether a principal must meet a requirement besides being authenticated.
    pub fn has_requirements(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Returns the requirements as an audit event and the access map write them.
    pub fn requirements(&self) -> Vec<String> {
        let roles = self.roles().map(|any_of| format!("role:{}", any_of.join("|")));
        let scopes = self.scopes().map(|scope| format!("scope:{scope}"));
        let permissions = self
            .permissions()
            .map(|permission| format!("permission:{permission}"));
        let fresh = (self.freshness() == Freshness::Fresh).then(|| "fresh_permissions".to_owned());
        let once = self.is_single_use().then(|| "single_use".to_owned());

        self.step_up_requirements()
            .chain(roles)
            .chain(scopes)
            .chain(permissions)
            .chain(fresh)
            .chain(once)
            .collect()
    }

    /// Returns what a session has to meet, as an audit event and the access map write it.
    pub fn step_up_requirements(&self) -> impl Iterator<Item = String> + use<> {
        let step_up = self.step_up();
        let level = step_up.level.map(|level| format!("aal:{level}"));
        let age = step_up.max_age.map(|age| format!("max_age:{}s", age.as_secs()));

        level.into_iter().chain(age)
    }

    fn all_permissions(&self) -> Result<Option<Permission>, Conflict> {
        let mut permissions = self.permissions();
        match (permissions.next(), permissions.next()) {
            (None, _) => Ok(None),
            (Some(only), None) => Ok(Some(only.clone())),
            (Some(_), Some(_)) => Permission::all(self.permissions().cloned().map(Ok))
                .map(Some)
                .map_err(|_| Conflict::TooManyPermissions),
        }
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

fn one<T: Clone + PartialEq>(
    chosen: &mut Option<T>,
    named: Option<&T>,
    conflict: Conflict,
) -> Result<(), Conflict> {
    match (&chosen, named) {
        (Some(chosen), Some(named)) if chosen != named => Err(conflict),
        (None, Some(named)) => {
            *chosen = Some(named.clone());
            Ok(())
        }
        (Some(_), _) | (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests;

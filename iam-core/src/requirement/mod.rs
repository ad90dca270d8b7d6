//! What does the route ask?
//!
//! A [`RoutePolicy`] is what one place of the code says: an attribute set, or one call of an extension trait. The
//! policies on the way to a route add up to its [`EffectivePolicy`]:
//!
//! - Nothing said: an authenticated principal is required.
//! - `public`, `optional` and `protected` on one way: the strictest counts. A scope that is public opens what says
//!   nothing itself; a public route inside a protected scope stays closed.
//! - `anonymous` is stricter than `public` and `optional`, and contradicts `protected` and every requirement: nobody fulfils both.
//! - A requirement anywhere beats `public` and `optional`: it cannot be asked of nobody.
//! - Of several assurance levels the highest counts, of several longest ages of a session the shortest.
//! - Requirements add up: of scope and route, of stacked attributes, everything must hold.
//! - Two tenants, or two transports, on one way contradict each other: nothing is chosen, nobody gets in.
//! - All permissions on one way make one question. Where they are more than a question may hold, nobody gets in either.

use std::{sync::Arc, time::Duration};

use iam_grammar::{GrammarError, Permission, check_role, check_scope, check_tenant};

use crate::{
    authenticate::Authenticated,
    decision::{Reason, Refusal, StepUp},
    principal::AssuranceLevel,
    tenant::Transport,
};

/// Who may come at all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be decided")]
pub enum Access {
    /// Everybody; credentials are not looked at.
    Public,
    /// Everybody; a credential that is presented must be good.
    Optional,
    /// Requests without a principal only. A credential that is presented must be one that does not count any more.
    Anonymous,
    /// Authenticated principals only.
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

/// What one place of the code says about the routes that it covers.
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
    transport: Option<Transport>,
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
}

impl RoutePolicy {
    /// Starts a policy that says nothing yet. `declared_at` and `name` tell a developer where it is written.
    pub fn new(declared_at: &'static str, name: &'static str) -> Self {
        Self {
            declared_at,
            name,
            access: None,
            tenant: None,
            transport: None,
            rules: Arc::default(),
            conflict: None,
        }
    }

    /// Opens the routes: everybody may come, credentials are not looked at.
    #[must_use]
    pub fn public(self) -> Self {
        self.access(Access::Public)
    }

    /// Opens the routes to requests without a credential. A credential that is presented must be good.
    #[must_use]
    pub fn optional(self) -> Self {
        self.access(Access::Optional)
    }

    /// Opens the routes to requests without a principal only: login and registration pages. A principal is refused (403).
    #[must_use]
    pub fn anonymous(self) -> Self {
        self.access(Access::Anonymous)
    }

    /// Says that an authenticated principal is required, as it is where nothing is said.
    #[must_use]
    pub fn protected(self) -> Self {
        self.access(Access::Protected)
    }

    /// Requires any of the roles. Called again, it requires any of the further ones besides.
    ///
    /// No role at all, or a text that no role can be, makes the policy one that refuses everybody.
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
    /// No scope at all, or a text that no scope can be, makes the policy one that refuses everybody.
    #[must_use]
    pub fn require_scope<S: Into<String>>(mut self, all_of: impl IntoIterator<Item = S>) -> Self {
        let scopes: Vec<String> = all_of.into_iter().map(Into::into).collect();
        if scopes.is_empty() || scopes.iter().any(|scope| check_scope(scope).is_err()) {
            return self.broken(Conflict::InvalidScope);
        }

        self.rules_mut().scopes.extend(scopes);
        self
    }

    /// Requires a permission. A permission that could not be read makes the policy one that refuses everybody.
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
    /// An age below one second, or with a fraction of one, makes the policy one that refuses everybody: `max_age` of RFC 9470 counts
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

    /// Accepts each credential once only.
    #[must_use]
    pub fn single_use(mut self) -> Self {
        self.rules_mut().single_use = true;
        self
    }

    /// Takes principals of the tenant `name`. A second, different name makes the policy one that refuses everybody.
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

    /// Takes credentials that travel by `transport`. A second, different one makes the policy one that refuses everybody.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        if self.transport.is_some_and(|chosen| chosen != transport) {
            return self.broken(Conflict::Transports);
        }

        self.transport = Some(transport);
        self
    }

    /// Takes credentials that travel by the transport of this name, as attributes write it. An unknown name makes the policy one that
    /// refuses everybody.
    #[must_use]
    pub fn transport_named(self, name: &str) -> Self {
        match name.parse() {
            Ok(transport) => self.transport(transport),
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

    /// Returns the name of what carries the policy, such as the handler's.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether there is something that a principal must fulfil.
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

        // Both on one policy: the stricter one counts, as it does on one way.
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

/// What counts for one route: everything on the way to it, added up.
#[derive(Clone, Debug)]
pub struct EffectivePolicy {
    access: Access,
    tenant: Option<Arc<str>>,
    transport: Option<Transport>,
    rules: Vec<Arc<Rules>>,
    permission: Option<Permission>,
}

impl EffectivePolicy {
    /// Adds up the policies on the way to a route. Their order is of no consequence.
    ///
    /// # Errors
    ///
    /// [`Conflict`] when they contradict each other, or one of them cannot be asked: nobody may be let in then.
    pub fn merge(policies: &[&RoutePolicy]) -> Result<Self, Conflict> {
        let mut merged = Self {
            access: Access::Protected,
            tenant: None,
            transport: None,
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
                &mut merged.transport,
                policy.transport.as_ref(),
                Conflict::Transports,
            )?;
        }

        let is_anonymous = policies
            .iter()
            .any(|policy| policy.access == Some(Access::Anonymous));
        if is_anonymous && (access == Some(Access::Protected) || !merged.rules.is_empty()) {
            return Err(Conflict::AnonymousPrincipal);
        }

        // INVARIANT: a requirement is asked of an authenticated principal, whatever was said beside it.
        if merged.rules.is_empty() {
            merged.access = access.unwrap_or(Access::Protected);
        }
        merged.permission = merged.all_permissions()?;
        Ok(merged)
    }

    /// Returns who may come at all.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Returns the tenant that is named, if one is. Without one it is the default tenant.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the transport that is named, if one is. Without one it is the tenant's first.
    pub const fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Returns whether a credential is accepted once only.
    pub fn is_single_use(&self) -> bool {
        self.rules.iter().any(|rules| rules.single_use)
    }

    /// Returns what a session has to fulfil: the highest level and the shortest age that are asked for.
    pub fn step_up(&self) -> StepUp {
        self.rules.iter().fold(StepUp::default(), |all, rules| StepUp {
            level: all.level.max(rules.aal),
            max_age: shorter(all.max_age, rules.max_age),
        })
    }

    /// Returns the lists of roles: of each, a principal must have one.
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

    /// Returns all permissions as one: what is asked of the permission server, if anything is.
    pub const fn permission(&self) -> Option<&Permission> {
        self.permission.as_ref()
    }

    /// Returns whether there is something that a principal must fulfil besides being one.
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
        let once = self.is_single_use().then(|| "single_use".to_owned());
        let step_up = self.step_up();
        let level = step_up.level.map(|level| format!("aal:{level}"));
        let age = step_up.max_age.map(|age| format!("max_age:{}s", age.as_secs()));

        level
            .into_iter()
            .chain(age)
            .chain(roles)
            .chain(scopes)
            .chain(permissions)
            .chain(once)
            .collect()
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

/// Why policies make no policy. Whatever it is, nobody gets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each of them must become a refusal of its own"
)]
pub enum Conflict {
    /// The route is for requests without a principal, and something on the way requires one.
    #[error("a principal is required and refused on the way to one route")]
    AnonymousPrincipal,
    /// The longest age of a session is not a whole number of seconds above zero.
    #[error("invalid age of a session")]
    InvalidAge,
    /// An assurance level is unknown.
    #[error("unknown assurance level")]
    InvalidLevel,
    /// A permission cannot be read.
    #[error("a permission that cannot be read")]
    InvalidPermission,
    /// A role is missing, or is none.
    #[error("a role that is none")]
    InvalidRole,
    /// A scope is missing, or is none.
    #[error("a scope that is none")]
    InvalidScope,
    /// A tenant's name is none.
    #[error("a tenant name that is none")]
    InvalidTenant,
    /// A transport is unknown.
    #[error("unknown transport")]
    InvalidTransport,
    /// Two tenants are named.
    #[error("two tenants on the way to one route")]
    Tenants,
    /// The permissions on one way are more, or nested deeper, than one question may hold.
    #[error("more permissions on the way to one route than one question may hold")]
    TooManyPermissions,
    /// Two transports are named.
    #[error("two transports on the way to one route")]
    Transports,
}

impl Conflict {
    /// Returns the reason for the refusal that follows.
    pub const fn reason(self) -> Reason {
        match self {
            Self::InvalidAge
            | Self::InvalidLevel
            | Self::InvalidPermission
            | Self::InvalidRole
            | Self::InvalidScope
            | Self::TooManyPermissions => Reason::InvalidRequirement,
            Self::InvalidTenant | Self::InvalidTransport => Reason::UnknownTenant,
            Self::AnonymousPrincipal | Self::Tenants | Self::Transports => Reason::PolicyConflict,
        }
    }

    /// Returns the stable code of the conflict, as written in audit events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AnonymousPrincipal => "anonymous_principal",
            Self::InvalidAge => "invalid_age",
            Self::InvalidLevel => "invalid_level",
            Self::InvalidPermission => "invalid_permission",
            Self::InvalidRole => "invalid_role",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTenant => "invalid_tenant_name",
            Self::InvalidTransport => "invalid_transport",
            Self::Tenants => "two_tenants",
            Self::TooManyPermissions => "too_many_permissions",
            Self::Transports => "two_transports",
        }
    }
}

#[cfg(test)]
mod tests;

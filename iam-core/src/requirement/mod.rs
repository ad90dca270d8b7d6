//! What does the route ask?
//!
//! A [`RoutePolicy`] is what one place of the code says: an attribute set, or one call of an extension trait. The
//! policies on the way to a route add up to its [`EffectivePolicy`]:
//!
//! - Nothing said: an authenticated principal is required.
//! - `public`, `optional` and `protected` on one way: the strictest counts. A scope that is public opens what says
//!   nothing itself; a public route inside a protected scope stays closed.
//! - A requirement anywhere beats `public` and `optional`: it cannot be asked of nobody.
//! - Requirements add up: of scope and route, of stacked attributes, everything must hold.
//! - Two tenants, or two transports, on one way contradict each other: nothing is chosen, nobody gets in.
//! - All permissions on one way make one question. Where they are more than a question may hold, nobody gets in either.

use std::sync::Arc;

use iam_grammar::{GrammarError, Permission, check_role, check_scope, check_tenant};

use crate::{decision::Reason, tenant::Transport};

/// Who may come at all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be decided")]
pub enum Access {
    /// Everybody; credentials are not looked at.
    Public,
    /// Everybody; a credential that is presented must be good.
    Optional,
    /// Authenticated principals only.
    Protected,
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
    permissions: Vec<Permission>,
    roles: Vec<Box<[String]>>,
    scopes: Vec<String>,
    single_use: bool,
    /// Whether the permissions must be asked anew for each request.
    fresh: bool,
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

    /// Requires a permission, and asks the permission server for each request. Neither this permission nor another one on the same
    /// way is answered from a cache.
    #[must_use]
    pub fn require_fresh_permission(mut self, permission: Result<Permission, GrammarError>) -> Self {
        self.rules_mut().fresh = true;
        self.require_permission(permission)
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

    /// Returns how old the answers about the permissions may be.
    pub fn freshness(&self) -> Freshness {
        if self.rules.iter().any(|rules| rules.fresh) {
            Freshness::Fresh
        } else {
            Freshness::Cached
        }
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
        let fresh = (self.freshness() == Freshness::Fresh).then(|| "fresh_permissions".to_owned());
        let once = self.is_single_use().then(|| "single_use".to_owned());

        roles
            .chain(scopes)
            .chain(permissions)
            .chain(fresh)
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
            Self::InvalidPermission | Self::InvalidRole | Self::InvalidScope | Self::TooManyPermissions => {
                Reason::InvalidRequirement
            }
            Self::InvalidTenant => Reason::UnknownTenant,
            Self::Tenants | Self::Transports => Reason::PolicyConflict,
        }
    }

    /// Returns the stable code of the conflict, as written in audit events.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidPermission => "invalid_permission",
            Self::InvalidRole => "invalid_role",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTenant => "invalid_tenant_name",
            Self::Tenants => "two_tenants",
            Self::TooManyPermissions => "too_many_permissions",
            Self::Transports => "two_transports",
        }
    }
}

#[cfg(test)]
mod tests;

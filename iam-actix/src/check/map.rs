use std::{fmt, sync::Arc};

use iam_core::{
    requirement::{Access, Conflict, EffectivePolicy, RoutePolicy},
    tenant::Transport,
};
use serde::Serialize;

use super::sample::Target;
use crate::{iam::State, policy::chain::Chain};

/// What every route of an application requires.
///
/// Prints as a table and serializes to JSON, so that a test can hold the routes to what was agreed.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AccessMap {
    routes: Vec<RouteAccess>,
    unsampled: Vec<Declaration>,
    unsampled_routes: Vec<String>,
}

impl AccessMap {
    pub(super) fn push(&mut self, route: RouteAccess) {
        self.routes.push(route);
    }

    /// Adds what holds for the methods that no guard asks for, if it is open and a method of the same pattern is not.
    pub(super) fn push_if_open_beside_closed(&mut self, others: RouteAccess) {
        let mut named = self.routes.iter().filter(|route| route.pattern == others.pattern);

        if others.mode.is_open() && named.any(|route| !route.mode.is_open()) {
            self.routes.push(others);
        }
    }

    pub(super) fn push_unsampled(&mut self, target: &Target<'_>) {
        self.unsampled_routes.push(target.to_string());
    }

    pub(super) fn set_unsampled(&mut self, unsampled: impl Iterator<Item = Declaration>) {
        self.unsampled = unsampled.collect();
        self.unsampled.sort();
        self.unsampled.dedup();
    }

    /// Returns the routes that were sampled, one entry for each method of each pattern, and one with `*` for those that no guard
    /// asks for where they are open and a method that one asks for is not.
    pub fn routes(&self) -> &[RouteAccess] {
        &self.routes
    }

    /// Returns the policies that were built but that no sample reached: what they cover is not in the map.
    pub fn unsampled(&self) -> &[Declaration] {
        &self.unsampled
    }

    /// Returns the routes of which the map does not tell everything, as `GET /orders/{id}`: no sample fits their pattern, others take
    /// them all, or a guard that looks at more than the method chooses what is served.
    pub fn unsampled_routes(&self) -> &[String] {
        &self.unsampled_routes
    }

    /// Returns the routes that say nothing of themselves, nor any scope around them. They are protected.
    pub fn unannotated(&self) -> impl Iterator<Item = &RouteAccess> {
        self.routes.iter().filter(|route| route.declared.is_empty())
    }

    /// Accepts only a map in which every route is annotated, and every route and policy was sampled.
    ///
    /// # Errors
    ///
    /// The routes and policies for which that does not hold.
    pub fn strict(self) -> Result<Self, CheckError> {
        let unannotated = self.unannotated().map(|route| Problem::Unannotated {
            method: route.method.clone(),
            pattern: route.pattern.clone(),
        });
        let unsampled = self.unsampled.iter().map(|declared| Problem::Unsampled {
            declared: declared.clone(),
        });
        let unreached = self
            .unsampled_routes
            .iter()
            .map(|route| Problem::UnsampledRoute { route: route.clone() });
        let problems: Vec<_> = unannotated.chain(unsampled).chain(unreached).collect();

        if problems.is_empty() {
            Ok(self)
        } else {
            Err(CheckError::new(problems))
        }
    }
}

impl fmt::Display for AccessMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for route in &self.routes {
            writeln!(f, "{route}")?;
        }
        for declared in &self.unsampled {
            writeln!(f, "not sampled: {declared}")?;
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
    /// The method; `*` for all that no route of the pattern looks at.
    pub method: String,
    /// The full pattern.
    pub pattern: String,
    /// Who may come at all.
    pub mode: Mode,
    /// The tenant whose principals are taken.
    pub tenant: String,
    /// How the credential travels.
    pub transport: &'static str,
    /// What a principal must fulfil, as audit events write it.
    pub requirements: Vec<String>,
    /// Where the policies on the way are written, the innermost first.
    pub declared: Vec<Declaration>,
}

/// Who may come at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Nobody: the policies on the way contradict each other.
    Closed,
    /// Everybody; a credential that is presented must be good.
    Optional,
    /// Authenticated principals.
    Protected,
    /// Everybody.
    Public,
}

impl Mode {
    const fn is_open(self) -> bool {
        match self {
            Self::Closed | Self::Protected => false,
            Self::Optional | Self::Public => true,
        }
    }
}

impl RouteAccess {
    pub(super) fn new(state: &Arc<State>, target: &Target<'_>, chain: Option<&Chain>) -> Self {
        let policy = chain.map(Chain::effective);
        let registry = state.registry();
        let effective: Option<&EffectivePolicy> =
            policy.as_ref().and_then(|policy| policy.as_ref().ok().copied());
        let named = effective.and_then(EffectivePolicy::tenant);
        let tenant = named
            .and_then(|name| registry.get(name))
            .unwrap_or_else(|| registry.default_tenant());
        let transport = effective
            .and_then(EffectivePolicy::transport)
            .unwrap_or_else(|| tenant.transport());

        Self {
            method: target.method_name().to_owned(),
            pattern: target.pattern.to_owned(),
            mode: match policy {
                Some(Err(_)) => Mode::Closed,
                None => Mode::Protected,
                Some(Ok(policy)) => match policy.access() {
                    Access::Optional => Mode::Optional,
                    Access::Protected => Mode::Protected,
                    Access::Public => Mode::Public,
                },
            },
            tenant: named.unwrap_or_else(|| tenant.name()).to_owned(),
            transport: transport.as_str(),
            requirements: chain
                .iter()
                .flat_map(|chain| chain.requirements())
                .map(ToString::to_string)
                .collect(),
            declared: chain
                .map(|chain| chain.policies().map(Declaration::of).collect())
                .unwrap_or_default(),
        }
    }
}

impl fmt::Display for RouteAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Closed => "closed",
            Mode::Optional => "optional",
            Mode::Protected => "protected",
            Mode::Public => "public",
        };
        write!(
            f,
            "{:7} {:40} {mode:9} {}",
            self.method, self.pattern, self.tenant
        )?;

        for requirement in &self.requirements {
            write!(f, " {requirement}")?;
        }
        Ok(())
    }
}

/// Where a policy is written.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Declaration {
    /// File and line.
    pub at: &'static str,
    /// The handler's name, or the word that was called.
    pub name: &'static str,
}

impl Declaration {
    pub(super) fn of(policy: &RoutePolicy) -> Self {
        Self {
            at: policy.declared_at(),
            name: policy.name(),
        }
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}", self.name, self.at)
    }
}

/// Everything that is wrong with what an application's routes say.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
#[non_exhaustive]
pub struct CheckError {
    problems: Vec<Problem>,
}

impl CheckError {
    /// Keeps each problem once: those of a pattern are found for each of its methods.
    pub(super) fn new(found: Vec<Problem>) -> Self {
        let mut problems = Vec::with_capacity(found.len());
        for problem in found {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }

        Self { problems }
    }

    pub(super) fn one(problem: Problem) -> Self {
        Self::new(vec![problem])
    }

    /// Returns the problems.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// One thing that is wrong with what a route says, told at start. What a caller is told is a
/// [`ProblemDetails`](crate::ProblemDetails).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The policies on the way cannot hold together. The route answers 500.
    #[error("`{pattern}`: {conflict}; {declared}")]
    Conflict {
        /// What contradicts what.
        conflict: Conflict,
        /// Where the innermost policy is written.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// The application could not be built.
    #[error("the application could not be built")]
    Init,
    /// No sample reached the gate of this `Iam`.
    #[error("no gate: register `iam.middleware()` on the application")]
    NoGate,
    /// A permission is asked of principals whose tenant has no permission server. The route answers 500.
    #[error(
        "`{pattern}`: `{requirement}` is asked of Keto, and the tenant `{tenant}` has none: add \
         `[tenants.{tenant}.keto]` with its `read_url` to the configuration; {declared}"
    )]
    NoPermissionServer {
        /// Where the innermost policy is written.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The permission, as audit events write it.
        requirement: String,
        /// The tenant's name.
        tenant: String,
    },
    /// A route is served by an application whose gate stands further in: nothing protects it.
    #[error("`{route}` is outside of the gate: register `iam.middleware()` on the application itself")]
    OutsideGate {
        /// The method and the full pattern.
        route: String,
    },
    /// A permission asks for a path parameter that the pattern does not have. The route answers 500.
    #[error("`{pattern}`: no parameter `{name}` in the pattern where it is resolved; {declared}")]
    Placeholder {
        /// The placeholder's name.
        name: String,
        /// Where the innermost policy is written: its pattern counts.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A permission asks for the principal by a name that the pattern gives to a parameter. The route answers 500.
    #[error(
        "`{pattern}`: the parameter `{name}` has the name of a reserved placeholder: rename it; {declared}"
    )]
    ReservedParameter {
        /// The parameter's name.
        name: String,
        /// Where the innermost policy is written: its pattern counts.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A tenant is named that is not configured. The route answers 500.
    #[error("`{pattern}`: no tenant `{name}`; {declared}")]
    Tenant {
        /// The tenant's name.
        name: String,
        /// Where the innermost policy is written.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A transport is named that the tenant does not use. The route answers 500.
    #[error(
        "`{pattern}`: the tenant `{tenant}` does not use the transport \"{transport}\": add it to \
         `tenants.{tenant}.transports`, or name another one; {declared}"
    )]
    Transport {
        /// Where the innermost policy is written.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The tenant's name.
        tenant: String,
        /// The transport.
        transport: Transport,
    },
    /// Strict mode: a route says nothing.
    #[error("`{method} {pattern}`: says nothing of who may come")]
    Unannotated {
        /// The method.
        method: String,
        /// The route's pattern.
        pattern: String,
    },
    /// Strict mode: no sample reached what a policy covers.
    #[error("not sampled: {declared}")]
    Unsampled {
        /// Where the policy is written.
        declared: Declaration,
    },
    /// Strict mode: no sample reached a route, or a guard that looks at more than the method chooses what is served there.
    #[error("not sampled: {route}")]
    UnsampledRoute {
        /// The method and the full pattern.
        route: String,
    },
}

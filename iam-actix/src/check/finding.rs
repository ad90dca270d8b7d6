use std::{error, fmt};

use iam_core::{requirement::Conflict, tenant::Transport};

use super::unsampled::{Declaration, UnsampledPolicy, UnsampledRoute};

/// Every fault that [`Iam::check`](crate::Iam::check) or [`AccessMap::strict`](crate::AccessMap::strict) finds.
///
/// `Debug` prints the same list as `Display`, so that the list is readable when `main` returns the error.
#[derive(Clone)]
#[non_exhaustive]
pub struct CheckError {
    findings: Vec<Finding>,
}

impl CheckError {
    /// Keeps each finding once: those of a pattern are found for each of its methods.
    pub(super) fn new(found: Vec<Finding>) -> Self {
        let mut findings = Vec::with_capacity(found.len());
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }

        Self { findings }
    }

    pub(super) fn one(finding: Finding) -> Self {
        Self::new(vec![finding])
    }

    /// Returns the findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.findings.len() == 1 {
            "fault"
        } else {
            "faults"
        };
        write!(f, "the access check found {} {noun}:", self.findings.len())?;

        for finding in &self.findings {
            write!(f, "\n- {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for CheckError {}

/// One fault in what the routes of an application declare, with its remedy. Found when the application starts, and told to its
/// developer; a caller gets [`ProblemDetails`](crate::ProblemDetails).
///
/// `Debug` prints the same as `Display`.
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Finding {
    /// The policies of a route contradict each other, or one of them is invalid. The route answers 500.
    #[error(
        "`{pattern}`: {conflict}; correct the policies of the route and of the scopes around it; the \
         innermost one is {declared}"
    )]
    Conflict {
        /// The contradiction.
        conflict: Conflict,
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A CORS middleware inside the gate answers preflights. The gate refuses them before, because they carry no credentials.
    #[error(
        "preflights are answered inside the gate, which refuses them with 401 because they carry no credentials: register \
         the CORS middleware outside of the gate, with a `wrap` after that of `iam.middleware()`; this concerns {}",
        list(.patterns)
    )]
    CorsInsideGate {
        /// The patterns whose preflights are refused.
        patterns: Vec<String>,
    },
    /// A middleware inside the gate hides a route whose policy opens it, or names another tenant or transport. The gate treats the
    /// request as protected by the default tenant.
    #[error(
        "{} answers 401 to requests that its policy admits: the policy {} {}, but a middleware inside the gate \
         (`from_fn`, a session middleware, a `Condition` around one) hides it from the gate, or another resource of the same \
         pattern takes its requests; register that middleware outside of the gate, or give the enclosing scope the same \
         policy",
        list(.routes), .policy.declared, .policy.effect()
    )]
    HiddenPolicy {
        /// The hidden policy.
        policy: UnsampledPolicy,
        /// The methods and full patterns of the hidden routes.
        routes: Vec<String>,
    },
    /// The application could not be built.
    #[error(
        "the application could not be built: one of its services or middlewares failed to start, and its own log tells why"
    )]
    Init,
    /// No sample reached the gate of this `Iam`.
    #[error("no gate: register `iam.middleware()` on the application")]
    NoGate,
    /// A route requires a permission, and its tenant has no permission server. The route answers 500.
    #[error(
        "`{pattern}`: `{requirement}` needs Keto, and the tenant `{tenant}` has none: add \
         `[tenants.{tenant}.keto]` with its `read_url` to the configuration; {declared}"
    )]
    NoPermissionServer {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The permission, as audit events write it.
        requirement: String,
        /// The tenant's name.
        tenant: String,
    },
    /// A route accepts each credential once, and no transport of it carries credentials with an id. The route answers 500.
    #[error(
        "`{pattern}`: `single_use` needs credentials with an id, and those of {} of the tenant `{tenant}` have none: leave \
         `single_use` out, or name a transport of signed tokens, such as \"oathkeeper\" with `verifier = \"jwt\"` or \"oauth2\" \
         with `tokens = \"jwt\"`; {declared}",
        listed(.transports)
    )]
    NoReplayId {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The tenant's name.
        tenant: String,
        /// The route's transports, in their order.
        transports: Vec<Transport>,
    },
    /// A route requires a scope, and no transport of it carries credentials with scopes. The route answers 403.
    #[error(
        "`{pattern}`: `{requirement}` needs credentials with scopes, and those of {} of the tenant `{tenant}` have none: require a \
         role or a permission instead, or name a transport of tokens with scopes, such as \"oauth2\"; {declared}",
        listed(.transports)
    )]
    NoScopes {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The scope, as audit events write it.
        requirement: String,
        /// The tenant's name.
        tenant: String,
        /// The route's transports, in their order.
        transports: Vec<Transport>,
    },
    /// A route requires a level or an age of a session, and no transport of it carries sessions. The route answers 401, and a new
    /// login does not help.
    #[error(
        "`{pattern}`: `{requirement}` needs a session, and {} of the tenant `{tenant}` carries none: remove the requirement, or \
         name a transport of sessions (\"cookie\", \"bearer\" or \"cookie-or-bearer\"); {declared}",
        listed(.transports)
    )]
    NoSession {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The level or the age, as audit events write it.
        requirement: String,
        /// The tenant's name.
        tenant: String,
        /// The route's transports, in their order.
        transports: Vec<Transport>,
    },
    /// A route is served by an application whose gate is further in. Nothing protects the route.
    #[error("`{route}` is outside of the gate: register `iam.middleware()` on the application itself")]
    OutsideGate {
        /// The method and the full pattern.
        route: String,
    },
    /// A permission uses a path parameter that the pattern does not have. The route answers 500.
    #[error(
        "`{pattern}`: no parameter `{name}` in the pattern where the permission is resolved: add it to the pattern, or move the permission to the route; {declared}"
    )]
    Placeholder {
        /// The placeholder's name.
        name: String,
        /// Where the innermost policy is declared. The permission is resolved there.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A permission uses a reserved placeholder, and the pattern has a parameter of that name. The route answers 500.
    #[error(
        "`{pattern}`: the path parameter `{name}` has the name of a reserved placeholder: rename the parameter; \
         {declared}"
    )]
    ReservedParameter {
        /// The parameter's name.
        name: String,
        /// Where the innermost policy is declared. The permission is resolved there.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A policy names a tenant that is not configured. The route answers 500.
    #[error(
        "`{pattern}`: no tenant `{name}` is configured: add `[tenants.{name}]` to the configuration, or name \
         another one; {declared}"
    )]
    Tenant {
        /// The tenant's name.
        name: String,
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
    },
    /// A policy names a transport that the tenant does not use. The route answers 500.
    #[error(
        "`{pattern}`: the tenant `{tenant}` does not use the transport \"{transport}\": add it to \
         `tenants.{tenant}.transports`, or name another one; {declared}"
    )]
    Transport {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The tenant's name.
        tenant: String,
        /// The transport.
        transport: Transport,
    },
    /// A policy lists transports that would take one credential. The route answers 500.
    #[error(
        "`{pattern}`: of the transports {} of the tenant `{tenant}`, two take the same credential: leave one of them out; \
         {declared}",
        listed(.transports)
    )]
    SharedCredential {
        /// Where the innermost policy is declared.
        declared: Declaration,
        /// The route's pattern.
        pattern: String,
        /// The tenant's name.
        tenant: String,
        /// The transports, in their order.
        transports: Vec<Transport>,
    },
    /// Requests to a route pass two gates of different `Iam`s, which answers 500.
    #[error(
        "two gates of different `Iam`s are on the way to {}, which answers 500: register `iam.middleware()` of one `Iam`, \
         once, on the application, and tell tenants apart with `tenant`",
        list(.routes)
    )]
    TwoGates {
        /// The methods and full patterns.
        routes: Vec<String>,
    },
    /// Requests to a route pass the gate of one `Iam` twice. The inner one has no effect.
    #[error(
        "the gate is registered twice on the way to {}, and the inner one has no effect: register `iam.middleware()` once, on \
         the application",
        list(.routes)
    )]
    NestedGate {
        /// The methods and full patterns.
        routes: Vec<String>,
    },
    /// Strict mode: neither a route nor a scope around it declares a policy.
    #[error(
        "`{method} {pattern}` declares no policy: add `#[public]`, a requirement such as `#[require_role(…)]`, or \
         `.protected()` on the route or a scope around it"
    )]
    Unannotated {
        /// The method.
        method: String,
        /// The route's pattern.
        pattern: String,
    },
    /// Strict mode: no sample reached a policy.
    #[error("not sampled: {policy}")]
    UnsampledPolicy {
        /// The policy.
        policy: UnsampledPolicy,
    },
    /// Strict mode: samples do not tell what a route requires.
    #[error("not sampled: {route}")]
    UnsampledRoute {
        /// The route and the reason.
        route: UnsampledRoute,
    },
}

impl fmt::Debug for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes names in backticks, separated by commas.
pub(super) fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Writes transports in quotes, as attributes do, separated by commas.
fn listed(transports: &[Transport]) -> String {
    let quoted: Vec<_> = transports
        .iter()
        .map(|transport| format!("\"{transport}\""))
        .collect();
    quoted.join(", ")
}

use std::fmt;

use iam_core::{
    requirement::{EffectivePolicy, RoutePolicy},
    tenant::TenantRegistry,
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::map::{Openness, names};

/// Where a policy is declared.
///
/// Serializes to the file and the name; [`AccessMap::with_lines`](crate::AccessMap::with_lines) adds the line.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Declaration {
    /// The source file.
    pub file: &'static str,
    /// The line, if the declaration tells it.
    pub line: Option<u32>,
    /// The name of the handler, or of the method that was called, such as `require_role`.
    pub name: &'static str,
    pub(super) shows_line: bool,
}

impl Declaration {
    pub(super) fn of(policy: &RoutePolicy) -> Self {
        let at = policy.declared_at();
        let (file, line) = at
            .rsplit_once(':')
            .and_then(|(file, line)| Some((file, Some(line.parse().ok()?))))
            .unwrap_or((at, None));

        Self {
            file,
            line,
            name: policy.name(),
            shows_line: true,
        }
    }
}

impl Declaration {
    pub(super) fn without_line(policy: &RoutePolicy) -> Self {
        Self {
            shows_line: false,
            ..Self::of(policy)
        }
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.name, self.file)?;
        match self.line {
            Some(line) if self.shows_line => write!(f, ":{line}"),
            Some(_) | None => Ok(()),
        }
    }
}

impl Serialize for Declaration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let line = self.line.filter(|_| self.shows_line);
        let mut declaration = serializer
            .serialize_struct("Declaration", 2_usize.saturating_add(usize::from(line.is_some())))?;
        declaration.serialize_field("file", self.file)?;
        match line {
            Some(line) => declaration.serialize_field("line", &line)?,
            None => declaration.skip_field("line")?,
        }
        declaration.serialize_field("name", self.name)?;
        declaration.end()
    }
}

/// A policy inside of a closed scope.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct EnclosedPolicy {
    /// Where the policy is declared.
    pub declared: Declaration,
    /// Where the closed scope is declared.
    pub scope: Declaration,
}

impl fmt::Display for EnclosedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is inside of the closed scope {}, which requires an authenticated principal",
            self.declared, self.scope
        )
    }
}

/// A policy that no sample reached.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct UnsampledPolicy {
    /// Where the policy is declared.
    pub declared: Declaration,
    /// Which requests the policy admits by itself.
    pub openness: Openness,
    /// The tenant that the policy names, if it is not the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The transports that the policy names, in their order; empty if it is the tenant's first one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
}

impl UnsampledPolicy {
    pub(super) fn new(registry: &TenantRegistry, policy: &RoutePolicy) -> Self {
        let effective = EffectivePolicy::merge(&[policy]).ok();
        let (tenant, transports) = match registry.resolve(effective.as_ref()) {
            Ok(target) => {
                let (tenant, transports) = (target.tenant(), target.transports());
                (
                    Some(tenant.name()),
                    Some(transports).filter(|transports| **transports != [tenant.transport()]),
                )
            }
            // The route answers 500, so the map shows what is written.
            Err(_) => effective
                .as_ref()
                .map(|policy| (policy.tenant(), policy.transports()))
                .unwrap_or_default(),
        };

        Self {
            declared: Declaration::of(policy),
            openness: effective.as_ref().map_or(Openness::Closed, Openness::of),
            tenant: tenant
                .filter(|name| *name != registry.default_tenant().name())
                .map(str::to_owned),
            transports: names(transports.unwrap_or_default()),
        }
    }

    /// Tells whether a request gets another answer where the gate does not know the policy in time: 401.
    pub(super) const fn is_refused_when_hidden(&self) -> bool {
        self.openness.is_open() || self.tenant.is_some() || !self.transports.is_empty()
    }

    /// Returns what the policy does that the gate must know in time, as a predicate.
    pub(super) fn effect(&self) -> String {
        let mut effects = Vec::new();
        if self.openness.is_open() {
            effects.push(format!("makes the route {}", self.openness.as_str()));
        }
        if let Some(tenant) = &self.tenant {
            effects.push(format!("names the tenant `{tenant}`"));
        }
        match &*self.transports {
            [] => {}
            [only] => effects.push(format!("names the transport \"{only}\"")),
            several => effects.push(format!("names the transports \"{}\"", several.join("\", \""))),
        }

        if effects.is_empty() {
            effects.push("adds requirements".to_owned());
        }
        effects.join(" and ")
    }

    pub(super) fn with_line(mut self) -> Self {
        self.declared.shows_line = true;
        self
    }
}

impl fmt::Display for UnsampledPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the policy {} {}, and no sample reached it: ",
            self.declared,
            self.effect()
        )?;
        f.write_str(if self.is_refused_when_hidden() {
            "if a middleware inside the gate hides it, its route answers 401: register that middleware outside of the gate, or \
             give the enclosing scope the same policy; otherwise it belongs to a default service, or to a route that is not \
             sampled"
        } else {
            "a middleware inside the gate hides it (it is enforced all the same), or it belongs to a default service, or to a \
             route that is not sampled: register such a middleware outside of the gate, or give the enclosing scope the policy"
        })
    }
}

/// A route whose requirements the samples do not tell.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnsampledRoute {
    /// The method and the full pattern, as `GET /orders/{id}`.
    pub route: String,
    /// The reason and the remedy.
    pub reason: String,
}

impl fmt::Display for UnsampledRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.route, self.reason)
    }
}

/// Why the samples do not tell what a route requires.
pub(super) enum Unreached {
    /// Guards whose choice is not known. Holds their names.
    Guarded(String),
    /// No path is known that the pattern matches.
    NoPath,
    /// Another route takes every sample.
    Shadowed,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guarded(guards) => write!(
                f,
                "the guards {guards} choose what is served: use at most one `Host` or `Header` guard on the way to a route, or \
                 serve what they choose between under different patterns"
            ),
            Self::NoPath => f.write_str(
                "no path is known that the pattern matches: simplify the regular expression of its parameters (without `\\b`, \
                 `^` and `$`), and check the rest of the value in the handler",
            ),
            Self::Shadowed => f.write_str(
                "other routes take every path that was tried: register this route before them, or remove it if it is never \
                 reached",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use iam_core::{config::IamConfig, tenant::Transport};

    use super::*;

    fn named(policy: &RoutePolicy) -> (Option<String>, Vec<String>) {
        let tenant = |name: &str| {
            format!(
                "[tenants.{name}]\n\
                 transports = [\"oathkeeper\"]\n\
                 [tenants.{name}.oathkeeper]\n\
                 issuer = \"https://{name}.example/\"\n\
                 audience = [\"orders-api\"]\n\
                 [tenants.{name}.oathkeeper.jwks]\n\
                 url = \"https://{name}.example/jwks.json\"\n"
            )
        };
        let text = format!("default_tenant = \"a\"\n{}{}", tenant("a"), tenant("b"));
        let settings = IamConfig::from_toml(&text).unwrap().validate().unwrap();

        let unsampled = UnsampledPolicy::new(settings.registry(), policy);
        (unsampled.tenant, unsampled.transports)
    }

    fn policy() -> RoutePolicy {
        RoutePolicy::new("a.rs:1", "handler")
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_named() {
        let transport = Transport::Oathkeeper;

        assert_eq!(named(&policy()), (None, vec![]));
        assert_eq!(named(&policy().tenant("a").transport(transport)), (None, vec![]));
        assert_eq!(
            named(&policy().tenant("b").transport(transport)),
            (Some("b".to_owned()), vec![])
        );
    }

    #[test]
    fn a_tenant_that_is_not_configured_is_named_as_written() {
        let policy = policy().tenant("c").transport(Transport::Oathkeeper);

        assert_eq!(
            named(&policy),
            (Some("c".to_owned()), vec!["oathkeeper".to_owned()])
        );
    }
}

//! The log of refusals that a developer or an operator has to act on.

use iam_core::decision::{Class, Reason, Refusal};

/// Logs a refusal that is this service's own fault, with the remedy.
pub(crate) fn log_misconfiguration(refusal: Refusal, route: Option<&str>) {
    if refusal.reason.class() == Class::Misconfigured {
        tracing::error!(
            reason = refusal.reason.code(),
            detail = refusal.detail,
            route,
            "a request was answered with 500 because of this service's own configuration or code: {}",
            remedy(refusal)
        );
    }
}

fn remedy(refusal: Refusal) -> &'static str {
    match refusal.detail {
        Some("no_gate" | "not_let_in") => {
            "register `iam.middleware()` on the application, around every route"
        }
        Some("two_gates") => {
            "register the middleware of one `Iam` only; for several tenants, configure them in one `Iam`"
        }
        Some("two_tenants") => "name one tenant on the way to the route, in the attribute or in the scope",
        Some("two_transports") => {
            "name one list of transports on the way to the route, in the attribute or in the scope"
        }
        Some("invalid_transports") => "list each transport of the route once, and at least one",
        Some("transports_share_a_credential") => {
            "two transports of the route take the same credential: leave one of them out"
        }
        Some("tenant_not_configured") => "configure the tenant that the route names, or correct its name",
        Some("transport_not_configured") => {
            "add the transport that the route names to `transports` of its tenant, or correct it"
        }
        Some("no_permission_server") => "configure `keto` for the tenant of the route",
        Some("placeholder_missing") => {
            "a placeholder of the permission is no parameter of the path: correct its name, in `object` or in the path"
        }
        Some("reserved_placeholder_in_path") => {
            "`user`, `sub` and `client_id` name the principal in a permission: give the path parameter another name"
        }
        Some("principal_on_public_route") => {
            "an extractor needs a principal on a public route: use `#[optional]`, or leave `#[public]` out"
        }
        Some("principal_on_anonymous_route") => {
            "an extractor needs a principal on a route for requests without one: use `#[optional]` instead of `#[anonymous]`"
        }
        Some("anonymous_principal") => {
            "`anonymous` refuses principals and something on the way requires one: remove one of them"
        }
        Some("session_is_not_single_use") => {
            "a session is used many times, so a route cannot accept it once: leave `single_use` out, or choose the transport \"oathkeeper\""
        }
        Some("credential_is_not_single_use") => {
            "introspected access tokens and plain headers have no id, so a route cannot accept them once: leave `single_use` out, \
             or choose a transport whose tokens have an id, as with `hydra.tokens = \"jwt\"` or `oathkeeper.verifier = \"jwt\"`"
        }
        Some("nothing_granted" | "not_one_parameter") => {
            "`Granted` needs a route whose permission asks for exactly one path parameter"
        }
        Some("unknown_namespace" | "unknown_relation" | "namespace" | "relation") => {
            "correct the namespace or the relation, or add it to Keto's permission file"
        }
        Some(_) | None if refusal.reason == Reason::UnknownTenant => {
            "the tenant or the transport of the route is not configured"
        }
        Some(_) | None => "the policies of the route cannot be enforced: `Iam::check` names each problem",
    }
}

/// Logs a request that the CSRF check has refused, with the remedy.
pub(crate) fn log_csrf(origin: Option<&[u8]>, route: Option<&str>) {
    let origin = origin.map(|origin| {
        let shown = origin.get(..LONGEST_ORIGIN).unwrap_or(origin);
        shown.escape_ascii().to_string()
    });

    tracing::warn!(
        origin,
        route,
        "a request was refused because a page of another origin may have sent it: if the origin is the application's own, add \
         it to `csrf.allowed_origins`"
    );
}

const LONGEST_ORIGIN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_misconfiguration_has_a_remedy() {
        for reason in Reason::ALL {
            assert!(!remedy(Refusal::new(reason)).is_empty());
        }
        let refusal = Refusal::with_detail(Reason::InvalidRequirement, "placeholder_missing");
        assert!(remedy(refusal).contains("placeholder"));
        let refusal = Refusal::with_detail(Reason::InvalidRequirement, "credential_is_not_single_use");
        assert!(remedy(refusal).contains("leave `single_use` out"));
    }
}

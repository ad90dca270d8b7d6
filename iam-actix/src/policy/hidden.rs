//! Policies that a middleware inside the gate hides.
//!
//! A middleware that answers asynchronously before it calls inward hides the routes behind it: their policies are announced after
//! the gate has decided, or, where the gate refused, never. The gate then treats the request as protected, and the log says
//! once which policy is hidden, where it was declared, and what to do.

use std::{collections::HashSet, sync::Mutex};

use iam_core::requirement::RoutePolicy;

/// The hidden policies that are already reported. Bounded by the size of the code: every entry is a place in it.
#[derive(Debug, Default)]
pub(crate) struct HiddenPolicies {
    reported: Mutex<HashSet<&'static str>>,
}

impl HiddenPolicies {
    /// Reports, once for each place in the code, that a policy was not announced before the gate decided.
    pub(crate) fn report(&self, policy: &RoutePolicy) {
        let Ok(mut reported) = self.reported.lock() else {
            return;
        };

        if reported.insert(policy.declared_at()) {
            tracing::warn!(
                declared_at = policy.declared_at(),
                name = policy.name(),
                "a middleware hides a policy from the gate, so requests are treated as protected by the default tenant: a \
                 middleware inside the gate (`from_fn`, a session middleware, a `Condition` around one) answers before it \
                 calls inward. Register it outside the gate, or give the enclosing scope the policy"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_policy_is_reported_once_for_each_place() {
        let hidden = HiddenPolicies::default();

        hidden.report(&RoutePolicy::new("a.rs:1", "one"));
        hidden.report(&RoutePolicy::new("a.rs:1", "one"));
        hidden.report(&RoutePolicy::new("a.rs:2", "two"));

        assert_eq!(hidden.reported.lock().unwrap().len(), 2);
    }
}

//! What does the gate need from the rest of the crate?

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
};

use futures_util::future::LocalBoxFuture;
use iam_core::{
    audit::AuditEvent,
    authenticate::Authenticated,
    clock::Timestamp,
    decision::Refusal,
    tenant::{Tenant, TenantRegistry},
};
use iam_grammar::RelationTuple;

/// The state behind an [`Iam`](crate::Iam), shared by all workers.
///
/// Every method that may fail says [`Refusal`]: there is no third answer.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Returns the tenants.
    fn registry(&self) -> &TenantRegistry;

    /// Returns the time now.
    fn now(&self) -> Timestamp;

    /// Hands an event to the sinks. Waits for no sink, and never fails.
    fn emit(&self, event: &AuditEvent<'_>);

    /// Returns what the gate remembers about policies across requests and workers.
    fn policies(&self) -> &Policies;

    /// Waits until `is_known` finds the key that it looks for among the tenant's keys, or a fetch that started after this
    /// call has ended without bringing it.
    fn wait_for_key<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        is_known: &'a mut dyn FnMut() -> bool,
    ) -> LocalBoxFuture<'a, Result<(), Refusal>>;

    /// Asks Keto, one answer for each tuple, in their order.
    fn check_permissions<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        tuples: &'a [RelationTuple],
        request_id: &'a str,
    ) -> LocalBoxFuture<'a, Result<Vec<bool>, Refusal>>;

    /// Uses up a credential that is accepted once only. A credential without an id is refused.
    fn claim<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        authenticated: &'a Authenticated,
    ) -> LocalBoxFuture<'a, Result<(), Refusal>>;
}

/// What is remembered about policies across requests and workers.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// Where the policies are declared that were announced too late and are already reported. Bounded by the code's own
    /// size: every entry is a place in it.
    late: Mutex<HashSet<&'static str>>,
}

impl Policies {
    /// Tells, once for each place in the code, that a policy was announced when the gate had already decided.
    pub(crate) fn report_late(&self, declared_at: &'static str, name: &'static str) {
        let Ok(mut late) = self.late.lock() else { return };

        if late.insert(declared_at) {
            tracing::warn!(
                declared_at,
                name,
                "a policy was announced after the gate had decided, so the request was treated as protected by the default \
                 tenant: a middleware inside the gate (`from_fn`, a session middleware, a `Condition` around one) answers \
                 before it calls inward; register it outside the gate, or give the enclosing scope the policy"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_policy_is_remembered_once_for_each_place() {
        let policies = Policies::default();

        policies.report_late("a.rs:1", "one");
        policies.report_late("a.rs:1", "one");
        policies.report_late("a.rs:2", "two");

        assert_eq!(policies.late.lock().unwrap().len(), 2);
    }
}

//! Keto's answers about tuples.

use std::{fmt, sync::Arc};

use iam_core::{
    clock::{Clock, Timestamp},
    decision::{Reason, Refusal},
    fingerprint::FingerprintKey,
    requirement::Freshness,
    service::keto::{PermissionClient, TupleObserver},
    tenant::Tenant,
};
use iam_grammar::RelationTuple;

use super::{
    answers::Answers,
    cache::{Conclusion, Validity},
};
use crate::upstream::Spawner;

/// Checks tuples of one tenant, with a cache where the tenant has one.
pub(crate) struct Permissions {
    client: PermissionClient,
    cached: Option<Arc<CachedPermissions>>,
}

/// The cached answers of one tenant. A written or deleted tuple drops all of them, because only Keto knows which permissions
/// depend on it.
pub(crate) struct CachedPermissions {
    answers: Answers<bool>,
    key: FingerprintKey,
    tenant: Arc<Tenant>,
}

impl Permissions {
    pub(crate) fn new(
        tenant: &Arc<Tenant>,
        client: PermissionClient,
        clock: &Arc<dyn Clock>,
        spawner: &Spawner,
    ) -> Self {
        let settings = tenant.permission_cache();
        let cached = settings.zip(FingerprintKey::random()).map(|(settings, key)| {
            Arc::new(CachedPermissions {
                answers: Answers::new(settings, Reason::PermissionUnavailable, clock, spawner),
                key,
                tenant: Arc::clone(tenant),
            })
        });
        Self { client, cached }
    }

    /// Returns one answer for each tuple, in their order.
    ///
    /// # Errors
    ///
    /// A refusal when Keto does not answer.
    pub(crate) async fn check(
        &self,
        tuples: &[RelationTuple],
        freshness: Freshness,
        request_id: &str,
    ) -> Result<Vec<bool>, Refusal> {
        let Some(cached) = &self.cached else {
            return self.client.check(tuples, request_id).await;
        };

        let name = cached.tenant.name();
        let keys: Vec<_> = tuples.iter().map(|tuple| cached.key.tuple(name, tuple)).collect();
        let fetch = |missing: &[usize]| {
            let asked: Vec<_> = missing
                .iter()
                .filter_map(|position| tuples.get(*position).cloned())
                .collect();
            // The call may outlive the request.
            let (client, request_id) = (self.client.clone(), request_id.to_owned());
            async move { client.check(&asked, &request_id).await }
        };
        cached.answers.of(&keys, freshness, fetch).await
    }

    /// Returns the cached answers, unless the tenant caches none.
    pub(crate) const fn cached(&self) -> Option<&Arc<CachedPermissions>> {
        self.cached.as_ref()
    }
}

impl Conclusion for bool {
    fn validity(&self) -> Validity {
        if *self {
            Validity::Until(Timestamp::MAX)
        } else {
            Validity::Refusal
        }
    }
}

impl TupleObserver for CachedPermissions {
    fn tuples_changed(&self) {
        self.answers.revoke_if(|_| true);
    }
}

impl fmt::Debug for CachedPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedPermissions")
            .field("tenant", &self.tenant.name())
            .finish_non_exhaustive()
    }
}

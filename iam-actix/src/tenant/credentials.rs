//! What an upstream says about the credentials of one tenant: from a cache, or from a call that all callers share.

use std::{future::Future, sync::Arc};

use iam_core::{
    clock::Clock,
    decision::{Reason, Refusal},
    fingerprint::FingerprintKey,
    requirement::Freshness,
    service::Validity,
    tenant::{CacheSettings, Tenant},
};

use super::{answers::Answers, cache::Conclusion};
use crate::upstream::Spawner;

/// The answers of one upstream about the credentials of one tenant.
///
/// Answers are kept, not decisions: each request decides about the answer again, at its own time.
pub(crate) struct Credentials<T> {
    answers: Answers<Told<T>>,
    key: FingerprintKey,
    tenant: Arc<Tenant>,
}

/// What an upstream said, and how long that may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Told<T> {
    pub(crate) answer: T,
    pub(crate) validity: Validity,
}

impl<T: Clone + Send + Sync + 'static> Credentials<T> {
    /// Returns nothing when the system has no random numbers: then nothing is kept or shared.
    pub(crate) fn new(
        tenant: &Arc<Tenant>,
        settings: CacheSettings,
        unavailable: Reason,
        (clock, spawner): (&Arc<dyn Clock>, &Spawner),
    ) -> Option<Self> {
        Some(Self {
            answers: Answers::new(settings, unavailable, clock, spawner),
            key: FingerprintKey::random()?,
            tenant: Arc::clone(tenant),
        })
    }

    /// Returns the answer about one credential. `call` asks the upstream.
    ///
    /// # Errors
    ///
    /// The refusal of the call, which is never kept.
    pub(crate) async fn ask<F>(
        &self,
        (carrier, credential): (&str, &[u8]),
        freshness: Freshness,
        call: impl FnOnce() -> F,
    ) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Told<T>, Refusal>> + Send + 'static,
    {
        let key = self.key.credential(self.tenant.name(), carrier, credential);
        let told = self.answers.one(key, freshness, call).await?;
        Ok(told.answer)
    }

    /// Drops the answer about one credential.
    pub(crate) fn revoke(&self, carrier: &str, credential: &[u8]) {
        let key = self.key.credential(self.tenant.name(), carrier, credential);
        self.answers.revoke(key);
    }

    /// Drops the answers that `is_revoked` is true of.
    pub(crate) fn revoke_if(&self, is_revoked: impl Fn(&T) -> bool) {
        self.answers.revoke_if(|told| is_revoked(&told.answer));
    }
}

impl<T: Clone + Send + Sync + 'static> Conclusion for Told<T> {
    fn validity(&self) -> Validity {
        self.validity
    }
}

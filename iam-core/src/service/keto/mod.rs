//! The client of the permission server.
//!
//! Checks and lists go to the read port, writes to the write port. A write names a whole tuple, so a deletion never matches
//! more than one. Each write emits an audit event.

mod check;
mod record;
mod tuples;

use std::{fmt::Debug, sync::Arc};

use iam_grammar::{RelationTuple, Subject};
use serde::Serialize;

use self::record::Journal;
pub use self::tuples::{TupleError, TuplePage, TupleQuery};
use crate::{
    audit::AuditSink, clock::Clock, decision::Refusal, http::HttpClient, json::JsonLimits,
    principal::Principal, tenant::KetoSettings,
};

/// A client of one tenant's permission server. Cheap to clone.
///
/// A tuple names no tenant: it belongs to the tenant of the client.
///
/// ```
/// use iam_core::service::keto::{PermissionClient, TupleError};
/// use iam_grammar::{RelationTuple, Subject};
///
/// async fn share(keto: &PermissionClient, order: &str, with: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let tuple = RelationTuple::new("orders", order, "viewers", Subject::id(with)?)?;
///     keto.create(&tuple, "request-7").await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PermissionClient {
    settings: Arc<KetoSettings>,
    client: Arc<dyn HttpClient>,
    journal: Option<Journal>,
    observer: Option<Arc<dyn TupleObserver>>,
}

/// Learns that the tuples of a tenant may have changed. A [`PermissionClient`] calls it at the end of each write.
///
/// It reports no failure. A cache that does not drop its answers keeps them until they expire: fails open.
pub trait TupleObserver: Debug + Send + Sync {
    /// Called at the end of each write, before the writer learns the outcome. A write that failed is reported too, because the
    /// permission server may have done it. Must not block.
    fn tuples_changed(&self);
}

impl PermissionClient {
    /// Makes a client that sends its calls through `client`.
    pub fn new(settings: impl Into<Arc<KetoSettings>>, client: Arc<dyn HttpClient>) -> Self {
        Self {
            settings: settings.into(),
            client,
            journal: None,
            observer: None,
        }
    }

    /// Records each write in `sink`, as `authz.permission.grant` or `authz.permission.revoke` of `tenant`. A write that failed, or
    /// was dropped before its response, is recorded as a denial.
    ///
    /// The sink must not block: see [`AuditSink`].
    #[must_use]
    pub fn recorded(mut self, tenant: &str, sink: Arc<dyn AuditSink>, clock: Arc<dyn Clock>) -> Self {
        self.journal = Some(Journal::new(tenant, sink, clock));
        self
    }

    /// Calls `observer`, such as a cache of permissions, at the end of each write. The observer does not learn the tuple: only the
    /// permission server knows which permissions depend on it.
    #[must_use]
    pub fn observed(mut self, observer: Arc<dyn TupleObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Returns a client whose writes are recorded as those of `principal`.
    ///
    /// ```
    /// # use iam_core::{decision::Refusal, principal::Principal, service::keto::PermissionClient};
    /// # fn example(keto: &PermissionClient, principal: &Principal) -> Result<(), Refusal> {
    /// let keto = keto.on_behalf_of(principal)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`Refusal`] when the writes are recorded and the principal is of another tenant.
    pub fn on_behalf_of(&self, principal: &Principal) -> Result<Self, Refusal> {
        let journal = self.journal.as_ref();
        Ok(Self {
            journal: journal.map(|journal| journal.of(principal)).transpose()?,
            ..self.clone()
        })
    }

    fn json_limits(&self) -> JsonLimits {
        JsonLimits::new(self.settings.limits().max_body, MAX_DEPTH)
    }
}

/// A tuple as Keto writes it.
#[derive(Serialize)]
struct WireTuple<'a> {
    namespace: &'a str,
    object: &'a str,
    relation: &'a str,
    #[serde(flatten)]
    subject: WireSubject<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WireSubject<'a> {
    SubjectId(&'a str),
    SubjectSet {
        namespace: &'a str,
        object: &'a str,
        relation: &'a str,
    },
}

impl<'a> WireTuple<'a> {
    fn new(tuple: &'a RelationTuple) -> Self {
        Self {
            namespace: tuple.namespace(),
            object: tuple.object(),
            relation: tuple.relation(),
            subject: match tuple.subject() {
                Subject::Id(id) => WireSubject::SubjectId(id),
                Subject::Set(set) => WireSubject::SubjectSet {
                    namespace: set.namespace(),
                    object: set.object(),
                    relation: set.relation(),
                },
            },
        }
    }
}

/// The nesting depth of the deepest response: lists of tuples with subject sets.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests;

//! Audit events of tuple writes.

use std::{borrow::Cow, sync::Arc};

use iam_grammar::RelationTuple;

use super::{PermissionClient, TupleError, TupleObserver};
use crate::{
    audit::{AuditEvent, AuditSink, EventName},
    clock::Clock,
    decision::{Reason, Refusal},
    http::TransportError,
    principal::Principal,
    service::CallError,
};

/// The sink and the actor of writes.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    actor: Option<Arc<str>>,
    clock: Arc<dyn Clock>,
    sink: Arc<dyn AuditSink>,
    tenant: Arc<str>,
}

impl Journal {
    pub(super) fn new(tenant: &str, sink: Arc<dyn AuditSink>, clock: Arc<dyn Clock>) -> Self {
        Self {
            actor: None,
            clock,
            sink,
            tenant: tenant.into(),
        }
    }

    /// Returns the journal of the writes of `principal`.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] when the principal is of another tenant.
    pub(super) fn of(&self, principal: &Principal) -> Result<Self, Refusal> {
        if *principal.tenant() != *self.tenant {
            return Err(Refusal::with_detail(
                Reason::TenantMismatch,
                "principal_of_other_tenant",
            ));
        }

        Ok(Self {
            actor: Some(principal.actor().into()),
            ..self.clone()
        })
    }
}

impl PermissionClient {
    /// Opens the entry of a write before it is sent.
    pub(super) fn entry<'a>(
        &'a self,
        event: EventName,
        tuple: &RelationTuple,
        request_id: &'a str,
    ) -> Entry<'a> {
        let open = self.journal.as_ref().map(|journal| Open {
            event,
            journal,
            // The outcome if the caller drops the write before its response.
            outcome: Err(CallError::Transport(TransportError::Cancel).into()),
            request_id: Some(request_id).filter(|id| !id.is_empty()),
            tuple: tuple.to_string(),
        });
        Entry {
            _change: Change(self.observer.as_deref()),
            open,
        }
    }
}

/// The entry of one write. Dropping the entry records it once, with any outcome.
#[must_use]
pub(super) struct Entry<'a> {
    /// Declared first, so that the observer is called before the event is emitted.
    _change: Change<'a>,
    open: Option<Open<'a>>,
}

/// Calls the observer when it is dropped, because a write that was given up may have been done.
struct Change<'a>(Option<&'a dyn TupleObserver>);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if let Some(observer) = self.0 {
            observer.tuples_changed();
        }
    }
}

struct Open<'a> {
    event: EventName,
    journal: &'a Journal,
    outcome: Result<(), TupleError>,
    request_id: Option<&'a str>,
    tuple: String,
}

impl Entry<'_> {
    /// Closes the entry with the outcome of the write.
    pub(super) fn close(mut self, outcome: Result<(), TupleError>) -> Result<(), TupleError> {
        if let Some(open) = &mut self.open {
            open.outcome = outcome;
        }
        outcome
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let now = self.journal.clock.now();
        let mut event = match self.outcome.map_err(refusal) {
            Ok(()) => AuditEvent::tuple(self.event, now),
            Err(refusal) => {
                let mut event = AuditEvent::deny(refusal.reason, now);
                event.detail = refusal.detail;
                event
            }
        };

        event.actor = self.journal.actor.as_deref().map(Cow::Borrowed);
        event.tenant = Some(Cow::Borrowed(&self.journal.tenant));
        event.request_id = self.request_id.map(Cow::Borrowed);
        event.tuple = Some(Cow::Borrowed(&self.tuple));
        self.journal.sink.emit(&event);
    }
}

fn refusal(error: TupleError) -> Refusal {
    let (reason, detail) = match error {
        TupleError::Call(error) => (Reason::PermissionUnavailable, error.code()),
        TupleError::NoWritePort => (Reason::InvalidRequirement, "no_write_port"),
        TupleError::UnknownNamespace => (Reason::InvalidRequirement, "unknown_namespace"),
    };
    Refusal::with_detail(reason, detail)
}

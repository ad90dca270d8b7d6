//! What did the service write into its audit?

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use iam_actix::audit::{AuditEvent, AuditSink};
use tokio::time;

/// A sink that keeps the latest events, so that the walk can look for the one that belongs to a request.
#[derive(Debug, Default)]
pub struct Audit {
    events: Mutex<Vec<AuditEvent>>,
}

impl Audit {
    /// Waits until the event of a request has arrived, two seconds at most.
    pub async fn of(&self, request_id: &str) -> Option<AuditEvent> {
        for _ in 0..400 {
            if let Some(event) = self.take(request_id) {
                return Some(event);
            }
            time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Forgets all events.
    pub fn forget(&self) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self, request_id: &str) -> Option<AuditEvent> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let position = events
            .iter()
            .position(|event| event.request_id.as_deref() == Some(request_id))?;
        Some(events.remove(position))
    }
}

impl AuditSink for Audit {
    fn emit(&self, event: &AuditEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= KEPT_EVENTS {
            events.clear();
        }
        events.push(event.clone());
    }
}

const KEPT_EVENTS: usize = 50_000;

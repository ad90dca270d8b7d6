//! The audit events of a service.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use iam_actix::audit::{AuditEvent, AuditSink};
use tokio::time;

/// A sink that keeps the latest events, so that the walk can find the event of a request.
#[derive(Debug, Default)]
pub struct Audit {
    events: Mutex<Vec<AuditEvent<'static>>>,
}

impl Audit {
    /// Waits until the event of a request has arrived, two seconds at most.
    pub async fn of(&self, request_id: &str) -> Option<AuditEvent<'static>> {
        for _ in 0..400 {
            if let Some(event) = self.take(request_id) {
                return Some(event);
            }
            time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Waits until `expected` events of these names have arrived, ten seconds at most, and returns their number.
    pub async fn count(&self, names: &[&str], expected: usize) -> usize {
        let mut found = 0;
        for _ in 0..200 {
            found = self.found(names);
            if found >= expected {
                break;
            }
            time::sleep(Duration::from_millis(50)).await;
        }
        found
    }

    /// Removes all events.
    pub fn forget(&self) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn found(&self, names: &[&str]) -> usize {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events
            .iter()
            .filter(|event| names.contains(&event.event.as_str()))
            .count()
    }

    fn take(&self, request_id: &str) -> Option<AuditEvent<'static>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let position = events
            .iter()
            .position(|event| event.request_id.as_deref() == Some(request_id))?;
        Some(events.remove(position))
    }
}

impl AuditSink for Audit {
    fn emit(&self, event: &AuditEvent<'_>) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= KEPT_EVENTS {
            events.clear();
        }
        events.push(event.clone().into_owned());
    }
}

const KEPT_EVENTS: usize = 50_000;

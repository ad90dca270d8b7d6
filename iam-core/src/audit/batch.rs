//! Events that wait for delivery.

use std::{borrow::Cow, fmt};

use super::{AuditEvent, EventName, Outcome};
use crate::{clock::Timestamp, decision::Reason};

/// Copies of events in one buffer, for the thread that delivers them.
///
/// The copies share nothing with the events: the thread of a request and the delivering thread touch no common allocation or
/// reference count, because a cache line that two processors write to costs more than the rest of an event.
///
/// ```
/// use iam_core::{audit::{AuditEvent, AuditBatch}, clock::Timestamp};
///
/// let mut batch = AuditBatch::with_capacity(10);
/// batch.push(&AuditEvent::allow(Timestamp::from_secs(1)));
/// batch.push(&AuditEvent::allow(Timestamp::from_secs(2)));
///
/// let mut times = Vec::new();
/// batch.for_each(|event| times.push(event.time.as_millis()));
/// assert_eq!(times, [1000, 2000]);
/// ```
pub struct AuditBatch {
    events: Vec<Written>,
    /// The texts of all events, in order.
    texts: String,
    /// The lengths of the requirements of all events, in order.
    requirements: Vec<u32>,
}

/// The part of an event that has a fixed size.
#[derive(Clone, Copy)]
struct Written {
    event: EventName,
    outcome: Outcome,
    reason: Option<Reason>,
    time: Timestamp,
    detail: Option<&'static str>,
    /// The lengths of tenant, actor, method, route, request id and tuple.
    lengths: [u32; 6],
    requirements: usize,
}

impl AuditBatch {
    /// Creates a batch that holds `capacity` events of usual length without a further allocation.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            events: Vec::with_capacity(capacity),
            texts: String::with_capacity(capacity.saturating_mul(USUAL_TEXTS)),
            requirements: Vec::with_capacity(capacity),
        }
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Removes all events, and keeps the memory for as many usual ones.
    pub fn clear(&mut self) {
        self.events.clear();
        self.texts.clear();
        self.requirements.clear();
        let capacity = self.events.capacity();
        self.texts.shrink_to(capacity.saturating_mul(KEPT_TEXTS));
        self.requirements
            .shrink_to(capacity.saturating_mul(KEPT_REQUIREMENTS));
    }

    /// Appends a copy of an event. Allocates only when the memory for usual texts is used up. A text of more than 4 KiB is cut.
    pub fn push(&mut self, event: &AuditEvent<'_>) {
        let AuditEvent {
            event,
            time,
            outcome,
            reason,
            detail,
            tenant,
            actor,
            method,
            route,
            request_id,
            requirements,
            tuple,
        } = event;

        let mut lengths = [NONE; 6];
        for (length, text) in lengths
            .iter_mut()
            .zip([tenant, actor, method, route, request_id, tuple])
        {
            if let Some(text) = text {
                *length = append(&mut self.texts, text);
            }
        }
        self.events.push(Written {
            event: *event,
            outcome: *outcome,
            reason: *reason,
            time: *time,
            detail: *detail,
            lengths,
            requirements: requirements.len(),
        });
        for requirement in requirements {
            self.requirements.push(append(&mut self.texts, requirement));
        }
    }

    /// Calls `take` with each event, in order. Changes by `take` are not written back.
    pub fn for_each<'b>(&'b self, mut take: impl FnMut(&mut AuditEvent<'b>)) {
        let mut texts = Texts { rest: &self.texts };
        let mut lengths = self.requirements.iter();
        // Reused for each event, to save allocations.
        let mut requirements = Vec::new();

        for written in &self.events {
            let [tenant, actor, method, route, request_id, tuple] =
                written.lengths.map(|length| texts.next(length));
            let own = lengths.by_ref().take(written.requirements);
            requirements.clear();
            requirements.extend(own.filter_map(|length| texts.next(*length)));

            let mut event = AuditEvent {
                event: written.event,
                time: written.time,
                outcome: written.outcome,
                reason: written.reason,
                detail: written.detail,
                tenant,
                actor,
                method,
                route,
                request_id,
                requirements,
                tuple,
            };
            take(&mut event);
            requirements = event.requirements;
        }
    }
}

/// R071: no texts, which are not redacted yet.
impl fmt::Debug for AuditBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditBatch")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Consecutive texts in one buffer.
struct Texts<'r> {
    rest: &'r str,
}

impl<'r> Texts<'r> {
    fn next(&mut self, length: u32) -> Option<Cow<'r, str>> {
        if length == NONE {
            return None;
        }
        let (text, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;

        self.rest = rest;
        Some(Cow::Borrowed(text))
    }
}

/// Appends a text, or the beginning of a text that is too long, and returns the appended length.
fn append(texts: &mut String, text: &str) -> u32 {
    let text = if text.len() <= MAX_TEXT_BYTES {
        text
    } else {
        // A character takes four bytes at most.
        (0..4)
            .find_map(|back| text.get(..MAX_TEXT_BYTES.saturating_sub(back)))
            .unwrap_or_default()
    };
    texts.push_str(text);

    // INVARIANT: at most `MAX_TEXT_BYTES`.
    u32::try_from(text.len()).unwrap_or(NONE)
}

/// The length of an absent text.
const NONE: u32 = u32::MAX;

/// More than any honest text takes, and far more than a sink gets of one text.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// The bytes that the texts of most events take.
const USUAL_TEXTS: usize = 128;

/// The bytes that stay allocated for the texts of each event.
const KEPT_TEXTS: usize = 4 * USUAL_TEXTS;

/// The requirements that stay allocated for each event.
const KEPT_REQUIREMENTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// An event without an empty field.
    fn full(number: u64) -> AuditEvent<'static> {
        let text = |name: &str| Some(format!("{name} {number} ü").into());

        AuditEvent {
            event: EventName::AuthFailureReplay,
            time: Timestamp::from_millis(number),
            outcome: Outcome::Deny,
            reason: Some(Reason::Replay),
            detail: Some("detail"),
            tenant: text("tenant"),
            actor: text("actor"),
            method: text("method"),
            route: text("route"),
            request_id: text("request"),
            requirements: (0..number % 4)
                .map(|one| format!("requirement {one}").into())
                .collect(),
            tuple: text("tuple"),
        }
    }

    fn read(batch: &AuditBatch) -> Vec<AuditEvent<'static>> {
        let mut events = Vec::new();
        batch.for_each(|event| events.push(event.clone().into_owned()));
        events
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let mut events = Vec::new();
        for number in 0..20 {
            let mut sparse = full(number);
            match number % 7 {
                0 => sparse.tenant = None,
                1 => sparse.actor = None,
                2 => sparse.method = None,
                3 => sparse.route = None,
                4 => sparse.request_id = None,
                5 => sparse.tuple = None,
                _ => sparse.actor = Some("".into()),
            }
            events.extend([
                full(number),
                AuditEvent::allow(Timestamp::from_secs(number)),
                sparse,
            ]);
        }
        let mut batch = AuditBatch::with_capacity(1);

        for event in &events {
            batch.push(event);
        }

        assert_eq!(batch.len(), events.len());
        assert_eq!(read(&batch), events);
        assert_eq!(read(&batch), events);
    }

    #[test]
    fn removed_events_are_not_read_again() {
        let mut batch = AuditBatch::with_capacity(10);
        batch.push(&full(3));
        batch.push(&full(2));

        batch.clear();
        assert!(batch.is_empty() && read(&batch).is_empty());
        batch.push(&full(1));

        assert_eq!(read(&batch), [full(1)]);
    }

    #[test]
    fn memory_is_allocated_once() {
        let mut batch = AuditBatch::with_capacity(10);
        let memory = |batch: &AuditBatch| [batch.events.capacity(), batch.texts.capacity()];
        let reserved = memory(&batch);

        for _ in 0..5 {
            for number in 0..10 {
                batch.push(&full(number));
            }
            batch.clear();
        }

        assert_eq!(memory(&batch), reserved);
    }

    /// A handler may check a permission on an object that the caller names.
    #[test]
    fn long_texts_are_cut_and_their_memory_is_given_back() {
        let mut batch = AuditBatch::with_capacity(2);
        let mut long = full(1);
        long.requirements = vec!["ü".repeat(MAX_TEXT_BYTES).into(); 100];
        long.tuple = Some(format!("a{}", "ü".repeat(MAX_TEXT_BYTES)).into());

        batch.push(&long);
        batch.push(&full(2));

        let events = read(&batch);
        assert_eq!(events[0].requirements, vec!["ü".repeat(MAX_TEXT_BYTES / 2); 100]);
        assert_eq!(events[0].tuple.as_deref().map(str::len), Some(MAX_TEXT_BYTES - 1));
        assert_eq!(events[1], full(2));

        batch.clear();
        assert!(batch.texts.capacity() <= 2 * KEPT_TEXTS);
        assert!(batch.requirements.capacity() <= 2 * KEPT_REQUIREMENTS);
    }

    /// Changes by a reader are not written back.
    #[test]
    fn changes_of_one_event_do_not_reach_the_next() {
        let mut batch = AuditBatch::with_capacity(10);
        batch.push(&full(1));
        batch.push(&AuditEvent::allow(Timestamp::from_secs(1)));

        batch.for_each(|event| *event = full(7));

        assert_eq!(
            read(&batch),
            [full(1), AuditEvent::allow(Timestamp::from_secs(1))]
        );
    }
}

//! How do events wait for somebody else to take them?

use std::{borrow::Cow, fmt};

use super::{AuditEvent, EventName, Outcome};
use crate::{clock::Timestamp, decision::Reason};

/// Copies of events in one buffer, for a thread that delivers them.
///
/// They own nothing: no allocation and no reference count is touched by the thread of a request and by the thread that delivers,
/// because a cache line that two processors write to costs more than all the rest of an event.
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
    /// The lengths of the texts that an event may have any number of.
    requirements: Vec<u32>,
}

/// What is as long for each event.
#[derive(Clone, Copy)]
struct Written {
    event: EventName,
    outcome: Outcome,
    reason: Option<Reason>,
    time: Timestamp,
    detail: Option<&'static str>,
    /// Of the tenant, the actor, the method, the route, the request's id, the tuple.
    lengths: [u32; 6],
    requirements: usize,
}

impl AuditBatch {
    /// Creates a batch that holds `capacity` events of usual length without asking for more memory.
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

    /// Tells whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes all events out, and keeps the memory that as many usual ones need.
    pub fn clear(&mut self) {
        self.events.clear();
        self.texts.clear();
        self.requirements.clear();
        let capacity = self.events.capacity();
        self.texts.shrink_to(capacity.saturating_mul(KEPT_TEXTS));
        self.requirements
            .shrink_to(capacity.saturating_mul(KEPT_REQUIREMENTS));
    }

    /// Copies an event behind the others. Asks for memory only where that of usual texts is used up. A text of more than 4 KiB is
    /// cut.
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

    /// Gives each event to `take`, in order. What `take` changes is not written back.
    pub fn for_each<'b>(&'b self, mut take: impl FnMut(&mut AuditEvent<'b>)) {
        let mut texts = Texts { rest: &self.texts };
        let mut lengths = self.requirements.iter();
        // Given from event to event, for its memory.
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

/// R071: only what says nothing about anybody. Nobody has cleaned these texts yet.
impl fmt::Debug for AuditBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditBatch")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Texts that stand one after the other.
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

/// Appends a text, or the beginning of one that is too long, and returns its length.
fn append(texts: &mut String, text: &str) -> u32 {
    let text = if text.len() <= MAX_TEXT_BYTES {
        text
    } else {
        // A letter takes four bytes at most.
        (0..4)
            .find_map(|back| text.get(..MAX_TEXT_BYTES.saturating_sub(back)))
            .unwrap_or_default()
    };
    texts.push_str(text);

    // INVARIANT: it is short enough.
    u32::try_from(text.len()).unwrap_or(NONE)
}

/// The length of a text that is not there.
const NONE: u32 = u32::MAX;

/// More than any text takes that is not somebody's doing, and far more than a sink is given of one.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// How many bytes the texts of an event mostly take.
const USUAL_TEXTS: usize = 128;

/// How many bytes for the texts of each event are kept, though there were once more.
const KEPT_TEXTS: usize = 4 * USUAL_TEXTS;

/// How many requirements for each event are kept room for.
const KEPT_REQUIREMENTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field has something in it.
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
    fn nothing_of_what_was_taken_out_is_read_again() {
        let mut batch = AuditBatch::with_capacity(10);
        batch.push(&full(3));
        batch.push(&full(2));

        batch.clear();
        assert!(batch.is_empty() && read(&batch).is_empty());
        batch.push(&full(1));

        assert_eq!(read(&batch), [full(1)]);
    }

    #[test]
    fn memory_is_asked_for_once() {
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

    /// A handler may ask for what a caller names.
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

    /// What a reader changes is not written, and is gone with the next event.
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

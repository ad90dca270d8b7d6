use std::{
    sync::{Barrier, atomic::AtomicBool},
    thread,
};

use iam_core::{
    clock::{Clock as _, SystemClock, Timestamp},
    decision::Reason,
};

use super::*;

fn event(number: u64) -> AuditEvent<'static> {
    AuditEvent::deny(Reason::Replay, Timestamp::from_millis(number))
}

/// Takes events once it is released.
#[derive(Debug)]
struct Gated {
    gate: Barrier,
    passed: AtomicBool,
    seen: AtomicU64,
}

impl Gated {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Barrier::new(2),
            passed: AtomicBool::new(false),
            seen: AtomicU64::new(0),
        })
    }
}

impl AuditSink for Gated {
    fn emit(&self, _: &AuditEvent<'_>) {
        if !self.passed.swap(true, Ordering::SeqCst) {
            self.gate.wait();
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Panicking;

impl AuditSink for Panicking {
    fn emit(&self, _: &AuditEvent<'_>) {
        panic!("on purpose");
    }
}

#[tokio::test]
async fn every_event_arrives_in_order() {
    let (sink, mut events) = audit_channel();
    let auditor = Auditor::start(vec![Arc::new(sink)], 10_000, None).unwrap();

    for number in 0..1000 {
        auditor.emit(&event(number));
    }

    for number in 0..1000 {
        assert_eq!(events.next().await.unwrap(), event(number));
    }
    assert_eq!(auditor.dropped(), 0);
}

#[test]
fn what_is_queued_is_delivered_when_the_auditor_goes() {
    let (sink, mut events) = audit_channel();
    let auditor = Auditor::start(vec![Arc::new(sink)], 10_000, None).unwrap();
    for number in 0..1000 {
        auditor.emit(&event(number));
    }

    drop(auditor);

    assert_eq!(events.drain().len(), 1000);
}

/// D83: a slow sink delays no caller, and events beyond the queue are counted.
#[test]
fn a_sink_that_blocks_fills_the_queue_and_the_rest_is_counted() {
    let sink = Gated::new();
    let auditor = Auditor::start(vec![Arc::<Gated>::clone(&sink) as _], 10, None).unwrap();
    auditor.emit(&event(0));
    while !sink.passed.load(Ordering::SeqCst) {
        thread::yield_now();
    }

    for number in 0..25 {
        auditor.emit(&event(number));
    }

    assert_eq!(auditor.dropped(), 15);
    sink.gate.wait();
    drop(auditor);
    assert_eq!(sink.seen.load(Ordering::SeqCst), 11);
}

/// R137, R138, D83: a panicking sink does not affect other sinks or the next event.
#[tokio::test]
async fn a_sink_that_panics_loses_its_own_event_only() {
    let (sink, mut events) = audit_channel();
    let auditor = Auditor::start(vec![Arc::new(Panicking), Arc::new(sink)], 10, None).unwrap();

    auditor.emit(&event(1));
    auditor.emit(&event(2));

    assert_eq!(events.next().await.unwrap(), event(1));
    assert_eq!(events.next().await.unwrap(), event(2));
    let losses = Arc::clone(&auditor.losses);
    drop(auditor);
    assert_eq!(losses.failed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn flush_ends_when_all_before_it_is_delivered() {
    let (sink, mut events) = audit_channel();
    let auditor = Auditor::start(vec![Arc::new(sink)], 10_000, None).unwrap();

    for number in 0..5 {
        for _ in 0..100 {
            auditor.emit(&event(number));
        }
        assert!(auditor.flush().await);
        assert_eq!(events.drain().len(), 100);
    }
}

#[tokio::test]
async fn flush_does_not_wait_for_ever() {
    let sink = Gated::new();
    let auditor = Auditor::start(vec![Arc::<Gated>::clone(&sink) as _], 10, None).unwrap();
    auditor.emit(&event(1));

    assert!(!auditor.flush().await);

    sink.gate.wait();
}

/// Events are counted as lost when the thread has ended for any reason.
#[test]
fn events_after_the_end_of_the_thread_are_counted_as_lost() {
    let auditor = Auditor::start(vec![Arc::new(Counting::default())], 10, None).unwrap();
    auditor.queue.close();
    auditor.worker.lock().unwrap().take().unwrap().join();

    auditor.emit(&event(1));

    assert_eq!(auditor.dropped(), 1);
}

/// D82: custom sinks get redacted events too.
#[tokio::test]
async fn a_token_sent_as_a_request_id_reaches_no_sink() {
    let (sink, mut events) = audit_channel();
    let auditor = Auditor::start(vec![Arc::new(sink)], 10, None).unwrap();
    let mut poisoned = event(1);
    poisoned.request_id = Some("ory_st_secret".into());

    auditor.emit(&poisoned);

    let event = events.next().await.unwrap();
    assert_eq!(event.request_id.as_deref(), Some("[redacted]"));
}

#[test]
fn an_auditor_that_is_dropped_leaves_a_sink_behind_that_never_returns() {
    let sink = Gated::new();
    let auditor = Auditor::start(vec![Arc::<Gated>::clone(&sink) as _], 10, None).unwrap();
    auditor.emit(&event(1));

    drop(auditor);

    assert_eq!(sink.seen.load(Ordering::SeqCst), 0);
    sink.gate.wait();
}

/// Counts how often its buffer is flushed.
#[derive(Debug, Default)]
struct Counting {
    events: AtomicU64,
    flushes: AtomicU64,
}

impl AuditSink for Counting {
    fn emit(&self, _: &AuditEvent<'_>) {
        self.events.fetch_add(1, Ordering::SeqCst);
    }

    fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Each time the thread waits for an event, the next request has to wake it.
#[test]
fn a_steady_stream_of_events_is_written_in_few_pieces() {
    let sink = Arc::new(Counting::default());
    let auditor = Auditor::start(vec![Arc::<Counting>::clone(&sink) as _], 1000, None).unwrap();

    let begun = SystemClock::new().now();
    for number in 0..200 {
        auditor.emit(&event(number));
        thread::sleep(Duration::from_millis(1));
    }
    drop(auditor);
    let lasted = SystemClock::new().now().duration_since(begun);

    // The sink flushes once per pause, and once for the event that woke the thread.
    let pauses = lasted.as_millis() / LINGER.as_millis();
    assert_eq!(sink.events.load(Ordering::SeqCst), 200);
    assert!(u128::from(sink.flushes.load(Ordering::SeqCst)) <= 2 * pauses + 3);
}

//! When keys are fetched, over simulated time.

use std::time::Duration;

use iam_core::{
    clock::Timestamp,
    jwks::{FetchResult, RefreshPolicy, Schedule, Step, Ticket},
};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(millis: u64) -> Timestamp {
    START.saturating_add(Duration::from_millis(millis))
}

fn schedule() -> Schedule {
    Schedule::new(RefreshPolicy::default())
}

/// Brings a schedule to the end of a successful first fetch that took no time.
fn fetched() -> Schedule {
    let mut schedule = schedule();
    assert_eq!(schedule.step(START), Step::Fetch);
    let _answered = schedule.finished(FetchResult::Installed, START, 0.0);
    schedule
}

#[test]
fn first_fetch_is_due_at_once_and_the_next_before_the_keys_age() {
    let mut schedule = fetched();
    assert_eq!(schedule.step(START), Step::SleepUntil(after(600_000)));
    assert_eq!(schedule.step(after(599_999)), Step::SleepUntil(after(600_000)));
    assert_eq!(schedule.step(after(600_000)), Step::Fetch);
    assert_eq!(schedule.step(after(600_000)), Step::WaitForFetch);

    let _answered = schedule.finished(FetchResult::Installed, after(600_100), 1.0);
    assert_eq!(
        schedule.step(after(600_100)),
        Step::SleepUntil(after(600_100 + 540_000))
    );
}

/// R143: a fetch on its way does not answer who arrived after it started; the next one does, an interval after its start.
#[test]
fn request_with_an_unknown_key_is_answered_by_a_fetch_that_started_after_it() {
    let mut schedule = fetched();
    assert_eq!(schedule.step(after(600_000)), Step::Fetch);
    let ticket = schedule.wait().unwrap();
    let first = schedule.finished(FetchResult::Installed, after(600_300), 0.0);
    assert!(!first.answers(ticket));

    assert_eq!(schedule.step(after(600_300)), Step::SleepUntil(after(601_000)));
    assert_eq!(schedule.step(after(601_000)), Step::Fetch);
    let second = schedule.finished(FetchResult::Installed, after(601_200), 0.0);
    assert!(second.answers(ticket));
    assert_eq!(schedule.waiters(), 0);
}

#[test]
fn request_with_an_unknown_key_is_answered_at_once_when_the_last_fetch_is_long_ago() {
    let mut schedule = fetched();
    let _ticket = schedule.wait().unwrap();

    assert_eq!(schedule.step(after(5_000)), Step::Fetch);
}

/// R143, D1: ten thousand made-up ids in a second cost two fetches, and a valid newcomer among them is answered.
#[test]
fn made_up_ids_cost_one_fetch_a_second() {
    let mut schedule = fetched();
    let mut fetches = 0;
    for arrival in 0..10_000_u64 {
        let now = after(5_000 + arrival / 10);
        let _ticket = schedule.wait().unwrap();
        if schedule.step(now) == Step::Fetch {
            fetches += 1;
            let _answered = schedule.finished(FetchResult::Installed, now, 0.5);
        }
    }
    assert_eq!(fetches, 1);

    let newcomer = schedule.wait().unwrap();
    assert_eq!(schedule.step(after(6_000)), Step::Fetch);
    assert!(
        schedule
            .finished(FetchResult::Installed, after(6_010), 0.5)
            .answers(newcomer)
    );
}

/// D16: backoff while the issuer is down, with jitter, never beyond ten seconds, and over with the first success.
#[test]
fn failures_back_off_and_success_resets() {
    let mut schedule = schedule();
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        assert_eq!(schedule.step(now), Step::Fetch);
        let _answered = schedule.finished(FetchResult::Failed, now, 0.0);
        let Step::SleepUntil(next) = schedule.step(now) else {
            panic!("a pause must follow")
        };
        pauses.push(next.duration_since(now).as_secs());
        now = next;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 10, 10, 10]);

    assert_eq!(schedule.step(now), Step::Fetch);
    let _answered = schedule.finished(FetchResult::Failed, now, 1.0);
    assert_eq!(
        schedule.step(now),
        Step::SleepUntil(now.saturating_add(Duration::from_secs(5)))
    );
    now = now.saturating_add(Duration::from_secs(5));
    assert_eq!(schedule.step(now), Step::Fetch);
    let _answered = schedule.finished(FetchResult::Installed, now, 0.0);
    assert_eq!(
        schedule.step(now),
        Step::SleepUntil(now.saturating_add(Duration::from_secs(600)))
    );
}

/// D16: a backoff is no longer than the time between two fetches that succeed, and jitter still tells services apart.
#[test]
fn backoff_of_keys_that_are_refreshed_often_has_its_jitter() {
    let mut policy = RefreshPolicy::default();
    policy.refresh = Duration::from_secs(2);
    for (jitter, millis) in [(0.0, 2_000), (0.5, 1_500), (1.0, 1_000)] {
        let mut schedule = Schedule::new(policy);
        let mut now = START;
        for _ in 0..6 {
            assert_eq!(schedule.step(now), Step::Fetch);
            let _answered = schedule.finished(FetchResult::Failed, now, 0.0);
            now = now.saturating_add(Duration::from_secs(2));
        }
        assert_eq!(schedule.step(now), Step::Fetch);
        let _answered = schedule.finished(FetchResult::Failed, now, jitter);

        assert_eq!(
            schedule.step(now),
            Step::SleepUntil(now.saturating_add(Duration::from_millis(millis))),
            "{jitter}"
        );
    }
}

/// Somebody who waits does not wait for a backoff.
#[test]
fn waiting_request_cuts_a_backoff_short() {
    let mut schedule = schedule();
    let mut now = START;
    for _ in 0..6 {
        assert_eq!(schedule.step(now), Step::Fetch);
        let _answered = schedule.finished(FetchResult::Failed, now, 0.0);
        now = now.saturating_add(Duration::from_secs(10));
    }
    assert_eq!(schedule.step(now), Step::Fetch);
    let _answered = schedule.finished(FetchResult::Failed, now, 0.0);
    let _ticket = schedule.wait().unwrap();

    assert_eq!(
        schedule.step(now),
        Step::SleepUntil(now.saturating_add(Duration::from_secs(1)))
    );
}

/// Waiters are bounded, and places come free again.
#[test]
fn waiters_are_bounded() {
    let mut policy = RefreshPolicy::default();
    policy.max_waiters = 2;
    let mut schedule = Schedule::new(policy);
    let (first, _second) = (schedule.wait().unwrap(), schedule.wait().unwrap());
    assert!(schedule.wait().is_err());

    schedule.give_up(first);
    let third = schedule.wait().unwrap();
    assert_eq!(schedule.step(START), Step::Fetch);
    assert!(schedule.wait().is_err());
    schedule.give_up(third);
    assert_eq!(schedule.waiters(), 1);
    let answered = schedule.finished(FetchResult::Installed, START, 0.0);
    assert!(answered.answers(third));
    // Already answered: nothing to take back.
    schedule.give_up(third);
    assert_eq!(schedule.waiters(), 0);
}

/// R161: a clock that is set back does not put fetches off.
#[test]
fn clock_set_back_does_not_put_fetches_off() {
    let mut schedule = fetched();
    let back = START.saturating_sub(Duration::from_secs(24 * 3600));
    assert_eq!(
        schedule.step(back),
        Step::SleepUntil(back.saturating_add(Duration::from_secs(600)))
    );
    let _ticket = schedule.wait().unwrap();
    assert_eq!(
        schedule.step(back),
        Step::SleepUntil(back.saturating_add(Duration::from_secs(1)))
    );
    assert_eq!(
        schedule.step(back.saturating_add(Duration::from_secs(1))),
        Step::Fetch
    );
}

#[test]
fn nonsense_for_a_random_number_is_harmless() {
    for jitter in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -5.0, 5.0] {
        for result in [FetchResult::Installed, FetchResult::Failed] {
            let mut schedule = schedule();
            assert_eq!(schedule.step(START), Step::Fetch);
            let _answered = schedule.finished(result, START, jitter);
            assert!(
                matches!(schedule.step(START), Step::SleepUntil(next) if next >= after(1_000) && next <= after(600_000))
            );
        }
    }
}

/// What may happen to a schedule.
#[derive(Clone, Copy, Debug)]
enum Event {
    Pass(u64),
    Arrive,
    GiveUp,
    Finish(FetchResult, f64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0_u64..1_500).prop_map(Event::Pass),
        4 => Just(Event::Arrive),
        1 => Just(Event::GiveUp),
        3 => (any::<bool>(), 0.0..1.0).prop_map(|(good, jitter)| {
            Event::Finish(if good { FetchResult::Installed } else { FetchResult::Failed }, jitter)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// R143, R181: whatever happens in whatever order, fetches never overlap and are spaced; everybody is answered by a fetch that
    /// started after the arrival, and by the first such.
    #[test]
    fn any_sequence_of_events_keeps_the_promises(events in proptest::collection::vec(event(), 1..200)) {
        let policy = RefreshPolicy::default();
        let mut schedule = Schedule::new(policy);
        let mut now = START;
        let mut starts: Vec<Timestamp> = Vec::new();
        let mut in_flight = false;
        // Ticket and the number of fetches that had started at the arrival.
        let mut waiting: Vec<(Ticket, usize)> = Vec::new();

        for event in events {
            match event {
                Event::Pass(millis) => now = now.saturating_add(Duration::from_millis(millis)),
                Event::Arrive => waiting.push((schedule.wait().unwrap(), starts.len())),
                Event::GiveUp => {
                    if let Some((ticket, _)) = waiting.pop() {
                        schedule.give_up(ticket);
                    }
                }
                Event::Finish(result, jitter) if in_flight => {
                    in_flight = false;
                    let answered = schedule.finished(result, now, jitter);
                    for (ticket, started_before) in &waiting {
                        prop_assert_eq!(answered.answers(*ticket), starts.len() > *started_before);
                    }
                    waiting.retain(|(ticket, _)| !answered.answers(*ticket));
                }
                Event::Finish(..) => {}
            }
            prop_assert_eq!(schedule.waiters(), waiting.len());

            match schedule.step(now) {
                Step::Fetch => {
                    prop_assert!(!in_flight);
                    prop_assert!(starts.last().is_none_or(|last| now.duration_since(*last) >= policy.refetch_interval));
                    in_flight = true;
                    starts.push(now);
                }
                Step::SleepUntil(next) => {
                    prop_assert!(!in_flight && next > now);
                    if !waiting.is_empty() {
                        // Nobody waits longer than the interval for a fetch to start.
                        prop_assert!(next.duration_since(now) <= policy.refetch_interval);
                    }
                    prop_assert!(next.duration_since(now) <= policy.refresh);
                }
                Step::WaitForFetch => prop_assert!(in_flight),
            }
        }
    }
}

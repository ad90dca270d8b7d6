//! The queue of events that wait for delivery.
//!
//! Events wait as copies in a batch. The delivering thread swaps the whole batch for an empty one, so that both batches are reused.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iam_core::audit::{AuditBatch, AuditEvent};

/// A bounded queue from many threads to one.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

struct State {
    batch: AuditBatch,
    /// The number of events that were ever queued.
    put_in: u64,
    /// The number of events that are known to be delivered: a batch counts as delivered when the next one is taken.
    delivered: u64,
    /// The number of events whose delivery a flush waits for.
    wanted_up_to: u64,
    is_closed: bool,
    /// The number of queued events that wakes the delivering thread, while it sleeps. INVARIANT: that number ends the sleep, and no
    /// other thread takes events out, so one notification for each sleep is enough.
    wake_at: Option<usize>,
}

impl State {
    fn is_wanted(&self) -> bool {
        self.delivered < self.wanted_up_to
    }

    /// Returns whether the event that was just queued ends the delivering thread's sleep, once for each sleep.
    fn ends_sleep(&mut self) -> bool {
        let length = self.batch.len();

        self.wake_at.take_if(|wake_at| length >= *wake_at).is_some()
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                batch: AuditBatch::with_capacity(capacity),
                put_in: 0,
                delivered: 0,
                wanted_up_to: 0,
                is_closed: false,
                wake_at: None,
            }),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// Queues an event; `false` when the queue is full or closed. The lock is held while the event is copied.
    pub(super) fn push(&self, event: &AuditEvent<'_>) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.batch.len() >= self.capacity {
            return false;
        }
        state.batch.push(event);
        state.put_in = state.put_in.saturating_add(1);
        let ends_sleep = state.ends_sleep();
        drop(state);

        if ends_sleep {
            self.changed.notify_one();
        }
        true
    }

    /// Closes the queue: it takes no more events.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Returns an empty batch, for the first [`take`](Self::take).
    pub(super) fn another_batch(&self) -> AuditBatch {
        AuditBatch::with_capacity(self.capacity)
    }

    /// Swaps the queued events, in order, for the previous batch, whose events count as delivered.
    pub(super) fn take(&self, batch: &mut AuditBatch) {
        let delivered = batch.len() as u64;
        batch.clear();
        let mut state = self.lock();
        state.delivered = state.delivered.saturating_add(delivered);
        mem::swap(&mut state.batch, batch);
    }

    /// Waits until there is an event, the queue is closed, or time is up.
    pub(super) fn wait(&self, at_most: Duration) -> Found {
        let state = self.sleep(at_most, 1, |_| false);

        match (state.batch.len(), state.is_closed) {
            (0, true) => Found::End,
            (0, false) => Found::Nothing,
            (_, _) => Found::Events,
        }
    }

    /// Has the queued events delivered without a pause, and returns the number of events that were ever queued.
    pub(super) fn hurry(&self) -> u64 {
        let mut state = self.lock();
        let put_in = state.put_in;
        state.wanted_up_to = put_in;
        drop(state);

        self.changed.notify_one();
        put_in
    }

    /// Returns the number of events that are known to be delivered. Events are delivered in the order in which they were queued.
    pub(super) fn delivered(&self) -> u64 {
        self.lock().delivered
    }

    /// Sleeps until the queue is half full or closed, a flush waits, or time is up.
    pub(super) fn pause(&self, at_most: Duration) {
        drop(self.sleep(at_most, self.capacity.div_ceil(2), State::is_wanted));
    }

    /// Sleeps until `wake_at` events are queued, the queue is closed, `is_over` holds, or time is up.
    fn sleep(
        &self,
        at_most: Duration,
        wake_at: usize,
        is_over: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.wake_at = Some(wake_at);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, at_most, |state| {
                state.batch.len() < wake_at && !state.is_closed && !is_over(state)
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.wake_at = None;

        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the queue after a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// No events, and the queue is closed.
    End,
    Events,
    Nothing,
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread,
    };

    use iam_core::clock::Timestamp;

    use super::*;

    fn event(number: u64) -> AuditEvent<'static> {
        AuditEvent::allow(Timestamp::from_millis(number))
    }

    /// Takes out the queued events.
    fn numbers(queue: &Queue, batch: &mut AuditBatch) -> Vec<u64> {
        let mut numbers = Vec::new();
        queue.take(batch);
        batch.for_each(|event| numbers.push(event.time.as_millis()));
        numbers
    }

    #[test]
    fn what_is_put_in_comes_out_once_and_in_order() {
        let queue = Queue::new(10);
        let mut batch = queue.another_batch();

        for turn in 0..5 {
            assert!(numbers(&queue, &mut batch).is_empty());
            assert_eq!(queue.delivered(), queue.lock().put_in);
            for number in 0..=turn {
                assert!(queue.push(&event(number)));
            }
            assert_eq!(numbers(&queue, &mut batch), (0..=turn).collect::<Vec<_>>());
        }
    }

    /// The queue uses two batches at most, however long it runs.
    #[test]
    fn batches_are_used_again_and_again() {
        let queue = Queue::new(10);
        let mut batch = queue.another_batch();
        let fill = || (0..10).all(|number| queue.push(&event(number)));

        for _ in 0..20 {
            assert!(fill() && !queue.push(&event(10)));
            assert_eq!(numbers(&queue, &mut batch).len(), 10);
            assert_eq!(queue.lock().batch.len(), 0);
        }
    }

    #[test]
    fn no_more_goes_in_than_there_is_room_for() {
        let queue = Queue::new(2);
        let mut batch = queue.another_batch();

        assert!(queue.push(&event(1)) && queue.push(&event(2)));
        assert!(!queue.push(&event(3)));
        assert_eq!(numbers(&queue, &mut batch), [1, 2]);
        assert!(queue.push(&event(4)));
    }

    /// Runs a closure on another thread, and returns a receiver of its result.
    fn beside<T: Send + 'static>(
        queue: &Arc<Queue>,
        act: impl FnOnce(&Queue) -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (tell, told) = mpsc::channel();
        let queue = Arc::clone(queue);
        thread::spawn(move || tell.send(act(&queue)));

        told
    }

    /// Like [`beside`], and returns when the other thread sleeps.
    fn asleep_beside<T: Send + 'static>(
        queue: &Arc<Queue>,
        sleep: impl FnOnce(&Queue) -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let told = beside(queue, sleep);
        while queue.lock().wake_at.is_none() {
            thread::yield_now();
        }

        told
    }

    /// Returns the result of `sleep` when `act` runs after `sleep` has begun. Fails when it comes too late.
    fn woken_by<T: Send + 'static>(
        sleep: impl FnOnce(&Queue) -> T + Send + 'static,
        act: impl FnOnce(&Queue),
    ) -> T {
        let queue = Arc::new(Queue::new(10));
        let told = asleep_beside(&queue, sleep);

        act(&queue);

        told.recv_timeout(SOON).unwrap()
    }

    #[test]
    fn an_event_wakes_the_waiting_thread() {
        assert_eq!(
            woken_by(wait, |queue| assert!(queue.push(&event(1)))),
            Found::Events
        );
    }

    #[test]
    fn the_end_wakes_the_waiting_thread() {
        assert_eq!(woken_by(wait, Queue::close), Found::End);
    }

    fn wait(queue: &Queue) -> Found {
        queue.wait(LONG)
    }

    fn pause(queue: &Queue) {
        queue.pause(LONG);
    }

    #[test]
    fn a_pause_ends_with_the_queue() {
        woken_by(pause, Queue::close);
    }

    /// A slow sink gets the next events at once.
    #[test]
    fn a_pause_ends_when_the_queue_is_half_full() {
        woken_by(pause, |queue| {
            assert!((0..5).all(|number| queue.push(&event(number))));
        });

        let full = Arc::new(Queue::new(1));
        assert!(full.push(&event(1)));
        assert!(beside(&full, pause).recv_timeout(SOON).is_ok());
    }

    #[test]
    fn a_flush_of_queued_events_ends_the_pause() {
        woken_by(pause, |queue| {
            assert!(queue.push(&event(1)));
            assert_eq!(queue.hurry(), 1);
        });
    }

    /// A batch counts as delivered only when the next batch is taken.
    #[test]
    fn there_is_no_pause_until_flushed_events_are_delivered() {
        let queue = Arc::new(Queue::new(10));
        let mut batch = queue.another_batch();
        assert!(queue.push(&event(1)));
        queue.hurry();

        queue.take(&mut batch);
        assert!(beside(&queue, pause).recv_timeout(SOON).is_ok());
        assert_eq!(queue.delivered(), 0);

        queue.take(&mut batch);
        assert!(beside(&queue, pause).recv_timeout(SHORT).is_err());
        assert_eq!(queue.delivered(), 1);
    }

    #[test]
    fn a_few_events_end_no_pause() {
        let queue = Arc::new(Queue::new(10));
        let told = asleep_beside(&queue, pause);

        assert!((0..4).all(|number| queue.push(&event(number))));

        assert_eq!(queue.lock().wake_at, Some(5));
        assert!(told.recv_timeout(SHORT).is_err());
    }

    #[test]
    fn an_empty_queue_for_one_event_pauses() {
        let told = asleep_beside(&Arc::new(Queue::new(1)), pause);

        assert!(told.recv_timeout(SHORT).is_err());
    }

    /// Waking the thread costs the caller of `push` a system call.
    #[test]
    fn each_sleep_is_ended_once_and_only_a_sleeping_thread_is_woken() {
        let queue = Queue::new(10);
        queue.wait(Duration::ZERO);
        queue.pause(Duration::ZERO);
        let mut state = queue.lock();
        state.batch.push(&event(1));
        assert!(!state.ends_sleep());

        state.wake_at = Some(2);
        assert!(!state.ends_sleep());
        state.batch.push(&event(2));
        assert!(state.ends_sleep());
        assert!(!state.ends_sleep());
    }

    #[test]
    fn nothing_is_found_in_time() {
        assert_eq!(Queue::new(1).wait(Duration::from_millis(1)), Found::Nothing);
    }

    #[test]
    fn nothing_goes_in_after_the_end() {
        let queue = Queue::new(1);
        queue.close();

        assert!(!queue.push(&event(1)));
        assert_eq!(queue.wait(Duration::ZERO), Found::End);
    }

    #[test]
    fn what_was_put_in_before_the_end_still_comes_out() {
        let queue = Queue::new(1);
        queue.push(&event(1));
        queue.close();

        assert_eq!(queue.wait(Duration::ZERO), Found::Events);
        assert_eq!(numbers(&queue, &mut queue.another_batch()), [1]);
    }

    #[test]
    fn many_threads_lose_nothing_and_each_keeps_its_order() {
        let queue = Arc::new(Queue::new(40_000));
        let mut batch = queue.another_batch();
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    (sender..40_000)
                        .step_by(4)
                        .all(|number| queue.push(&event(number)))
                })
            })
            .collect();

        let mut arrived = Vec::new();
        while arrived.len() < 40_000 {
            assert_eq!(queue.wait(Duration::from_secs(60)), Found::Events);
            arrived.extend(numbers(&queue, &mut batch));
        }

        assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
        for sender in 0..4 {
            let own = arrived.iter().filter(|number| *number % 4 == sender);
            assert!(own.copied().eq((sender..40_000).step_by(4)));
        }
    }

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(10);
    const SOON: Duration = Duration::from_secs(5);
}

//! Where do events wait to be delivered?
//!
//! In a batch, as copies. Whoever delivers them takes the whole batch and leaves an empty one, so that both are used again and
//! again.

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
    /// How many events were ever put in.
    put_in: u64,
    /// How many of them were delivered, as far as it is known: each batch is when the next one is asked for.
    delivered: u64,
    is_closed: bool,
    /// Set while the other side waits to be woken.
    is_awaited: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                batch: AuditBatch::with_capacity(capacity),
                put_in: 0,
                delivered: 0,
                is_closed: false,
                is_awaited: false,
            }),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// Puts an event in; `false` when there is no room, or the queue is closed. Others are kept out for as long as it takes to
    /// copy an event.
    pub(super) fn push(&self, event: &AuditEvent<'_>) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.batch.len() >= self.capacity {
            return false;
        }
        state.batch.push(event);
        state.put_in = state.put_in.saturating_add(1);
        let is_awaited = mem::take(&mut state.is_awaited);
        drop(state);

        if is_awaited {
            self.changed.notify_one();
        }
        true
    }

    /// Says that nothing more goes in.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Returns an empty batch, for the first [`take`](Self::take).
    pub(super) fn another_batch(&self) -> AuditBatch {
        AuditBatch::with_capacity(self.capacity)
    }

    /// Takes out what waits, in order, and leaves the batch of the last time, whose events are delivered.
    pub(super) fn take(&self, batch: &mut AuditBatch) {
        let delivered = batch.len() as u64;
        batch.clear();
        let mut state = self.lock();
        state.delivered = state.delivered.saturating_add(delivered);
        mem::swap(&mut state.batch, batch);
    }

    /// Waits until there is an event, the queue is closed, or time is up.
    pub(super) fn wait(&self, at_most: Duration) -> Found {
        let mut state = self.lock();
        state.is_awaited = true;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, at_most, |state| state.batch.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_awaited = false;

        match (state.batch.len(), state.is_closed) {
            (0, true) => Found::End,
            (0, false) => Found::Nothing,
            (_, _) => Found::Events,
        }
    }

    /// Returns how many events were ever put in.
    pub(super) fn put_in(&self) -> u64 {
        self.lock().put_in
    }

    /// Returns how many events are known to be delivered. They are in the order in which they were put in.
    pub(super) fn delivered(&self) -> u64 {
        self.lock().delivered
    }

    /// Lets time pass, unless the queue is closed or half full.
    pub(super) fn pause(&self, length: Duration) {
        let half = self.capacity / 2;

        // Whatever comes of it, the next look tells.
        let _ = self.changed.wait_timeout_while(self.lock(), length, |state| {
            state.batch.len() <= half && !state.is_closed
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look into the queue found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// Nothing, and nothing will come.
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

    /// Takes out what waits.
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
            assert_eq!(queue.delivered(), queue.put_in());
            for number in 0..=turn {
                assert!(queue.push(&event(number)));
            }
            assert_eq!(numbers(&queue, &mut batch), (0..=turn).collect::<Vec<_>>());
        }
    }

    /// Two batches at most, however long it goes on.
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

    /// Returns what the other side finds when `act` is done after it has begun to sleep. Too late is a failure: it looks once
    /// more then.
    fn woken_by(act: impl FnOnce(&Queue)) -> Found {
        let queue = Arc::new(Queue::new(10));
        let (tell, told) = mpsc::channel();
        thread::spawn({
            let queue = Arc::clone(&queue);
            move || tell.send(queue.wait(LONG))
        });
        while !queue.lock().is_awaited {
            thread::yield_now();
        }

        act(&queue);

        told.recv_timeout(SOON).unwrap()
    }

    #[test]
    fn whoever_waits_is_woken_by_an_event() {
        assert_eq!(woken_by(|queue| assert!(queue.push(&event(1)))), Found::Events);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        assert_eq!(woken_by(Queue::close), Found::End);
    }

    #[test]
    fn a_pause_ends_with_the_queue() {
        let queue = Arc::new(Queue::new(1));
        let (tell, told) = mpsc::channel();
        thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                queue.pause(LONG);
                tell.send(())
            }
        });
        assert!(told.recv_timeout(Duration::from_millis(20)).is_err());

        queue.close();

        assert!(told.recv_timeout(SOON).is_ok());
    }

    /// A slow sink finds the next events at once.
    #[test]
    fn there_is_no_pause_while_more_than_half_is_full() {
        let queue = Arc::new(Queue::new(2));
        queue.push(&event(1));
        queue.push(&event(2));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            queue.pause(LONG);
            tell.send(())
        });

        assert!(told.recv_timeout(SOON).is_ok());
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

    const LONG: Duration = Duration::from_secs(10);
    const SOON: Duration = Duration::from_secs(5);
}

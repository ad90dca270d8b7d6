//! Where do events wait to be delivered?
//!
//! In a row of places. Whoever delivers them takes the whole row and leaves another, whose events it has delivered: each of
//! these stays where it is until a new one takes its place. So memory is given back by the threads that asked for it. Given
//! back by another one it is not at hand when the next request wants some, which would cost more than all the rest of an event.

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iam_core::audit::AuditEvent;

/// A bounded queue from many threads to one.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

struct State {
    row: Row,
    is_closed: bool,
    /// Set while the other side waits to be woken.
    is_awaited: bool,
}

/// Events in a row of places.
pub(super) struct Row {
    places: Vec<AuditEvent>,
    /// How many of the places, from the first one on, hold events that are not delivered.
    waiting: usize,
}

impl Row {
    fn new(capacity: usize) -> Self {
        Self {
            places: Vec::with_capacity(capacity),
            waiting: 0,
        }
    }

    /// Hands out what waits, in order. Nothing waits any more then.
    pub(super) fn take(&mut self) -> impl Iterator<Item = &mut AuditEvent> {
        let waiting = mem::take(&mut self.waiting);

        self.places.iter_mut().take(waiting)
    }
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                row: Row::new(capacity),
                is_closed: false,
                is_awaited: false,
            }),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// Returns the row that is given for the first one.
    pub(super) fn another_row(&self) -> Row {
        Row::new(self.capacity)
    }

    /// Puts an event in; `false` when there is no room. Others are kept out for as long as it takes to move an event.
    pub(super) fn push(&self, event: AuditEvent) -> bool {
        let mut state = self.lock();
        let row = &mut state.row;
        if row.waiting >= self.capacity {
            return false;
        }
        let delivered = if let Some(place) = row.places.get_mut(row.waiting) {
            Some(mem::replace(place, event))
        } else {
            row.places.push(event);
            None
        };
        row.waiting = row.waiting.saturating_add(1);
        let is_awaited = mem::take(&mut state.is_awaited);
        drop(state);

        if is_awaited {
            self.changed.notify_one();
        }
        drop(delivered);
        true
    }

    /// Says that nothing more will be put in.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Takes the row for one whose events are delivered; `false` when nothing waits.
    pub(super) fn swap(&self, delivered: &mut Row) -> bool {
        mem::swap(&mut self.lock().row, delivered);

        delivered.waiting > 0
    }

    /// Waits until something is in.
    pub(super) fn wait(&self, at_most: Duration) -> Woken {
        let mut state = self.lock();
        if state.row.waiting == 0 && !state.is_closed {
            state.is_awaited = true;
            (state, _) = self
                .changed
                .wait_timeout_while(state, at_most, |state| state.is_awaited && !state.is_closed)
                .unwrap_or_else(PoisonError::into_inner);
            state.is_awaited = false;
        }

        match (state.row.waiting, state.is_closed) {
            (0, true) => Woken::End,
            (0, false) => Woken::TooLate,
            (_, _) => Woken::Events,
        }
    }

    /// Lets time pass, unless the queue is closed.
    pub(super) fn pause(&self, length: Duration) {
        // Whatever comes of it, the next look tells.
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), length, |state| !state.is_closed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why waiting is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Woken {
    /// Nothing waits, and nothing will.
    End,
    Events,
    TooLate,
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use iam_core::clock::Timestamp;

    use super::*;

    fn event(number: u64) -> AuditEvent {
        AuditEvent::allow(Timestamp::from_millis(number))
    }

    fn numbers(row: &mut Row) -> Vec<u64> {
        row.take().map(|event| event.time.as_millis()).collect()
    }

    #[test]
    fn what_is_put_in_comes_out_once_and_in_order() {
        let queue = Queue::new(10);
        let mut row = queue.another_row();

        for turn in 0..5 {
            assert!(!queue.swap(&mut row));
            for number in 0..=turn {
                assert!(queue.push(event(number)));
            }
            assert!(queue.swap(&mut row));
            assert_eq!(numbers(&mut row), (0..=turn).collect::<Vec<_>>());
            assert!(numbers(&mut row).is_empty());
        }
    }

    #[test]
    fn no_more_goes_in_than_there_is_room_for() {
        let queue = Queue::new(2);
        let mut row = queue.another_row();

        assert!(queue.push(event(1)) && queue.push(event(2)));
        assert!(!queue.push(event(3)));
        assert!(queue.swap(&mut row));
        assert_eq!(numbers(&mut row), [1, 2]);
        assert!(queue.push(event(4)));
    }

    /// Two rows at most, however long it goes on.
    #[test]
    fn delivered_events_stay_until_others_take_their_places() {
        let queue = Queue::new(10);
        let mut row = queue.another_row();
        let actor: Arc<str> = "user:a".into();
        let one = || {
            let mut event = event(1);
            event.actor = Some(Arc::clone(&actor));
            event
        };

        for _ in 0..20 {
            queue.push(one());
            queue.swap(&mut row);
            row.take().for_each(drop);
        }
        assert_eq!(Arc::strong_count(&actor), 3);
        for _ in 0..2 {
            queue.push(event(2));
            queue.swap(&mut row);
            row.take().for_each(drop);
        }
        assert_eq!(Arc::strong_count(&actor), 1);
    }

    #[test]
    fn whoever_waits_is_woken_by_an_event_and_by_the_end() {
        let queue = Arc::new(Queue::new(10));
        let long = Duration::from_secs(600);
        let waiting = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let mut row = queue.another_row();
                let first = queue.wait(long);
                queue.swap(&mut row);
                (first, queue.wait(long))
            }
        });

        queue.push(event(1));
        while queue.lock().row.waiting > 0 {
            thread::yield_now();
        }
        queue.close();

        assert_eq!(waiting.join().unwrap(), (Woken::Events, Woken::End));
        queue.pause(long);
    }

    #[test]
    fn nothing_in_time_is_told() {
        assert_eq!(Queue::new(1).wait(Duration::from_millis(1)), Woken::TooLate);
    }

    /// What was put in before the end is not the end.
    #[test]
    fn what_waits_at_the_end_still_comes_out() {
        let queue = Queue::new(1);
        queue.push(event(1));
        queue.close();

        assert_eq!(queue.wait(Duration::ZERO), Woken::Events);
    }

    #[test]
    fn many_threads_lose_nothing() {
        let queue = Arc::new(Queue::new(40_000));
        let mut row = queue.another_row();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..10_000).all(|number| queue.push(event(number))))
            })
            .collect();

        let mut arrived = Vec::new();
        while arrived.len() < 40_000 {
            assert_eq!(queue.wait(Duration::from_secs(60)), Woken::Events);
            queue.swap(&mut row);
            arrived.extend(numbers(&mut row));
        }

        assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
        arrived.sort_unstable();
        assert!(
            arrived
                .iter()
                .enumerate()
                .all(|(place, number)| *number == place as u64 / 4)
        );
    }
}

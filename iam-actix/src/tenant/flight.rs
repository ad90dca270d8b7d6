//! Concurrent callers of the same keys share one call.
//!
//! A flight is one call to an upstream, in a task of its own on an upstream thread. It belongs to no caller, so it goes on when a
//! caller goes away.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{FutureExt as _, future::Shared};
use iam_core::fingerprint::Fingerprint;
use tokio::sync::oneshot;

use crate::upstream::Spawner;

/// The flights under way. `T` is what a flight brings to each of its callers.
///
/// Bounded by the concurrency limit of the upstream, which fails further calls at once.
pub(crate) struct Flights<T> {
    shared: Arc<Mutex<Table<T>>>,
    spawner: Spawner,
}

struct Table<T> {
    flights: HashMap<Keys, Flight<T>>,
    /// The number of the last flight.
    number: u64,
}

type Keys = Box<[Fingerprint]>;

struct Flight<T> {
    landing: Landing<T>,
    number: u64,
}

type Landing<T> = Shared<oneshot::Receiver<T>>;

/// The call ended without a result: it panicked, or the upstream threads have stopped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lost;

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    pub(crate) fn new(spawner: Spawner) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Table {
                flights: HashMap::new(),
                number: 0,
            })),
            spawner,
        }
    }

    /// Waits for the flight of these keys. Starts it with the future that `start` makes when there is none.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the call ended without a result.
    pub(crate) async fn join<F>(&self, keys: &[Fingerprint], start: impl FnOnce() -> F) -> Result<T, Lost>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (landing, departure) = self.board(keys);
        if let Some((departure, arrival)) = departure {
            let call = start();
            // INVARIANT: the table is not locked here: a stopped thread drops the task at once, and with it the departure.
            self.spawner.spawn(move || async move {
                let result = call.await;
                // Before the result is known, so that a later caller does not get an old result from the table.
                drop(departure);
                // All callers may have gone away.
                let _ = arrival.send(result);
            });
        }
        landing.await.map_err(|_| Lost)
    }

    /// Lets later callers of this key start a flight of their own.
    pub(crate) fn detach(&self, key: Fingerprint) {
        lock(&self.shared).flights.retain(|keys, _| !keys.contains(&key));
    }

    /// Lets all later callers start flights of their own.
    pub(crate) fn detach_all(&self) {
        lock(&self.shared).flights.clear();
    }

    #[expect(clippy::type_complexity, reason = "a pair that is taken apart at once")]
    fn board(&self, keys: &[Fingerprint]) -> (Landing<T>, Option<(Departure<T>, oneshot::Sender<T>)>) {
        let mut table = lock(&self.shared);
        if let Some(flight) = table.flights.get(keys) {
            return (flight.landing.clone(), None);
        }

        table.number = table.number.saturating_add(1);
        let number = table.number;
        let (arrival, landing) = oneshot::channel();
        let landing = landing.shared();
        let flight = Flight {
            landing: landing.clone(),
            number,
        };
        table.flights.insert(keys.into(), flight);
        let departure = Departure {
            keys: keys.into(),
            number,
            shared: Arc::clone(&self.shared),
        };
        (landing, Some((departure, arrival)))
    }
}

/// Takes a flight off the table when it is dropped, also by a panic or because the thread stops.
struct Departure<T> {
    keys: Keys,
    number: u64,
    shared: Arc<Mutex<Table<T>>>,
}

impl<T> Drop for Departure<T> {
    fn drop(&mut self) {
        let mut table = lock(&self.shared);
        // A detached flight must not take its successor off.
        if table
            .flights
            .get(&self.keys)
            .is_some_and(|flight| flight.number == self.number)
        {
            table.flights.remove(&self.keys);
        }
    }
}

/// Nothing panics while the table is locked.
fn lock<T>(shared: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
    };

    use futures_util::future::{join_all, join3};
    use iam_core::fingerprint::FingerprintKey;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::upstream::Threads;

    /// Counts calls, which end when they are let go.
    struct Calls {
        begun: Arc<AtomicUsize>,
        gate: Arc<Semaphore>,
    }

    impl Calls {
        fn new() -> Self {
            Self {
                begun: Arc::default(),
                gate: Arc::new(Semaphore::new(0)),
            }
        }

        fn call<T: Send + 'static>(&self, result: T) -> impl Future<Output = T> + Send + 'static {
            self.begun.fetch_add(1, SeqCst);
            let gate = Arc::clone(&self.gate);
            async move {
                gate.acquire().await.unwrap().forget();
                result
            }
        }

        fn let_go(&self, count: usize) {
            self.gate.add_permits(count);
        }

        fn count(&self) -> usize {
            self.begun.load(SeqCst)
        }
    }

    fn key(number: u8) -> Fingerprint {
        static KEY: OnceLock<FingerprintKey> = OnceLock::new();
        let key = KEY.get_or_init(|| FingerprintKey::random().unwrap());
        key.credential("default", "cookie", &[number])
    }

    /// Joins with keys of its own, so that the future borrows no more than the flights.
    async fn join<const N: usize, T, F>(
        flights: &Flights<T>,
        numbers: [u8; N],
        start: impl FnOnce() -> F,
    ) -> Result<T, Lost>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        flights.join(&numbers.map(key), start).await
    }

    /// D19
    #[actix_rt::test]
    async fn a_thousand_callers_share_one_call_and_its_result() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        let calls = Calls::new();
        for result in [Ok("session"), Err("503")] {
            let before = calls.count();
            let mut callers: Vec<_> = (0..1_000)
                .map(|_| Box::pin(join(&flights, [1], || calls.call(result))))
                .collect();
            for caller in &mut callers {
                assert!(caller.now_or_never().is_none());
            }

            calls.let_go(1);

            let results = join_all(callers).await;
            assert!(results.iter().all(|landed| *landed == Ok(result)));
            assert_eq!(calls.count(), before.saturating_add(1));
        }
        assert!(lock(&flights.shared).flights.is_empty());
    }

    #[actix_rt::test]
    async fn the_call_goes_on_when_the_first_caller_goes_away() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        let calls = Calls::new();
        let mut first = Box::pin(join(&flights, [1], || calls.call(7)));
        let mut second = Box::pin(join(&flights, [1], || calls.call(8)));
        assert!((&mut first).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());

        drop(first);
        calls.let_go(1);

        assert_eq!(second.await, Ok(7));
        assert_eq!(calls.count(), 1);
    }

    #[actix_rt::test]
    async fn different_keys_are_different_calls() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        let calls = Calls::new();
        calls.let_go(3);

        let (one, other, both) = join3(
            join(&flights, [1], || calls.call(1)),
            join(&flights, [2], || calls.call(2)),
            join(&flights, [1, 2], || calls.call(3)),
        )
        .await;

        assert_eq!([one, other, both], [Ok(1), Ok(2), Ok(3)]);
    }

    #[actix_rt::test]
    async fn a_call_that_panics_wakes_all_callers_and_the_next_one_calls_again() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::<u8>::new(threads.spawner());
        let gate = Arc::new(Semaphore::new(0));
        let panicking = || {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                panic!("a mistake in a client")
            }
        };
        let mut callers: Vec<_> = (0..10)
            .map(|_| Box::pin(join(&flights, [1], panicking)))
            .collect();
        for caller in &mut callers {
            assert!(caller.now_or_never().is_none());
        }

        gate.add_permits(1);

        assert_eq!(join_all(callers).await, [Err(Lost); 10]);
        assert_eq!(join(&flights, [1], || ready(7)).await, Ok(7));
    }

    #[actix_rt::test]
    async fn a_shutdown_wakes_all_callers() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        let calls = Calls::new();
        let mut callers: Vec<_> = (0..10)
            .map(|_| Box::pin(join(&flights, [1], || calls.call(7))))
            .collect();
        for caller in &mut callers {
            assert!(caller.now_or_never().is_none());
        }

        drop(threads);

        assert_eq!(join_all(callers).await, [Err(Lost); 10]);
        let later = join(&flights, [1], || calls.call(7)).await;
        assert_eq!(later, Err(Lost), "the threads have stopped");
        assert!(lock(&flights.shared).flights.is_empty());
    }

    /// D20
    #[actix_rt::test]
    async fn a_caller_after_a_detach_starts_a_call_of_its_own() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        let calls = Calls::new();
        let detach_one = || flights.detach(key(1));
        let detach_all = || flights.detach_all();
        for detach in [&detach_one as &dyn Fn(), &detach_all] {
            let mut before = Box::pin(join(&flights, [1, 2], || calls.call("before")));
            assert!((&mut before).now_or_never().is_none());
            detach();
            let mut after = Box::pin(join(&flights, [1, 2], || calls.call("after")));
            assert!((&mut after).now_or_never().is_none());

            calls.let_go(1);
            assert_eq!(before.await, Ok("before"));
            // The end of the first did not take the second off the table.
            let mut later = Box::pin(join(&flights, [1, 2], || calls.call("later")));
            assert!((&mut later).now_or_never().is_none());
            calls.let_go(1);

            assert_eq!((after.await, later.await), (Ok("after"), Ok("after")));
        }
    }

    #[actix_rt::test]
    async fn a_caller_after_the_end_of_a_flight_starts_another() {
        let threads = Threads::start(1).unwrap();
        let flights = Flights::new(threads.spawner());
        for expected in 1..=50 {
            let landed = join(&flights, [1], || ready(expected)).await;
            assert_eq!(landed, Ok(expected));
        }
    }
}

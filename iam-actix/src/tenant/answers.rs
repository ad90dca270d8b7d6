//! Conclusions about upstream answers, from a cache or from one shared call.

use std::{future::Future, sync::Arc};

use iam_core::{
    clock::Clock,
    decision::{Reason, Refusal},
    fingerprint::Fingerprint,
    requirement::Freshness,
    tenant::CacheSettings,
};

use super::{
    cache::{Cache, Conclusion, FillToken},
    flight::{Flights, Lost},
};
use crate::upstream::Spawner;

/// The conclusions of one kind in one tenant: a cache, and the calls that fill it.
pub(crate) struct Answers<V> {
    cache: Arc<Cache<V>>,
    clock: Arc<dyn Clock>,
    flights: Flights<Fetched<V>>,
    /// Why a request is refused when a call is lost.
    unavailable: Reason,
}

/// One conclusion for each key, in their order; or why there is none.
type Fetched<V> = Result<Arc<[V]>, Refusal>;

impl<V: Conclusion> Answers<V> {
    pub(crate) fn new(
        settings: CacheSettings,
        unavailable: Reason,
        clock: &Arc<dyn Clock>,
        spawner: &Spawner,
    ) -> Self {
        Self {
            cache: Arc::new(Cache::new(settings)),
            clock: Arc::clone(clock),
            flights: Flights::new(spawner.clone()),
            unavailable,
        }
    }

    /// Returns the conclusion for each of the keys. `fetch` gets the positions of the keys that are not cached, and brings one
    /// conclusion for each of them, in one call that all callers of the same keys share.
    ///
    /// A [`Freshness::Fresh`] answer comes from a call that begins after this one, and replaces what is cached.
    ///
    /// # Errors
    ///
    /// The refusal of the call, which is never cached.
    pub(crate) async fn of<F>(
        &self,
        keys: &[Fingerprint],
        freshness: Freshness,
        fetch: impl FnOnce(&[usize]) -> F,
    ) -> Result<Vec<V>, Refusal>
    where
        F: Future<Output = Result<Vec<V>, Refusal>> + Send + 'static,
    {
        let mut answers: Vec<Option<V>> = match freshness {
            Freshness::Cached => self.cached(keys),
            Freshness::Fresh => {
                // Calls under way began before this one.
                for key in keys {
                    self.revoke(*key);
                }
                keys.iter().map(|_| None).collect()
            }
        };
        let missing: Vec<usize> = missing(&answers).collect();
        if !missing.is_empty() {
            let asked: Vec<_> = missing
                .iter()
                .filter_map(|position| keys.get(*position).copied())
                .collect();
            let fetched = self.fetch(&asked, || fetch(&missing)).await?;
            let gaps = answers.iter_mut().filter(|answer| answer.is_none());
            gaps.zip(fetched.iter())
                .for_each(|(gap, answer)| *gap = Some(answer.clone()));
        }

        answers
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| Refusal::with_detail(self.unavailable, "answer_count"))
    }

    /// Returns the conclusion for one key, as [`Answers::of`] does for several.
    ///
    /// # Errors
    ///
    /// The refusal of the call, which is never cached.
    pub(crate) async fn one<F>(
        &self,
        key: Fingerprint,
        freshness: Freshness,
        fetch: impl FnOnce() -> F,
    ) -> Result<V, Refusal>
    where
        F: Future<Output = Result<V, Refusal>> + Send + 'static,
    {
        if freshness == Freshness::Cached
            && let Some(cached) = self.cache.get(key, self.clock.now())
        {
            return Ok(cached);
        }

        let fetch = |_: &[usize]| {
            let call = fetch();
            async move { call.await.map(|answer| vec![answer]) }
        };
        let answer = self.of(&[key], freshness, fetch).await?.pop();
        answer.ok_or_else(|| Refusal::with_detail(self.unavailable, "answer_count"))
    }

    /// Drops one conclusion. Callers who come later get the answer to a call that begins later.
    pub(crate) fn revoke(&self, key: Fingerprint) {
        self.cache.revoke(key);
        self.flights.detach(key);
    }

    /// Drops the conclusions that `is_revoked` is true of. Callers who come later get no answer to a call that began before.
    pub(crate) fn revoke_if(&self, is_revoked: impl Fn(&V) -> bool) {
        self.cache.revoke_if(is_revoked);
        self.flights.detach_all();
    }

    fn cached(&self, keys: &[Fingerprint]) -> Vec<Option<V>> {
        let now = self.clock.now();
        keys.iter().map(|key| self.cache.get(*key, now)).collect()
    }

    async fn fetch<F>(&self, keys: &[Fingerprint], fetch: impl FnOnce() -> F) -> Fetched<V>
    where
        F: Future<Output = Result<Vec<V>, Refusal>> + Send + 'static,
    {
        let start = || {
            let (cache, clock) = (Arc::clone(&self.cache), Arc::clone(&self.clock));
            // INVARIANT: taken before the call begins, so that a revocation during the call is noticed.
            let now = clock.now();
            let tokens: Vec<_> = keys.iter().map(|key| cache.begin(*key, now)).collect();
            let call = fetch();
            async move {
                let answers: Arc<[V]> = call.await?.into();
                if answers.len() == tokens.len() {
                    fill(&cache, &tokens, &answers, clock.as_ref());
                }
                Ok(answers)
            }
        };

        let landed = self.flights.join(keys, start).await;
        landed.unwrap_or_else(|Lost| Err(Refusal::with_detail(self.unavailable, "call_lost")))
    }
}

fn missing<V>(answers: &[Option<V>]) -> impl Iterator<Item = usize> {
    answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.is_none())
        .map(|(position, _)| position)
}

fn fill<V: Conclusion>(cache: &Cache<V>, tokens: &[Option<FillToken>], answers: &[V], clock: &dyn Clock) {
    let now = clock.now();
    for (token, answer) in tokens.iter().zip(answers) {
        if let Some(token) = token {
            cache.fill(token, answer.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        time::Duration,
    };

    use futures_util::{FutureExt as _, future::join_all};
    use iam_core::{
        clock::{ManualClock, Timestamp},
        fingerprint::FingerprintKey,
        http::BoxFuture,
    };
    use tokio::sync::Semaphore;

    use super::{
        Freshness::{Cached, Fresh},
        *,
    };
    use crate::upstream::Threads;

    const DOWN: Refusal = Refusal::with_detail(Reason::PermissionUnavailable, "connect");

    /// An upstream and the answers about it.
    struct World {
        answers: Answers<bool>,
        clock: ManualClock,
        key: FingerprintKey,
        _threads: Threads,
        upstream: Arc<Upstream>,
    }

    struct Upstream {
        allows: Mutex<Result<bool, Refusal>>,
        asked: Mutex<Vec<usize>>,
        calls: AtomicUsize,
        gate: Semaphore,
    }

    impl World {
        /// Starts with an upstream that answers at once.
        fn start() -> Self {
            let world = Self::gated();
            world.upstream.gate.add_permits(1_000_000);
            world
        }

        /// Starts with an upstream each of whose answers must be let go.
        fn gated() -> Self {
            let threads = Threads::start(1).unwrap();
            let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
            let settings = CacheSettings::new(Duration::from_secs(10)).negative_ttl(Duration::from_secs(2));
            let port: Arc<dyn Clock> = Arc::new(clock.clone());
            Self {
                answers: Answers::new(settings, Reason::PermissionUnavailable, &port, &threads.spawner()),
                clock,
                key: FingerprintKey::random().unwrap(),
                _threads: threads,
                upstream: Arc::new(Upstream {
                    allows: Mutex::new(Ok(true)),
                    asked: Mutex::default(),
                    calls: AtomicUsize::new(0),
                    gate: Semaphore::new(0),
                }),
            }
        }

        fn key(&self, number: u8) -> Fingerprint {
            self.key.credential("default", "cookie", &[number])
        }

        /// Asks about some numbers, with what the upstream says when the call begins.
        async fn ask(&self, numbers: &[u8], freshness: Freshness) -> Result<Vec<bool>, Refusal> {
            let keys: Vec<_> = numbers.iter().map(|number| self.key(*number)).collect();
            self.answers
                .of(&keys, freshness, |missing| self.upstream.call(missing))
                .await
        }

        fn says(&self, allows: Result<bool, Refusal>) {
            *self.upstream.allows.lock().unwrap() = allows;
        }

        fn let_go(&self) {
            self.upstream.gate.add_permits(1);
        }

        fn calls(&self) -> usize {
            self.upstream.calls.load(SeqCst)
        }
    }

    impl Upstream {
        fn call(self: &Arc<Self>, missing: &[usize]) -> BoxFuture<Result<Vec<bool>, Refusal>> {
            self.calls.fetch_add(1, SeqCst);
            self.asked.lock().unwrap().extend(missing);
            let (upstream, count) = (Arc::clone(self), missing.len());
            let said = *self.allows.lock().unwrap();
            Box::pin(async move {
                upstream.gate.acquire().await.unwrap().forget();
                said.map(|allowed| vec![allowed; count])
            })
        }
    }

    /// D19
    #[actix_rt::test]
    async fn a_thousand_cold_callers_make_one_call_also_when_the_first_goes_away() {
        let world = World::gated();
        let mut callers: Vec<_> = (0..1_000).map(|_| Box::pin(world.ask(&[1], Cached))).collect();
        for caller in &mut callers {
            assert!(caller.now_or_never().is_none());
        }
        drop(callers.remove(0));

        world.let_go();

        assert_eq!(join_all(callers).await, vec![Ok(vec![true]); 999]);
        assert_eq!(world.ask(&[1], Cached).await, Ok(vec![true]));
        assert_eq!(world.calls(), 1);
    }

    /// R083, R168: an upstream without an answer is no answer.
    #[actix_rt::test]
    async fn a_failed_call_is_shared_and_never_cached() {
        let world = World::gated();
        world.says(Err(DOWN));
        let mut callers: Vec<_> = (0..10).map(|_| Box::pin(world.ask(&[1], Cached))).collect();
        for caller in &mut callers {
            assert!(caller.now_or_never().is_none());
        }
        world.let_go();
        assert_eq!(join_all(callers).await, vec![Err(DOWN); 10]);

        world.says(Ok(true));
        world.let_go();
        assert_eq!(world.ask(&[1], Cached).await, Ok(vec![true]));
        assert_eq!(world.calls(), 2);
    }

    #[actix_rt::test]
    async fn a_refusal_is_cached_for_its_own_ttl_only() {
        let world = World::start();
        for (said, ttl) in [(true, Duration::from_secs(10)), (false, Duration::from_secs(2))] {
            world.says(Ok(said));
            assert_eq!(world.ask(&[1], Cached).await, Ok(vec![said]));
            let calls = world.calls();
            world.says(Ok(!said));

            world.clock.advance(ttl.saturating_sub(Duration::from_millis(1)));
            assert_eq!(world.ask(&[1], Cached).await, Ok(vec![said]), "{ttl:?}");
            assert_eq!(world.calls(), calls);

            world.clock.advance(Duration::from_millis(1));
            assert_eq!(world.ask(&[1], Cached).await, Ok(vec![!said]), "{ttl:?}");
            assert_eq!(world.calls(), calls.saturating_add(1));
            world.answers.revoke(world.key(1));
        }
    }

    #[actix_rt::test]
    async fn a_fresh_answer_comes_from_a_call_of_its_own_and_replaces_the_cached_one() {
        let world = World::start();
        assert_eq!(world.ask(&[1], Cached).await, Ok(vec![true]));
        world.says(Ok(false));
        assert_eq!(world.ask(&[1], Cached).await, Ok(vec![true]));

        assert_eq!(world.ask(&[1], Fresh).await, Ok(vec![false]));

        assert_eq!(world.ask(&[1], Cached).await, Ok(vec![false]));
        assert_eq!(world.ask(&[1], Fresh).await, Ok(vec![false]));
        assert_eq!(world.calls(), 3);
    }

    #[actix_rt::test]
    async fn a_fresh_answer_is_not_that_of_a_call_under_way() {
        let world = World::gated();
        let mut before = Box::pin(world.ask(&[1], Cached));
        assert!((&mut before).now_or_never().is_none());
        world.says(Ok(false));
        let mut fresh = Box::pin(world.ask(&[1], Fresh));
        assert!((&mut fresh).now_or_never().is_none());

        world.upstream.gate.add_permits(2);

        assert_eq!(fresh.await, Ok(vec![false]));
        assert_eq!(before.await, Ok(vec![true]));
        assert_eq!(
            world.ask(&[1], Cached).await,
            Ok(vec![false]),
            "the earlier call left nothing"
        );
    }

    /// R109, D20
    #[actix_rt::test]
    async fn after_a_revocation_no_caller_gets_an_answer_from_before() {
        for by_key in [true, false] {
            let world = World::gated();
            let revoke = || {
                if by_key {
                    world.answers.revoke(world.key(1));
                } else {
                    world.answers.revoke_if(|allowed| *allowed);
                }
            };
            let mut before = Box::pin(world.ask(&[1], Cached));
            assert!((&mut before).now_or_never().is_none());

            world.says(Ok(false));
            revoke();

            let mut after = Box::pin(world.ask(&[1], Cached));
            assert!((&mut after).now_or_never().is_none());
            world.upstream.gate.add_permits(2);
            assert_eq!(before.await, Ok(vec![true]), "it came before the revocation");
            assert_eq!(after.await, Ok(vec![false]));
            assert_eq!(world.ask(&[1], Cached).await, Ok(vec![false]));
            assert_eq!(world.calls(), 2);

            // The other order: the call has ended, then comes the revocation.
            world.says(Ok(true));
            world.upstream.gate.add_permits(10);
            assert_eq!(world.ask(&[1], Fresh).await, Ok(vec![true]));
            world.says(Ok(false));
            revoke();
            assert_eq!(world.ask(&[1], Cached).await, Ok(vec![false]));
        }
    }

    #[actix_rt::test]
    async fn only_what_is_not_cached_is_asked_and_every_answer_finds_its_place() {
        let world = World::start();
        assert_eq!(world.ask(&[2, 4], Cached).await, Ok(vec![true, true]));
        world.says(Ok(false));

        let answers = world.ask(&[1, 2, 3, 4, 5], Cached).await;

        assert_eq!(answers, Ok(vec![false, true, false, true, false]));
        assert_eq!(*world.upstream.asked.lock().unwrap(), [0, 1, 0, 2, 4]);
        assert_eq!(world.calls(), 2);
    }

    #[actix_rt::test]
    async fn a_wrong_number_of_answers_is_none_and_is_not_cached() {
        let world = World::start();
        let keys = [world.key(1), world.key(2)];
        for wrong in [vec![], vec![true]] {
            let asked = world.answers.of(&keys, Cached, |_| {
                let wrong = wrong.clone();
                async move { Ok(wrong) }
            });

            let refusal = asked.await.unwrap_err();
            assert_eq!(refusal.detail, Some("answer_count"));
        }
        assert_eq!(world.ask(&[1, 2], Cached).await, Ok(vec![true, true]));
        assert_eq!(world.calls(), 1);
    }

    #[actix_rt::test]
    async fn a_call_that_is_lost_is_an_upstream_without_an_answer() {
        let World {
            answers,
            key,
            _threads: threads,
            ..
        } = World::start();
        drop(threads);

        let keys = [key.credential("default", "cookie", b"a")];
        let asked = answers.of(&keys, Cached, |_| async { Ok(vec![true]) }).await;

        assert_eq!(
            asked,
            Err(Refusal::with_detail(Reason::PermissionUnavailable, "call_lost"))
        );
    }
}

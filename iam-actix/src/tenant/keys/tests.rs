use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use iam_core::{
    clock::{ManualClock, Timestamp},
    http::BoxFuture,
    jwks::KeyLimits,
    jwt::{Profile, TokenFault, Verifier},
};
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::{
    audit::{AuditEvents, audit_channel},
    test_log::Log,
};

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What the next fetches give, how many there were, and when they may end.
#[derive(Debug)]
struct Issuer {
    answer: Mutex<Answer>,
    started: AtomicUsize,
    change: Notify,
    may_end: Semaphore,
}

#[derive(Clone, Debug)]
enum Answer {
    Body(&'static str),
    Fail,
    Panic,
}

struct World {
    clock: ManualClock,
    events: AuditEvents,
    first: oneshot::Receiver<()>,
    issuer: Arc<Issuer>,
    keys: Keys,
    store: Arc<KeyStore>,
    threads: Threads,
}

fn holds(store: &Arc<KeyStore>, kid: &str) -> bool {
    let profile = Profile::builder("https://issuer.example/", vec!["orders-api".to_owned()]);
    let verifier = Verifier::new(profile.build().unwrap(), Arc::clone(store), 0);
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#));
    let fault = verifier.examine(format!("{header}.e30.AA").as_bytes(), START);

    !matches!(
        fault,
        Err(TokenFault::KeyUnknown | TokenFault::KeyWithdrawn | TokenFault::KeysUnavailable)
    )
}

impl Issuer {
    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    async fn fetch(&self) -> Fetched {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.change.notify_waiters();
        self.may_end.acquire().await.unwrap().forget();
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Answer::Body(body) => Ok(KeySet::parse(body.as_bytes(), KeyLimits::default()).unwrap()),
            Answer::Fail => Err("no answer".to_owned()),
            Answer::Panic => panic!("on purpose"),
        }
    }

    async fn until_started(&self, count: usize) {
        loop {
            let changed = self.change.notified();
            if self.started() >= count {
                return;
            }
            changed.await;
        }
    }
}

/// Starts a refresh whose fetches end at once.
fn start(policy: impl FnOnce(&mut RefreshPolicy), answer: Answer) -> World {
    let world = start_held(policy, answer);
    world.issuer.may_end.add_permits(1000);
    world
}

/// Starts a refresh whose fetches end when the test lets them.
fn start_held(change: impl FnOnce(&mut RefreshPolicy), answer: Answer) -> World {
    let mut policy = RefreshPolicy::default();
    change(&mut policy);
    let clock = ManualClock::new(START);
    let issuer = Arc::new(Issuer {
        answer: Mutex::new(answer),
        started: AtomicUsize::new(0),
        change: Notify::new(),
        may_end: Semaphore::new(0),
    });
    let store = Arc::new(KeyStore::remote(policy));
    let (sink, events) = audit_channel();
    let fetched_from = Arc::clone(&issuer);
    let threads = Threads::start(1).unwrap();
    let (keys, first) = Keys::start(
        &threads,
        Refresh {
            auditor: Arc::new(Auditor::start(vec![Arc::new(sink)], 100, None).unwrap()),
            clock: Arc::new(clock.clone()),
            fetch: Box::new(move || {
                let issuer = Arc::clone(&fetched_from);
                Box::pin(async move { issuer.fetch().await })
            }),
            policy,
            store: Arc::clone(&store),
            tenant: "default".to_owned(),
            url: URL.to_owned(),
        },
    );
    World {
        clock,
        events,
        first,
        issuer,
        keys,
        store,
        threads,
    }
}

fn one_second(world: &World) {
    world.clock.advance(Duration::from_secs(1));
}

/// Makes demands that the refresh knows of when this returns.
async fn demands(keys: &Keys, count: usize) -> Vec<BoxFuture<Result<(), WaitError>>> {
    let mut demands: Vec<BoxFuture<_>> = (0..count)
        .map(|_| {
            let keys = keys.clone();
            Box::pin(async move { keys.fetched_from_now().await }) as _
        })
        .collect();
    future::poll_fn(|context| {
        for demand in &mut demands {
            assert!(demand.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    while keys.demands.capacity() < keys.demands.max_capacity() {
        time::sleep(Duration::from_millis(1)).await;
    }
    demands
}

async fn poll_once<T>(demand: &mut BoxFuture<T>) -> Poll<T> {
    future::poll_fn(|context| Poll::Ready(demand.as_mut().poll(context))).await
}

async fn demand(keys: &Keys) -> BoxFuture<Result<(), WaitError>> {
    demands(keys, 1).await.remove(0)
}

/// D1: nobody's request fetches while the keys are known and fresh.
#[tokio::test]
async fn after_the_first_fetch_nothing_is_fetched_before_the_refresh() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    world.clock.advance(Duration::from_secs(500));
    time::sleep(LONGEST_PAUSE * 3).await;
    assert_eq!(world.issuer.started(), 1);

    world.clock.advance(Duration::from_secs(101));

    world.issuer.until_started(2).await;
    assert!(holds(&world.store, "one"));
}

/// R143: made-up ids, however many, cost one fetch an interval, and it answers them all.
#[tokio::test]
async fn ten_thousand_demands_share_one_fetch() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    let demands = demands(&world.keys, 10_000).await;

    one_second(&world);

    for demand in demands {
        demand.await.unwrap();
    }
    assert_eq!(world.issuer.started(), 2);
}

/// R143: a fetch that is on its way may have been answered before the key was published.
#[tokio::test]
async fn a_demand_waits_for_a_fetch_that_starts_after_it() {
    let world = start_held(|_| (), Answer::Body(ONE));
    world.issuer.until_started(1).await;
    let mut demanded = demand(&world.keys).await;

    world.issuer.may_end.add_permits(1);
    world.first.await.unwrap();
    assert!(poll_once(&mut demanded).await.is_pending());
    world.issuer.answer(Answer::Body(TWO));
    world.clock.advance(Duration::from_secs(1));
    world.issuer.may_end.add_permits(1);

    demanded.await.unwrap();
    assert!(holds(&world.store, "two"));
    assert_eq!(world.issuer.started(), 2);
}

/// R143: a fetch on its way that brings the key answers whoever waits for it, however late that came.
#[tokio::test]
async fn a_key_that_the_running_fetch_brings_is_used_as_soon_as_it_is_installed() {
    let world = start_held(|_| (), Answer::Body(ONE));
    world.issuer.until_started(1).await;
    let (keys, store) = (world.keys.clone(), Arc::clone(&world.store));
    let (known, unknown) = ("one", "made up");
    let waiting = |kid: &'static str| {
        let (keys, store) = (keys.clone(), Arc::clone(&store));
        Box::pin(async move { keys.until_known(&mut || holds(&store, kid)).await })
    };
    let (mut good, mut bad) = (waiting(known), waiting(unknown));
    assert_eq!((&mut good).now_or_never(), None);
    assert_eq!((&mut bad).now_or_never(), None);

    world.issuer.may_end.add_permits(1);

    good.await.unwrap();
    assert_eq!((&mut bad).now_or_never(), None);
    assert_eq!(
        world.issuer.started(),
        1,
        "the clock stands still: no second fetch may start"
    );
    one_second(&world);
    world.issuer.may_end.add_permits(1);
    bad.await.unwrap();
    assert_eq!(world.issuer.started(), 2);
}

#[tokio::test]
async fn a_demand_is_given_up_when_the_fetch_does_not_end() {
    let world = start_held(
        |policy| policy.wait = Duration::from_millis(50),
        Answer::Body(ONE),
    );

    assert_eq!(demand(&world.keys).await.await, Err(WaitError::Timeout));
}

/// R143: the queue of those who wait is bounded, and a place in it is given back.
#[tokio::test]
async fn more_demands_than_may_wait_are_refused_at_once() {
    let mut world = start(
        |policy| {
            policy.max_waiters = 3;
        },
        Answer::Body(ONE),
    );
    (&mut world.first).await.unwrap();
    let demands = demands(&world.keys, 3).await;

    assert_eq!(world.keys.fetched_from_now().await, Err(WaitError::Full));

    one_second(&world);
    for demand in demands {
        demand.await.unwrap();
    }
    let again = demand(&world.keys).await;
    one_second(&world);
    again.await.unwrap();
}

/// Who has waited in vain counts no more among those who may wait.
#[tokio::test]
async fn a_demand_that_is_given_up_gives_its_place_back() {
    let world = start_held(
        |policy| {
            policy.max_waiters = 1;
            policy.wait = Duration::from_millis(50);
        },
        Answer::Body(ONE),
    );

    for _ in 0..3 {
        assert_eq!(demand(&world.keys).await.await, Err(WaitError::Timeout));
    }
}

#[tokio::test]
async fn a_demand_that_goes_away_takes_nobody_with_it() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    let gone = demand(&world.keys).await;
    let stays = demand(&world.keys).await;

    drop(gone);
    one_second(&world);

    stays.await.unwrap();
}

/// D16: no key set is told apart from a key set without the key.
#[tokio::test]
async fn a_demand_learns_that_the_fetch_failed() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    world.issuer.answer(Answer::Fail);
    let demanded = demand(&world.keys).await;

    one_second(&world);

    assert_eq!(demanded.await, Err(WaitError::Failed));
    assert!(holds(&world.store, "one"), "the last good set serves");
}

#[tokio::test]
async fn a_refresh_that_started_while_the_issuer_was_down_recovers_by_itself() {
    let mut world = start(|_| (), Answer::Fail);
    (&mut world.first).await.unwrap();
    assert_eq!(world.store.status(world.clock.now()), KeyStatus::Unavailable);

    world.issuer.answer(Answer::Body(ONE));
    while world.store.status(world.clock.now()) == KeyStatus::Unavailable {
        one_second(&world);
        time::sleep(Duration::from_millis(10)).await;
    }

    assert!(holds(&world.store, "one"));
}

#[tokio::test]
async fn a_fetch_that_panics_is_a_failed_fetch_and_the_refresh_goes_on() {
    let mut world = start(|_| (), Answer::Panic);
    (&mut world.first).await.unwrap();
    world.issuer.answer(Answer::Body(ONE));
    let demanded = demand(&world.keys).await;

    one_second(&world);

    demanded.await.unwrap();
    assert!(holds(&world.store, "one"));
}

#[tokio::test]
async fn whoever_waits_when_the_threads_stop_is_told() {
    let world = start_held(|_| (), Answer::Body(ONE));
    world.issuer.until_started(1).await;
    let demanded = demand(&world.keys).await;

    drop(world.threads);

    assert_eq!(demanded.await, Err(WaitError::Stopped));
    assert_eq!(world.keys.fetched_from_now().await, Err(WaitError::Stopped));
    assert_eq!(
        Arc::strong_count(&world.issuer),
        1,
        "nothing of the refresh is left"
    );
}

/// R036: a published private key makes one event, however often it is fetched.
#[tokio::test]
async fn a_private_key_in_the_set_is_reported_once() {
    let mut world = start(|_| (), Answer::Body(PRIVATE));
    (&mut world.first).await.unwrap();
    let again = demand(&world.keys).await;
    one_second(&world);
    again.await.unwrap();

    let event = world.events.next().await.unwrap();

    assert_eq!(event.event, EventName::JwksKeyRejected);
    assert_eq!(event.detail, Some("jwks.private_material"));
    assert_eq!(event.tenant.as_deref(), Some("default"));
    drop(world.threads);
    assert!(world.events.next().await.is_none());
}

/// An issuer may publish keys for other uses beside those for signatures.
#[tokio::test]
async fn a_key_that_is_merely_unusable_is_no_incident() {
    let mut world = start(|_| (), Answer::Body(FOR_ENCRYPTION));
    (&mut world.first).await.unwrap();

    drop(world.threads);

    assert!(world.events.next().await.is_none());
    assert!(holds(&world.store, "one"));
}

/// Makes the task of a world on this thread, to hear what it says to the log.
fn task(world: &World) -> Task {
    let refresh = Refresh {
        auditor: Arc::new(Auditor::start(Vec::new(), 1, None).unwrap()),
        clock: Arc::new(world.clock.clone()),
        fetch: Box::new(|| Box::pin(future::pending())),
        policy: RefreshPolicy::default(),
        store: Arc::clone(&world.store),
        tenant: "default".to_owned(),
        url: URL.to_owned(),
    };
    Task::new(refresh, watch::channel(0).0, Arc::default())
}

#[tokio::test]
async fn an_outage_is_told_of_once_while_the_last_good_set_serves() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    let mut task = task(&world);
    let (log, _guard) = Log::listen();

    for outage in 1..=2 {
        for _ in 0..3 {
            task.note_failure("no answer");
        }
        assert_eq!(log.count("the last key set stays in use"), outage);
        task.note_success(0, 0);
        assert_eq!(log.count("is fetched again"), outage);
    }
}

/// A failed fetch was logged once and then never again, without the URL or the cause.
#[tokio::test]
async fn every_interval_of_an_outage_is_logged_with_url_and_cause() {
    for is_available in [true, false] {
        let mut world = start(
            |_| (),
            if is_available {
                Answer::Body(ONE)
            } else {
                Answer::Fail
            },
        );
        (&mut world.first).await.unwrap();
        let mut task = task(&world);
        let (log, _guard) = Log::listen();

        for minute in 1..=3 {
            for _ in 0..3 {
                task.note_failure("the response has the status 404 Not Found");
            }
            for text in ["fetching the key set failed", URL, "404 Not Found"] {
                assert_eq!(log.count(text), minute, "{text}");
            }
            world.clock.advance(LOG_INTERVAL);
        }
    }
}

#[tokio::test]
async fn an_empty_key_set_is_a_warning() {
    let mut world = start(|_| (), Answer::Body(ONE));
    (&mut world.first).await.unwrap();
    assert_ne!(world.store.status(world.clock.now()), KeyStatus::Empty);
    let mut task = task(&world);
    let (log, _guard) = Log::listen();

    for _ in 0..3 {
        task.note_emptiness(true);
    }
    assert_eq!(log.count("no usable key"), 1);
    task.note_emptiness(false);
    task.note_emptiness(true);
    assert_eq!(log.count("no usable key"), 2);
    world.clock.advance(LOG_INTERVAL);
    task.note_emptiness(true);
    assert_eq!(log.count("no usable key"), 3);
    assert_eq!(log.count(URL), 3);
}

#[tokio::test]
async fn an_empty_key_set_is_known_to_readiness_until_it_has_a_key() {
    let mut world = start(|_| (), Answer::Body(r#"{"keys":[]}"#));
    (&mut world.first).await.unwrap();
    assert_eq!(world.store.status(world.clock.now()), KeyStatus::Empty);

    world.issuer.answer(Answer::Body(ONE));
    let demanded = demand(&world.keys).await;
    one_second(&world);
    demanded.await.unwrap();

    assert_ne!(world.store.status(world.clock.now()), KeyStatus::Empty);
}

/// Requests that went away kept their places until their deadline.
#[tokio::test]
async fn places_of_requests_that_went_away_are_free_at_once() {
    let mut world = start(
        |policy| {
            policy.max_waiters = 3;
        },
        Answer::Body(ONE),
    );
    (&mut world.first).await.unwrap();

    for _ in 0..3 {
        let gone = demands(&world.keys, 3).await;
        assert_eq!(world.keys.fetched_from_now().await, Err(WaitError::Full));
        drop(gone);
    }
    let stays = demands(&world.keys, 3).await;

    one_second(&world);
    for demand in stays {
        demand.await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_not_used_is_told_of_once_and_hides_nothing_of_its_line() {
    let world = start(|_| (), Answer::Body(ONE));
    let mut task = task(&world);
    let set = FOR_ENCRYPTION.replace("two", r"two\u202e");
    let (_, problems) = KeySet::parse(set.as_bytes(), KeyLimits::default()).unwrap();
    let (log, _guard) = Log::listen();

    for _ in 0..3 {
        task.report(problems.clone());
    }

    assert_eq!(
        log.count("unusable key in the key set: `use` says that the key is not for signatures alone"),
        1
    );
    // As written here, with what `Debug` adds.
    assert_eq!(log.count(r"two\\u{202e}"), 1);
}

#[test]
fn random_delays_lie_between_zero_and_one() {
    let numbers: Vec<_> = (0..1000).map(|_| jitter()).collect();

    assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
    assert!(numbers.iter().any(|number| *number < 0.2));
    assert!(numbers.iter().any(|number| *number > 0.8));
}

const URL: &str = "https://gateway.example/jwks.json";
/// RFC 7517 appendix A.1, with other ids.
const ONE: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"one"}]}"#;
const TWO: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"two"}]}"#;
/// RFC 7517 appendix A.2.
const PRIVATE: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE","kid":"one"}]}"#;
const FOR_ENCRYPTION: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"one"},{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"two","use":"enc"}]}"#;

//! Who keeps the keys of a tenant fresh, and how does a request wait for a new one?
//!
//! One task for each tenant whose keys are fetched, on the first upstream thread. When to fetch, and who is answered by it,
//! is decided by [`Schedule`]; this module fetches, sleeps and wakes. Requests never fetch: they hand in a demand, and the
//! task answers it. So a request that goes away takes nobody with it, and any number of demands share one fetch (D1, R143).
//! The task ends with the upstream threads, that is, with the last [`Iam`](crate::Iam).

use std::{collections::VecDeque, future, pin::pin, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;
use iam_core::{
    audit::{AuditEvent, EventName},
    clock::Clock,
    jwks::{FetchResult, KeyProblem, KeySet, KeyStatus, KeyStore, RefreshPolicy, Schedule, Step, Ticket},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{self, JoinHandle},
    time::{self, Instant},
};
use uuid::Uuid;

use crate::{audit::Auditor, upstream::Threads};

/// The way to ask for fresher keys of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    demands: mpsc::Sender<Demand>,
    /// Changes whenever a fetch brought keys that were not there before.
    news: watch::Receiver<u64>,
}

/// What the refresh of one tenant's keys works with.
pub(crate) struct Refresh {
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fetch: Fetch,
    pub(crate) policy: RefreshPolicy,
    pub(crate) store: Arc<KeyStore>,
    pub(crate) tenant: String,
}

/// Fetches the key set, or says in a fixed text why there is none. Ends, whatever the issuer does.
pub(crate) type Fetch = Box<dyn Fn() -> LocalBoxFuture<'static, Fetched> + Send>;

pub(crate) type Fetched = Result<(KeySet, Vec<KeyProblem>), String>;

/// Why a request that waited for a key got no fresher key set. Fails closed: 503.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WaitError {
    /// The fetch gave no key set.
    Failed,
    /// Too many requests wait already.
    Full,
    /// Everything is being stopped.
    Stopped,
    /// No fetch finished in time.
    Timeout,
}

#[derive(Debug)]
struct Demand(oneshot::Sender<Result<(), WaitError>>);

impl Keys {
    /// Starts the refresh on the first of the `threads`. The receiver is told when the first fetch has ended, well or not.
    pub(crate) fn start(threads: &Threads, refresh: Refresh) -> (Self, oneshot::Receiver<()>) {
        // Bounded like the waiters: demands leave the channel as fast as the task can count them.
        let (demands, arriving) = mpsc::channel(refresh.policy.max_waiters.clamp(1, MOST_DEMANDS));
        let (tell_first, first) = oneshot::channel();
        let (tell_news, news) = watch::channel(0);
        threads.spawn(move || Task::new(refresh, tell_news).run(arriving, tell_first));
        (Self { demands, news }, first)
    }

    /// Waits until `is_known` says so, which is asked again whenever new keys were installed, but no longer than for a fetch
    /// that starts after this call: whatever that one does not bring does not exist.
    ///
    /// # Errors
    ///
    /// When there is no such fetch in time, it gives no key set, or too many wait.
    pub(crate) async fn until_known(&self, is_known: &mut dyn FnMut() -> bool) -> Result<(), WaitError> {
        let mut news = self.news.clone();
        news.mark_unchanged();
        // Whatever was installed since the caller looked is not news any more.
        if is_known() {
            return Ok(());
        }

        let mut fetched = pin!(self.fetched_from_now());
        loop {
            tokio::select! {
                biased;
                fetched = &mut fetched => return fetched,
                Ok(()) = news.changed() => {
                    if is_known() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits for a fetch that starts after this call.
    ///
    /// # Errors
    ///
    /// When there is none in time, it gives no key set, or too many wait.
    pub(crate) async fn fetched_from_now(&self) -> Result<(), WaitError> {
        let (answer, answered) = oneshot::channel();
        self.demands.try_send(Demand(answer)).map_err(|err| match err {
            mpsc::error::TrySendError::Closed(_) => WaitError::Stopped,
            mpsc::error::TrySendError::Full(_) => WaitError::Full,
        })?;
        answered.await.unwrap_or(Err(WaitError::Stopped))
    }
}

struct Task {
    failing: bool,
    news: watch::Sender<u64>,
    problems: Vec<KeyProblem>,
    refresh: Refresh,
    schedule: Schedule,
    /// In the order of their arrival, which is the order of their tickets and of their deadlines.
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    answer: oneshot::Sender<Result<(), WaitError>>,
    deadline: Instant,
    ticket: Ticket,
}

impl Task {
    fn new(refresh: Refresh, news: watch::Sender<u64>) -> Self {
        Self {
            failing: false,
            news,
            problems: Vec::new(),
            schedule: Schedule::new(refresh.policy),
            refresh,
            waiters: VecDeque::new(),
        }
    }

    async fn run(mut self, mut demands: mpsc::Receiver<Demand>, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        let mut fetching = None;
        let mut arrived = Vec::new();
        loop {
            let pause = self.step(&mut fetching);
            tokio::select! {
                biased;
                fetched = end_of(&mut fetching) => {
                    fetching = None;
                    self.finish(fetched);
                    if let Some(first) = first.take() {
                        // Whoever started this may have lost interest.
                        let _ = first.send(());
                    }
                }
                count = demands.recv_many(&mut arrived, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    arrived.drain(..).for_each(|demand| self.register(demand));
                }
                () = time::sleep(pause) => {}
            }
            self.expire();
        }
    }

    /// Does what the schedule says, and returns how long nothing else is to be done.
    fn step(&mut self, fetching: &mut Option<JoinHandle<Fetched>>) -> Duration {
        let now = self.refresh.clock.now();
        let pause = match self.schedule.step(now) {
            Step::Fetch => {
                *fetching = Some(self.fetch());
                LONGEST_PAUSE
            }
            Step::SleepUntil(start) => start.duration_since(now),
            Step::WaitForFetch => LONGEST_PAUSE,
        };
        let patience = self
            .waiters
            .front()
            .map(|waiter| waiter.deadline.saturating_duration_since(Instant::now()));
        pause.min(LONGEST_PAUSE).min(patience.unwrap_or(LONGEST_PAUSE))
    }

    fn fetch(&self) -> JoinHandle<Fetched> {
        // A task of its own, so that a panic in a client is a failed fetch and not the end of the refresh.
        task::spawn_local((self.refresh.fetch)())
    }

    fn finish(&mut self, fetched: Fetched) {
        let now = self.refresh.clock.now();
        let (result, outcome) = match fetched {
            Ok((keys, problems)) => {
                self.report(problems);
                let change = self.refresh.store.install(keys, now);
                self.note_success(change.added, change.removed);
                if change.added > 0 {
                    // Also for those who wait for the next fetch: what they wait for may be here already.
                    self.news.send_modify(|count| *count = count.wrapping_add(1));
                }
                (FetchResult::Installed, Ok(()))
            }
            Err(reason) => {
                self.refresh.store.fetch_failed(now);
                self.note_failure(&reason);
                (FetchResult::Failed, Err(WaitError::Failed))
            }
        };

        let answering = self.schedule.finished(result, now, jitter());
        while let Some(waiter) = self.next_waiter(|waiter| answering.answers(waiter.ticket)) {
            // A request that has gone away needs no answer.
            let _ = waiter.answer.send(outcome);
        }
    }

    fn register(&mut self, Demand(answer): Demand) {
        match self.schedule.wait() {
            Ok(ticket) => {
                let now = Instant::now();
                self.waiters.push_back(Waiter {
                    answer,
                    deadline: now.checked_add(self.refresh.policy.wait).unwrap_or(now),
                    ticket,
                });
            }
            Err(_full) => drop(answer.send(Err(WaitError::Full))),
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(waiter) = self.next_waiter(|waiter| waiter.deadline <= now) {
            self.schedule.give_up(waiter.ticket);
            let _ = waiter.answer.send(Err(WaitError::Timeout));
        }
    }

    fn next_waiter(&mut self, is_due: impl FnOnce(&Waiter) -> bool) -> Option<Waiter> {
        self.waiters.front().filter(|waiter| is_due(waiter))?;
        self.waiters.pop_front()
    }

    /// Told once, not at each fetch that finds the same.
    fn report(&mut self, problems: Vec<KeyProblem>) {
        if problems == self.problems {
            return;
        }
        self.problems = problems;
        for problem in &self.problems {
            tracing::warn!(
                tenant = self.refresh.tenant,
                index = problem.index,
                kid = problem.kid.as_deref().map(|kid| kid.escape_default().to_string()),
                "a key of the set is not used: {}",
                problem.fault
            );
            // R036: a published secret is an incident. Keys for other uses are nobody's fault.
            if !problem.fault.is_incident() {
                continue;
            }
            let mut event = AuditEvent::notice(EventName::JwksKeyRejected, self.refresh.clock.now());
            event.tenant = Some(self.refresh.tenant.as_str().into());
            event.detail = Some(problem.fault.code());
            self.refresh.auditor.emit(&event);
        }
    }

    fn note_success(&mut self, added: usize, removed: usize) {
        let tenant = &self.refresh.tenant;
        if self.failing {
            tracing::info!(tenant, "the key set can be fetched again");
        }
        if added > 0 || removed > 0 {
            tracing::info!(tenant, added, removed, "the key set has changed");
        }
        self.failing = false;
    }

    /// D16: an issuer that does not answer is told apart from a forged signature, here and in the refusal.
    fn note_failure(&mut self, reason: &str) {
        let tenant = &self.refresh.tenant;
        let available = self.refresh.store.status(self.refresh.clock.now()) != KeyStatus::Unavailable;
        if !available {
            tracing::error!(
                tenant,
                reason,
                "the key set cannot be fetched and there are no usable keys: requests are refused with 503 until it can"
            );
        } else if !self.failing {
            tracing::warn!(
                tenant,
                reason,
                "the key set cannot be fetched: the last good one serves while it is not too old"
            );
        }
        self.failing = true;
    }
}

async fn end_of(fetching: &mut Option<JoinHandle<Fetched>>) -> Fetched {
    match fetching {
        Some(fetch) => fetch
            .await
            .unwrap_or_else(|_| Err("the client panicked".to_owned())),
        None => future::pending().await,
    }
}

/// Returns a random number in [0, 1), so that many services do not fetch at the same moment.
fn jitter() -> f64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    // Only the upper half, which `f64` holds exactly; no fixed bits of the UUID are among these.
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// The longest pause before the clock is asked again: it tells the time of day, which may be set.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How many demands are taken in one go.
const BATCH: usize = 1024;

const MOST_DEMANDS: usize = 1 << 20;

#[cfg(test)]
mod tests;

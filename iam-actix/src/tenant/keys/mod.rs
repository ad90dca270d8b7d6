//! How are the keys of a tenant kept fresh, and how does a request wait for a new key?
//!
//! Each tenant with fetched keys has one task, on the first upstream thread. [`Schedule`] decides when to fetch and which
//! requests a fetch answers; this module fetches, sleeps and wakes. Requests never fetch: each sends a demand, and the task
//! answers it. So a dropped request affects no other, and any number of demands share one fetch (D1, R143). The task ends
//! with the upstream threads, that is, with the last [`Iam`](crate::Iam).

use std::{
    collections::VecDeque,
    future, mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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

use crate::{audit::Auditor, log_throttle::LogThrottle, upstream::Threads};

/// Requests fresher keys of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    demands: mpsc::Sender<Demand>,
    /// Changes whenever a fetch added keys.
    news: watch::Receiver<u64>,
    shared: Arc<Shared>,
}

/// What the task and the requests tell each other without a message.
#[derive(Debug, Default)]
struct Shared {
    /// The number of demands dropped since the task last removed them.
    abandoned: AtomicUsize,
}

/// Counts a demand as abandoned when it is dropped before its answer.
struct Waiting<'a> {
    is_answered: bool,
    shared: &'a Shared,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shared.abandoned.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The parts of the refresh of one tenant's keys.
pub(crate) struct Refresh {
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fetch: Fetch,
    pub(crate) policy: RefreshPolicy,
    pub(crate) store: Arc<KeyStore>,
    pub(crate) tenant: String,
    /// For the log. Holds no credentials: the configuration refuses them.
    pub(crate) url: String,
}

/// Fetches the key set, or returns the cause of the failure for the log. Always ends.
pub(crate) type Fetch = Box<dyn Fn() -> LocalBoxFuture<'static, Fetched> + Send>;

pub(crate) type Fetched = Result<(KeySet, Vec<KeyProblem>), String>;

/// Why a waiting request got no fresher key set. Fails closed: 503.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WaitError {
    /// The fetch failed.
    Failed,
    /// Too many requests wait already.
    Full,
    /// The upstream threads have stopped.
    Stopped,
    /// No fetch finished in time.
    Timeout,
}

#[derive(Debug)]
struct Demand(oneshot::Sender<Result<(), WaitError>>);

impl Keys {
    /// Starts the refresh on the first of the `threads`. The receiver resolves when the first fetch has ended, also with an error.
    pub(crate) fn start(threads: &Threads, refresh: Refresh) -> (Self, oneshot::Receiver<()>) {
        // Bounded like the waiters: demands leave the channel as fast as the task can count them.
        let (demands, arriving) = mpsc::channel(refresh.policy.max_waiters.clamp(1, MOST_DEMANDS));
        let (tell_first, first) = oneshot::channel();
        let (tell_news, news) = watch::channel(0);
        let shared = Arc::new(Shared::default());
        let of_task = Arc::clone(&shared);
        threads
            .spawner()
            .spawn(move || Task::new(refresh, tell_news, of_task).run(arriving, tell_first));
        let keys = Self {
            demands,
            news,
            shared,
        };
        (keys, first)
    }

    /// Waits until `is_known` returns `true`; it is called whenever keys were added. Waits at most for the end of a fetch that
    /// starts after this call: a key that this fetch does not add does not exist.
    ///
    /// # Errors
    ///
    /// When no such fetch ends in time, it fails, or too many requests wait.
    pub(crate) async fn until_known(&self, is_known: &mut dyn FnMut() -> bool) -> Result<(), WaitError> {
        let mut news = self.news.clone();
        news.mark_unchanged();
        // Keys that were installed since the caller looked are not news any more.
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
    /// When no such fetch ends in time, it fails, or too many requests wait.
    pub(crate) async fn fetched_from_now(&self) -> Result<(), WaitError> {
        // INVARIANT: declared before the receiver, so dropped after it: an abandoned demand is closed when it is counted.
        let mut waiting = Waiting {
            is_answered: false,
            shared: &self.shared,
        };
        let (answer, answered) = oneshot::channel();
        self.demands.try_send(Demand(answer)).map_err(|err| match err {
            mpsc::error::TrySendError::Closed(_) => WaitError::Stopped,
            mpsc::error::TrySendError::Full(_) => WaitError::Full,
        })?;
        let outcome = answered.await.unwrap_or(Err(WaitError::Stopped));
        waiting.is_answered = true;
        outcome
    }
}

struct Task {
    failing: bool,
    /// Whether the last fetched key set has no usable key.
    is_empty: bool,
    news: watch::Sender<u64>,
    problems: Vec<KeyProblem>,
    refresh: Refresh,
    schedule: Schedule,
    shared: Arc<Shared>,
    /// Limits the lines about failed fetches and empty key sets.
    throttle: LogThrottle,
    /// In the order of their arrival, which is the order of their tickets and of their deadlines.
    waiters: VecDeque<Waiter>,
}

struct Waiter {
    answer: oneshot::Sender<Result<(), WaitError>>,
    deadline: Instant,
    ticket: Ticket,
}

impl Task {
    fn new(refresh: Refresh, news: watch::Sender<u64>, shared: Arc<Shared>) -> Self {
        Self {
            failing: false,
            is_empty: false,
            news,
            problems: Vec::new(),
            schedule: Schedule::new(refresh.policy),
            refresh,
            shared,
            throttle: LogThrottle::new(LOG_INTERVAL),
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
                        // The receiver may be dropped.
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

    /// Does the next step of the schedule, and returns the pause until the one after it.
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
        // A separate task: a panic in a client is a failed fetch, and the refresh goes on.
        task::spawn_local((self.refresh.fetch)())
    }

    fn finish(&mut self, fetched: Fetched) {
        let now = self.refresh.clock.now();
        let (result, outcome) = match fetched {
            Ok((keys, problems)) => {
                self.report(problems);
                self.note_emptiness(keys.is_empty());
                let change = self.refresh.store.install(keys, now);
                self.note_success(change.added, change.removed);
                if change.added > 0 {
                    // Also for requests that wait for the next fetch: their key may be installed already.
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
            // The request may have been dropped.
            let _ = waiter.answer.send(outcome);
        }
    }

    fn register(&mut self, Demand(answer): Demand) {
        if answer.is_closed() {
            return;
        }
        let ticket = self.schedule.wait().or_else(|full| {
            if self.remove_abandoned() {
                self.schedule.wait()
            } else {
                Err(full)
            }
        });
        match ticket {
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

    /// Removes the waiters whose requests were dropped, and tells whether there may have been any. Costs a pass over the waiters,
    /// but only after requests were dropped.
    fn remove_abandoned(&mut self) -> bool {
        if self.shared.abandoned.swap(0, Ordering::AcqRel) == 0 {
            return false;
        }
        let schedule = &mut self.schedule;
        self.waiters.retain(|waiter| {
            let is_closed = waiter.answer.is_closed();
            if is_closed {
                schedule.give_up(waiter.ticket);
            }
            !is_closed
        });
        true
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

    /// Reports problems when they differ from those of the last fetch.
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
                "unusable key in the key set: {}",
                problem.fault
            );
            // R036: a published secret is an incident. A key for another use is not.
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
            tracing::info!(tenant, url = self.refresh.url, "the key set is fetched again");
        }
        if added > 0 || removed > 0 {
            tracing::info!(tenant, added, removed, "the key set has changed");
        }
        self.failing = false;
    }

    /// Logs a key set without usable keys, when it becomes empty and then once per interval.
    fn note_emptiness(&mut self, is_empty: bool) {
        let was_empty = mem::replace(&mut self.is_empty, is_empty);
        if is_empty && (self.is_log_due() || !was_empty) {
            tracing::warn!(
                tenant = self.refresh.tenant,
                url = self.refresh.url,
                "the key set has no usable key: tokens are refused, except those of keys that are still within `jwks.grace`"
            );
        }
    }

    /// Logs a failed fetch, the first of an outage and then once per interval.
    ///
    /// D16: an issuer that does not respond and a forged signature are told apart, here and in the refusal.
    fn note_failure(&mut self, reason: &str) {
        let is_due = self.is_log_due() || !self.failing;
        self.failing = true;
        if !is_due {
            return;
        }

        let (tenant, url) = (&self.refresh.tenant, &self.refresh.url);
        if self.refresh.store.status(self.refresh.clock.now()) == KeyStatus::Unavailable {
            tracing::error!(
                tenant,
                url,
                reason,
                "fetching the key set failed, and no keys are usable: requests are refused with 503"
            );
        } else {
            tracing::warn!(
                tenant,
                url,
                reason,
                "fetching the key set failed: the last key set stays in use until it is too old"
            );
        }
    }

    fn is_log_due(&self) -> bool {
        self.throttle.is_due(self.refresh.clock.now())
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

/// Returns a random number in [0, 1). It spreads the fetches of many services.
fn jitter() -> f64 {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    // Only the upper half, which `f64` holds exactly; no fixed bits of the UUID are among these.
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

/// The longest pause between two looks at the clock, which may be set.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The interval of repeated log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The number of demands that are received at once.
const BATCH: usize = 1024;

const MOST_DEMANDS: usize = 1 << 20;

#[cfg(test)]
mod tests;

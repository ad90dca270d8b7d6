//! The schedule of key fetches, and the requests that wait for a fetch.
//!
//! [`Schedule`] is a state machine. Its inputs are the time, randomness and events; its output is the next step. The driver
//! fetches, sleeps and wakes requests.
//!
//! An issuer may sign with a key as soon as it publishes it. A request with an unknown `kid` therefore waits for a fetch
//! that *started after* the request arrived, because a fetch in progress may have been answered before. All waiting
//! requests share the next fetch, and fetches start at least [`RefreshPolicy::refetch_interval`] apart. Made-up ids
//! therefore cause at most one fetch per interval, and never the refusal of a valid token.

use std::time::Duration;

use crate::clock::Timestamp;

/// How keys are kept fresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// The time from one successful fetch to the next, shortened by up to a tenth at random. Defaults to 10 minutes.
    pub refresh: Duration,
    /// The least time between the starts of two fetches. Defaults to 1 second.
    pub refetch_interval: Duration,
    /// How long a request with an unknown `kid` waits at most. Defaults to 2 seconds.
    pub wait: Duration,
    /// How long the last good set serves beyond `refresh` when fetches fail. Defaults to 1 hour.
    pub stale: Duration,
    /// How long a key is accepted after it has left the set. Defaults to 60 seconds. Oathkeeper reuses a cached token for
    /// nine tenths of its `ttl`, so tokens of the old key arrive for that long after a rotation. The grace must cover that
    /// time.
    pub grace: Duration,
    /// How many requests may wait at once. Defaults to 32,768: a waiting request costs little beyond its connection, and
    /// made-up ids could fill a short queue, which would reject tokens of a new key.
    pub max_waiters: usize,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(10 * 60),
            refetch_interval: Duration::from_secs(1),
            wait: Duration::from_secs(2),
            stale: Duration::from_secs(60 * 60),
            grace: Duration::from_secs(60),
            max_waiters: 32_768,
        }
    }
}

/// Decides when to fetch, and which waiting requests a fetch answers.
///
/// Call [`Schedule::step`] after every event and at the time that the last step named, and do what it returns. Report the
/// end of each fetch with [`Schedule::finished`]. Register a waiting request with [`Schedule::wait`], and remove it with
/// [`Schedule::give_up`] if it stops waiting before it is answered.
///
/// ```
/// use iam_core::{clock::Timestamp, jwks::{FetchResult, RefreshPolicy, Schedule, Step}};
///
/// let now = Timestamp::from_secs(1_000);
/// let mut schedule = Schedule::new(RefreshPolicy::default());
/// assert_eq!(schedule.step(now), Step::Fetch);
///
/// let ticket = schedule.wait()?;                          // arrived while the fetch was on its way …
/// let answered = schedule.finished(FetchResult::Installed, now, 0.0);
/// assert!(!answered.answers(ticket));                     // … so its answer may be too old.
/// assert_eq!(schedule.step(now), Step::SleepUntil(Timestamp::from_secs(1_001)));
/// # Ok::<(), iam_core::jwks::WaitersFullError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    policy: RefreshPolicy,
    /// The time of the next fetch if no request waits.
    due: Timestamp,
    last_start: Option<Timestamp>,
    /// The number of fetches started so far, which is the ordinal of the last one.
    started: u64,
    in_flight: bool,
    failures: u32,
    waiting_for_current: usize,
    waiting_for_next: usize,
}

/// The next step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the driver must handle each")]
pub enum Step {
    /// Fetch now. The schedule counts the fetch as started.
    Fetch,
    /// Wait until this time, unless an event occurs before.
    SleepUntil(Timestamp),
    /// Wait until the fetch in progress has finished.
    WaitForFetch,
}

/// The result of a fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a fetch gives a key set or none")]
pub enum FetchResult {
    /// No key set: no response, an error status, or an invalid body.
    Failed,
    /// A key set, which has been installed.
    Installed,
}

/// Identifies the fetch that answers a waiting request. Tickets are compared with the ordinal that [`Schedule::finished`]
/// returns.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(u64);

impl Ticket {
    /// Tells whether the fetch of this ticket answers a request that waits with `ticket`.
    #[must_use]
    pub fn answers(self, ticket: Self) -> bool {
        ticket <= self
    }
}

/// The largest allowed number of requests waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many requests wait for keys")]
#[non_exhaustive]
pub struct WaitersFullError;

impl Schedule {
    /// Starts a schedule whose first fetch is due at once.
    pub fn new(policy: RefreshPolicy) -> Self {
        Self {
            policy,
            due: Timestamp::default(),
            last_start: None,
            started: 0,
            in_flight: false,
            failures: 0,
            waiting_for_current: 0,
            waiting_for_next: 0,
        }
    }

    /// Registers a request that has just arrived with an unknown `kid`.
    ///
    /// # Errors
    ///
    /// When [`RefreshPolicy::max_waiters`] requests wait already: fails closed.
    pub fn wait(&mut self) -> Result<Ticket, WaitersFullError> {
        if self.waiters() >= self.policy.max_waiters {
            return Err(WaitersFullError);
        }

        self.waiting_for_next = self.waiting_for_next.saturating_add(1);
        Ok(Ticket(self.started.saturating_add(1)))
    }

    /// Removes a request that no longer waits, unless it has been answered.
    pub fn give_up(&mut self, ticket: Ticket) {
        let next = self.started.saturating_add(1);
        if ticket.0 == next {
            self.waiting_for_next = self.waiting_for_next.saturating_sub(1);
        } else if ticket.0 == self.started && self.in_flight {
            self.waiting_for_current = self.waiting_for_current.saturating_sub(1);
        }
    }

    /// Returns the next step.
    pub fn step(&mut self, now: Timestamp) -> Step {
        if self.in_flight {
            return Step::WaitForFetch;
        }

        let start = self.next_start(now);
        if now < start {
            return Step::SleepUntil(start);
        }
        self.in_flight = true;
        self.last_start = Some(now);
        self.started = self.started.saturating_add(1);
        self.waiting_for_current = std::mem::take(&mut self.waiting_for_next);
        Step::Fetch
    }

    /// Reports the end of the fetch in progress, and returns the ticket up to which requests are answered. After a failure
    /// the waiting requests are answered with the previous keys.
    ///
    /// `jitter` is a random number in [0, 1); other values are clamped.
    pub fn finished(&mut self, result: FetchResult, now: Timestamp, jitter: f64) -> Ticket {
        self.in_flight = false;
        self.waiting_for_current = 0;
        let jitter = if jitter.is_finite() {
            jitter.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let delay = match result {
            FetchResult::Installed => {
                self.failures = 0;
                self.policy.refresh.mul_f64(1.0 - jitter / 10.0)
            }
            FetchResult::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.backoff().mul_f64(1.0 - jitter / 2.0)
            }
        };

        self.due = now.saturating_add(delay.max(self.policy.refetch_interval));
        Ticket(self.started)
    }

    /// Returns how many requests wait.
    pub fn waiters(&self) -> usize {
        self.waiting_for_current.saturating_add(self.waiting_for_next)
    }

    /// Returns the earliest start of the next fetch. A waiting request waits for the interval, and never for a backoff.
    fn next_start(&mut self, now: Timestamp) -> Timestamp {
        // A clock that was set back must not delay the next fetch by the same amount.
        self.last_start = self.last_start.map(|last| last.min(now));
        self.due = self
            .due
            .min(now.saturating_add(self.policy.refresh.max(self.policy.refetch_interval)));

        let spaced = self
            .last_start
            .map_or(now, |last| last.saturating_add(self.policy.refetch_interval));
        if self.waiting_for_next > 0 {
            spaced
        } else {
            self.due.max(spaced)
        }
    }

    fn backoff(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.saturating_sub(1).min(16));

        self.policy
            .refetch_interval
            .saturating_mul(doubled)
            .min(MAX_BACKOFF)
            .min(self.policy.refresh)
    }
}

/// The longest pause between two attempts while the issuer does not answer: recovery must not take much longer.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

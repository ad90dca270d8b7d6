//! How do audit events reach their sinks without delaying a request?
//!
//! The gate puts an event into a bounded queue and goes on. The audit thread takes events out, redacts them, and hands them to
//! the sinks. A sink that blocks, fails or panics neither changes nor delays a decision (D83). An event that finds the queue full
//! is dropped and counted, and the log reports the count.

mod channel;
mod json;
mod queue;
mod redact;
mod tracing_sink;

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::rt::time;
use iam_core::audit::AuditBatch;
pub use iam_core::audit::{AuditEvent, AuditSink, EventName, Outcome};

use self::queue::{Found, Queue};
pub use self::{
    channel::{AuditEvents, ChannelAuditSink, audit_channel},
    json::JsonLinesAuditSink,
    tracing_sink::TracingAuditSink,
};
use crate::worker::Worker;

/// The queue to the sinks. When dropped, it delivers the queued events and stops its thread.
pub(crate) struct Auditor {
    losses: Arc<Losses>,
    queue: Arc<Queue>,
    worker: Mutex<Option<Worker>>,
}

/// Counts of lost events.
#[derive(Debug, Default)]
struct Losses {
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Auditor {
    /// Starts the thread that serves `sinks` from a queue of `capacity` events. When there has been no event for ten
    /// seconds, it calls `once_idle`.
    ///
    /// # Errors
    ///
    /// When the thread cannot be spawned.
    pub(crate) fn start(
        sinks: Vec<Arc<dyn AuditSink>>,
        capacity: usize,
        once_idle: Option<OnceIdle>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(capacity.max(1)));
        let losses = Arc::new(Losses::default());

        let deliverer = Deliverer {
            losses: Arc::clone(&losses),
            once_idle,
            queue: Arc::clone(&queue),
            sinks,
            reported: 0,
        };
        let worker = Worker::spawn("iam-audit".to_owned(), move || deliverer.run())?;
        Ok(Self {
            losses,
            queue,
            worker: Mutex::new(Some(worker)),
        })
    }

    /// Queues an event. Waits for other threads that queue events, never for a sink: an event that finds the queue full is dropped
    /// and counted.
    pub(crate) fn emit(&self, event: &AuditEvent<'_>) {
        if !self.queue.push(event) {
            self.losses.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all queued events are delivered; `false` when the bound is over before.
    pub(crate) async fn flush(&self) -> bool {
        let queued = self.queue.hurry();
        let delivered = async {
            while self.queue.delivered() < queued {
                time::sleep(A_MOMENT).await;
            }
        };

        time::timeout(FLUSH_BOUND, delivered).await.is_ok()
    }

    /// Returns how many events were dropped because the queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.losses.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Auditor {
    fn drop(&mut self) {
        // The thread delivers the queued events, and ends.
        self.queue.close();
        let worker = self.worker.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = worker.take() {
            worker.join();
        }
    }
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor")
            .field("losses", &self.losses)
            .finish_non_exhaustive()
    }
}

/// A check that runs once, when no event has come for a while.
pub(crate) type OnceIdle = Box<dyn FnOnce() + Send>;

struct Deliverer {
    losses: Arc<Losses>,
    once_idle: Option<OnceIdle>,
    queue: Arc<Queue>,
    sinks: Vec<Arc<dyn AuditSink>>,
    reported: u64,
}

impl Deliverer {
    fn run(mut self) {
        let mut batch = self.queue.another_batch();

        while self.wait() {
            // While events come, this thread looks into the queue every few milliseconds, sooner when the queue is half full or a
            // flush waits. Waking the thread for each event would cost every request a system call.
            loop {
                self.queue.take(&mut batch);
                if batch.is_empty() {
                    break;
                }
                self.deliver(&batch);
                self.queue.pause(LINGER);
            }
        }
        self.report_losses();
    }

    /// Waits for an event; `false` when the queue is closed and empty.
    fn wait(&mut self) -> bool {
        loop {
            match self.queue.wait(IDLE) {
                Found::End => return false,
                Found::Events => return true,
                Found::Nothing => {
                    if let Some(once_idle) = self.once_idle.take() {
                        survives(once_idle);
                    }
                }
            }
        }
    }

    /// Delivers events to all sinks, and flushes the sinks.
    fn deliver(&mut self, batch: &AuditBatch) {
        batch.for_each(|event| {
            // D82: before any sink, for every sink.
            redact::clean(event);
            for sink in &self.sinks {
                self.guarded(|| sink.emit(event));
            }
        });
        for sink in &self.sinks {
            self.guarded(|| sink.flush());
        }
        self.report_losses();
    }

    /// R137, R138: a sink that panics loses this event and nothing else.
    fn guarded(&self, call: impl FnOnce()) {
        if !survives(call) {
            self.losses.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report_losses(&mut self) {
        let dropped = self.losses.dropped.load(Ordering::Relaxed);
        let failed = self.losses.failed.load(Ordering::Relaxed);
        let lost = dropped.saturating_add(failed);
        if lost > self.reported {
            self.reported = lost;
            survives(|| {
                tracing::error!(
                    dropped,
                    failed,
                    "audit events were lost: the queue was full, or a sink panicked (counted since the start)"
                );
            });
        }
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        // Also when this thread panics: later events are dropped and counted.
        self.queue.close();
    }
}

/// Calls foreign code, such as a sink or the log's subscriber; `false` when it panicked.
fn survives(call: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_ok()
}

/// The interval at which a flush checks for delivery.
const A_MOMENT: Duration = Duration::from_millis(1);

/// The longest time that a flush waits.
const FLUSH_BOUND: Duration = Duration::from_secs(2);

/// The time without events after which `once_idle` runs.
const IDLE: Duration = Duration::from_secs(10);

/// The longest pause between two looks into the queue while events come.
const LINGER: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests;

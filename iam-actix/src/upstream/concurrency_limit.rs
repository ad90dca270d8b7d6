//! The limit of concurrent calls to one upstream.

use std::sync::Arc;

use iam_core::http::TransportError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The slots of one upstream of one tenant, and a bounded queue for them.
///
/// Calls run in the order of their arrival. A call beyond the queue is refused at once; a queued call keeps its own deadline.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimit {
    queue: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

/// The permission to wait for a slot of a [`ConcurrencyLimit`]. Returned when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Arc<Semaphore>,
    _queued: OwnedSemaphorePermit,
}

impl ConcurrencyLimit {
    /// Allows `max_in_flight` concurrent calls; as many again and a hundred more may wait.
    pub(crate) fn new(max_in_flight: usize) -> Self {
        let slots = max_in_flight.clamp(1, LARGEST);
        let queue = slots.saturating_mul(2).saturating_add(100);
        Self {
            queue: Arc::new(Semaphore::new(queue)),
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    /// Enters the queue.
    ///
    /// # Errors
    ///
    /// [`TransportError::Busy`] when the queue is full.
    pub(crate) fn enter(&self) -> Result<Permit, TransportError> {
        let queued = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|_| TransportError::Busy)?;
        Ok(Permit {
            slots: Arc::clone(&self.slots),
            _queued: queued,
        })
    }
}

impl Permit {
    /// Waits for a slot.
    pub(crate) async fn slot(&self) -> Result<SemaphorePermit<'_>, TransportError> {
        self.slots.acquire().await.map_err(|_| TransportError::Cancel)
    }
}

const LARGEST: usize = 1 << 20;

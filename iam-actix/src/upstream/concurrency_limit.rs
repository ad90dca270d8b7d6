//! How many calls may one upstream have at once?

use std::sync::Arc;

use iam_core::http::TransportError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The slots of one upstream of one tenant, and the places to wait for them.
///
/// First come, first served. Who finds no place to wait is refused at once; who waits keeps its own deadline.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimit {
    places: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

/// A place in a [`ConcurrencyLimit`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl ConcurrencyLimit {
    /// Makes a lane for `max_in_flight` calls at once; as many again and a hundred more may wait.
    pub(crate) fn new(max_in_flight: usize) -> Self {
        let slots = max_in_flight.clamp(1, LARGEST);
        let places = slots.saturating_mul(2).saturating_add(100);
        Self {
            places: Arc::new(Semaphore::new(places)),
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    /// Takes a place, or refuses because there is none.
    pub(crate) fn join(&self) -> Result<Permit, TransportError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| TransportError::Busy)?;
        Ok(Permit {
            slots: Arc::clone(&self.slots),
            _place: place,
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

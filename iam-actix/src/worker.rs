//! A thread with bounded shutdown.

use std::{
    io,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

/// A thread whose join is bounded in time.
#[derive(Debug)]
pub(crate) struct Worker {
    gone: mpsc::Receiver<()>,
    join: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread.
    ///
    /// # Errors
    ///
    /// When the thread cannot be spawned.
    pub(crate) fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (alive, gone) = mpsc::channel::<()>();
        let join = thread::Builder::new().name(name).spawn(move || {
            // Dropped when the thread ends, also by a panic.
            let _alive = alive;
            run();
        })?;
        Ok(Self { gone, join })
    }

    /// Waits until the thread, which was told to stop, has ended. Detaches a thread that is stuck in foreign code.
    pub(crate) fn join(self) {
        // The last owner may be dropped on this very thread, which ends afterwards.
        if self.join.thread().id() == thread::current().id() {
            return;
        }
        let name = self.join.thread().name().unwrap_or_default().to_owned();
        if self.gone.recv_timeout(STOP_BOUND) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!(thread = name, "a thread did not stop in time and is detached");
        } else if self.join.join().is_err() {
            tracing::error!(thread = name, "a thread panicked");
        }
    }
}

/// The longest wait for a thread to end.
const STOP_BOUND: Duration = Duration::from_secs(2);

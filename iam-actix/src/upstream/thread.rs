//! Where does the client live, and when does it stop?

use std::{
    fmt, io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
};

use futures_util::future::LocalBoxFuture;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::{self, LocalSet},
};

use super::{Client, ConcurrencyLimit, exchange::Clients};
use crate::worker::Worker;

/// Something to do on an upstream thread.
pub(super) type Task = Box<dyn FnOnce(Rc<Clients>) -> LocalBoxFuture<'static, ()> + Send>;

/// The way to hand a [`Task`] to a thread. Bounded by the lanes: each task of a [`Client`] holds a place in one.
pub(super) type Inbox = mpsc::UnboundedSender<Task>;

/// The threads that do the upstream I/O. Stops them, and waits until they are gone, when dropped.
pub(crate) struct Threads {
    inboxes: Arc<[Inbox]>,
    workers: Mutex<Vec<Running>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    worker: Worker,
}

impl Threads {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no event queue.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let mut inboxes = Vec::new();
        let mut workers = Vec::new();
        for number in 0..count.max(1) {
            let (inbox, running) = Running::start(number)?;
            inboxes.push(inbox);
            workers.push(running);
        }
        Ok(Self {
            inboxes: inboxes.into(),
            workers: Mutex::new(workers),
        })
    }

    /// Returns a client with slots of its own.
    pub(crate) fn client(&self, lane: ConcurrencyLimit) -> Client {
        Client::new(Arc::clone(&self.inboxes), lane)
    }

    /// Runs a future on the first thread until it ends or the threads stop.
    ///
    /// The future may not own this value, or it keeps its own thread alive.
    pub(crate) fn spawn<F>(&self, future: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        if let Some(inbox) = self.inboxes.first() {
            // A thread that is gone has stopped, and so has everything on it.
            let _ = inbox.send(Box::new(move |_| Box::pin(future())));
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let workers = self.workers.get_mut().unwrap_or_else(PoisonError::into_inner);
        let stopping: Vec<_> = workers.drain(..).map(Running::stop).collect();
        stopping.into_iter().for_each(Worker::join);
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("count", &self.inboxes.len())
            .finish_non_exhaustive()
    }
}

impl Running {
    fn start(number: usize) -> io::Result<(Inbox, Self)> {
        let (inbox, tasks) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = blocking::channel();

        // The runtime is made on its thread: it may not be dropped inside another one, where we could be started.
        let run = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = ready.send(Ok(()));
                run(runtime, tasks, stopped);
            }
            Err(err) => drop(ready.send(Err(err))),
        };
        let worker = Worker::spawn(format!("iam-upstream-{number}"), run)?;
        started
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the upstream thread ended at once")))?;
        Ok((inbox, Self { stop, worker }))
    }

    fn stop(self) -> Worker {
        // An error means that the thread has stopped already.
        let _ = self.stop.send(());
        self.worker
    }
}

fn run(runtime: Runtime, mut tasks: mpsc::UnboundedReceiver<Task>, mut stop: oneshot::Receiver<()>) {
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let clients = Rc::new(Clients::default());
        loop {
            let task = tokio::select! {
                biased;
                _ = &mut stop => break,
                task = tasks.recv() => task,
            };
            let Some(task) = task else { break };
            // A task of its own: a panic in the client's code ends this call and nothing else.
            task::spawn_local(task(Rc::clone(&clients)));
        }
    });

    // Outside the runtime: awc closes TLS connections in a spawned task when it finds a runtime, and there is none to run it.
    drop(local);
    // A name lookup may hang in the system for longer than anybody wants to wait.
    runtime.shutdown_background();
}

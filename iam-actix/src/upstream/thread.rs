//! The threads that run the client.

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

/// A task for an upstream thread.
pub(super) type Task = Box<dyn FnOnce(Rc<Clients>) -> LocalBoxFuture<'static, ()> + Send>;

/// Sends a [`Task`] to a thread. Bounded by the concurrency limits: each task of a [`Client`] holds a permit of one.
pub(super) type Inbox = mpsc::UnboundedSender<Task>;

/// Starts tasks on the upstream threads. Does not keep the threads alive.
#[derive(Clone, Debug)]
pub(crate) struct Spawner(Arc<[Inbox]>);

impl Spawner {
    /// Runs a future on the first thread until it ends or the threads stop.
    ///
    /// The future must not own the [`Threads`], which would keep its thread alive.
    pub(crate) fn spawn<F>(&self, future: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        if let Some(inbox) = self.0.first() {
            // An error means that the thread has stopped, and every task on it.
            let _ = inbox.send(Box::new(move |_| Box::pin(future())));
        }
    }
}

/// The threads of the upstream I/O. Dropping this value stops and joins them.
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
    /// When a thread or its event queue cannot be created.
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
    pub(crate) fn client(&self, limit: ConcurrencyLimit) -> Client {
        Client::new(Arc::clone(&self.inboxes), limit)
    }

    /// Returns a handle that starts tasks on these threads.
    pub(crate) fn spawner(&self) -> Spawner {
        Spawner(Arc::clone(&self.inboxes))
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

        // The runtime is created on its own thread: it must not be dropped inside another runtime.
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
            // A separate task: a panic in the client's code ends this call only.
            task::spawn_local(task(Rc::clone(&clients)));
        }
    });

    // Outside the runtime: awc closes connections in a spawned task when it finds a runtime, and none would run the task.
    drop(local);
    // A name lookup may hang in the operating system.
    runtime.shutdown_background();
}

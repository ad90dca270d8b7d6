use std::sync::{
    Mutex, PoisonError,
    mpsc::{Receiver, Sender, channel},
};

use crate::audit::{AuditEvent, AuditSink};

/// A sink that hands events to a test.
///
/// ```
/// use iam_core::{audit::{AuditEvent, AuditSink}, clock::Timestamp, testing::ChannelSink};
///
/// let (sink, events) = ChannelSink::new();
/// sink.emit(&AuditEvent::allow(Timestamp::from_secs(1)));
/// assert_eq!(events.recv()?.event.as_str(), "auth.success");
/// # Ok::<(), std::sync::mpsc::RecvError>(())
/// ```
#[derive(Debug)]
pub struct ChannelSink(Mutex<Sender<AuditEvent<'static>>>);

impl ChannelSink {
    /// Returns a sink and the end where its events come out.
    pub fn new() -> (Self, Receiver<AuditEvent<'static>>) {
        let (sender, receiver) = channel();
        (Self(Mutex::new(sender)), receiver)
    }
}

impl AuditSink for ChannelSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        // Nobody listens any more: the test is over.
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(event.clone().into_owned());
    }
}

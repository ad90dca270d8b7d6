use std::sync::{
    Mutex, PoisonError,
    mpsc::{Receiver, Sender, channel},
};

use crate::audit::{AuditEvent, AuditSink};

/// A sink that sends events to a test.
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
    /// Returns a sink and the receiver of its events.
    pub fn new() -> (Self, Receiver<AuditEvent<'static>>) {
        let (sender, receiver) = channel();
        (Self(Mutex::new(sender)), receiver)
    }
}

impl AuditSink for ChannelSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        // The test has ended and dropped the receiver.
        let _ = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(event.clone().into_owned());
    }
}

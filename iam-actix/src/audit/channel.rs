use iam_core::audit::{AuditEvent, AuditSink};
use tokio::sync::mpsc;

/// Creates a sink and the receiver of its events, for tests.
///
/// ```
/// use iam_actix::audit_channel;
///
/// let (sink, mut events) = audit_channel();
/// assert!(events.drain().is_empty());
/// # drop(sink);
/// ```
pub fn audit_channel() -> (ChannelAuditSink, AuditEvents) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (ChannelAuditSink(sender), AuditEvents(receiver))
}

/// A sink that sends each event into a channel; an event that finds the channel full is lost. Created by [`audit_channel`].
#[derive(Clone, Debug)]
pub struct ChannelAuditSink(mpsc::Sender<AuditEvent<'static>>);

impl AuditSink for ChannelAuditSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        // Events are lost when the test has ended or does not receive.
        let _ = self.0.try_send(event.clone().into_owned());
    }
}

/// The receiver of the events of a [`ChannelAuditSink`], in order.
#[derive(Debug)]
pub struct AuditEvents(mpsc::Receiver<AuditEvent<'static>>);

impl AuditEvents {
    /// Waits for the next event; `None` when the sink was dropped and all events were received.
    pub async fn next(&mut self) -> Option<AuditEvent<'static>> {
        self.0.recv().await
    }

    /// Returns the events that have arrived. Events arrive shortly after the response: [`next`](Self::next) waits for one.
    pub fn drain(&mut self) -> Vec<AuditEvent<'static>> {
        let mut events = Vec::new();
        while let Ok(event) = self.0.try_recv() {
            events.push(event);
        }
        events
    }
}

const CAPACITY: usize = 100_000;

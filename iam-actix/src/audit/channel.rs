use iam_core::audit::{AuditEvent, AuditSink};
use tokio::sync::mpsc;

/// Makes a sink and the end where its events come out, for tests.
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

/// Puts each event into a channel; when that is full, the event is lost. Made by [`audit_channel`].
#[derive(Clone, Debug)]
pub struct ChannelAuditSink(mpsc::Sender<AuditEvent<'static>>);

impl AuditSink for ChannelAuditSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        // A test that is over, or that never looks, loses events.
        let _ = self.0.try_send(event.clone().into_owned());
    }
}

/// The events that reached a [`ChannelAuditSink`], in their order.
#[derive(Debug)]
pub struct AuditEvents(mpsc::Receiver<AuditEvent<'static>>);

impl AuditEvents {
    /// Waits for the next event; `None` when the sink is gone and nothing is left.
    pub async fn next(&mut self) -> Option<AuditEvent<'static>> {
        self.0.recv().await
    }

    /// Takes out what has arrived. Events arrive shortly after the response: use [`next`](Self::next) to wait for one.
    pub fn drain(&mut self) -> Vec<AuditEvent<'static>> {
        let mut events = Vec::new();
        while let Ok(event) = self.0.try_recv() {
            events.push(event);
        }
        events
    }
}

const CAPACITY: usize = 100_000;

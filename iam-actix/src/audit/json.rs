#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use iam_core::audit::{AuditEvent, AuditSink};

/// Writes each event as one line of JSON, to standard output or to a file.
///
/// Lines are written out together when no further event is waiting. A file is appended to, so that it can be rotated by
/// copying and truncating, and is readable by its owner only when it is new.
///
/// ```
/// use iam_actix::JsonLinesAuditSink;
///
/// let sink = JsonLinesAuditSink::stdout();
/// # drop(sink);
/// ```
pub struct JsonLinesAuditSink(Mutex<Lines>);

struct Lines {
    buffer: Vec<u8>,
    failing: bool,
    target: Box<dyn Write + Send>,
}

impl JsonLinesAuditSink {
    /// Appends to a file, which is made if need be.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened for writing.
    pub fn file(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        options.mode(0o600);
        Ok(Self::to(options.open(path)?))
    }

    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self::to(io::stdout())
    }

    fn to(target: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Lines {
            buffer: Vec::new(),
            failing: false,
            target: Box::new(target),
        }))
    }

    fn with(&self, act: impl FnOnce(&mut Lines)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl AuditSink for JsonLinesAuditSink {
    fn emit(&self, event: &AuditEvent) {
        self.with(|lines| {
            event.write_json(&mut lines.buffer);
            lines.buffer.push(b'\n');
            if lines.buffer.len() >= WRITE_AT {
                lines.write_out();
            }
        });
    }

    fn flush(&self) {
        self.with(Lines::write_out);
    }
}

impl fmt::Debug for JsonLinesAuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLinesAuditSink").finish_non_exhaustive()
    }
}

impl Lines {
    fn write_out(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self
            .target
            .write_all(&self.buffer)
            .and_then(|()| self.target.flush());
        // What cannot be written is lost: keeping it would grow without bound.
        self.buffer.clear();

        let failing = written.is_err();
        if let (Err(err), false) = (written, self.failing) {
            tracing::error!(
                kind = ?err.kind(),
                "the audit file cannot be written: events are lost until it can"
            );
        }
        self.failing = failing;
    }
}

/// How many bytes are held back at most.
const WRITE_AT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::{env, fs, process};

    use iam_core::{clock::Timestamp, decision::Reason};

    use super::*;

    #[test]
    fn a_file_holds_one_line_for_each_event_and_is_appended_to() {
        let path = env::temp_dir().join(format!("iam-audit-{}.jsonl", process::id()));
        let event = AuditEvent::deny(Reason::Replay, Timestamp::from_secs(1));

        for _ in 0..2 {
            let sink = JsonLinesAuditSink::file(&path).unwrap();
            sink.emit(&event);
            sink.flush();
        }

        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["event"], "auth.failure.replay");
        }
    }

    #[test]
    fn a_target_that_cannot_be_written_makes_nothing_grow() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = JsonLinesAuditSink::to(Broken);

        for _ in 0..10_000 {
            sink.emit(&AuditEvent::allow(Timestamp::from_secs(1)));
        }

        sink.with(|lines| assert!(lines.buffer.len() < WRITE_AT));
    }
}

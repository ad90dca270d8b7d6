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

/// A sink that writes each event as one line of JSON, to standard output or to a file.
///
/// The lines of a batch of events are written together. A file is appended to, so that it can be rotated by copying and
/// truncating; a new file is readable by its owner only.
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
    destination: Destination,
}

impl JsonLinesAuditSink {
    /// Appends to a file, which is created if it does not exist.
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

    fn to(destination: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Lines {
            buffer: Vec::new(),
            failing: false,
            destination: Destination {
                inner: Box::new(destination),
                torn: false,
            },
        }))
    }

    fn with(&self, act: impl FnOnce(&mut Lines)) {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl AuditSink for JsonLinesAuditSink {
    fn emit(&self, event: &AuditEvent<'_>) {
        self.with(|lines| {
            lines.append(event);
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
    /// R134: `serde_json` escapes line breaks, so that an event is one line.
    fn append(&mut self, event: &AuditEvent<'_>) {
        let length = self.buffer.len();
        match serde_json::to_writer(&mut self.buffer, event) {
            Ok(()) => self.buffer.push(b'\n'),
            // INVARIANT: an event holds texts and numbers, and a vector takes all bytes. No torn line is left in any case.
            Err(_) => self.buffer.truncate(length),
        }
    }

    fn write_out(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        // The rest of a torn line must not join the next event.
        let end_of_torn: &[u8] = if self.destination.torn { b"\n" } else { b"" };
        let written = self
            .destination
            .write_all(end_of_torn)
            .and_then(|()| self.destination.write_all(&self.buffer))
            .and_then(|()| self.destination.flush());
        // Lines that cannot be written are lost: keeping them would grow without bound.
        self.buffer.clear();

        let failing = written.is_err();
        if let (Err(err), false) = (written, self.failing) {
            tracing::error!(
                kind = ?err.kind(),
                "writing audit events failed: events are lost until it succeeds again; check the audit file and its disk"
            );
        }
        self.failing = failing;
    }
}

/// The destination of the lines.
struct Destination {
    inner: Box<dyn Write + Send>,
    /// Set while the last written line is incomplete.
    torn: bool,
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        if let Some(last) = bytes.get(..length).and_then(<[u8]>::last) {
            self.torn = *last != b'\n';
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The buffered bytes at which lines are written. The events of 5 milliseconds mostly take less, and are written in one call.
const WRITE_AT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use std::{env, fs, process, sync::Arc};

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

    /// R134: a text ends neither the line nor its member.
    #[test]
    fn texts_that_look_like_json_stay_in_their_member() {
        let path = env::temp_dir().join(format!("iam-audit-texts-{}.jsonl", process::id()));
        let texts = [
            "",
            "a\"b",
            "a\\",
            "a\nb\r\u{0}\u{1f}",
            "\u{7f}\u{85}ü…\u{2028}",
            "\"},{\"",
        ];
        let sink = JsonLinesAuditSink::file(&path).unwrap();

        for text in texts {
            let mut event = AuditEvent::deny(Reason::Replay, Timestamp::from_secs(1));
            event.actor = Some(text.into());
            event.requirements = vec![text.into()];
            sink.emit(&event);
        }
        sink.flush();

        let written = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let lines = written.split_terminator('\n');
        let read: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), texts.len());
        for (event, text) in read.iter().zip(texts) {
            assert_eq!(
                (&event["actor"], &event["requirements"][0]),
                (&text.into(), &text.into())
            );
        }
    }

    /// A disk that is full for a while.
    #[test]
    fn a_torn_line_does_not_take_the_next_event_with_it() {
        #[derive(Clone, Default)]
        struct Small(Arc<Mutex<(Vec<u8>, usize)>>);
        impl Write for Small {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let (disk, room) = &mut *self.0.lock().unwrap();
                let length = bytes.len().min(room.saturating_sub(disk.len()));
                disk.extend(&bytes[..length]);
                if length == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                Ok(length)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let event = AuditEvent::deny(Reason::Replay, Timestamp::from_secs(1));
        let line = serde_json::to_vec(&event).unwrap();
        let whole = line.len() + 1;

        for room in 0..=2 * whole {
            let disk = Small::default();
            disk.0.lock().unwrap().1 = room;
            let sink = JsonLinesAuditSink::to(disk.clone());
            for _ in 0..2 {
                sink.emit(&event);
                sink.flush();
            }
            disk.0.lock().unwrap().1 = usize::MAX;
            for _ in 0..2 {
                sink.emit(&event);
                sink.flush();
            }

            let written = disk.0.lock().unwrap().0.clone();
            let lines = written.split(|byte| *byte == b'\n');
            let good = lines.filter(|other| *other == line).count();
            assert_eq!(good, (room + 1) / whole + 2, "{room}: {}", written.escape_ascii());
        }
    }

    #[test]
    fn a_destination_that_cannot_be_written_makes_nothing_grow() {
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

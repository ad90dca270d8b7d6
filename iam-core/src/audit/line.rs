//! How is an event written, many thousand times a second?

use super::AuditEvent;
use crate::ascii;

impl AuditEvent<'_> {
    /// Appends the event as one JSON object: the same bytes as `serde_json` writes, sooner, for most texts need no escapes.
    ///
    /// ```
    /// use iam_core::{audit::AuditEvent, clock::Timestamp};
    ///
    /// let mut line = Vec::new();
    /// AuditEvent::allow(Timestamp::from_secs(1)).write_json(&mut line);
    /// assert_eq!(line, br#"{"event":"auth.success","time":1000,"outcome":"allow"}"#);
    /// ```
    pub fn write_json(&self, line: &mut Vec<u8>) {
        let Self {
            event,
            time,
            outcome,
            reason,
            detail,
            tenant,
            actor,
            method,
            route,
            request_id,
            requirements,
            tuple,
        } = self;

        word(line, br#"{"event":""#, event.as_str());
        line.extend_from_slice(br#","time":"#);
        line.extend_from_slice(itoa::Buffer::new().format(time.as_millis()).as_bytes());
        word(line, br#","outcome":""#, outcome.as_str());
        if let Some(reason) = reason {
            word(line, br#","reason":""#, reason.code());
        }
        text(line, br#","detail":""#, *detail);
        text(line, br#","tenant":""#, tenant.as_deref());
        text(line, br#","actor":""#, actor.as_deref());
        text(line, br#","method":""#, method.as_deref());
        text(line, br#","route":""#, route.as_deref());
        text(line, br#","request_id":""#, request_id.as_deref());
        if let Some((first, others)) = requirements.split_first() {
            text(line, br#","requirements":[""#, Some(first));
            for other in others {
                text(line, br#",""#, Some(other));
            }
            line.push(b']');
        }
        text(line, br#","tuple":""#, tuple.as_deref());
        line.push(b'}');
    }
}

/// Appends a text, if there is one, and before it what ends in its quotation mark.
fn text<const N: usize>(line: &mut Vec<u8>, before: &[u8; N], text: Option<&str>) {
    let Some(text) = text else { return };
    if ascii::all(text, |byte| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..)) {
        word(line, before, text);
        return;
    }

    line.extend_from_slice(before);
    line.pop();
    // A vector takes everything. The quotation marks come with the escapes.
    let _ = serde_json::to_writer(line, text);
}

/// Appends a text that needs no escapes, as none of our own words does. `N` is known when this is compiled, so that the copy can
/// be inlined.
fn word<const N: usize>(line: &mut Vec<u8>, before: &[u8; N], word: &str) {
    line.extend_from_slice(before);
    line.extend_from_slice(word.as_bytes());
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::{
        audit::{AuditEvent, EventName},
        clock::Timestamp,
        decision::Reason,
    };

    /// R134: a text cannot end the line or its place in it.
    #[test]
    fn line_is_written_as_serde_json_writes_it() {
        let texts = [
            "",
            "orders:{id}",
            "a\"b",
            "a\\",
            "a\nb\u{0}\u{1f}",
            "\u{7f}\u{80}ü…\u{2028}",
            "\"},{\"",
        ];
        let mut events = vec![
            AuditEvent::allow(Timestamp::default()),
            AuditEvent::notice(EventName::JwksKeyRejected, Timestamp::from_millis(u64::MAX)),
        ];
        events.extend(EventName::ALL.map(|name| AuditEvent::notice(name, Timestamp::default())));
        events.extend(Reason::ALL.map(|reason| AuditEvent::deny(reason, Timestamp::default())));
        let letters: Vec<_> = ('\0'..='\u{ff}').map(String::from).collect();
        for one in letters.iter().map(String::as_str).chain(texts) {
            let mut event = AuditEvent::deny(Reason::Replay, Timestamp::from_millis(1));
            event.detail = Some("detail");
            event.method = Some(one.into());
            event.tuple = Some(one.into());
            event.requirements = vec![one.into()];
            events.push(event.clone());
            event.tenant = Some(one.into());
            event.actor = Some(one.into());
            event.route = Some(one.into());
            event.request_id = Some(one.into());
            event.requirements = texts.map(Into::into).to_vec();
            events.push(event);
        }

        for event in events {
            let mut line = b"before".to_vec();
            event.write_json(&mut line);
            assert_eq!(
                str::from_utf8(&line).unwrap(),
                format!("before{}", serde_json::to_string(&event).unwrap())
            );
        }
    }
}

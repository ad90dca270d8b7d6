//! What may not stand in an event, even if somebody put it there?
//!
//! An event has no field for a credential. This is the second line: a caller may send its token as a request id, or a name
//! with a line break in it. Tokens are recognised by their shape (D81); characters that could forge or hide a line of the
//! log are written as escapes (R134); long texts are cut.

use std::borrow::Cow;

use iam_core::audit::AuditEvent;
use iam_grammar::name::is_unseen;

/// Cleans every text of an event that somebody outside may have influenced.
pub(super) fn clean(event: &mut AuditEvent<'_>) {
    let texts = [
        &mut event.tenant,
        &mut event.actor,
        &mut event.method,
        &mut event.route,
        &mut event.request_id,
        &mut event.tuple,
    ];
    texts
        .into_iter()
        .flatten()
        .chain(&mut event.requirements)
        .for_each(clean_text);
}

/// Replaces a text that may not stand as it is. A harmless one stays borrowed.
fn clean_text(text: &mut Cow<'_, str>) {
    let seen = text.bytes().fold(Seen::default(), Seen::with);
    if !seen.other && text.len() <= LONGEST && !(seen.in_each && may_hold_token(text)) {
        return;
    }

    let redacted = text
        .split_inclusive(|letter| !is_token_letter(letter))
        .map(redact_word)
        .collect::<String>();
    let mut cleaned = String::with_capacity(redacted.len());
    for letter in redacted.chars() {
        if is_unseen(letter) {
            cleaned.extend(letter.escape_unicode());
        } else {
            cleaned.push(letter);
        }
        if cleaned.len() > LONGEST {
            cleaned.push('…');
            break;
        }
    }
    *text = Cow::Owned(cleaned);
}

/// What stands in a text. Every byte is looked at, none ends the search, so that many are looked at together.
#[derive(Default)]
struct Seen {
    in_each: bool,
    /// Something else than printable ASCII.
    other: bool,
}

impl Seen {
    fn with(mut self, byte: u8) -> Self {
        self.in_each |= byte == IN_EACH;
        self.other |= !matches!(byte, b' '..=b'~');
        self
    }
}

fn may_hold_token(text: &str) -> bool {
    text.contains(JWT_START) || text.contains(ORY_START)
}

fn redact_word(word: &str) -> Cow<'_, str> {
    if !may_hold_token(word) {
        return Cow::Borrowed(word);
    }
    // The letter that ends the word is not part of it.
    let end: String = word
        .chars()
        .last()
        .filter(|last| !is_token_letter(*last))
        .into_iter()
        .collect();
    Cow::Owned(format!("{REDACTED}{end}"))
}

fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '~' | '+' | '/' | '=')
}

/// The longest text in bytes.
const LONGEST: usize = 512;

/// `{"` in base64url: every JWS, signed or not, starts with it, unless its issuer puts white space there.
const JWT_START: &str = "eyJ";

/// Session tokens, access, refresh and authorization codes, API keys: `ory_st_`, `ory_at_`, `ory_pat_` and so on.
const ORY_START: &str = "ory_";

/// A letter that each of them has, and few other texts.
const IN_EACH: u8 = b'y';

const REDACTED: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use iam_core::{audit::EventName, clock::Timestamp};

    use super::*;

    fn cleaned(text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        clean_text(&mut text);
        text.into_owned()
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in [
            "",
            "user:0f8c…ü",
            "/orders/{id}",
            "ory-dev",
            "view on orders:{id}",
        ] {
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn letter_that_is_looked_for_first_is_in_each_start() {
        for start in [JWT_START, ORY_START] {
            assert!(start.bytes().any(|byte| byte == IN_EACH), "{start}");
        }
    }

    /// R134: nobody passes for nobody.
    #[test]
    fn subject_that_is_not_seen_is_escaped() {
        for unseen in [
            "\u{3164}",
            "\u{115f}",
            "\u{34f}",
            "\u{fe0f}",
            "\u{200b}",
            "\u{e0100}",
        ] {
            assert_eq!(
                cleaned(&format!("user:{unseen}")),
                format!("user:{}", unseen.escape_unicode())
            );
        }
    }

    /// R131, D81: tokens of every kind, also unsigned ones, wherever they stand.
    #[test]
    fn whatever_looks_like_a_token_is_redacted() {
        assert_eq!(cleaned("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"), "[redacted]");
        assert_eq!(cleaned("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."), "[redacted]");
        assert_eq!(
            cleaned("Bearer ory_st_abc; id=ory_at_x.y"),
            "Bearer [redacted]; [redacted]"
        );
        for kind in ["st", "at", "rt", "ac", "pat", "wak", "apikey"] {
            assert_eq!(cleaned(&format!("x ory_{kind}_SECRET y")), "x [redacted] y");
        }
    }

    /// R134: one event is one line, and reads as what it is.
    #[test]
    fn characters_that_forge_or_hide_lines_are_escaped() {
        assert_eq!(cleaned("x\r\n{\"event\""), r#"x\u{d}\u{a}{"event""#);
        assert_eq!(
            cleaned("a\u{1b}[2J\u{202e}b\u{85}\u{0}"),
            r"a\u{1b}[2J\u{202e}b\u{85}\u{0}"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cleaned(&"x".repeat(512)).len(), 512);
        assert!(cleaned(&"x".repeat(100_000)).len() < 600);
        assert!(cleaned(&"\u{7}ü".repeat(100_000)).len() < 600);
    }

    #[test]
    fn every_text_of_an_event_is_cleaned() {
        let mut event = AuditEvent::notice(EventName::AuthSuccess, Timestamp::from_secs(1));
        let token = Some(Cow::Borrowed("eyJ.secret.x"));
        event.tenant.clone_from(&token);
        event.actor.clone_from(&token);
        event.method.clone_from(&token);
        event.route.clone_from(&token);
        event.request_id.clone_from(&token);
        event.tuple.clone_from(&token);
        event.requirements = vec!["eyJ.secret.x".into()];

        clean(&mut event);

        assert!(!format!("{event:?}").contains("secret"));
    }
}

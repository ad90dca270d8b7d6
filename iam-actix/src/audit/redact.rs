//! Which texts of an event must not reach a sink?
//!
//! An event has no field for a credential. Redaction is the second line of defence: a caller may send its token as the request
//! id, or a name with a line break. Tokens are recognised by their shape (D81); characters that could forge or hide a line of
//! the log are written as escapes (R134); long texts are cut.

use std::borrow::Cow;

use iam_core::audit::AuditEvent;
use iam_grammar::name::is_unseen;

/// Cleans every text of an event that a caller may have influenced.
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

/// Redacts, escapes and cuts a text. A harmless text stays borrowed.
fn clean_text(text: &mut Cow<'_, str>) {
    let seen = text.bytes().fold(Seen::default(), Seen::with);
    if !seen.other && text.len() <= LONGEST && !(seen.in_each && holds_token(text)) {
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

/// What the bytes of a text hold. No byte ends the search, so that the compiler can vectorise it.
#[derive(Default)]
struct Seen {
    in_each: bool,
    /// A byte that is not printable ASCII.
    other: bool,
}

impl Seen {
    fn with(mut self, byte: u8) -> Self {
        self.in_each |= byte == IN_EACH;
        self.other |= !matches!(byte, b' '..=b'~');
        self
    }
}

fn redact_word(word: &str) -> Cow<'_, str> {
    if !holds_token(word) {
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

fn holds_token(text: &str) -> bool {
    let any = |start: &str, is_token: fn(bool, &str) -> bool| {
        text.match_indices(start).any(|(at, _)| {
            let (before, from_start) = text.split_at(at);
            let rest = from_start.strip_prefix(start).unwrap_or_default();
            is_token(ends_at_boundary(before), rest)
        })
    };
    any(ORY_START, is_ory_token) || any(JWT_START, is_jwt)
}

/// Tells whether a token may begin after this text: the text ends in no letter or digit, or in a percent-encoded byte.
fn ends_at_boundary(before: &str) -> bool {
    let is_encoded =
        |end: &[u8]| matches!(end, [b'%', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit));

    !before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
        || before
            .as_bytes()
            .last_chunk::<3>()
            .is_some_and(|end| is_encoded(end))
}

/// Recognises a token by what follows `ory_`. Inside a word, such as `inventory_at_home`, only a random body makes a token.
fn is_ory_token(at_boundary: bool, rest: &str) -> bool {
    let known = ORY_KINDS.iter().find_map(|kind| rest.strip_prefix(kind));

    match (at_boundary, known) {
        (true, Some(body)) => body.starts_with(is_token_letter),
        (true, None) => is_random(rest),
        (false, Some(body)) => is_random(body),
        (false, None) => false,
    }
}

/// Recognises a compact JWS or JWE by what follows `eyJ`, also one that was cut.
fn is_jwt(at_boundary: bool, rest: &str) -> bool {
    let payload = rest.trim_start_matches(is_base64url);
    let header_length = rest.len().saturating_sub(payload.len());
    let Some(payload) = payload.strip_prefix('.') else {
        return at_boundary && header_length >= SHORTEST_HEADER;
    };

    let is_long = header_length >= SHORTEST_HEADER;
    let is_complete = payload.trim_start_matches(is_base64url).starts_with('.');
    payload.starts_with(JWT_START)
        || is_long && (at_boundary || is_random(payload))
        || at_boundary && is_complete
}

/// Tells whether a text begins as generated secrets do: small letters, capital letters and digits follow each other without the
/// order that words have.
fn is_random(text: &str) -> bool {
    let length = text
        .len()
        .saturating_sub(text.trim_start_matches(is_base64url).len());
    let body = text.as_bytes().get(..length).unwrap_or_default();
    let kind = |byte: u8| (byte.is_ascii_lowercase(), byte.is_ascii_uppercase());
    let changes = body.windows(2).filter(|pair| match **pair {
        [one, next] => one.is_ascii_alphanumeric() && next.is_ascii_alphanumeric() && kind(one) != kind(next),
        _ => false,
    });

    length >= SHORTEST_SECRET && changes.count() >= length.div_ceil(LETTERS_FOR_EACH_CHANGE)
}

fn is_base64url(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')
}

/// The letters of base64, of base64url, of unreserved characters (RFC 3986 §2.3), and of percent-encoding.
fn is_token_letter(letter: char) -> bool {
    is_base64url(letter) || matches!(letter, '.' | '~' | '+' | '/' | '=' | '%')
}

/// The longest text in bytes.
const LONGEST: usize = 512;

/// `{"` in base64url: every JWS, signed or not, starts with it, unless its issuer puts white space there.
const JWT_START: &str = "eyJ";

/// Every prefixed token of Ory starts with it.
const ORY_START: &str = "ory_";

/// Tokens of sessions and logouts; access and refresh tokens; authorization and device codes; API keys of persons, workspaces and
/// projects.
const ORY_KINDS: [&str; 9] = ["st_", "lo_", "at_", "rt_", "ac_", "dc_", "pat_", "wak_", "apikey"];

/// How many letters follow `eyJ` in the shortest header that names an algorithm, `{"alg":"none"}`.
const SHORTEST_HEADER: usize = 16;

/// Kratos's session tokens are the shortest: 32 letters and digits.
const SHORTEST_SECRET: usize = 32;

/// Two of three neighbours in a random text are of different kinds, one of eight in `camelCase`.
const LETTERS_FOR_EACH_CHANGE: usize = 3;

/// A letter of both starts, rare elsewhere.
const IN_EACH: u8 = b'y';

const REDACTED: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use iam_core::{audit::EventName, clock::Timestamp};
    use proptest::{prelude::*, sample::select};

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
    fn words_that_end_in_ory_are_not_taken_for_tokens() {
        for text in [
            "role:inventory_admin",
            "factory_eu",
            "/inventory_items",
            "/inventory_items/{id}",
            "inventory_st_petersburg",
            "history_at_noon",
            "factory_apikey_rotation",
            "view on directory_rt_entries:0f8c2f9f1c6a4e7b9a550b7c9a2f9f10",
            "ory_kratos_session",
            "ory_hydra_session_dev",
            "ory_action_api_key",
        ] {
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn words_that_hold_ey_j_are_not_taken_for_tokens() {
        for text in [
            "moneyJar",
            "role:surveyJob.admin.eu",
            "/keyJournals/{id}",
            "eyJafjoll",
        ] {
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn token_behind_a_percent_encoded_byte_is_redacted() {
        for text in ["a%20ory_st_secret", "t%3Dory_at_secret", "t%3DeyJhbG.secret.c2ln"] {
            assert!(!cleaned(text).contains("secret"), "{text}: {}", cleaned(text));
        }
    }

    #[test]
    fn token_that_was_cut_is_redacted() {
        for text in [
            "eyJhbGciOiJub25lIn0",
            "eyJhbGciOiJub25lIn0.eyJzdWIi",
            "eyJhbGciOiJub25lIn0.eyJzdWIi.c",
        ] {
            assert_eq!(cleaned(text), "[redacted]");
        }
    }

    #[test]
    fn token_of_a_kind_that_is_not_known_is_redacted() {
        assert_eq!(cleaned("ory_new_6gjBd9SQBmSQAwbI3wRNbbkEr9Sw90uj"), "[redacted]");
    }

    /// Tokens as the servers mint them.
    #[test]
    fn token_inside_a_word_is_redacted() {
        for token in [
            "ory_st_6gjBd9SQBmSQAwbI3wRNbbkEr9Sw90uj",
            "ory_st_LOIBk2u88pnyeDCSIkHwSvWgM5iqQORd",
            "ory_lo_dclbI9IZLBiSrUAC7EWF8DPV9uMGgKuP",
            "ory_at_1CNq-ZNorQ2KKtrIf5EEBr5VR67-IYv0XQYzkQxoeFY._FNBwQe7E_tJFlZJ",
            "ory_rt_FRFx4aEe8F---G1mQ70RhekVah4UvdihVu1atPRFGGI.eADOq0knaAuov6D5",
            "ory_ac_J3xAAUdlpvd9nurIhFEP2x7nMubRB6InYZXG0FC3CdY.yMWHmB4NPgNfdZx7",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
        ] {
            assert_eq!(cleaned(&format!("x{token}")), "[redacted]");
        }
    }

    /// Tokens of every kind, and the part that must be redacted.
    fn token() -> impl Strategy<Value = (String, String)> {
        let ory = (
            select(ORY_KINDS.to_vec()),
            "[A-Za-z0-9]{8,32}",
            "|[.][A-Za-z0-9_-]{43}",
        )
            .prop_map(|(kind, secret, end)| (format!("ory_{kind}{secret}{end}"), secret));
        let jws = (
            "[A-Za-z0-9_-]{16,40}",
            "[A-Za-z0-9_-]{16,200}",
            "[A-Za-z0-9_-]{0,100}",
        )
            .prop_map(|(header, secret, end)| (format!("eyJ{header}.eyJ{secret}.{end}"), secret));
        prop_oneof![ory, jws]
    }

    proptest! {
        /// R131, D81
        #[test]
        fn token_in_any_text_is_gone(before in "(.*[^A-Za-z0-9])?", (token, secret) in token(), after in ".*") {
            let text = cleaned(&format!("{before}{token}{after}"));

            prop_assert!(!text.contains(&secret), "{text}");
        }

        #[test]
        fn ordinary_words_are_kept(
            words in prop::collection::vec(
                select(vec![
                    "inventory", "factory", "story", "at", "st", "rt", "ac", "pat", "apikey", "admin", "eu", "user", "view",
                    "moneyJar", "surveyJob", "keyJournal", "Orders", "{id}", "42",
                ]),
                1..20,
            ),
            between in select(vec!["_", "-", "/", ".", ":", " ", "#", ""]),
        ) {
            let text = words.join(between);

            prop_assert_eq!(cleaned(&text), text);
        }
    }

    #[test]
    fn letter_that_is_looked_for_first_is_in_each_start() {
        for start in [JWT_START, ORY_START] {
            assert!(start.bytes().any(|byte| byte == IN_EACH), "{start}");
        }
    }

    /// R134: an invisible subject does not pass for an absent one.
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

    /// R131, D81: tokens of every kind, also unsigned ones, at any position.
    #[test]
    fn tokens_of_every_kind_are_redacted() {
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

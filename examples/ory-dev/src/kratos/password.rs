//! Password policy and password hashes.

use actix_web::web;
use serde_json::{Value, json};

use super::{answer::Refusal, schema::message};

/// Hashes with bcrypt on the blocking pool.
pub(crate) async fn hash(password: String, cost: u32) -> Result<String, Refusal> {
    match web::block(move || hash_now(&password, cost)).await {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) | Err(_) => Err(Refusal::internal("the password could not be hashed")),
    }
}

/// Hashes with bcrypt on the current thread.
pub(crate) fn hash_now(password: &str, cost: u32) -> Option<String> {
    let parts = bcrypt::non_truncating_hash_with_result(password, cost).ok()?;
    // Go writes the version `2a`; the hashes are the same.
    Some(parts.format_for_version(bcrypt::Version::TwoA))
}

/// Returns whether the password matches the hash; runs on the blocking pool.
pub(crate) async fn verify(password: String, hash: String) -> bool {
    let verified = web::block(move || bcrypt::verify(password, &hash).unwrap_or(false)).await;
    verified.unwrap_or(false)
}

/// Returns whether [`verify`] supports the format of `hash`.
pub(crate) fn is_hash(hash: &str) -> bool {
    hash.len() == 60
        && hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| parts.get_cost() <= MAX_COST)
}

/// Returns the form message for an unacceptable password.
pub(crate) fn complaint(password: &str, identifiers: &[String]) -> Option<Value> {
    let characters = password.chars().count();
    if characters < MIN_LENGTH {
        let text =
            format!("The password must be at least {MIN_LENGTH} characters long, but got {characters}.");
        let context = json!({"min_length": MIN_LENGTH, "actual_length": characters});
        return Some(message(4_000_032, &text, Some(context)));
    }
    // bcrypt uses 72 bytes, the last of which terminates the text: a longer password would be truncated silently.
    if password.len() > MAX_BYTES {
        let length = password.len();
        let text = format!("The password must be at most {MAX_BYTES} characters long, but got {length}.");
        let context = json!({"max_length": MAX_BYTES, "actual_length": length});
        return Some(message(4_000_033, &text, Some(context)));
    }
    if identifiers
        .iter()
        .any(|identifier| is_similar(password, identifier))
    {
        let text = "The password can not be used because it is too similar to the identifier.";
        return Some(message(4_000_031, text, None));
    }
    None
}

/// Kratos's rule: a password is similar if more than half of it occurs in the identifier in one piece, or if the edit
/// distance is less than five.
fn is_similar(password: &str, identifier: &str) -> bool {
    let password = password.to_lowercase();
    let identifier: String = identifier.to_lowercase().chars().take(MAX_IDENTIFIER).collect();
    let longest = longest_common(password.as_bytes(), identifier.as_bytes());
    longest.saturating_mul(2) > password.len() || strsim::levenshtein(&password, &identifier) < MIN_DISTANCE
}

fn longest_common(one: &[u8], two: &[u8]) -> usize {
    let (mut longest, mut before) = (0, vec![0_usize; two.len()]);
    for byte in one {
        let mut diagonal = 0;
        for (cell, other) in before.iter_mut().zip(two) {
            let above = *cell;
            *cell = if byte == other {
                usize::saturating_add(diagonal, 1)
            } else {
                0
            };
            longest = longest.max(*cell);
            diagonal = above;
        }
    }
    longest
}

/// The smallest accepted edit distance between password and identifier.
const MIN_DISTANCE: usize = 5;
const MIN_LENGTH: usize = 8;
const MAX_BYTES: usize = 71;
/// Longer identifiers always differ enough from a password.
const MAX_IDENTIFIER: usize = 512;
const MAX_COST: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(password: &str) -> Option<u64> {
        complaint(password, &["alice@example.com".into()]).and_then(|message| message["id"].as_u64())
    }

    #[test]
    fn weak_passwords_are_refused() {
        assert_eq!(id_of("1234567"), Some(4_000_032));
        assert_eq!(id_of("12345678"), None);
        assert_eq!(id_of(&"x".repeat(72)), Some(4_000_033));
        assert_eq!(id_of(&"x".repeat(71)), None);
        assert_eq!(id_of("Alice@Example.com"), Some(4_000_031));
        assert_eq!(id_of("xxxxalice@"), Some(4_000_031));
        assert_eq!(id_of("Corr3ct-Horse-Battery"), None);
        // Edit distances three, four and five.
        assert_eq!(id_of("alixe@exxmpxe.com"), Some(4_000_031));
        assert_eq!(id_of("alixe@exxmpxe.xom"), Some(4_000_031));
        assert_eq!(id_of("alixe@exxmpxe.xxm"), None);
        // The distance counts characters, not bytes.
        assert_eq!(id_of("ali\u{e4}e@ex\u{e4}mp\u{e4}e.\u{e4}om"), Some(4_000_031));
        assert_eq!(id_of("ali\u{e4}e@ex\u{e4}mp\u{e4}e.\u{e4}\u{e4}m"), None);
    }

    #[actix_web::test]
    async fn only_the_same_password_fits_its_hash() {
        let hash = hash("Corr3ct-Horse-Battery".into(), 4).await.unwrap();

        assert!(hash.starts_with("$2a$04$") && is_hash(&hash));
        assert!(verify("Corr3ct-Horse-Battery".into(), hash.clone()).await);
        assert!(!verify("corr3ct-Horse-Battery".into(), hash.clone()).await);
        assert!(!verify("x".repeat(100_000), hash).await);
        assert!(!verify("x".into(), "not a hash".into()).await);
        assert!(!is_hash(
            "$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        ));
    }
}

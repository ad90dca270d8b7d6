//! Random tokens, and the seal of the session cookie.

use aws_lc_rs::{hmac, rand};
use base64::{DecodeError, Engine as _, engine::general_purpose::URL_SAFE};

use super::answer::Refusal;

/// The random value in a session cookie. It differs from the session's token.
pub(crate) type Handle = [u8; 32];

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Refusal::internal("no random numbers"))?;
    Ok(bytes)
}

/// Returns `prefix` and 32 random letters and digits.
pub(crate) fn token(prefix: &str) -> Result<String, Refusal> {
    let mut text = String::from(prefix);
    let wanted = prefix.len().saturating_add(32);
    while text.len() < wanted {
        // 248 is the largest multiple of 62 that fits in a byte. Larger bytes are skipped, because they would favour the
        // first letters.
        let letters = random::<64>()?.into_iter().filter(|byte| *byte < 248);
        for byte in letters.take(wanted.saturating_sub(text.len())) {
            text.extend(
                ALPHABET
                    .get(usize::from(byte % 62))
                    .map(|letter| char::from(*letter)),
            );
        }
    }
    Ok(text)
}

/// The keys of `secrets.cookie`. The first key seals; all keys open.
#[derive(Debug)]
pub(crate) struct CookieKeys(Vec<hmac::Key>);

/// Why a cookie could not be opened. The texts are Kratos's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CookieError {
    #[error("securecookie: base64 decode failed - caused by: illegal base64 data at input byte {0}")]
    Encoding(usize),
    #[error("securecookie: the value is not valid")]
    Value,
}

impl CookieKeys {
    pub(crate) fn new(secrets: &[String]) -> Self {
        Self(
            secrets
                .iter()
                .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
                .collect(),
        )
    }

    pub(crate) fn seal(&self, handle: &Handle) -> String {
        let mut bytes = handle.to_vec();
        if let Some(key) = self.0.first() {
            bytes.extend_from_slice(hmac::sign(key, handle).as_ref());
        }
        URL_SAFE.encode(bytes)
    }

    pub(crate) fn open(&self, text: &str) -> Result<Handle, CookieError> {
        let bytes = URL_SAFE.decode(text).map_err(|err| match err {
            DecodeError::InvalidByte(offset, _) | DecodeError::InvalidLastSymbol { offset, .. } => {
                CookieError::Encoding(offset)
            }
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => CookieError::Encoding(0),
        })?;
        let (handle, tag) = bytes.split_first_chunk::<32>().ok_or(CookieError::Value)?;

        // `verify` compares tags in constant time.
        if self.0.iter().any(|key| hmac::verify(key, handle, tag).is_ok()) {
            Ok(*handle)
        } else {
            Err(CookieError::Value)
        }
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> CookieKeys {
        CookieKeys::new(
            &secrets
                .iter()
                .map(|&secret| secret.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn changed_or_foreign_cookie_is_not_opened() {
        let own = keys(&["development-only"]);
        let sealed = own.seal(&[7; 32]);

        assert_eq!(own.open(&sealed).unwrap(), [7; 32]);
        assert!(keys(&["another"]).open(&sealed).is_err());
        assert!(own.open(&URL_SAFE.encode([7; 64])).is_err());
        assert!(own.open(&URL_SAFE.encode([7; 31])).is_err());
        assert!(own.open(&URL_SAFE.encode([7; 32])).is_err());
        assert!(own.open("").is_err());
        assert!(
            own.open("x")
                .unwrap_err()
                .to_string()
                .ends_with("illegal base64 data at input byte 0")
        );
    }

    #[test]
    fn cookie_with_any_one_character_changed_or_gone_is_not_opened() {
        let own = keys(&["development-only"]);
        let sealed = own.seal(&[7; 32]);

        for (at, kept) in sealed.char_indices() {
            let (before, rest) = sealed.split_at(at);
            let after = rest.get(1..).unwrap();
            assert!(own.open(&format!("{before}{after}")).is_err(), "without {at}");
            for other in ALPHABET
                .iter()
                .map(|&byte| char::from(byte))
                .chain(['-', '_', '=', '\u{e9}'])
            {
                let changed = format!("{before}{other}{after}");
                assert!(other == kept || own.open(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn older_key_still_opens() {
        let sealed = keys(&["old"]).seal(&[1; 32]);

        assert!(keys(&["new", "old"]).open(&sealed).is_ok());
    }

    #[test]
    fn tokens_are_letters_and_digits_and_differ() {
        let (one, two) = (token("ory_st_").unwrap(), token("ory_st_").unwrap());

        assert_eq!(one.len(), 39);
        assert!(
            one.strip_prefix("ory_st_")
                .unwrap()
                .chars()
                .all(|c| c.is_ascii_alphanumeric())
        );
        assert_ne!(one, two);
    }
}

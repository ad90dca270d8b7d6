//! Page tokens, which only this process can create.

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use uuid::Uuid;

/// The key of the tokens, which differs between processes.
#[derive(Debug)]
pub(super) struct PageKey(Key);

impl Default for PageKey {
    fn default() -> Self {
        let seed = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self(Key::new(HMAC_SHA256, &seed))
    }
}

impl PageKey {
    /// Returns the token of the page after the tuple with this number.
    pub(super) fn token(&self, after: u64) -> String {
        let number = after.to_be_bytes();
        let tag = hmac::sign(&self.0, &number);
        URL_SAFE.encode([number.as_slice(), tag.as_ref()].concat())
    }

    /// Returns the number in a token that was created with this key.
    pub(super) fn open(&self, token: &str) -> Option<u64> {
        let bytes = URL_SAFE.decode(token).ok()?;
        let (number, tag) = bytes.split_first_chunk::<8>()?;
        hmac::verify(&self.0, number, tag).ok()?;
        Some(u64::from_be_bytes(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_of_this_key_are_opened() {
        let key = PageKey::default();
        let token = key.token(7);

        assert_eq!(key.open(&token), Some(7));
        assert_eq!(PageKey::default().open(&token), None);
        for foreign in [
            "",
            "nonsense",
            "AAAAAAAAAAc=",
            token.get(4..).unwrap(),
            &token.replace('A', "B"),
        ] {
            assert_eq!(key.open(foreign), None, "{foreign}");
        }
    }
}

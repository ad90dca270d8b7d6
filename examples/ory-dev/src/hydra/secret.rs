//! Random secrets: tokens, codes, challenges and client secrets.

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::answer::Refusal;

/// Makes the tokens of one Hydra, signed with its system secret.
#[derive(Debug)]
pub(crate) struct TokenMint(hmac::Key);

impl TokenMint {
    pub(crate) fn new(system_secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, system_secret.as_bytes()))
    }

    /// Returns `prefix`, a random key and its signature, in the format of Hydra's tokens.
    pub(crate) fn token(&self, prefix: &str) -> Result<String, Refusal> {
        let key: [u8; 32] = random()?;
        let signature = hmac::sign(&self.0, &key);
        let (key, signature) = (URL_SAFE_NO_PAD.encode(key), URL_SAFE_NO_PAD.encode(signature));
        Ok(format!("{prefix}{key}.{signature}"))
    }
}

/// Returns a token whose signature is never checked.
pub(crate) fn random_token(prefix: &str) -> Result<String, Refusal> {
    let (key, rest): ([u8; 32], [u8; 32]) = (random()?, random()?);
    Ok(format!(
        "{prefix}{}.{}",
        URL_SAFE_NO_PAD.encode(key),
        URL_SAFE_NO_PAD.encode(rest)
    ))
}

/// Returns a challenge, a verifier or a cookie value.
pub(crate) fn opaque() -> Result<String, Refusal> {
    Ok(URL_SAFE_NO_PAD.encode(random::<48>()?))
}

/// Returns a client secret of 26 characters, as Hydra makes them.
pub(crate) fn client_secret() -> Result<String, Refusal> {
    let letters = random::<26>()?;
    let letter = |byte: u8| {
        ALPHABET
            .get(usize::from(byte & 63))
            .map(|letter| char::from(*letter))
    };
    Ok(letters.into_iter().filter_map(letter).collect())
}

fn random<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Refusal::server_error())?;
    Ok(bytes)
}

/// 64 letters, so that six bits of a random byte select one with equal probability.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_form_of_hydra_and_differ() {
        let mint = TokenMint::new("development-only-system-secret");
        let (one, two) = (mint.token("ory_at_").unwrap(), mint.token("ory_at_").unwrap());

        let (key, signature) = one.strip_prefix("ory_at_").unwrap().split_once('.').unwrap();
        assert_eq!((key.len(), signature.len()), (43, 43));
        assert_ne!(one, two);
        assert_eq!(client_secret().unwrap().len(), 26);
    }
}

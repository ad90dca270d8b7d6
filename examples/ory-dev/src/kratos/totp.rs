//! Time-based one-time passwords (RFC 6238) of authenticator apps.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use super::{
    answer::Refusal,
    clock::{Clock, Moment},
    secret,
};

/// The secret shared by an authenticator app and Kratos.
#[derive(Clone)]
pub(crate) struct Secret([u8; LENGTH]);

impl Secret {
    pub(crate) fn generate() -> Result<Self, Refusal> {
        secret::random().map(Self)
    }

    /// Writes the secret as people type it into an app (RFC 4648 §6).
    pub(crate) fn base32(&self) -> String {
        let mut text = String::new();
        // Five bytes are eight letters, and the length is a multiple of five.
        for group in self.0.chunks_exact(5) {
            let bits = group
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for shift in (0..8_u32).rev().map(|index| index.saturating_mul(5)) {
                let letter = usize::try_from(bits >> shift & 31)
                    .ok()
                    .and_then(|index| ALPHABET.get(index));
                text.extend(letter.map(|letter| char::from(*letter)));
            }
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(LENGTH);
        for group in text.as_bytes().chunks(8) {
            let mut bits = 0_u64;
            for letter in group {
                let value = ALPHABET.iter().position(|own| own == letter)?;
                bits = bits << 5 | u64::try_from(value).ok()?;
            }
            bytes.extend_from_slice(bits.to_be_bytes().get(3..)?);
        }
        bytes.try_into().ok().map(Self)
    }

    /// Returns whether the code is that of the current, the previous or the next time step.
    pub(crate) fn accepts(&self, code: &str, now: Moment) -> bool {
        let step = step_of(now);
        [step.saturating_sub(1), step, step.saturating_add(1)]
            .map(|step| self.code(step))
            .iter()
            .any(|own| verify_slices_are_equal(own.as_bytes(), code.trim().as_bytes()).is_ok())
    }

    /// RFC 4226 §5.3: four bytes of the HMAC, at the offset in its last byte, reduced to six digits.
    fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let offset = usize::from(tag.as_ref().last().copied().unwrap_or_default() & 15);
        let four = tag.as_ref().iter().skip(offset).take(4);
        let number = four.fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

impl fmt::Debug for Secret {
    /// Omits the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Returns the current code of an authenticator app for a base-32 secret, as the settings form shows it; `None` if the text
/// is not such a secret.
///
/// # Examples
///
/// ```
/// use ory_dev::kratos::{Clock, authenticator_code};
///
/// let code = authenticator_code("3QI3EMPMELABGQZOGVQMGUBSM6QEUVNT", &Clock::default());
/// assert_eq!(code.map(|code| code.len()), Some(6));
/// ```
pub fn authenticator_code(secret: &str, clock: &Clock) -> Option<String> {
    Some(Secret::parse(secret)?.code(step_of(clock.now())))
}

fn step_of(now: Moment) -> u64 {
    now.unix_seconds() / 30
}

/// An empty picture in place of the QR code of the real server. The form also shows the secret as text.
pub(crate) const QR_CODE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

/// The form message for a wrong code.
pub(crate) const WRONG: &str = "The provided authentication code is invalid, please try again.";

const LENGTH: usize = 20;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 4226, appendix D.
        let secret = Secret(*b"12345678901234567890");

        let codes: Vec<_> = (0..4).map(|step| secret.code(step)).collect();

        assert_eq!(codes, ["755224", "287082", "359152", "969429"]);
        assert_eq!(secret.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(Secret::parse(&secret.base32()).unwrap().0, secret.0);
        assert!(Secret::parse("x").is_none() && Secret::parse("").is_none());
    }

    #[test]
    fn code_is_accepted_one_step_early_or_late_and_no_more() {
        let (secret, clock) = (Secret::generate().unwrap(), Clock::default());
        let code = authenticator_code(&secret.base32(), &clock).unwrap();
        let at = |seconds| clock.now().after(Duration::from_secs(seconds));

        assert!(secret.accepts(&code, at(0)) && secret.accepts(&code, at(30)));
        assert!(!secret.accepts(&code, at(120)));
        assert!(!secret.accepts("", at(0)) && !secret.accepts("0000000", at(0)));
        assert!(!format!("{secret:?}").contains(&secret.base32()));
    }
}

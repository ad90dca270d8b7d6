//! A keyed 128-bit hash of several fields.

use std::hash::Hasher as _;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// A hash with a secret key. Without the key, two inputs with one hash cannot be found.
pub(crate) struct KeyedHash(SipHasher13);

impl KeyedHash {
    /// Creates a hash with a random key, or `None` when the system has no random numbers.
    pub(crate) fn random() -> Option<Self> {
        let mut key = [0; 16];
        SystemRandom::new().fill(&mut key).ok()?;

        Some(Self(SipHasher13::new_with_key(&key)))
    }

    /// Creates a hash with a known key. Two inputs with one hash can be found.
    pub(crate) fn unkeyed() -> Self {
        Self(SipHasher13::new())
    }

    pub(crate) fn of<'a>(&self, fields: impl IntoIterator<Item = &'a [u8]>) -> (u64, u64) {
        let mut hasher = self.0;
        for field in fields {
            // The lengths keep ("ab", "c") and ("a", "bc") apart.
            hasher.write_u64(field.len() as u64);
            hasher.write(field);
        }

        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }
}

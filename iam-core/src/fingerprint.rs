//! Cache keys that reveal nothing about what they stand for.

use std::fmt;

use iam_grammar::{RelationTuple, Subject};

use crate::keyed_hash::KeyedHash;

/// A keyed 128-bit hash of a credential, or of a question to the permission server, in one tenant.
///
/// It reveals nothing about what was hashed, and can be compared with fingerprints of the same [`FingerprintKey`] only.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint(u64, u64);

impl Fingerprint {
    /// Returns half of the hash, to choose one of several tables.
    pub const fn half(self) -> u64 {
        self.1
    }
}

/// Does not print the hash: it has no meaning outside of its process.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").finish_non_exhaustive()
    }
}

/// The random key of [`Fingerprint`]s (R080, R168).
///
/// ```
/// use iam_core::fingerprint::FingerprintKey;
///
/// # fn main() -> Result<(), &'static str> {
/// let key = FingerprintKey::random().ok_or("no random numbers")?;
///
/// let cookie = key.credential("default", "cookie", b"MTcwMDAw");
/// assert_eq!(cookie, key.credential("default", "cookie", b"MTcwMDAw"));
/// assert_ne!(cookie, key.credential("default", "bearer", b"MTcwMDAw"));
/// assert_ne!(cookie, key.credential("customer", "cookie", b"MTcwMDAw"));
/// # Ok(())
/// # }
/// ```
pub struct FingerprintKey(KeyedHash);

impl FingerprintKey {
    /// Creates a random key, or `None` when the system has no random numbers. Do not cache anything then: with a known key, callers
    /// could make two credentials with one fingerprint.
    pub fn random() -> Option<Self> {
        KeyedHash::random().map(Self)
    }

    /// Returns the fingerprint of a credential: its exact bytes, the tenant, and how it travels.
    pub fn credential(&self, tenant: &str, carrier: &str, credential: &[u8]) -> Fingerprint {
        self.of([
            b"credential".as_slice(),
            tenant.as_bytes(),
            carrier.as_bytes(),
            credential,
        ])
    }

    /// Returns the fingerprint of a tuple that a tenant's permission server is asked about.
    pub fn tuple(&self, tenant: &str, tuple: &RelationTuple) -> Fingerprint {
        let asked = [
            b"tuple",
            tenant.as_bytes(),
            tuple.namespace().as_bytes(),
            tuple.object().as_bytes(),
            tuple.relation().as_bytes(),
        ];
        // To Keto, the id `user:bob` and the set `user:bob` are different subjects.
        match tuple.subject() {
            Subject::Id(id) => self.of(asked.into_iter().chain([b"id".as_slice(), id.as_bytes()])),
            Subject::Set(set) => self.of(asked.into_iter().chain([
                b"set".as_slice(),
                set.namespace().as_bytes(),
                set.object().as_bytes(),
                set.relation().as_bytes(),
            ])),
        }
    }

    fn of<'a>(&self, fields: impl IntoIterator<Item = &'a [u8]>) -> Fingerprint {
        let (one, other) = self.0.of(fields);
        Fingerprint(one, other)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// R080, R168
    #[test]
    fn every_part_of_a_credential_counts_and_none_runs_into_its_neighbour() {
        let key = FingerprintKey::random().unwrap();

        let fingerprints: HashSet<_> = [
            ("a", "cookie", b"token".as_slice()),
            ("b", "cookie", b"token"),
            ("a", "bearer", b"token"),
            ("a", "cookie", b"Token"),
            ("a", "cookie", b"token="),
            ("a", "cookie", b"%74oken"),
            ("acookie", "", b"token"),
            ("", "acookie", b"token"),
            ("a", "cookietoken", b""),
        ]
        .into_iter()
        .map(|(tenant, carrier, credential)| key.credential(tenant, carrier, credential))
        .collect();

        assert_eq!(fingerprints.len(), 9);
    }

    #[test]
    fn an_id_and_a_set_of_one_text_are_different_tuples() {
        let key = FingerprintKey::random().unwrap();
        let texts = [
            "docs:7#view@\"user:bob\"",
            "docs:7#view@user:bob",
            "docs:7#view@user:bob#member",
            "docs:7#edit@user:bob",
            "docs:8#view@user:bob",
            "doc:7#view@user:bob",
        ];

        let fingerprints: HashSet<_> = texts
            .iter()
            .map(|text| key.tuple("default", &text.parse().unwrap()))
            .collect();

        assert_eq!(fingerprints.len(), texts.len());
    }

    #[test]
    fn two_keys_make_different_fingerprints() {
        let (one, other) = (
            FingerprintKey::random().unwrap(),
            FingerprintKey::random().unwrap(),
        );

        assert_ne!(
            one.credential("default", "cookie", b"token"),
            other.credential("default", "cookie", b"token")
        );
    }

    #[test]
    fn nothing_of_a_fingerprint_or_its_key_is_printed() {
        let key = FingerprintKey::random().unwrap();

        assert_eq!(format!("{key:?}"), "FingerprintKey { .. }");
        let fingerprint = key.credential("default", "cookie", b"token");
        assert_eq!(format!("{fingerprint:?}"), "Fingerprint { .. }");
    }
}

use crate::clock::Timestamp;

/// What decides how long an upstream's answer may be kept. A cache sets a limit of its own besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a cache that does not know one of them would keep too much"
)]
pub enum Validity {
    /// Must not be kept: it is no answer about the caller, the caller is about to change it, or it is longer than 64 KiB.
    Never,
    /// Refuses the caller.
    Refusal,
    /// Holds until this time, whatever a cache says.
    Until(Timestamp),
}

/// The length in bytes of the longest body whose content may be kept. Persons fill their own traits, and a cache limits the number of
/// answers, not their length.
pub(super) const MAX_KEPT_BODY: usize = 64 * 1024;

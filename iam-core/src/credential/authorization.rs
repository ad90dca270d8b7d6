//! How is a token written in a header?
//!
//! RFC 9110 §11.4 and RFC 6750 §2.1: the scheme in any letter case, one space, one token, one header line.

use std::{fmt, ops::RangeInclusive};

use crate::{decision::Reason, request::RequestHead};

/// The bytes where a token belongs. *Unverified* and unchecked: any byte may be among them.
#[derive(Clone, Copy)]
pub struct Presented<'a>(&'a [u8]);

impl<'a> Presented<'a> {
    /// Returns the bytes, for a caller that checks the characters of the token itself.
    pub const fn unchecked(self) -> &'a [u8] {
        self.0
    }

    /// Returns the bytes if they may be one token: visible ASCII without a comma, which no token of this crate has.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Ambiguous`] for a comma: a proxy may have joined two lines with it (RFC 9110 §5.5), and neither of them
    /// is chosen here. [`CredentialError::Malformed`] for other bytes that no token has.
    pub fn token(self) -> Result<&'a [u8], CredentialError> {
        check(self.0, b'!'..=b'~')?;

        Ok(self.0)
    }

    pub(crate) const fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn not_empty(bytes: &'a [u8]) -> Result<Self, CredentialError> {
        if bytes.is_empty() {
            return Err(CredentialError::Malformed);
        }

        Ok(Self(bytes))
    }
}

/// Prints nothing of what was presented.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").finish_non_exhaustive()
    }
}

/// Reads what follows the scheme in an `Authorization`-like header: `Bearer` in any letter case, one space, the token.
///
/// # Errors
///
/// [`CredentialError::Missing`] without the header and for any other scheme, a bare token included (RFC 6750 §2.1);
/// [`CredentialError::Malformed`] for a `Bearer` alone, and for another scheme with bytes other than visible ASCII and spaces;
/// [`CredentialError::Ambiguous`] for two header lines, and for a comma in the value of another scheme.
pub fn bearer<'a>(head: &RequestHead<'a>, header: &str) -> Result<Presented<'a>, CredentialError> {
    let value = value(head, header)?;
    let (scheme, token) = match value.iter().position(|&byte| byte == b' ') {
        Some(at) => {
            let (scheme, rest) = value.split_at(at);
            (scheme, rest.get(1..).unwrap_or_default())
        }
        None => (value, <&[u8]>::default()),
    };

    // RFC 9110 §11.1: the scheme is compared without regard to case.
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Presented::not_empty(token);
    }
    check(value, b' '..=b'~')?;
    Err(CredentialError::Missing)
}

/// Reads a token from a header of its own. A scheme in front of it is not removed, so the token is then malformed.
///
/// # Errors
///
/// [`CredentialError::Missing`] without the header, [`CredentialError::Malformed`] for an empty one,
/// [`CredentialError::Ambiguous`] for two header lines.
pub fn bare<'a>(head: &RequestHead<'a>, header: &str) -> Result<Presented<'a>, CredentialError> {
    value(head, header).and_then(Presented::not_empty)
}

fn value<'a>(head: &RequestHead<'a>, header: &str) -> Result<&'a [u8], CredentialError> {
    let line = head.single(header).map_err(|_| CredentialError::Ambiguous)?;

    line.map(<[u8]>::trim_ascii).ok_or(CredentialError::Missing)
}

/// Checks bytes that should all be in a range, and no comma.
fn check(bytes: &[u8], range: RangeInclusive<u8>) -> Result<(), CredentialError> {
    if bytes.contains(&b',') {
        return Err(CredentialError::Ambiguous);
    }
    if !bytes.iter().all(|byte| range.contains(byte)) {
        return Err(CredentialError::Malformed);
    }

    Ok(())
}

/// Why no credential was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each of them must become a refusal of its own"
)]
pub enum CredentialError {
    /// More than one credential was presented, or may have been.
    #[error("more than one credential")]
    Ambiguous,
    /// Something was presented that cannot be read.
    #[error("unreadable credential")]
    Malformed,
    /// Nothing was presented.
    #[error("no credential")]
    Missing,
}

impl CredentialError {
    /// Returns the reason for the refusal that follows.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Ambiguous => Reason::AmbiguousCredential,
            Self::Malformed => Reason::Malformed,
            Self::Missing => Reason::MissingCredential,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Vec<u8>, CredentialError> {
        let headers: Vec<_> = lines.iter().map(|line| ("authorization", *line)).collect();
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &headers,
            peer: None,
        };
        bearer(&head, "authorization")?.token().map(<[u8]>::to_vec)
    }

    fn read_bare(value: &[u8]) -> Result<Vec<u8>, CredentialError> {
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &[("x-token", value)],
            peer: None,
        };
        bare(&head, "x-token")?.token().map(<[u8]>::to_vec)
    }

    /// R066
    #[test]
    fn another_scheme_or_none_is_no_credential() {
        for line in [
            "a.b.c",
            "Basic dXNlcjpwYXNz",
            "Token a.b.c",
            "Bearer\ta.b.c",
            "Bearera.b.c",
            "",
            " ",
        ] {
            let expected = if line.contains('\t') {
                CredentialError::Malformed
            } else {
                CredentialError::Missing
            };
            assert_eq!(read(&[line.as_bytes()]), Err(expected), "{line:?}");
        }
        assert_eq!(read(&[]), Err(CredentialError::Missing));
    }

    /// R064, R066
    #[test]
    fn bearer_without_exactly_one_token_after_one_space_is_malformed() {
        for line in [
            "Bearer",
            "Bearer ",
            "Bearer  a.b.c",
            "Bearer a b",
            "Bearer a.b.c d",
        ] {
            assert_eq!(
                read(&[line.as_bytes()]),
                Err(CredentialError::Malformed),
                "{line:?}"
            );
        }
    }

    /// R085
    #[test]
    fn two_lines_are_refused_in_any_order_and_when_equal() {
        let (good, bad) = (b"Bearer a.b.c".as_slice(), b"Bearer x.y.z".as_slice());

        for lines in [
            [good, bad],
            [bad, good],
            [good, good],
            [good, b"Basic x"],
            [good, b""],
        ] {
            assert_eq!(read(&lines), Err(CredentialError::Ambiguous));
        }
        for joined in [
            "Bearer a.b.c, Bearer x.y.z",
            "Bearer a.b.c,x",
            "Basic x,Bearer a.b.c",
        ] {
            assert_eq!(read(&[joined.as_bytes()]), Err(CredentialError::Ambiguous));
        }
    }

    /// R086
    #[test]
    fn bytes_outside_visible_ascii_are_malformed() {
        for line in [
            b"Bearer \xc3\xa9\xff".as_slice(),
            b"Bearer a\x00b",
            b"Bearer a\x7fb",
            b"Bearer a\r\nb",
            b"\xffBearer a",
        ] {
            assert_eq!(read(&[line]), Err(CredentialError::Malformed), "{line:?}");
        }
    }

    /// R065, D34
    #[test]
    fn the_scheme_is_read_in_any_letter_case() {
        for line in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER a.b.c",
            "BeArEr a.b.c",
            " Bearer a.b.c ",
        ] {
            assert_eq!(read(&[line.as_bytes()]), Ok(b"a.b.c".to_vec()), "{line:?}");
        }
    }

    #[test]
    fn a_header_of_its_own_takes_the_token_alone() {
        assert_eq!(read_bare(b"Bearer a.b.c"), Err(CredentialError::Malformed));
        assert_eq!(read_bare(b""), Err(CredentialError::Malformed));
        assert_eq!(read_bare(b"a,b"), Err(CredentialError::Ambiguous));
        assert_eq!(read_bare(b"a.b.c"), Ok(b"a.b.c".to_vec()));
    }
}

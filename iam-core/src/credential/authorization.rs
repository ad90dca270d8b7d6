//! How is a token written in a header?
//!
//! RFC 9110 §11.4 and RFC 6750 §2.1: the scheme in any letter case, one space, one token, one header line.

use crate::{decision::Reason, request::RequestHead};

/// Reads the token of an `Authorization`-like header that carries a scheme: `Bearer` in any letter case, exactly one space, the token.
///
/// The token is *unverified*; that it is a token at all is for whoever verifies it to say.
///
/// # Errors
///
/// [`CredentialError::Missing`] without the header and for any other scheme, a bare token included (RFC 6750 §2.1);
/// [`CredentialError::Malformed`] for a `Bearer` without exactly one token, and for bytes outside visible ASCII;
/// [`CredentialError::Ambiguous`] for two header lines, or two values joined by a comma.
pub fn bearer<'a>(head: &RequestHead<'a>, header: &str) -> Result<&'a [u8], CredentialError> {
    let value = value(head, header)?;
    let (scheme, token) = match value.iter().position(|&byte| byte == b' ') {
        Some(at) => {
            let (scheme, rest) = value.split_at(at);
            (scheme, rest.get(1..).unwrap_or_default())
        }
        None => (value, <&[u8]>::default()),
    };
    // RFC 9110 §11.1: the scheme is compared without regard to case.
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");

    if is_bearer && is_token(token) {
        return Ok(token);
    }
    match fault(value) {
        Some(fault) => Err(fault),
        None if is_bearer => Err(CredentialError::Malformed),
        None => Err(CredentialError::Missing),
    }
}

/// Reads a token that stands alone in a header of its own.
///
/// # Errors
///
/// As [`bearer`], except that a scheme in front of the token makes it malformed.
pub fn bare<'a>(head: &RequestHead<'a>, header: &str) -> Result<&'a [u8], CredentialError> {
    let value = value(head, header)?;

    if is_token(value) {
        return Ok(value);
    }
    Err(fault(value).unwrap_or(CredentialError::Malformed))
}

fn value<'a>(head: &RequestHead<'a>, header: &str) -> Result<&'a [u8], CredentialError> {
    let line = head.single(header).map_err(|_| CredentialError::Ambiguous)?;

    line.map(<[u8]>::trim_ascii).ok_or(CredentialError::Missing)
}

/// Tells whether these are the bytes of one token: visible, without a space, and without a comma, which none of ours has.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, |byte| matches!(byte, b'!'..=b'+' | b'-'..=b'~'))
}

/// Returns what is wrong with a value whatever it should be.
fn fault(value: &[u8]) -> Option<CredentialError> {
    // RFC 9110 §5.5: a proxy may have joined two lines with a comma; neither of them is chosen here.
    if value.contains(&b',') {
        return Some(CredentialError::Ambiguous);
    }
    let is_visible = all(value, |byte| matches!(byte, b' '..=b'~'));
    (!is_visible).then_some(CredentialError::Malformed)
}

/// Tells whether all bytes are as they should be. Without leaving a block early, so that its bytes are looked at together.
fn all(bytes: &[u8], is_good: impl Fn(u8) -> bool) -> bool {
    const BLOCK: usize = 64;

    let is_good_block = |block: &[u8]| block.iter().fold(true, |good, &byte| good & is_good(byte));
    bytes.chunks(BLOCK).all(is_good_block)
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
            headers: &headers,
        };
        bearer(&head, "authorization").map(<[u8]>::to_vec)
    }

    fn read_bare(value: &[u8]) -> Result<Vec<u8>, CredentialError> {
        let head = RequestHead {
            method: "GET",
            headers: &[("x-token", value)],
        };
        bare(&head, "x-token").map(<[u8]>::to_vec)
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

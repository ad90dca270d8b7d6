//! Which cookies does a request carry?
//!
//! The only parser of `Cookie` (RFC 6265 §5.4). It splits and trims, and decodes nothing: what one parser decodes, another one reads
//! as another value.

use super::{CredentialError, Presented};
use crate::request::RequestHead;

/// One `name=value` of a `Cookie` header. *Unverified.*
#[derive(Clone, Copy)]
pub(crate) struct Cookie<'a> {
    /// The whole pair, without the white space around it.
    pub(crate) pair: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// Returns the cookies of all `Cookie` lines in their order. Pieces without `=` are no cookies.
///
/// RFC 9113 §8.2.3: HTTP/2 may split the header into several lines.
pub(crate) fn cookies<'a>(head: &RequestHead<'a>) -> impl Iterator<Item = Cookie<'a>> {
    head.lines("cookie")
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter_map(|pair| {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let (name, rest) = pair.split_at_checked(at)?;
            Some(Cookie {
                pair,
                name,
                value: rest.get(1..)?,
            })
        })
}

/// Reads the cookie with exactly this name. Other cookies are ignored, whatever they hold.
///
/// The value is the bytes as sent. Kratos writes base64url, so a value with other bytes than RFC 6265 §4.1.1 allows, with a percent
/// sign, or of more than 4096 bytes (RFC 6265 §6.1), is none of its values.
///
/// # Errors
///
/// [`CredentialError::Missing`] without the cookie, and for an empty value, which is how a browser's cookie is taken away;
/// [`CredentialError::Ambiguous`] for the same name twice, in one line or in two, empty values included;
/// [`CredentialError::Malformed`] for a value that no session cookie has.
pub fn cookie<'a>(head: &RequestHead<'a>, name: &str) -> Result<Presented<'a>, CredentialError> {
    let mut found = cookies(head).filter(|cookie| cookie.name == name.as_bytes());
    let Some(cookie) = found.next() else {
        return Err(CredentialError::Missing);
    };
    if found.next().is_some() {
        return Err(CredentialError::Ambiguous);
    }
    if cookie.value.is_empty() {
        return Err(CredentialError::Missing);
    }
    if MAX_CREDENTIAL < cookie.value.len() || !cookie.value.iter().copied().all(is_of_value) {
        return Err(CredentialError::Malformed);
    }

    Ok(Presented::of(cookie.value))
}

/// RFC 6265 §4.1.1: `cookie-octet`, without the percent sign.
const fn is_of_value(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'$' | b'&'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~')
}

/// The longest session cookie or session token, in bytes. Kratos's are shorter than 1 KiB.
pub(crate) const MAX_CREDENTIAL: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Vec<u8>, CredentialError> {
        let headers: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &headers,
            peer: None,
        };
        cookie(&head, "ory_kratos_session").map(|presented| presented.unchecked().to_vec())
    }

    /// R093
    #[test]
    fn the_same_name_twice_is_ambiguous_in_one_line_and_in_two() {
        let (good, other) = (
            b"ory_kratos_session=a".as_slice(),
            b"ory_kratos_session=b".as_slice(),
        );

        for lines in [
            [good, other],
            [other, good],
            [good, good],
            [b"theme=dark; ory_kratos_session=a", good],
            [good, b"ory_kratos_session="],
            [b"ory_kratos_session=", b"ory_kratos_session="],
        ] {
            assert_eq!(read(&lines), Err(CredentialError::Ambiguous), "{lines:?}");
            let joined = lines.join(b"; ".as_slice());
            assert_eq!(read(&[&joined]), Err(CredentialError::Ambiguous), "{lines:?}");
        }
    }

    /// R093
    #[test]
    fn only_the_exact_name_is_the_session_cookie() {
        for line in [
            "",
            ";",
            "ory_kratos_session",
            "ORY_KRATOS_SESSION=a",
            "Ory_kratos_session=a",
            "__Host-ory_kratos_session=a",
            "__Secure-ory_kratos_session=a",
            "ory_kratos_session_2=a",
            "xory_kratos_session=a",
            "ory_kratos_session =a",
            "\"ory_kratos_session\"=a",
            "$ory_kratos_session=a",
            "ory_kratos%5Fsession=a",
            "theme=ory_kratos_session=a",
        ] {
            assert_eq!(
                read(&[line.as_bytes()]),
                Err(CredentialError::Missing),
                "{line:?}"
            );
        }
        for line in [
            "ory_kratos_session=a",
            " ory_kratos_session=a ",
            "a=b;ory_kratos_session=a;c=d",
            "a=b;\tory_kratos_session=a",
            "=;;x; ory_kratos_session=a; \u{e9}=\u{e9}",
        ] {
            assert_eq!(read(&[line.as_bytes()]), Ok(b"a".to_vec()), "{line:?}");
        }
        assert_eq!(read(&[b"a=b", b"ory_kratos_session=a"]), Ok(b"a".to_vec()));
    }

    #[test]
    fn an_empty_value_is_no_credential() {
        for line in [
            "ory_kratos_session=",
            "ory_kratos_session= ",
            "ory_kratos_session=;a=b",
        ] {
            assert_eq!(
                read(&[line.as_bytes()]),
                Err(CredentialError::Missing),
                "{line:?}"
            );
        }
    }

    /// R094, D17: the value is never decoded, so a bad percent sign cannot become an error of ours.
    #[test]
    fn a_value_that_kratos_never_wrote_is_malformed() {
        for value in [
            b"%".as_slice(),
            b"%zz",
            b"%00",
            b"%E0%A4%A",
            b"MTc%3D",
            b"\"a\"",
            b"a b",
            b"a,b",
            b"a\\b",
            b"a\x00b",
            b"a\x7fb",
            b"\xc3\xa9",
            b"a\r\nx: y",
        ] {
            let line = [b"ory_kratos_session=", value].concat();
            assert_eq!(read(&[&line]), Err(CredentialError::Malformed), "{value:?}");
        }
    }

    /// R121
    #[test]
    fn a_value_of_more_than_4096_bytes_is_malformed() {
        let line = |length: usize| format!("ory_kratos_session={}", "a".repeat(length));

        assert_eq!(read(&[line(4096).as_bytes()]).unwrap().len(), 4096);
        assert_eq!(read(&[line(4097).as_bytes()]), Err(CredentialError::Malformed));
    }

    #[test]
    fn the_value_of_a_recorded_cookie_is_taken_as_it_was_sent() {
        let value = "MTc5NTMyODY3MHxHT0gzd-_.~==";

        let line = format!("csrf_token_80=x+x8/g==; ory_kratos_session={value}");
        assert_eq!(read(&[line.as_bytes()]), Ok(value.as_bytes().to_vec()));
    }
}

//! What does the gateway say in headers of its own?

use super::CredentialError;
use crate::request::RequestHead;

/// Reads the value of a header that the gateway sets. *Unverified*: anybody who reaches the service can set it, too.
///
/// Oathkeeper renders a missing value as nothing, as `<no value>` or as `<nil>`; each of them counts as an absent header.
///
/// # Errors
///
/// [`CredentialError::Ambiguous`] for two header lines, equal and empty ones included.
pub(crate) fn forwarded<'a>(
    head: &RequestHead<'a>,
    header: &str,
) -> Result<Option<&'a [u8]>, CredentialError> {
    let line = head.single(header).map_err(|_| CredentialError::Ambiguous)?;

    Ok(line
        .map(<[u8]>::trim_ascii)
        .filter(|value| !PRINTED_NOTHING.contains(value)))
}

/// What Go's `text/template` and `fmt` print for nothing, and nothing itself.
const PRINTED_NOTHING: [&[u8]; 3] = [b"", b"<no value>", b"<nil>"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Option<Vec<u8>>, CredentialError> {
        let headers: Vec<_> = lines.iter().map(|line| ("x-user-id", *line)).collect();
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &headers,
            peer: None,
        };
        Ok(forwarded(&head, "x-user-id")?.map(<[u8]>::to_vec))
    }

    #[test]
    fn what_a_template_prints_for_nothing_counts_as_absent() {
        for lines in [
            &[][..],
            &[b"".as_slice()],
            &[b"  ".as_slice()],
            &[b"<no value>".as_slice()],
            &[b" <nil> ".as_slice()],
        ] {
            assert_eq!(read(lines), Ok(None), "{lines:?}");
        }
        assert_eq!(read(&[b" alice "]), Ok(Some(b"alice".to_vec())));
    }

    /// R085
    #[test]
    fn two_lines_are_refused_when_equal_or_empty_too() {
        for lines in [[b"alice".as_slice(), b"alice"], [b"", b"alice"], [b"", b""]] {
            assert_eq!(read(&lines), Err(CredentialError::Ambiguous), "{lines:?}");
        }
    }
}

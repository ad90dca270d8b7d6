//! The head of a request, borrowed and *unverified*.
//!
//! It shows every header line by itself: joining two lines into one would already be a decision.

use std::net::IpAddr;

/// The head of a request, as far as decisions need it. *Unverified.*
///
/// ```
/// use iam_core::request::RequestHead;
///
/// let head = RequestHead {
///     method: "GET",
///     authority: Some(b"app.example"),
///     headers: &[("origin", b"https://app.example")],
///     peer: None,
/// };
/// assert_eq!(head.lines("origin").count(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "adapters build it on every request; a new field has to be filled by each of them"
)]
pub struct RequestHead<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// The authority that the request was sent to: `:authority` in HTTP/2, the authority of an absolute target, or the only
    /// `Host` header (RFC 9110 §7.2). `None` when there is none, or several.
    pub authority: Option<&'a [u8]>,
    /// One entry for each header line, names in lower case, values as bytes.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The address that the connection comes from: the neighbour's own, never one that a header tells. `None` where there is none,
    /// as on a Unix socket.
    pub peer: Option<IpAddr>,
}

impl<'a> RequestHead<'a> {
    /// Returns the values of every line of the header `name` (lower case), in their order.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(line, _)| *line == name)
            .map(|(_, value)| *value)
    }

    /// Returns the value of a header that may stand on one line only.
    ///
    /// # Errors
    ///
    /// [`RepeatedHeader`] when there are several lines, equal ones included (RFC 9110 §5.3).
    pub fn single(&self, name: &str) -> Result<Option<&'a [u8]>, RepeatedHeader> {
        let mut lines = self.lines(name);
        let first = lines.next();

        if lines.next().is_some() {
            return Err(RepeatedHeader);
        }
        Ok(first)
    }
}

/// A header that may stand on one line stands on several.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("header repeated")]
#[non_exhaustive]
pub struct RepeatedHeader;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_on_two_lines_is_no_single_header() {
        let head = RequestHead {
            method: "GET",
            authority: None,
            headers: &[("origin", b"a"), ("origin", b"a")],
            peer: None,
        };

        assert_eq!(head.single("origin"), Err(RepeatedHeader));
        assert_eq!(head.single("authorization"), Ok(None));
    }
}

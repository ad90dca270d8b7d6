//! The path and query of a request line, parsed as Oathkeeper's HTTP library does.
//!
//! Rules match the decoded, cleaned path. If the caller's spelling encodes the cleaned path, it is forwarded as it is, so
//! that `%2F` is kept. Otherwise the cleaned path is encoded anew, so that dot segments are removed.

use std::fmt::Write;

/// The path and query of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Decoded and cleaned.
    path: Vec<u8>,
    /// The original spelling.
    raw: String,
    query: Option<String>,
}

/// A path with a `%` that is not followed by two hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadTarget;

impl Target {
    /// Parses the path and the query of a request line.
    pub(crate) fn parse(path: &str, query: Option<&str>) -> Result<Self, BadTarget> {
        let decoded = unescape(path, Plus::IsPlus).ok_or(BadTarget)?;
        let path_bytes = if decoded.is_empty() {
            decoded
        } else {
            clean(&decoded)
        };
        Ok(Self {
            path: path_bytes,
            raw: path.to_owned(),
            query: query.map(clean_query),
        })
    }

    /// The decoded path that rules match. Invalid UTF-8 is replaced.
    pub(crate) fn path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The path and query to forward: without `strip`, and below the upstream's own path.
    pub(crate) fn forward(&self, upstream_path: &str, strip: &str) -> String {
        let upstream = unescape(upstream_path, Plus::IsPlus).unwrap_or_else(|| upstream_path.into());
        let mut path = join(&upstream, &self.path);
        let strip = strip.trim_matches('/');
        if !strip.is_empty() {
            path = remove_first(&path, format!("/{strip}").as_bytes());
        }
        if path.first() != Some(&b'/') {
            path.insert(0, b'/');
        }
        let keeps_spelling =
            self.raw.bytes().all(may_stay) && unescape(&self.raw, Plus::IsPlus).as_deref() == Some(&path);
        let mut out = if keeps_spelling {
            self.raw.clone()
        } else {
            escape(&path, Escape::Path)
        };
        if let Some(query) = &self.query {
            out.push('?');
            out.push_str(query);
        }
        out
    }
}

/// Cleans a path lexically: no `.`, no `..`, no empty segment, no slash at the end.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." if segments.last().is_some_and(|last| *last != b"..") => {
                segments.pop();
            }
            b".." if rooted => {}
            _ => segments.push(segment),
        }
    }
    let joined = segments.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/".as_slice(), &joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

fn join(base: &[u8], path: &[u8]) -> Vec<u8> {
    if base.is_empty() && path.is_empty() {
        return Vec::new();
    }
    if base.is_empty() {
        return clean(path);
    }
    clean(&[base, b"/", path].concat())
}

fn remove_first(path: &[u8], part: &[u8]) -> Vec<u8> {
    let Some(at) = path.windows(part.len()).position(|window| window == part) else {
        return path.to_vec();
    };
    path.iter()
        .take(at)
        .chain(path.iter().skip(at.saturating_add(part.len())))
        .copied()
        .collect()
}

/// The meaning of `+`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    IsPlus,
    IsSpace,
}

fn unescape(text: &str, plus: Plus) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
            }
            b'+' if plus == Plus::IsSpace => b' ',
            other => other,
        });
    }
    Some(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    Path,
    Query,
}

fn escape(bytes: &[u8], mode: Escape) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        let stays = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => true,
            b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'@' => mode == Escape::Path,
            _ => false,
        };
        if stays {
            out.push(char::from(*byte));
        } else if *byte == b' ' && mode == Escape::Query {
            out.push('+');
        } else {
            // Writing to a `String` is infallible.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Returns whether a byte of the original spelling is kept.
fn may_stay(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&byte)
}

/// Re-encodes a query with a `;` or an invalid escape, and drops unreadable parameters. Otherwise caller and service would
/// read different parameters.
fn clean_query(query: &str) -> String {
    if !query.contains(';') && unescape(query, Plus::IsSpace).is_some() {
        return query.to_owned();
    }
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for pair in query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (unescape(name, Plus::IsSpace), unescape(value, Plus::IsSpace)) {
            pairs.push((name, value));
        }
    }
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    let encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name, Escape::Query), escape(value, Escape::Query)))
        .collect();
    encoded.join("&")
}

#[cfg(test)]
mod tests {
    use super::{BadTarget, Target};

    fn forward(path: &str, query: Option<&str>) -> (String, String) {
        let target = Target::parse(path, query).expect("a target");
        (target.path(), target.forward("", ""))
    }

    #[test]
    fn a_broken_escape_in_the_path_is_refused() {
        for path in ["/a%", "/a%2", "/a%zz", "/%+1"] {
            assert_eq!(Target::parse(path, None), Err(BadTarget), "{path}");
        }
    }

    #[test]
    fn dot_segments_are_gone_before_matching_and_before_forwarding() {
        for path in [
            "/globs/../orders",
            "/globs/%2e%2e/orders",
            "//orders/.",
            "/../../orders",
            "/orders/",
        ] {
            assert_eq!(
                forward(path, None),
                ("/orders".to_owned(), "/orders".to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn an_encoded_slash_is_matched_as_a_slash_and_sent_as_it_came() {
        assert_eq!(
            forward("/globs/x%2Fy", None),
            ("/globs/x/y".to_owned(), "/globs/x%2Fy".to_owned())
        );
    }

    #[test]
    fn a_path_below_an_upstream_path_is_encoded_afresh() {
        let target = Target::parse("/api/a%20b%2Fc", Some("q=1")).expect("a target");
        assert_eq!(target.forward("/base/", ""), "/base/api/a%20b/c?q=1");
        assert_eq!(target.forward("", "/api/"), "/a%20b/c?q=1");
        assert_eq!(target.forward("/base", "api"), "/base/a%20b/c?q=1");
    }

    #[test]
    fn stripping_everything_leaves_the_root() {
        let target = Target::parse("/api", None).expect("a target");
        assert_eq!(target.forward("", "/api"), "/");
    }

    #[test]
    fn queries_pass_unchanged_unless_part_of_them_cannot_be_read() {
        assert_eq!(forward("/a", Some("x=1&y=%20")).1, "/a?x=1&y=%20");
        assert_eq!(forward("/a", Some("b=1;c=2&a=%zz&d=4 5")).1, "/a?d=4+5");
        assert_eq!(forward("/a", Some("")).1, "/a?");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced_for_matching_and_kept_for_forwarding() {
        assert_eq!(
            forward("/a/%FF", None),
            ("/a/\u{fffd}".to_owned(), "/a/%FF".to_owned())
        );
    }
}

//! Collects problems and warnings during validation.

use std::{borrow::Cow, fmt::Display, net::IpAddr, ops::RangeInclusive, time::Duration};

use url::{Host, Url};

use super::{
    error::{ConfigError, Problem},
    units,
};
use crate::ascii;

pub(super) struct Report {
    /// Unreadable keys and values. They are not reported again as missing.
    unread: Vec<Problem>,
    found: Vec<Problem>,
    warnings: Vec<Problem>,
    development: bool,
}

/// The rule for plain http of one upstream.
pub(super) struct PlainHttp {
    /// The path of the key that decides.
    key: String,
    allowed: bool,
}

impl PlainHttp {
    pub(super) fn new(key: String, written: Option<bool>) -> Self {
        Self {
            key,
            allowed: written.unwrap_or(false),
        }
    }
}

impl Report {
    pub(super) const fn new(unread: Vec<Problem>, development: bool) -> Self {
        Self {
            unread,
            found: Vec::new(),
            warnings: Vec::new(),
            development,
        }
    }

    /// Returns the warnings of a configuration without problems.
    pub(super) fn finish(self) -> Result<Vec<Problem>, ConfigError> {
        let mut problems = self.unread;
        problems.extend(self.found);

        if problems.is_empty() {
            Ok(self.warnings)
        } else {
            Err(ConfigError::new(problems))
        }
    }

    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        let reported = self.unread.iter().any(|problem| {
            let above = problem.path();
            path == above
                || path
                    .strip_prefix(above)
                    .is_some_and(|rest| rest.starts_with(['.', '[']))
        });
        if !reported {
            self.found.push(Problem::new(path, message));
        }
    }

    /// Adds that a list is empty, unless its elements were unreadable.
    pub(super) fn empty(&mut self, path: &str, message: impl Into<String>) {
        if self.unread_elements(path).is_empty() {
            self.add(path, message);
        }
    }

    /// Returns the path of a list element by its written position, counting unreadable elements.
    pub(super) fn element(&self, path: &str, index: usize) -> String {
        let written = self.unread_elements(path).iter().fold(index, |at, unread| {
            if *unread <= at { at.saturating_add(1) } else { at }
        });
        format!("{path}[{written}]")
    }

    fn is_found(&self, path: &str) -> bool {
        self.found.iter().any(|problem| problem.path() == path)
    }

    /// Returns the positions of unreadable list elements, in ascending order.
    pub(super) fn unread_elements(&self, path: &str) -> Vec<usize> {
        let mut positions: Vec<_> = self
            .unread
            .iter()
            .filter_map(|problem| {
                let element = problem.path().strip_prefix(path)?.strip_prefix('[')?;
                element.strip_suffix(']')?.parse().ok()
            })
            .collect();
        positions.sort_unstable();
        positions
    }

    /// Adds a problem of a table, unless a problem inside the table is listed already.
    pub(super) fn add_of_table(&mut self, path: &str, message: impl Into<String>) {
        let below = |problem: &Problem| problem.path().starts_with(path);
        if !self.found.iter().chain(&self.unread).any(below) {
            self.add(path, message);
        }
    }

    /// Checks a required text on one line.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        if text.is_empty() {
            self.add(path, "required");
        } else if ascii::has_control(text) || text.trim() != text {
            self.add(path, "has control characters, or white space at an end");
        }
    }

    /// Checks a number, unless its key has a problem already.
    pub(super) fn range<T: Copy + PartialOrd + Display>(
        &mut self,
        path: &str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) && !self.is_found(path) {
            self.add(path, format!("expected {} to {}", range.start(), range.end()));
        }
    }

    /// Checks a duration, unless its key has a problem already.
    pub(super) fn duration(&mut self, path: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) && !self.is_found(path) {
            let (least, most) = (units::print(*range.start()), units::print(*range.end()));
            self.add(path, format!("expected {least} to {most}"));
        }
    }

    /// Checks the base URL of an upstream, and returns it without a slash at its end.
    pub(super) fn base_url(&mut self, path: &str, text: &str, http: &PlainHttp) -> Option<String> {
        self.url(path, text, http)
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// Checks the URL of an upstream. A URL that `http` allows, and that would be refused otherwise, is a warning.
    pub(super) fn url(&mut self, path: &str, text: &str, http: &PlainHttp) -> Option<Url> {
        if text.is_empty() {
            self.add(path, "required");
            return None;
        }

        let fault = match Url::parse(text) {
            Ok(url) => match url_fault(&url, text) {
                None if is_secure(&url) => return Some(url),
                None if http.allowed => {
                    self.warnings.push(Problem::new(
                        path,
                        format!("plain http beyond loopback, allowed by `{}`", http.key),
                    ));
                    return Some(url);
                }
                None if self.development => return Some(url),
                None => format!(
                    "not an https URL; to use plain http inside a cluster, set `{} = true`",
                    http.key
                )
                .into(),
                Some(fault) => fault,
            },
            Err(_) => "not a URL".into(),
        };
        self.add(path, fault);
        None
    }

    /// Checks the URL of a page that browsers are sent to.
    pub(super) fn page_url(&mut self, path: &str, text: &str) {
        let fault = match Url::parse(text) {
            _ if text.is_empty() => Some("required".into()),
            // It becomes part of a response, as it is written.
            _ if text.bytes().any(|byte| !byte.is_ascii_graphic()) => {
                Some("not a URL in printable ASCII without white space".into())
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Some("a URL may not hold credentials".into())
            }
            Ok(url) if is_secure(&url) || (self.development && url.scheme() == "http") => None,
            Ok(_) => Some("not an https URL".into()),
            Err(_) => Some("not a URL, such as \"https://app.example/login\"".into()),
        };
        if let Some(fault) = fault {
            self.add(path, Cow::<str>::into_owned(fault));
        }
    }

    /// Checks the origin of a site: RFC 6454 §6.2, as browsers write it.
    pub(super) fn origin(&mut self, path: &str, text: &str) {
        let fault = match Url::parse(text) {
            // Before the parser, which accepts `*` in a host name.
            _ if text.contains('*') => Some(
                "wildcards are not supported in origins: write each origin, such as \"https://app.example\"",
            ),
            Ok(url) if url.origin().ascii_serialization() != text => {
                Some("not an origin as browsers write it, such as \"https://app.example\"")
            }
            Ok(url) if is_secure(&url) || (self.development && url.scheme() == "http") => None,
            Ok(_) => Some("not an https URL"),
            Err(_) => Some("not an origin"),
        };
        if let Some(fault) = fault {
            self.add(path, fault);
        }
    }
}

fn url_fault(url: &Url, text: &str) -> Option<Cow<'static, str>> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some("not an https URL".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a URL may not hold credentials".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("a URL may not have a query or a fragment here".into());
    }
    // 169.254.169.254 is the metadata address of clouds, which serves credentials of the machine.
    if ip(url).is_some_and(is_link_local) {
        return Some("a link-local address".into());
    }
    is_repaired(url, text).then(|| repaired(url))
}

/// Returns the message for a URL that the parser changed. The URL has no credentials, query or fragment.
fn repaired(url: &Url) -> Cow<'static, str> {
    let written = match url.path() {
        "/" => url.as_str().trim_end_matches('/'),
        _ => url.as_str(),
    };
    // A password with a slash in it ends the host: the rest of the credentials becomes part of the path.
    if written.contains('@') {
        return "not read as it is written: no white space, control characters, quotes, braces, backslashes or `..`, the host and the path in ASCII, an address in full".into();
    }

    format!("not read as it is written, but as `{written}`: write that, if it is what is meant").into()
}

/// Tells whether a parsed URL differs from its text. The URL has no credentials, query or fragment.
///
/// The parser is that of browsers: it drops white space at the ends and line breaks anywhere, reads backslashes as slashes,
/// resolves `..`, adds slashes behind the scheme, drops invisible characters of a host, and expands addresses such as `127.1`. A
/// person or another parser may read such a text as another URL. Letter case in the scheme and the host and an explicit default
/// port make no difference.
fn is_repaired(url: &Url, text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return true;
    };
    let (authority, path) = rest
        .split_at_checked(rest.find('/').unwrap_or(rest.len()))
        .unwrap_or((rest, ""));
    let host = url.host_str().unwrap_or_default();
    let Some((written_host, port)) = authority.split_at_checked(host.len()) else {
        return true;
    };

    let is_as_written = scheme.eq_ignore_ascii_case(url.scheme())
        && written_host.eq_ignore_ascii_case(host)
        && (port.is_empty()
            || url
                .port_or_known_default()
                .is_some_and(|known| port == format!(":{known}")))
        && (path == url.path() || (path.is_empty() && url.path() == "/"));
    !is_as_written
}

/// Tells whether a URL needs no permission: https, or plain http on this machine.
fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

fn ip(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.to_ipv4_mapped().map_or_else(|| ip.into(), Into::into)),
        Host::Domain(_) => None,
    }
}

fn is_loopback(url: &Url) -> bool {
    ip(url).is_some_and(|ip| ip.is_loopback()) || url.host_str() == Some("localhost")
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

//! The list of problems while it grows.

use std::{borrow::Cow, fmt::Display, net::IpAddr, ops::RangeInclusive, time::Duration};

use url::{Host, Url};

use super::{
    error::{ConfigError, Problem},
    units,
    validate::unavailable::Unavailable,
};
use crate::ascii;

pub(super) struct Report {
    /// What could not be read. A key that is on this list is not reported again because it is missing now.
    unread: Vec<Problem>,
    found: Vec<Problem>,
    development: bool,
}

impl Report {
    pub(super) const fn new(unread: Vec<Problem>, development: bool) -> Self {
        Self {
            unread,
            found: Vec::new(),
            development,
        }
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        let mut problems = self.unread;
        problems.extend(self.found);

        if problems.is_empty() {
            Ok(())
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

    /// Adds that a list is empty, unless that is because what was written in it could not be read.
    pub(super) fn empty(&mut self, path: &str, message: impl Into<String>) {
        if self.unread_elements(path).is_empty() {
            self.add(path, message);
        }
    }

    /// Returns the path of an element of a list, as it was written: elements that could not be read are not counted.
    pub(super) fn element(&self, path: &str, index: usize) -> String {
        let written = self.unread_elements(path).iter().fold(index, |at, unread| {
            if *unread <= at { at.saturating_add(1) } else { at }
        });
        format!("{path}[{written}]")
    }

    fn is_found(&self, path: &str) -> bool {
        self.found.iter().any(|problem| problem.path() == path)
    }

    /// Returns the positions in a list that could not be read, in ascending order.
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

    /// Adds what another check found in a table, unless something in it is on the list already: it would be the same.
    pub(super) fn add_of_table(&mut self, path: &str, message: impl Into<String>) {
        let below = |problem: &Problem| problem.path().starts_with(path);
        if !self.found.iter().chain(&self.unread).any(below) {
            self.add(path, message);
        }
    }

    /// Adds that `feature`, which the key at `path` belongs to, is not there.
    pub(super) fn unavailable(&mut self, path: &str, feature: Unavailable) {
        self.add(path, feature.to_string());
    }

    /// Checks a text that must be there and be on one line.
    pub(super) fn text(&mut self, path: &str, text: &str) {
        if text.is_empty() {
            self.add(path, "required");
        } else if ascii::has_control(text) || text.trim() != text {
            self.add(path, "has control characters, or white space at an end");
        }
    }

    /// Checks a number, unless something else is wrong with its key.
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

    /// Checks a duration, unless something else is wrong with its key.
    pub(super) fn duration(&mut self, path: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) && !self.is_found(path) {
            let (least, most) = (units::print(*range.start()), units::print(*range.end()));
            self.add(path, format!("expected {least} to {most}"));
        }
    }

    /// Checks the URL of an upstream that paths are added to, and returns it without a slash at its end.
    pub(super) fn base_url(&mut self, path: &str, text: &str) -> Option<String> {
        self.url(path, text)
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    /// Checks the URL of an upstream.
    pub(super) fn url(&mut self, path: &str, text: &str) -> Option<Url> {
        if text.is_empty() {
            self.add(path, "required");
            return None;
        }

        let fault = match Url::parse(text) {
            Ok(url) => match url_fault(&url, text, self.development) {
                None => return Some(url),
                Some(fault) => fault,
            },
            Err(_) => "not a URL".into(),
        };
        self.add(path, fault);
        None
    }

    /// Checks the origin of a site: RFC 6454 §6.2, as browsers write it.
    pub(super) fn origin(&mut self, path: &str, text: &str) {
        let fault = match Url::parse(text) {
            // Not left to the parser, which takes it for a letter of a host's name.
            _ if text.contains('*') => {
                Some("`*` stands for nothing in an origin: write each one, such as \"https://app.example\"")
            }
            Ok(url) if url.origin().ascii_serialization() != text => {
                Some("not an origin as browsers write it, such as \"https://app.example\"")
            }
            Ok(url) => scheme_fault(&url, self.development),
            Err(_) => Some("not an origin"),
        };
        if let Some(fault) = fault {
            self.add(path, fault);
        }
    }
}

fn url_fault(url: &Url, text: &str, development: bool) -> Option<Cow<'static, str>> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some("not an https URL".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a URL may not hold credentials".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("a URL may not have a query or a fragment here".into());
    }
    // 169.254.169.254 is where clouds hand out credentials of the machine.
    if ip(url).is_some_and(is_link_local) {
        return Some("a link-local address".into());
    }
    if is_repaired(url, text) {
        return Some(repaired(url));
    }
    scheme_fault(url, development).map(Cow::Borrowed)
}

/// Says how a URL that was repaired is written. It has no credentials, no query and no fragment.
fn repaired(url: &Url) -> Cow<'static, str> {
    let written = match url.path() {
        "/" => url.as_str().trim_end_matches('/'),
        _ => url.as_str(),
    };
    // Behind a password with a slash in it, which ends the host, the rest of the credentials is part of the path.
    if written.contains('@') {
        return "not read as it is written: no white space, control characters, quotes, braces, backslashes or `..`, the host and the path in ASCII, an address in full".into();
    }

    format!("not read as it is written, but as `{written}`: write that, if it is what is meant").into()
}

/// Tells whether an http URL without credentials, query and fragment says something else than the text it was read from.
///
/// The parser is that of browsers: it drops white space at the ends and line breaks anywhere, takes backslashes for slashes,
/// resolves `..`, adds slashes behind the scheme, leaves out what is not seen in a host, and knows addresses such as `127.1`. Whoever
/// reads the configuration, or passes the value on, may take it for another URL. The case of letters in the scheme and the host and
/// a default port that is written out mean the same to everybody.
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

fn scheme_fault(url: &Url, development: bool) -> Option<&'static str> {
    match url.scheme() {
        "https" => None,
        "http" if development || is_loopback(url) => None,
        _ => Some("not an https URL"),
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

//! Sample requests that reach a route.

use std::{borrow::Cow, collections::HashSet, fmt, ops::Deref};

use actix_web::{
    dev::ResourceDef,
    http::{
        Method, Uri,
        header::{HeaderName, HeaderValue},
    },
    introspection::{GuardDetailReport, GuardReport, IntrospectionNode},
};

use super::text;
use crate::route::resource::{Resource, visit_resources};

/// Texts that common path parameters accept: a word, a number, an id, a date, a file, a language, a path.
const CANDIDATES: [&str; 10] = [
    "a",
    "1",
    "00000000-0000-4000-8000-000000000000",
    "2000-01-01",
    "a.txt",
    "en",
    "abcdefgh",
    "A1",
    "0123456789abcdef01234567",
    "a/a",
];

/// The methods that are tried for the `*` row of a pattern. Those that outer middleware may answer itself come last.
const METHODS: [Method; 9] = [
    Method::TRACE,
    Method::PATCH,
    Method::DELETE,
    Method::PUT,
    Method::POST,
    Method::GET,
    Method::HEAD,
    Method::CONNECT,
    Method::OPTIONS,
];

/// The most fillings that are tried for one pattern.
const MAX_TRIES: usize = 1000;

/// The most samples that are sent for one pattern: other routes may take the first ones.
const MAX_SAMPLES: usize = 32;

/// A resource, and the guards on the way to it.
#[derive(Debug)]
pub(super) struct GuardedResource {
    resource: Resource,
    /// The guards on the way that look at more than the method.
    guards: Vec<Guard>,
}

/// A guard that looks at more than the method.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) name: String,
    /// The header that fulfils the guard. Unknown for guards other than `Host` and `Header`.
    header: Option<(HeaderName, HeaderValue)>,
}

/// One method of one pattern.
#[derive(Debug)]
pub(super) struct SampleTarget<'p> {
    pub(super) method: Method,
    /// Set when the method of the sample stands for others too.
    pub(super) any_method: bool,
    /// The guard that the sample fulfils.
    pub(super) guard: Option<&'p Guard>,
    pub(super) pattern: &'p str,
}

impl Deref for GuardedResource {
    type Target = Resource;

    fn deref(&self) -> &Self::Target {
        &self.resource
    }
}

impl GuardedResource {
    /// Returns one target for each method, or one for all methods, and the same once more for requests that fulfil the guard.
    pub(super) fn targets(&self) -> impl Iterator<Item = SampleTarget<'_>> {
        let any_method = self.methods.is_empty();
        let methods: &[Method] = if any_method { &[Method::GET] } else { &self.methods };
        let fulfilled = self.only_guard().filter(|guard| guard.header.is_some());

        [None]
            .into_iter()
            .chain(fulfilled.map(Some))
            .flat_map(move |guard| {
                methods.iter().map(move |method| SampleTarget {
                    method: method.clone(),
                    any_method,
                    guard,
                    pattern: &self.pattern,
                })
            })
    }

    /// Returns a target for the methods that no guard asks for, where guards ask for others.
    pub(super) fn other_methods(&self) -> Option<SampleTarget<'_>> {
        let other = || METHODS.into_iter().find(|method| !self.methods.contains(method));
        let method = (!self.methods.is_empty()).then(other).flatten()?;

        Some(SampleTarget {
            method,
            any_method: true,
            guard: None,
            pattern: &self.pattern,
        })
    }

    /// Returns the names of the guards if no set of samples covers what they choose between.
    pub(super) fn unsampled_guards(&self) -> Option<String> {
        let is_covered = match self.only_guard() {
            None => self.guards.is_empty(),
            Some(guard) => guard.header.is_some(),
        };

        (!is_covered).then(|| {
            let names: Vec<_> = self
                .guards
                .iter()
                .map(|guard| format!("`{}`", guard.name))
                .collect();
            names.join(", ")
        })
    }

    fn only_guard(&self) -> Option<&Guard> {
        match self.guards.as_slice() {
            [guard] => Some(guard),
            [] | [_, ..] => None,
        }
    }
}

impl Guard {
    fn of(name: &str, reports: &[GuardReport]) -> Self {
        let details = reports.iter().find(|report| report.name == name);
        let header = match details.map(|report| report.details.as_slice()) {
            Some([GuardDetailReport::Headers { headers }])
                if name.starts_with("Header(") || name.starts_with("Host(") =>
            {
                match headers.as_slice() {
                    // A value that is not ASCII is reported as an empty one.
                    [header] if !header.value.is_empty() => HeaderName::try_from(&header.name)
                        .ok()
                        .zip(HeaderValue::try_from(&header.value).ok()),
                    [] | [_, ..] => None,
                }
            }
            Some(_) | None => None,
        };

        Self {
            name: name.to_owned(),
            header,
        }
    }
}

impl SampleTarget<'_> {
    /// Returns the method; `*` when it stands for others too.
    pub(super) fn method_name(&self) -> &str {
        if self.any_method {
            "*"
        } else {
            self.method.as_str()
        }
    }

    /// Returns targets of requests that the pattern matches, each of them once.
    pub(super) fn samples(&self) -> impl Iterator<Item = Sampled> {
        samples(self.pattern)
    }

    /// Returns the header that fulfils the guard of the target.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        self.guard?.header.clone()
    }
}

impl fmt::Display for SampleTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method_name(), self.pattern)?;
        match self.guard {
            None => Ok(()),
            Some(guard) => write!(f, " if {}", guard.name),
        }
    }
}

/// The path of a sample.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Sampled {
    /// As the router sees it.
    pub(super) path: String,
    /// As the request has it.
    pub(super) uri: Uri,
}

/// Returns every pattern of an application.
pub(super) fn resources(root: &IntrospectionNode) -> Vec<GuardedResource> {
    let mut resources = Vec::new();
    visit_resources(root, &mut |resource, way| {
        resources.push(GuardedResource {
            resource,
            guards: guards_on(way),
        });
    });
    resources
}

/// Returns the guards on a way that look at more than the method, each of them once.
fn guards_on(way: &[&IntrospectionNode]) -> Vec<Guard> {
    let mut guards: Vec<Guard> = Vec::new();
    for node in way {
        for name in node.guards.iter().filter(|name| !asks_for_methods_only(name)) {
            if !guards.iter().any(|guard| guard.name == *name) {
                guards.push(Guard::of(name, &node.guard_details));
            }
        }
    }
    guards
}

/// Tells by its name whether a guard is one of Actix Web's for methods: `GET`, or `AnyGuard(GET, POST)`.
fn asks_for_methods_only(guard: &str) -> bool {
    let names = guard
        .strip_prefix("AnyGuard(")
        .and_then(|names| names.strip_suffix(')'))
        .unwrap_or(guard);

    names
        .split(", ")
        .all(|name| Method::from_bytes(name.as_bytes()).is_ok())
}

/// Fills the parameters of a pattern in different ways, and returns what the pattern matches.
fn samples(pattern: &str) -> impl Iterator<Item = Sampled> {
    split(pattern)
        .into_iter()
        .flat_map(|parts| fillings(pattern, parts))
}

fn fillings<'p>(pattern: &str, parts: Vec<Part<'p>>) -> impl Iterator<Item = Sampled> + use<'p> {
    let definition = ResourceDef::new(pattern);
    let longest = parts.iter().map(Part::len).max().unwrap_or_default();

    // The same position for each parameter fits most patterns. Mixtures come after.
    let same = (0..longest).map(Choice::Same);
    let mixed = (0..MAX_TRIES).map(Choice::Mixed);
    let mut tried = HashSet::new();
    same.chain(mixed)
        .filter_map(move |choice| fill(&parts, choice))
        .filter(move |path| tried.insert(path.clone()) && definition.is_match(path))
        .filter_map(|path| {
            let uri = encode(&path).parse().ok()?;
            Some(Sampled { path, uri })
        })
        .take(MAX_SAMPLES)
}

/// Which text each parameter gets.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Same(usize),
    /// The digits of the number, in a base that differs with the parameter.
    Mixed(usize),
}

enum Part<'p> {
    Literal(&'p str),
    Parameter(Vec<Cow<'static, str>>),
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Literal(_) => 1,
            Self::Parameter(texts) => texts.len(),
        }
    }
}

/// Splits a pattern at its parameters. A regular expression in a parameter may hold braces of its own.
fn split(pattern: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = pattern;

    while let Some((literal, after)) = rest.split_once('{') {
        parts.push(Part::Literal(literal));
        let end = closing_brace(after)?;
        let parameter = after.get(..end.saturating_sub(1))?;
        let fitting = parameter
            .split_once(':')
            .map(|(_, regex)| text::texts(regex))
            .unwrap_or_default();
        let texts = fitting.into_iter().map(Cow::Owned);
        parts.push(Part::Parameter(
            texts.chain(CANDIDATES.map(Cow::Borrowed)).collect(),
        ));
        rest = after.get(end..)?;
        // `{tail}*` is a parameter to the end of the path.
        rest = rest.strip_prefix('*').unwrap_or(rest);
    }
    parts.push(Part::Literal(rest));
    Some(parts)
}

/// Returns the position behind the brace that closes what was opened before `text`. Actix Web counts those with a backslash too.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 1_usize;

    for (position, character) in text.char_indices() {
        match character {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(position.saturating_add(1));
        }
    }
    None
}

fn fill(parts: &[Part<'_>], choice: Choice) -> Option<String> {
    let mut rest = choice;
    let mut path = String::new();

    for part in parts {
        match part {
            Part::Literal(literal) => path.push_str(literal),
            Part::Parameter(texts) => {
                let position = match &mut rest {
                    Choice::Same(position) => *position,
                    Choice::Mixed(number) => {
                        let digit = number.checked_rem(texts.len())?;
                        *number = number.checked_div(texts.len())?;
                        digit
                    }
                };
                path.push_str(texts.get(position)?);
            }
        }
    }
    Some(path)
}

const HEX: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
];

/// Encodes what a URL cannot hold. The router decodes it again.
fn encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());

    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@/%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(HEX.get(usize::from(byte >> 4)));
            encoded.extend(HEX.get(usize::from(byte & 0x0f)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_matches_its_pattern() {
        for pattern in [
            "/",
            "/orders",
            "/orders/{id}",
            r"/orders/{id:\d+}",
            r"/{year:\d{4}-\d\d-\d\d}/{name}",
            "/files/{tail:.*}",
            "/files/{tail}*",
            r"/{lang:[a-z]{2}}/{id:[0-9]+}",
            r"/{page:a|\{b\}}",
            "/{s:[A-Z]{2,4}}",
            r"/{a:[A-Z]{2,4}}/{b}/{c:x\d{7}y}/{d:[a-f]{3}(-[0-9]{2}){2}}",
            r"/{id:zz\d{17}}",
            "/a b/{name:[ü]+}",
        ] {
            let paths: Vec<_> = samples(pattern).collect();

            assert!(!paths.is_empty(), "{pattern}");
            for sampled in paths {
                assert!(
                    ResourceDef::new(pattern).is_match(&sampled.path),
                    "{pattern}: {sampled:?}"
                );
            }
        }
    }

    #[test]
    fn a_pattern_that_no_path_fits_has_no_sample() {
        assert_eq!(samples(r"/{id:a\bb}").next(), None);
    }
}

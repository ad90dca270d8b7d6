//! Which request reaches a route?

use std::{collections::HashSet, fmt};

use actix_web::{
    dev::ResourceDef,
    http::Method,
    introspection::{IntrospectionNode, ResourceType},
};

/// Texts that one of the usual path parameters accepts: a word, a number, an id, a date, a file, a language, a path.
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

/// What is tried for the methods that no guard asks for. Those that outer middleware may answer itself come last.
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

/// The most samples that are sent for one pattern: others may take those that come first.
const MAX_SAMPLES: usize = 32;

/// Everything that is served under one pattern.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) pattern: String,
    /// The methods that guards ask for; none when none does.
    methods: Vec<Method>,
    /// Set when a guard here or further out looks at more than the method: then no sample tells what it would choose.
    pub(super) is_guarded: bool,
}

/// One method of one pattern.
#[derive(Debug)]
pub(super) struct Target<'p> {
    pub(super) method: Method,
    /// Whether the sample's method is only one of those that are meant.
    pub(super) any_method: bool,
    pub(super) pattern: &'p str,
}

impl Resource {
    /// Returns the methods that are asked for, or one for all of them.
    pub(super) fn targets(&self) -> impl Iterator<Item = Target<'_>> {
        let any_method = self.methods.is_empty();
        let methods: &[Method] = if any_method { &[Method::GET] } else { &self.methods };

        methods.iter().map(move |method| Target {
            method: method.clone(),
            any_method,
            pattern: &self.pattern,
        })
    }

    /// Returns one for all the methods that no guard asks for, where there are some that do.
    pub(super) fn other_methods(&self) -> Option<Target<'_>> {
        let other = || METHODS.into_iter().find(|method| !self.methods.contains(method));
        let method = (!self.methods.is_empty()).then(other).flatten()?;

        Some(Target {
            method,
            any_method: true,
            pattern: &self.pattern,
        })
    }
}

impl Target<'_> {
    /// Returns the method, `*` when others are meant too.
    pub(super) fn method_name(&self) -> &str {
        if self.any_method {
            "*"
        } else {
            self.method.as_str()
        }
    }

    /// Returns paths that the pattern matches, each of them once.
    pub(super) fn samples(&self) -> impl Iterator<Item = String> {
        samples(self.pattern)
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method_name(), self.pattern)
    }
}

/// Returns every pattern of an application.
pub(super) fn resources(root: &IntrospectionNode) -> Vec<Resource> {
    let mut resources = Vec::new();
    collect(root, false, &mut resources);
    resources
}

fn collect(node: &IntrospectionNode, is_guarded: bool, resources: &mut Vec<Resource>) {
    let is_guarded = is_guarded || !node.guards.iter().all(|guard| asks_for_methods_only(guard));
    if matches!(node.kind, ResourceType::Resource) {
        resources.push(Resource {
            pattern: node.full_path.clone(),
            methods: node.methods.clone(),
            is_guarded,
        });
    }

    for child in &node.children {
        collect(child, is_guarded, resources);
    }
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

/// Fills a pattern's parameters, one way after the other as long as somebody asks, and gives what the pattern matches.
fn samples(pattern: &str) -> impl Iterator<Item = String> {
    split(pattern)
        .into_iter()
        .flat_map(|parts| fillings(pattern, parts))
}

fn fillings<'p>(pattern: &str, parts: Vec<Part<'p>>) -> impl Iterator<Item = String> + use<'p> {
    let parameters = parts
        .iter()
        .filter(|part| matches!(part, Part::Parameter))
        .count();
    let definition = ResourceDef::new(pattern);

    // The same text everywhere fits nearly every pattern; mixtures come after.
    let same = CANDIDATES.iter().map(move |text| vec![*text; parameters]);
    let mixed = (0..MAX_TRIES).map(move |number| mixture(number, parameters));
    let mut tried = HashSet::new();
    same.chain(mixed)
        .map(move |values| fill(&parts, &values))
        .filter(move |path| tried.insert(path.clone()) && definition.is_match(path))
        .take(MAX_SAMPLES)
}

fn mixture(mut number: usize, parameters: usize) -> Vec<&'static str> {
    (0..parameters)
        .map(|_| {
            let candidate = CANDIDATES
                .get(number.checked_rem(CANDIDATES.len()).unwrap_or_default())
                .copied()
                .unwrap_or_default();
            number = number.checked_div(CANDIDATES.len()).unwrap_or_default();
            candidate
        })
        .collect()
}

enum Part<'p> {
    Literal(&'p str),
    Parameter,
}

/// Splits a pattern at its parameters. A regular expression in a parameter may hold braces of its own.
fn split(pattern: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = pattern;

    while let Some((literal, after)) = rest.split_once('{') {
        parts.push(Part::Literal(literal));
        let end = closing_brace(after)?;
        parts.push(Part::Parameter);
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

fn fill(parts: &[Part<'_>], values: &[&str]) -> String {
    let mut values = values.iter();

    parts
        .iter()
        .map(|part| match part {
            Part::Literal(literal) => *literal,
            Part::Parameter => values.next().copied().unwrap_or_default(),
        })
        .collect()
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
        ] {
            let paths: Vec<_> = samples(pattern).collect();

            assert!(!paths.is_empty(), "{pattern}");
            for path in paths {
                assert!(ResourceDef::new(pattern).is_match(&path), "{pattern}: {path}");
            }
        }
    }

    #[test]
    fn a_pattern_that_no_candidate_fits_has_no_sample() {
        assert_eq!(samples(r"/{id:zz\d{17}}").next(), None);
    }
}

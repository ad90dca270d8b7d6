//! Path parameters and patterns of a routed request.

use std::{borrow::Cow, collections::HashMap};

use actix_web::HttpRequest;

/// Returns the full pattern of the request's route; `None` at a default service.
pub(crate) fn pattern_of(request: &HttpRequest) -> Option<String> {
    if is_at_default_service(request) {
        return None;
    }

    request.match_pattern()
}

/// Tells whether a part of the path was matched by no pattern.
///
/// Actix Web then looks for a pattern by the path alone, and returns that of a resource whose guard has rejected the
/// request.
pub(crate) fn is_at_default_service(request: &HttpRequest) -> bool {
    !request.match_info().unprocessed().is_empty()
}

/// The path parameters of a request, percent-decoded as by `web::Path`.
///
/// `match_info` does not decode `%2F`, `%25` and `%2B`. With its values, Keto would check another object than the handler
/// loads.
#[derive(Debug, Default)]
pub(crate) struct PathValues(HashMap<String, String>);

impl PathValues {
    /// Decodes the parameters of the patterns matched so far.
    ///
    /// A name that occurs both in a scope's pattern and in the route's has no value, because it is ambiguous.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let info = request.match_info();
        let decoded: Vec<String> = info.load().unwrap_or_default();
        let occurs_once = |name: &str| info.iter().filter(|(other, _)| *other == name).count() == 1;

        Self(
            info.iter()
                .zip(decoded)
                .filter(|((name, _), _)| occurs_once(name))
                .map(|((name, _), value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// Returns the value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name).map(|value| Cow::Borrowed(value.as_str()))
    }

    /// Returns the parameters of `names` that have a value.
    pub(crate) fn of_names(&self, names: &[String]) -> Vec<(String, String)> {
        names
            .iter()
            .filter_map(|name| Some((name.clone(), self.0.get(name)?.clone())))
            .collect()
    }

    /// Returns the names of all parameters that have a value.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{FromRequest as _, dev::Payload, test::TestRequest, web};

    use super::*;

    /// R092
    #[test]
    fn values_are_those_of_the_path_extractor() {
        for raw in [
            "a",
            "a%2Fb",
            "a%25b",
            "a%2Bb",
            "a+b",
            "%fe",
            "a%zz",
            "%E2%82%AC",
            "",
        ] {
            let request = TestRequest::default().param("id", raw).to_http_request();

            let extracted = web::Path::<String>::from_request(&request, &mut Payload::None)
                .into_inner()
                .unwrap()
                .into_inner();

            assert_eq!(PathValues::of(&request).get("id").as_deref(), Some(&*extracted));
        }
    }

    #[test]
    fn a_name_that_occurs_twice_has_no_value() {
        let request = TestRequest::default()
            .param("id", "1")
            .param("id", "2")
            .param("other", "3")
            .to_http_request();

        let values = PathValues::of(&request);

        assert_eq!(values.get("id"), None);
        assert_eq!(values.get("other").as_deref(), Some("3"));
    }
}

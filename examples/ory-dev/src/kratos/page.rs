//! Pagination: by page number, and by page token.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::answer::{Refusal, json, query};

/// A page by number, as for schemas and the sessions of one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paged {
    page: usize,
    size: usize,
}

impl Paged {
    pub(crate) fn by(request: &HttpRequest) -> Result<Self, Refusal> {
        let size = size(request);
        let number = |key| query(request, key).and_then(|text| text.parse::<usize>().ok());
        let page = match query(request, "page_token").filter(|token| !token.is_empty()) {
            Some(token) => offset(&token)
                .ok_or_else(bad_token)?
                .checked_div(size)
                .unwrap_or(0),
            None => number("page").unwrap_or(0),
        };
        Ok(Self { page, size })
    }

    /// Answers with this page of `all`, links to other pages, and the total.
    pub(crate) fn answer(self, request: &HttpRequest, all: Vec<Value>) -> HttpResponse {
        let total = all.len();
        // The links of Go's helper name no page size above the length of the list.
        let size = self.size.min(total).max(1);
        let last = total.saturating_sub(1).checked_div(size).unwrap_or(0);
        let mut links = Vec::new();
        let mut add = |page: usize, name| links.push(link(request, page, size, name));
        if self.page > 0 || last == 0 {
            add(0, "first");
        }
        if self.page < last {
            add(self.page.saturating_add(1), "next");
        }
        if self.page > 0 {
            add(self.page.saturating_sub(1), "prev");
        }
        if self.page < last {
            add(last, "last");
        }
        let skipped = self.page.saturating_mul(self.size);
        let shown: Vec<Value> = all.into_iter().skip(skipped).take(self.size).collect();
        let mut answer = json(StatusCode::OK, &shown.into());
        set(&mut answer, header::LINK, &links.join(","));
        set(
            &mut answer,
            HeaderName::from_static("x-total-count"),
            &total.to_string(),
        );
        answer
    }
}

/// Answers with a page by token: `next` is the token of the next page, `first` that of the first page.
pub(crate) fn keyed(
    request: &HttpRequest,
    shown: Vec<Value>,
    first: &str,
    next: Option<&str>,
) -> HttpResponse {
    let size = size(request).to_string();
    let linked = |token: &str, name: &str| {
        let query = sorted_query(request, &[("page_size", &size), ("page_token", token)]);
        format!("<{}?{query}>; rel=\"{name}\"", request.path())
    };
    let links = [
        Some(linked(first, "first")),
        next.map(|token| linked(token, "next")),
    ];
    let mut answer = json(StatusCode::OK, &shown.into());
    set(
        &mut answer,
        header::LINK,
        &links.into_iter().flatten().collect::<Vec<_>>().join(","),
    );
    answer
}

/// Returns the page size: as requested, within limits.
pub(crate) fn size(request: &HttpRequest) -> usize {
    let asked = query(request, "page_size").or_else(|| query(request, "per_page"));
    match asked.and_then(|text| text.parse::<usize>().ok()) {
        Some(0) | None => DEFAULT_SIZE,
        Some(size) => size.min(MAX_SIZE),
    }
}

pub(crate) fn bad_token() -> Refusal {
    Refusal::bad_request("The page token is invalid, do not craft your own page tokens")
}

/// Decodes base64 to text.
pub(crate) fn decode_text(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn link(request: &HttpRequest, page: usize, size: usize, name: &str) -> String {
    let offset = page.saturating_mul(size).to_string();
    let token = URL_SAFE_NO_PAD.encode(json!({"offset": offset, "v": 2}).to_string());
    let query = sorted_query(
        request,
        &[
            ("page", &page.to_string()),
            ("page_size", &size.to_string()),
            ("page_token", &token),
            ("per_page", &size.to_string()),
        ],
    );
    format!("<{}?{query}>; rel=\"{name}\"", request.path())
}

fn offset(token: &str) -> Option<usize> {
    let token: Value = serde_json::from_str(&decode_text(token)?).ok()?;
    token.get("offset")?.as_str()?.parse().ok()
}

/// Returns the query of the request with some keys replaced, sorted by key as in Go.
fn sorted_query(request: &HttpRequest, replaced: &[(&str, &str)]) -> String {
    let own = url::form_urlencoded::parse(request.query_string().as_bytes());
    let mut pairs: Vec<(String, String)> = own
        .filter(|(key, _)| !replaced.iter().any(|(name, _)| name == key))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .chain(
            replaced
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        )
        .collect();
    pairs.sort_by(|(one, _), (two, _)| one.cmp(two));
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn set(answer: &mut HttpResponse, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

const DEFAULT_SIZE: usize = 250;
const MAX_SIZE: usize = 1000;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn links(query: &str, total: usize) -> String {
        let request = TestRequest::get().uri(&format!("/x?{query}")).to_http_request();
        let answer = Paged::by(&request)
            .unwrap()
            .answer(&request, vec![Value::Null; total]);
        answer.headers().get("link").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn links_are_those_that_were_recorded() {
        assert_eq!(
            links("", 3),
            "</x?page=0&page_size=3&page_token=eyJvZmZzZXQiOiIwIiwidiI6Mn0&per_page=3>; rel=\"first\""
        );
        assert_eq!(
            links("active=true&page_size=1", 3),
            "</x?active=true&page=1&page_size=1&page_token=eyJvZmZzZXQiOiIxIiwidiI6Mn0&per_page=1>; rel=\"next\",\
             </x?active=true&page=2&page_size=1&page_token=eyJvZmZzZXQiOiIyIiwidiI6Mn0&per_page=1>; rel=\"last\""
        );
    }

    #[test]
    fn last_page_has_no_next() {
        assert!(!links("page_size=1&page=2", 3).contains("next"));
        assert!(!links("page_size=1&page=99", 3).contains("next"));
        assert!(!links("page_size=2&page_token=eyJvZmZzZXQiOiIyIiwidiI6Mn0", 3).contains("next"));
        assert!(links("page_size=0", 0).contains("first"));
    }

    #[test]
    fn page_token_of_another_kind_is_refused() {
        for token in ["nonsense", "eyJ2IjoyfQ", "%FF", "e30"] {
            let request = TestRequest::get()
                .uri(&format!("/x?page_token={token}"))
                .to_http_request();
            assert!(Paged::by(&request).is_err(), "{token}");
        }
    }
}

//! Sends recorded exchanges again, with identities, ids, tokens and cookies from this run's answers.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::{Answer, Stand};

const COMPARED_HEADERS: &[&str] = &[
    "cache-control",
    "content-type",
    "link",
    "location",
    "ory-error-id",
    "vary",
    "x-content-type-options",
    "x-kratos-authenticated-identity-id",
    "x-total-count",
];

/// Maps recorded values to the values of this run.
#[derive(Default)]
pub(crate) struct Here(BTreeMap<String, String>);

impl Here {
    pub(crate) fn put(&mut self, recorded: &str, here: &str) {
        if recorded != here && !recorded.is_empty() {
            self.0.insert(recorded.to_owned(), here.to_owned());
        }
    }

    pub(crate) fn translate(&self, text: &str) -> String {
        let mut longest: Vec<_> = self.0.iter().collect();
        longest.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
        longest
            .into_iter()
            .fold(text.to_owned(), |text, (recorded, here)| {
                text.replace(recorded, here)
            })
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Shape {
    Fixed,
    Address,
    CsrfToken,
    Hash,
    LogoutToken,
    SessionToken,
    Time,
    TotpSecret,
    Uuid,
}

pub(crate) fn shape(text: &str) -> Shape {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    if parts == [8, 4, 4, 4, 12] && text != "00000000-0000-0000-0000-000000000000" {
        Shape::Uuid
    } else if text.len() == 39 && text.starts_with("ory_st_") {
        Shape::SessionToken
    } else if text.len() == 39 && text.starts_with("ory_lo_") {
        Shape::LogoutToken
    } else if text.starts_with("20") && text.ends_with('Z') && text.chars().nth(10) == Some('T') {
        Shape::Time
    } else if text.len() == 88 && text.ends_with("==") {
        Shape::CsrfToken
    } else if text.len() == 32
        && text
            .chars()
            .all(|c| c.is_ascii_uppercase() || ('2'..='7').contains(&c))
    {
        Shape::TotpSecret
    } else if text.len() == 60 && text.starts_with("$2a$08$") {
        Shape::Hash
    } else if text.parse::<std::net::SocketAddr>().is_ok() {
        Shape::Address
    } else {
        Shape::Fixed
    }
}

/// Sends recorded exchanges again and collects the differences.
pub(crate) struct Replay {
    pub(crate) stand: Stand,
    pub(crate) here: Here,
    pub(crate) problems: Vec<String>,
    /// Accepted differences from the recording, and the reasons.
    otherwise: &'static [(&'static str, &'static str, &'static str)],
}

impl Replay {
    pub(crate) async fn with(
        stand: Stand,
        tag: &str,
        otherwise: &'static [(&'static str, &'static str, &'static str)],
    ) -> Self {
        let mut here = Here::default();
        here.put("http://127.0.0.1:4433/", stand.kratos.public_url().as_str());
        here.put("http://127.0.0.1:4434/", stand.kratos.admin_url().as_str());
        here.put(tag, uuid::Uuid::new_v4().to_string().split('-').next().unwrap());
        let probe = stand.get(&stand.public("schemas"), &[]).await;
        here.put(
            "csrf_token_806060ca5bf70dff3caa0e5c860002aade9d470a5a4dce73bcfa7ba10778f481",
            probe.set_cookies()[0].split_once('=').unwrap().0,
        );
        Self {
            stand,
            here,
            problems: Vec::new(),
            otherwise,
        }
    }

    /// Sends an exchange again and compares the answer.
    pub(crate) async fn play(&mut self, entry: &Value) -> Answer {
        let name = entry["name"].as_str().unwrap();
        let answer = self.send(entry).await;
        let recorded = &entry["response"];
        if recorded["status"] != answer.status {
            self.problem(
                name,
                &format!("{}, not {}: {}", answer.status, recorded["status"], answer.text()),
            );
        }
        self.compare_headers(name, &recorded["headers"], &answer);
        let body = if answer.body.is_empty() {
            Value::Null
        } else {
            answer.value()
        };
        self.compare(name, "", &recorded["body"], &body);
        answer
    }

    fn compare(&mut self, name: &str, path: &str, recorded: &Value, here: &Value) {
        let last = path.rsplit('/').next().unwrap_or_default();
        if self
            .otherwise
            .iter()
            .any(|(exchange, member, _)| *exchange == name && (*member == last || *member == path))
        {
            return;
        }
        match (recorded, here) {
            (Value::Object(recorded), Value::Object(here)) => {
                for (key, value) in recorded {
                    match here.get(key) {
                        Some(own) => self.compare(name, &format!("{path}/{key}"), value, own),
                        None => self.problem(name, &format!("{path}/{key} is missing")),
                    }
                }
                let expected_elsewhere = |key: &str| {
                    self.otherwise
                        .iter()
                        .any(|(exchange, member, _)| *exchange == name && *member == key)
                };
                for key in here
                    .keys()
                    .filter(|key| !recorded.contains_key(*key) && !expected_elsewhere(key))
                {
                    self.problem(name, &format!("{path}/{key} is too much"));
                }
            }
            (Value::Array(recorded), Value::Array(here)) => {
                if recorded.len() != here.len() {
                    self.problem(
                        name,
                        &format!("{path}: {} items, not {}", here.len(), recorded.len()),
                    );
                }
                for (index, (recorded, here)) in recorded.iter().zip(here).enumerate() {
                    self.compare(name, &format!("{path}/{index}"), recorded, here);
                }
            }
            (Value::String(recorded), Value::String(here)) => self.compare_text(name, path, recorded, here),
            (recorded, here) if recorded == here => {}
            (Value::Number(_), Value::Number(_)) if ["exp", "iat", "nbf"].contains(&last) => {}
            (recorded, here) => self.problem(name, &format!("{path}: {here}, not {recorded}")),
        }
    }

    fn compare_text(&mut self, name: &str, path: &str, recorded: &str, here: &str) {
        let translated = self.here.translate(recorded);
        if recorded.starts_with("eyJ") && here.starts_with("eyJ") {
            let ((header, claims), (own_header, own_claims)) = (decoded(recorded), decoded(here));
            self.compare(name, &format!("{path}/header"), &header, &own_header);
            self.compare(name, &format!("{path}/claims"), &claims, &own_claims);
            return;
        }
        let page = recorded.starts_with("<a ") && blank(&translated) == blank(here);
        if page || translated == here {
            return;
        }
        let (expected, own) = (shape(recorded), shape(here));
        if expected == Shape::Fixed || expected != own {
            self.problem(name, &format!("{path}: {here:?}, not {translated:?}"));
            return;
        }
        // A mapped value must not change: a changed id is a difference. Lists may start at another item.
        if !self.here.0.contains_key(recorded) {
            self.here.put(recorded, here);
        } else if !name.starts_with("identity: list, ") {
            self.problem(
                name,
                &format!("{path}: {here:?} is new, {translated:?} was expected"),
            );
        }
    }

    fn compare_headers(&mut self, name: &str, recorded: &Value, answer: &Answer) {
        let recorded = recorded.as_array().unwrap();
        let recorded_of = |wanted: &str| {
            let pairs = recorded
                .iter()
                .filter(move |pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(wanted));
            pairs
                .map(|pair| pair[1].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        for header in COMPARED_HEADERS {
            let expected = recorded_of(header)
                .first()
                .map(|value| blank(&self.here.translate(value)));
            let own = answer.header(header).map(blank);
            if expected != own {
                self.problem(name, &format!("header {header}: {own:?}, not {expected:?}"));
            }
        }
        let (expected, own) = (recorded_of("set-cookie"), answer.set_cookies());
        for (recorded, here) in by_name(&expected).iter().zip(&by_name(&own)) {
            self.here.put(&recorded.1, &here.1);
        }
        let bare = |cookies: &[String], translate: bool| {
            let cookies = by_name(cookies).into_iter();
            let cookies = cookies.map(|(name, _, attributes)| {
                (
                    if translate {
                        self.here.translate(&name)
                    } else {
                        name
                    },
                    attributes,
                )
            });
            cookies.collect::<Vec<_>>()
        };
        let (expected, own) = (bare(&expected, true), bare(&own, false));
        if expected != own {
            self.problem(name, &format!("cookies: {own:?}, not {expected:?}"));
        }
        if let (Some(expected), Some(own)) = (recorded_of("link").first(), answer.header("link"))
            && let (Some(expected), Some(own)) = (next_token(expected), next_token(own))
            && !self.here.0.contains_key(&expected)
        {
            self.here.put(&expected, &own);
        }
    }

    fn problem(&mut self, name: &str, text: &str) {
        self.problems.push(format!("{name}: {text}"));
    }

    async fn send(&self, entry: &Value) -> Answer {
        let request = &entry["request"];
        let mut headers = vec![("user-agent".to_owned(), "Python-urllib/3.11".to_owned())];
        for (key, value) in request["headers"].as_object().unwrap() {
            headers.push((key.clone(), self.here.translate(value.as_str().unwrap())));
        }
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::String(raw) => raw.clone(),
            body @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.here.translate(&body.to_string())
            }
        };
        let url = self.here.translate(request["url"].as_str().unwrap());
        self.stand
            .send(
                request["method"].as_str().unwrap(),
                &url,
                &headers,
                body.as_bytes(),
            )
            .await
    }
}

/// Blanks the random parts of a header.
fn blank(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut blanked = String::new();
    for part in text.split_inclusive(|c| !is_part(c)) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last)) if !is_part(last) => part.split_at(at),
            _ => (part, ""),
        };
        let random = shape(word) == Shape::Uuid || (word.len() > 60 && word.starts_with("aWQ9"));
        blanked.push_str(if random { "…" } else { word });
        blanked.push_str(end);
    }
    blanked
}

/// Returns name, value and attributes of cookies, sorted.
fn by_name(cookies: &[String]) -> Vec<(String, String, Vec<String>)> {
    let mut list: Vec<_> = cookies
        .iter()
        .map(|cookie| {
            let mut parts = cookie.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes = parts.map(|part| match part.split_once('=') {
                Some(("Expires", date)) if !date.contains("1970") => "Expires=…".to_owned(),
                Some(("Max-Age", "86399" | "86400")) => "Max-Age=a day".to_owned(),
                _ => part.to_owned(),
            });
            (name.to_owned(), value.to_owned(), attributes.collect())
        })
        .collect();
    list.sort();
    list
}

fn next_token(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let token = next.split_once("page_token=")?.1;
    Some(token.split(['&', '>']).next()?.to_owned())
}

/// Returns header and claims of a JWT. *Unverified.*
pub(crate) fn decoded(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    (parts.next().unwrap(), parts.next().unwrap())
}

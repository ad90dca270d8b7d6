//! Does the embedded Kratos answer as the real one did? Every recorded exchange of its endpoints is sent again, in the
//! recorded order, with identities, ids, tokens and cookies that come from its own answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, Stand};

const RECORDINGS: &str = include_str!("../recordings/kratos.json");

/// The recorded exchanges that are sent again.
const INSIDE: &[&str] = &[
    "registration/native: start",
    "registration/native: weak password",
    "registration/native: trait that the schema refuses",
    "registration/native: unknown method",
    "registration/native: no method",
    "registration/native: body is not JSON",
    "registration/native: success",
    "registration/native: same flow again",
    "registration/native: address already taken",
    "registration/native: unknown flow",
    "registration/native: flow id is not a UUID",
    "registration/native: get flow",
    "login/native: start",
    "login/native: wrong password",
    "login/native: success",
    "login/native: start with a session",
    "login/native: start refresh with a session",
    "login/native: get flow",
    "login/native: get unknown flow",
    "login/native: return_to outside the allow list",
    "login/browser: start, HTML",
    "login/browser: start, JSON",
    "login/browser: submit without CSRF",
    "login/browser: get flow without its CSRF cookie",
    "login/browser: success, JSON",
    "login/browser: start while logged in, JSON",
    "registration/browser: start, JSON",
    "whoami: bearer token",
    "whoami: lower-case scheme",
    "whoami: X-Session-Token",
    "whoami: cookie",
    "whoami: cookie and another valid token",
    "whoami: bad cookie and a valid token",
    "whoami: valid cookie and a bad token",
    "whoami: bad X-Session-Token and a valid bearer",
    "whoami: nothing",
    "whoami: unknown token",
    "whoami: HEAD",
    "identity: get",
    "identity: get with credentials",
    "identity: patch metadata_public",
    "whoami: after a metadata change",
    "identity: patch credentials",
    "identity: patch with a failing test op",
    "identity: put",
    "identity: put without state",
    "identity: put without metadata",
    "identity: get, unknown id",
    "identity: get, id is not a UUID",
    "identity: create",
    "identity: create, taken address",
    "identity: create, schema refuses",
    "identity: create, unknown schema",
    "identity: list, first page",
    "identity: list, next page",
    "identity: list by credentials identifier",
    "identity: list, page token of another kind",
    "sessions: of an identity",
    "sessions: of an identity, active only",
    "sessions: get, expanded",
    "sessions: get, unknown",
    "sessions: extend",
    "sessions: list mine",
    "sessions: list all",
    "sessions: revoke",
    "sessions: revoke again",
    "whoami: revoked session",
    "login/native: start aal2 without a session",
    "schema: list",
    "schema: get",
    "schema: get, unknown",
    "schema: list on the public port",
    "logout/browser: create",
    "logout/browser: create without a session",
    "logout/browser: submit with a wrong token",
    "logout/browser: submit without the cookie",
    "logout/browser: submit",
    "whoami: cookie after logout",
    "logout/native: success",
    "logout/native: again",
    "identity: deactivate",
    "whoami: session of an inactive identity",
    "login/native: inactive identity",
    "identity: delete",
    "identity: delete again",
    "whoami: session of a deleted identity",
    "identity: delete all sessions",
    "whoami: after all sessions were deleted",
    "version",
    "health: ready",
    "health: alive",
    "admin route on the public port",
    "unknown route",
];

/// The recorded exchanges of what this stand-in does not have.
const OUTSIDE: &[(&str, &str)] = &[
    ("identity: batch patch", "no batches of identities"),
    ("recovery: admin code", "no recovery"),
    ("recovery: admin link", "no recovery"),
    ("settings/native: start", "no settings"),
    ("settings/native: start without a session", "no settings"),
    ("settings/native: submit without a session", "no settings"),
    ("settings/native: wrong totp code", "no second factors"),
    ("settings/native: totp set up", "no second factors"),
    ("login/native: account with a second factor", "no second factors"),
    (
        "whoami: aal1 session of an account with a second factor",
        "no second factors",
    ),
    ("login/native: start aal2", "no second factors"),
    ("login/native: aal2 success", "no second factors"),
    ("whoami: aal2 session", "no second factors"),
    ("recovery/native: start", "no recovery"),
    ("recovery/native: ask for a code", "no recovery"),
    ("recovery/native: wrong code", "no recovery"),
    ("verification/native: start", "no verification"),
    ("verification/native: ask for a code", "no verification"),
    ("courier: list", "no mails"),
    ("courier: get", "no mails"),
    ("courier: get, unknown", "no mails"),
    ("courier: list by status and recipient", "no mails"),
];

/// What an answer may have otherwise than the recording, and why.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("version", "/version", "this is another program"),
    (
        "identity: list, first page",
        "metadata_public",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "metadata_admin",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "status",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "verified",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "verified_at",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "email",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, first page",
        "value",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "metadata_public",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "metadata_admin",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "status",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "verified",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "verified_at",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "email",
        "ids are random, so any identity may come first",
    ),
    (
        "identity: list, next page",
        "value",
        "ids are random, so any identity may come first",
    ),
];

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

/// What stands in the recordings → what this run has in its place.
#[derive(Default)]
struct Here(BTreeMap<String, String>);

impl Here {
    fn put(&mut self, recorded: &str, here: &str) {
        if recorded != here && !recorded.is_empty() {
            self.0.insert(recorded.to_owned(), here.to_owned());
        }
    }

    fn translate(&self, text: &str) -> String {
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
enum Shape {
    Fixed,
    Address,
    CsrfToken,
    Hash,
    LogoutToken,
    SessionToken,
    Time,
    Uuid,
}

fn shape(text: &str) -> Shape {
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
    } else if text.len() == 60 && text.starts_with("$2a$08$") {
        Shape::Hash
    } else if text.parse::<std::net::SocketAddr>().is_ok() {
        Shape::Address
    } else {
        Shape::Fixed
    }
}

struct Replay {
    stand: Stand,
    here: Here,
    problems: Vec<String>,
}

impl Replay {
    fn compare(&mut self, name: &str, path: &str, recorded: &Value, here: &Value) {
        let last = path.rsplit('/').next().unwrap_or_default();
        if OTHERWISE
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
                    OTHERWISE
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
            (recorded, here) => self.problem(name, &format!("{path}: {here}, not {recorded}")),
        }
    }

    fn compare_text(&mut self, name: &str, path: &str, recorded: &str, here: &str) {
        let translated = self.here.translate(recorded);
        let page = recorded.starts_with("<a ") && blank(&translated) == blank(here);
        if page || translated == here {
            return;
        }
        let (expected, own) = (shape(recorded), shape(here));
        if expected == Shape::Fixed || expected != own {
            self.problem(name, &format!("{path}: {here:?}, not {translated:?}"));
            return;
        }
        // What was already met must stay the same: an id that changes is a different thing. Lists begin anywhere.
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

    /// Does what the recorder did between two recorded exchanges.
    async fn prepare(&mut self, name: &str, entry: &Value, following: &[Value]) {
        let url = entry["request"]["url"].as_str().unwrap();
        match name {
            "registration/native: address already taken" => self.start_flow("registration", url).await,
            "login/native: inactive identity" => self.start_flow("login", url).await,
            "identity: list, first page" => {
                for number in 0..5 {
                    let body = json!({"schema_id": "default", "traits": {"email": format!("more-{number}@example.com")}});
                    let made = self
                        .stand
                        .json("POST", &self.stand.admin("admin/identities"), &[], &body)
                        .await;
                    assert_eq!(made.status, 201);
                }
            }
            "identity: deactivate" => self.register("dave", url, &following[1]).await,
            "identity: delete all sessions" => self.register("erin", url, &following[1]).await,
            _ => {}
        }
    }

    async fn start_flow(&mut self, kind: &str, recorded: &str) {
        let action = self.stand.native_flow(kind).await;
        let id = |url: &str| url.split_once("flow=").unwrap().1.to_owned();
        self.here.put(&id(recorded), &id(&action));
    }

    async fn register(&mut self, who: &str, recorded: &str, following: &Value) {
        let email = self.here.translate(&format!("{who}-0ec0d1@example.com"));
        let answer = self.stand.register(&email).await;
        let id = recorded
            .split('/')
            .find(|part| shape(part) == Shape::Uuid)
            .unwrap();
        self.here.put(id, answer["identity"]["id"].as_str().unwrap());
        let bearer = following["request"]["headers"]["Authorization"].as_str().unwrap();
        self.here.put(
            bearer.strip_prefix("Bearer ").unwrap(),
            answer["session_token"].as_str().unwrap(),
        );
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

/// Replaces what is random in a header that is otherwise fixed.
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

#[actix_web::test]
async fn every_recorded_exchange_is_answered_as_the_real_server_answered_it() {
    let entries: Vec<Value> = serde_json::from_str(RECORDINGS).unwrap();
    let stand = Stand::start();
    let mut here = Here::default();
    here.put("http://127.0.0.1:4433/", stand.kratos.public_url().as_str());
    here.put("http://127.0.0.1:4434/", stand.kratos.admin_url().as_str());
    here.put(
        "0ec0d1",
        uuid::Uuid::new_v4().to_string().split('-').next().unwrap(),
    );
    let probe = stand.get(&stand.public("schemas"), &[]).await;
    here.put(
        "csrf_token_806060ca5bf70dff3caa0e5c860002aade9d470a5a4dce73bcfa7ba10778f481",
        probe.set_cookies()[0].split_once('=').unwrap().0,
    );
    let mut replay = Replay {
        stand,
        here,
        problems: Vec::new(),
    };

    let mut sent = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = entry["name"].as_str().unwrap();
        if !INSIDE.contains(&name) {
            continue;
        }
        replay.prepare(name, entry, &entries[index..]).await;
        let answer = replay.send(entry).await;
        sent.push(name);
        let recorded = &entry["response"];
        if recorded["status"] != answer.status {
            replay.problem(
                name,
                &format!("{}, not {}: {}", answer.status, recorded["status"], answer.text()),
            );
        }
        replay.compare_headers(name, &recorded["headers"], &answer);
        let body = if answer.body.is_empty() {
            Value::Null
        } else {
            answer.value()
        };
        replay.compare(name, "", &recorded["body"], &body);
    }

    assert!(replay.problems.is_empty(), "{}\n", replay.problems.join("\n"));
    assert_eq!(sent, INSIDE);
}

#[test]
fn every_recorded_exchange_is_sent_again_or_has_a_reason() {
    let entries: Vec<Value> = serde_json::from_str(RECORDINGS).unwrap();
    let mut recorded: Vec<_> = entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let mut known: Vec<_> = INSIDE
        .iter()
        .copied()
        .chain(OUTSIDE.iter().map(|(name, _)| *name))
        .collect();

    recorded.sort_unstable();
    known.sort_unstable();
    assert_eq!(recorded, known);
}

#[actix_web::test]
async fn head_names_the_length_of_the_answer_that_it_leaves_out() {
    let stand = Stand::start();
    let token = stand.register("head@example.com").await["session_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [("x-session-token", token.as_str())];

    let full = stand.get(&stand.public("sessions/whoami"), &headers).await;
    let head = stand
        .send("HEAD", &stand.public("sessions/whoami"), &headers, b"")
        .await;

    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(full.body.len().to_string().as_str())
    );
}

#[actix_web::test]
async fn refused_registrations_leave_no_account_behind() {
    let stand = Stand::start();
    let action = stand.native_flow("registration").await;
    for body in [
        json!({"method": "password", "password": "123", "traits": {"email": "x@example.com"}}),
        json!({"method": "nope", "password": PASSWORD, "traits": {"email": "x@example.com"}}),
        json!({"method": "password", "traits": {"email": "x@example.com"}}),
        json!({"method": "password", "password": PASSWORD, "traits": {"email": "x@example.com", "admin": true}}),
    ] {
        assert_eq!(stand.json("POST", &action, &[], &body).await.status, 400);
    }

    let listed = stand.get(&stand.admin("admin/identities"), &[]).await;
    assert_eq!(listed.value(), json!([]));
    assert_eq!(stand.log_in("x@example.com", PASSWORD).await.status, 400);
}

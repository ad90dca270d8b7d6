//! Compares the embedded Hydra with recordings of the real one. Every recorded exchange is sent again, in the recorded
//! order, with clients, tokens, challenges and cookies from this run's answers.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ory_dev::hydra::HydraConfig;
use serde_json::{Value, json};

use crate::support::{Answer, Stand, config, config_with, decoded, in_query};

const RECORDINGS: &str = include_str!("../recordings/hydra.json");
const VARIANT: &str = include_str!("../recordings/hydra-variant.json");

/// The variant of the configuration that was recorded in `hydra-variant.json`.
const VARIANT_CONFIG: &str =
    "strategies: { access_token: jwt }\noauth2: { allowed_top_level_claims: [tenant] }";

/// Recorded exchanges with unsupported features: the beginning of their names, and the reason.
const OUTSIDE: &[(&str, &str)] = &[
    ("consent sessions: list", "consents are not listed"),
    ("jwk", "no key sets at the admin interface"),
    ("trusted issuer", "no grant by the JWTs of others"),
];

/// Accepted differences from the recording, and the reasons.
const OTHERWISE: &[(&str, &str)] = &[
    ("version: /version", "this is another program"),
    // The first page has a client of another recording, the second is the last page here.
    ("client: list, page 1: /0", "the recorded client is another one"),
];

const COMPARED_HEADERS: &[&str] = &[
    "cache-control",
    "content-type",
    "location",
    "pragma",
    "x-content-type-options",
];

#[derive(Debug, PartialEq)]
enum Shape {
    Fixed,
    Hex,
    Jwt,
    Opaque,
    Secret,
    Time,
    Token(String),
    Uuid,
}

fn shape(text: &str) -> Shape {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    let is_base64 = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_=".contains(c))
    };
    if parts == [8, 4, 4, 4, 12] {
        Shape::Uuid
    } else if text.starts_with("ory_") && text.len() == 94 {
        Shape::Token(text.chars().take(7).collect())
    } else if text.starts_with("20") && text.ends_with('Z') && text.chars().nth(10) == Some('T') {
        Shape::Time
    } else if text.starts_with("eyJ") && text.split('.').count() == 3 {
        Shape::Jwt
    } else if text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        Shape::Hex
    } else if text.len() == 26 && !text.contains([' ', '/', ':']) {
        Shape::Secret
    } else if text.len() >= 64 && is_base64(text) {
        Shape::Opaque
    } else {
        Shape::Fixed
    }
}

struct Replay {
    stand: Stand,
    /// Maps recorded values to the values of this run.
    here: BTreeMap<String, String>,
    jar: String,
    authorization_url: String,
    location: String,
    problems: Vec<String>,
}

impl Replay {
    fn with(config: HydraConfig) -> Self {
        let stand = Stand::with(config);
        let mut replay = Self {
            here: BTreeMap::new(),
            jar: String::new(),
            authorization_url: String::new(),
            location: String::new(),
            problems: Vec::new(),
            stand,
        };
        let (public, admin) = (replay.stand.public(""), replay.stand.admin(""));
        replay.put("http://127.0.0.1:4444", public.trim_end_matches('/'));
        replay.put("http://127.0.0.1:4445", admin.trim_end_matches('/'));
        replay
    }

    fn put(&mut self, recorded: &str, here: &str) {
        if recorded != here && !recorded.is_empty() {
            self.here.insert(recorded.to_owned(), here.to_owned());
        }
    }

    fn translate(&self, text: &str) -> String {
        let mut longest: Vec<_> = self.here.iter().collect();
        longest.sort_by_key(|(recorded, _)| std::cmp::Reverse(recorded.len()));
        longest
            .into_iter()
            .fold(text.to_owned(), |text, (recorded, here)| {
                let encoded =
                    |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                text.replace(recorded, here)
                    .replace(&encoded(recorded), &encoded(here))
            })
    }

    fn problem(&mut self, name: &str, text: &str) {
        self.problems.push(format!("{name}: {text}"));
    }

    async fn play(&mut self, entry: &Value) {
        let name = entry["name"].as_str().unwrap();
        self.prepare(name, entry).await;
        let answer = self.send(entry).await;
        let recorded = &entry["response"];
        if recorded["status"] != answer.status {
            let text = format!("{}, not {}: {}", answer.status, recorded["status"], answer.text());
            self.problem(name, &text);
        }
        let body = if answer.body.is_empty() {
            Value::Null
        } else {
            answer.value()
        };
        self.compare_headers(name, &recorded["headers"], &answer);
        self.compare(name, "", &recorded["body"], &body);
        let is_start = name == "code: authorize, to login";
        self.jar = answer.jar(if is_start { "" } else { &self.jar });
        if let Some(location) = answer.header("location") {
            self.location = location.to_owned();
        }
        if is_start {
            self.authorization_url = self.translate(entry["request"]["url"].as_str().unwrap());
        }
    }

    /// Repeats the recorder's actions between two recorded exchanges.
    async fn prepare(&mut self, name: &str, entry: &Value) {
        let url = entry["request"]["url"].as_str().unwrap().to_owned();
        match name {
            "client: list, page 1" => {
                let body = json!({"client_id": "0-first", "grant_types": ["client_credentials"]});
                self.stand.client(&body).await;
            }
            "login request: get, remembered" | "login request: reject" => {
                if name == "login request: reject" {
                    self.jar.clear();
                }
                let url = self.authorization_url.clone();
                self.follow(&url).await;
                self.learn("login_challenge", &url_value(entry, "login_challenge"));
            }
            "consent request: get, remembered" => {
                let answer = json!({"subject": "alice-id"});
                self.accept("login", &answer).await;
                let recorded = in_query(&url, "consent_challenge").unwrap();
                self.learn("consent_challenge", &recorded);
            }
            "token: code" => {
                let session = json!({"access_token": {"tenant": "default"}});
                let answer = json!({"grant_scope": ["openid", "offline", "orders:read"], "session": session});
                self.accept("consent", &answer).await;
                let recorded = entry["request"]["body"]["code"].as_str().unwrap().to_owned();
                self.learn("code", &recorded);
            }
            _ => {}
        }
    }

    async fn follow(&mut self, url: &str) {
        let answer = self.stand.get(url, &[("cookie", &self.jar)]).await;
        self.jar = answer.jar(&self.jar);
        answer.header("location").unwrap().clone_into(&mut self.location);
    }

    async fn accept(&mut self, stage: &str, body: &Value) {
        let challenge = in_query(&self.location, &format!("{stage}_challenge")).unwrap();
        let path = format!("admin/oauth2/auth/requests/{stage}/accept?{stage}_challenge={challenge}");
        let answer = self
            .stand
            .json("PUT", &self.stand.admin(&path), body)
            .await
            .value();
        self.follow(answer["redirect_to"].as_str().unwrap()).await;
    }

    fn learn(&mut self, name: &str, recorded: &str) {
        let here = in_query(&self.location, name).unwrap();
        self.put(recorded, &here);
    }

    async fn send(&self, entry: &Value) -> Answer {
        let request = &entry["request"];
        let mut headers = Vec::new();
        for (key, value) in request["headers"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let value = match value.strip_prefix("Basic ") {
                Some(pair) => {
                    let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
                    format!("Basic {}", STANDARD.encode(self.translate(&pair)))
                }
                None if key == "Cookie" => self.jar.clone(),
                None => self.translate(value),
            };
            headers.push((key.as_str(), value));
        }
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let is_form = request["headers"]["Content-Type"] == "application/x-www-form-urlencoded";
        let body = match &request["body"] {
            Value::Null => String::new(),
            Value::Object(fields) if is_form => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key, self.translate(value.as_str().unwrap())));
                url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(fields)
                    .finish()
            }
            body @ (Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => self.translate(&body.to_string()),
        };
        let url = self.translate(request["url"].as_str().unwrap());
        self.stand
            .send(request["method"].as_str().unwrap(), &url, &headers, &body)
            .await
    }

    fn compare(&mut self, name: &str, path: &str, recorded: &Value, here: &Value) {
        let place = format!("{name}: {path}");
        if OTHERWISE
            .iter()
            .any(|(otherwise, _)| place.starts_with(otherwise))
        {
            return;
        }
        match (recorded, here) {
            (Value::Object(recorded), Value::Object(here)) => {
                let keys =
                    |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
                for key in keys(recorded).symmetric_difference(&keys(here)) {
                    self.problem(name, &format!("{path}/{key} is missing or too much"));
                }
                if let (Some(exp), Some(iat)) = (recorded.get("exp"), recorded.get("iat")) {
                    let lifespan =
                        |exp: &Value, iat: &Value| exp.as_u64().unwrap().abs_diff(iat.as_u64().unwrap());
                    let (expected, own) = (lifespan(exp, iat), lifespan(&here["exp"], &here["iat"]));
                    if expected.abs_diff(own) > 2 {
                        self.problem(name, &format!("{path}: lives {own} s, not {expected}"));
                    }
                }
                for (key, value) in recorded {
                    self.compare(
                        name,
                        &format!("{path}/{key}"),
                        value,
                        here.get(key).unwrap_or(value),
                    );
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
            (Value::Number(recorded), Value::Number(here)) => {
                let last = path.rsplit('/').next().unwrap();
                let is_time = ["auth_time", "exp", "iat", "nbf", "rat"].contains(&last);
                let near = recorded.as_u64().unwrap().abs_diff(here.as_u64().unwrap()) <= 2;
                if !(is_time || recorded == here || last == "expires_in" && near) {
                    self.problem(name, &format!("{path}: {here}, not {recorded}"));
                }
            }
            (recorded, here) if recorded == here => {}
            (recorded, here) => self.problem(name, &format!("{path}: {here}, not {recorded}")),
        }
    }

    fn compare_text(&mut self, name: &str, path: &str, recorded: &str, here: &str) {
        let last = path.rsplit('/').next().unwrap();
        if recorded.starts_with("http") && recorded.contains('?') {
            self.compare_urls(name, path, recorded, here);
        } else if shape(recorded) == Shape::Jwt && shape(here) == Shape::Jwt {
            self.put(recorded, here);
            let ((header, claims), (own_header, own_claims)) = (decoded(recorded), decoded(here));
            self.compare(name, &format!("{path}/header"), &header, &own_header);
            self.compare(name, &format!("{path}/claims"), &claims, &own_claims);
        } else if ["at_hash", "n"].contains(&last) || recorded.starts_with("<a href=") {
            // The value is entirely random; the Location header is compared.
        } else if self.translate(recorded) != here {
            let is_new = !self.here.contains_key(recorded);
            if shape(recorded) == Shape::Fixed || shape(recorded) != shape(here) {
                let text = format!("{path}: {here:?}, not {:?}", self.translate(recorded));
                self.problem(name, &text);
            } else if is_new || ["jti", "updated_at", "created_at"].contains(&last) {
                self.put(recorded, here);
            } else {
                self.problem(
                    name,
                    &format!(
                        "{path}: {here:?} is new, {:?} was met before",
                        self.here[recorded]
                    ),
                );
            }
        }
    }

    /// Compares two URLs whose query may contain challenges, verifiers and codes.
    fn compare_urls(&mut self, name: &str, path: &str, recorded: &str, here: &str) {
        let parts = |text: &str| {
            let url = url::Url::parse(text).unwrap();
            let pairs: Vec<(String, String)> = url
                .query_pairs()
                .map(|(key, value)| (key.into(), value.into()))
                .collect();
            (text.split('?').next().unwrap().to_owned(), pairs)
        };
        let ((base, recorded), (own_base, here)) = (parts(recorded), parts(here));
        let keys = |pairs: &[(String, String)]| pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        if self.translate(&base) != own_base || keys(&recorded) != keys(&here) {
            self.problem(
                name,
                &format!(
                    "{path}: {own_base} {:?}, not {base} {:?}",
                    keys(&here),
                    keys(&recorded)
                ),
            );
        }
        for ((key, value), (_, own)) in recorded.iter().zip(&here) {
            if key.ends_with("_verifier")
                || key.ends_with("_challenge") && key != "code_challenge"
                || key == "code"
            {
                self.put(value, own);
            } else if self.translate(value) != *own {
                self.problem(name, &format!("{path}?{key}: {own}, not {value}"));
            }
        }
    }

    fn compare_headers(&mut self, name: &str, recorded: &Value, answer: &Answer) {
        let all = |wanted: &str| -> Vec<String> {
            let pairs = recorded.as_array().unwrap().iter();
            let pairs = pairs.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(wanted));
            pairs.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
        };
        for header in COMPARED_HEADERS {
            match (all(header).first(), answer.header(header)) {
                (Some(recorded), Some(here)) if *header == "location" => {
                    // The id of a new client is in its address.
                    let (recorded, here) = (recorded.clone(), here.to_owned());
                    match (
                        recorded.strip_prefix("/admin/clients/"),
                        here.strip_prefix("/admin/clients/"),
                    ) {
                        (Some(id), Some(own)) => self.put(id, own),
                        (_, _) => self.compare_text(name, "Location", &recorded, &here),
                    }
                }
                (recorded, here) if recorded.map(String::as_str) == here => {}
                (recorded, here) => {
                    self.problem(name, &format!("header {header}: {here:?}, not {recorded:?}"));
                }
            }
        }
        let cookies = |cookies: &[String]| -> Vec<String> {
            cookies.iter().map(|cookie| without_values(cookie)).collect()
        };
        let (expected, own) = (cookies(&all("set-cookie")), cookies(&answer.set_cookies()));
        if expected != own {
            self.problem(name, &format!("cookies: {own:?}, not {expected:?}"));
        }
        let (recorded, own) = (all("link"), answer.header("link").unwrap_or_default().to_owned());
        let (recorded, own) = (links(recorded.first().map_or("", String::as_str)), links(&own));
        for (relation, target) in &recorded {
            let here = own.iter().find(|(own, _)| own == relation);
            match here {
                Some((_, here)) => {
                    let token = |target: &str| target.split("page_token=").nth(1).unwrap().to_owned();
                    self.put(&token(target), &token(here));
                }
                None => self.problem(name, &format!("no link {relation}")),
            }
        }
        if own.len() > recorded.len() {
            self.problem(name, "has a link too much");
        }
    }
}

fn url_value(entry: &Value, name: &str) -> String {
    in_query(entry["request"]["url"].as_str().unwrap(), name).unwrap()
}

/// Returns the relations of a `Link` header with their targets.
fn links(header: &str) -> Vec<(String, String)> {
    let parts = header.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (target, relation) = part.split_once(">; ").unwrap();
            (relation.to_owned(), target.trim_start_matches('<').to_owned())
        })
        .collect()
}

/// Blanks the random parts of a cookie: its value, the number in its name and its date.
fn without_values(cookie: &str) -> String {
    let parts = cookie
        .split("; ")
        .enumerate()
        .map(|(index, part)| match part.split_once('=') {
            Some((name, _)) if index == 0 => name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
            Some(("Expires", _)) => "Expires".to_owned(),
            _ => part.to_owned(),
        });
    parts.collect::<Vec<_>>().join("; ")
}

fn recorded(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn is_outside(name: &str) -> bool {
    OUTSIDE
        .iter()
        .any(|(start, _)| name.starts_with(start) && name != "jwks")
}

#[actix_web::test]
async fn every_recorded_exchange_is_answered_as_the_real_server_answered_it() {
    let mut replay = Replay::with(config());
    let mut entries = recorded(RECORDINGS);
    entries.retain(|entry| !is_outside(entry["name"].as_str().unwrap()));

    for entry in &entries {
        replay.play(entry).await;
    }

    assert!(replay.problems.is_empty(), "{}\n", replay.problems.join("\n"));
    assert_eq!(entries.len(), 65);
}

#[actix_web::test]
async fn jwt_access_tokens_are_answered_as_the_real_server_answered_them() {
    let mut replay = Replay::with(config_with(VARIANT_CONFIG));
    let first = &recorded(VARIANT)[0];
    let (_, claims) = decoded(first["response"]["body"]["access_token"].as_str().unwrap());
    let authorization = first["request"]["headers"]["Authorization"].as_str().unwrap();
    let pair = STANDARD
        .decode(authorization.strip_prefix("Basic ").unwrap())
        .unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let (id, secret) = pair.split_once(':').unwrap();
    assert_eq!(claims["client_id"], id);
    let body = json!({"client_name": "worker", "grant_types": ["client_credentials"], "scope": "orders:read", "audience": ["orders-api"]});
    let client = replay.stand.client(&body).await;
    replay.put(id, client["client_id"].as_str().unwrap());
    replay.put(secret, client["client_secret"].as_str().unwrap());

    for entry in recorded(VARIANT)
        .iter()
        .filter(|entry| entry.get("request").is_some())
    {
        replay.play(entry).await;
    }

    assert!(replay.problems.is_empty(), "{}\n", replay.problems.join("\n"));
}

#[actix_web::test]
async fn answer_that_differs_from_the_recording_is_noticed() {
    let mut replay = Replay::with(config());
    let recorded =
        json!({"a": "b", "exp": 10, "iat": 0, "list": [1], "token": format!("ory_at_{}", "x".repeat(87))});
    for (member, value) in [
        ("a", json!("c")),
        ("a", Value::Null),
        ("exp", json!(20)),
        ("list", json!([1, 2])),
        ("token", json!(format!("ory_rt_{}", "x".repeat(87)))),
        ("more", json!(1)),
    ] {
        let mut here = recorded.clone();
        here[member] = value;
        replay.problems.clear();

        replay.compare("x", "", &recorded, &here);

        assert_eq!(replay.problems.len(), 1, "{member}: {:?}", replay.problems);
    }
}

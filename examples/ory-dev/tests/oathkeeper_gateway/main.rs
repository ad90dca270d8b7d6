//! Behaviour of the embedded gateway beyond the recordings.

#![cfg(test)]

#[path = "../oathkeeper_support/mod.rs"]
mod oathkeeper_support;

mod admission;
mod forwarding;
mod keys_and_api;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use oathkeeper_support::{Answer, Login, Stand};
use serde_json::{Value, json};

const GATE: &str = "http://127.0.0.1:4455";

/// A rule that depends on the common configuration only for the named handlers.
pub(crate) fn rule(path: &str, authenticators: &[&str], mutators: &Value) -> Value {
    let authenticators: Vec<Value> = authenticators
        .iter()
        .map(|name| json!({"handler": name}))
        .collect();
    json!({
        "id": format!("{}-rule", path.trim_matches('/')),
        "upstream": {"url": "http://127.0.0.1:3001"},
        "match": {"url": format!("{GATE}{path}<{{,/**}}>"), "methods": ["GET", "HEAD", "POST", "PUT"]},
        "authenticators": authenticators,
        "authorizer": {"handler": "allow"},
        "mutators": mutators,
    })
}

pub(crate) fn noop() -> Value {
    json!([{"handler": "noop"}])
}

pub(crate) fn header_mutator(name: &str, template: &str) -> Value {
    json!([{"handler": "header", "config": {"headers": {name: template}}}])
}

pub(crate) fn claims(template: &str) -> Value {
    json!([{"handler": "id_token", "config": {"claims": template}}])
}

pub(crate) fn bearer_rules(mutators: &Value) -> Value {
    json!([rule("/a", &["bearer_token"], mutators)])
}

/// A stand with one open route.
pub(crate) fn open_stand() -> Stand {
    Stand::start(&json!([rule("/a", &["noop"], &header_mutator("X-Gate", "yes"))]))
}

pub(crate) fn logged_in(stand: &Stand) -> Login {
    stand.sessions.log_in(&json!({"roles": ["a"]}))
}

pub(crate) fn error_of(answer: &Answer) -> Value {
    answer.json()["error"].clone()
}

/// Sends raw bytes and returns the answer until the connection ends or a second passes.
pub(crate) fn raw(stand: &Stand, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(stand.gateway.proxy_addr()).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    // The gateway may close the connection before it has read all bytes.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends GET `/a` with headers that an HTTP client would not send.
pub(crate) fn raw_get(stand: &Stand, headers: &[(&str, String)]) -> String {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let lines = lines.concat();
    let host = stand.gateway.proxy_addr();
    raw(
        stand,
        format!("GET /a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n").as_bytes(),
    )
}

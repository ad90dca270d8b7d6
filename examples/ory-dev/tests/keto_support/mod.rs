//! A running Keto and a client that returns raw answers.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use ory_dev::{config::Vars, keto::Keto};
use serde_json::Value;

/// Starts a Keto on its own ports, with the permission file in a folder of this package: `config` has the shipped one.
pub(crate) fn start(folder: &str) -> Keto {
    let package = env!("CARGO_MANIFEST_DIR");
    let folder = format!("{package}/{folder}");
    let file = format!("{package}/config/keto.yml");
    let config = Keto::from_files(file.as_ref(), &Vars::new(&folder, &folder)).unwrap();
    Keto::start(config.any_ports()).unwrap()
}

/// A received answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON, as text if it is not JSON, or as null if it is empty.
    pub(crate) fn value(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

/// Sends one request, and returns the answer; `None` if the connection is closed without a byte.
pub(crate) fn send(to: SocketAddr, method: &str, target: &str, body: Option<&[u8]>) -> Option<Answer> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nHost: keto\r\nConnection: close\r\n").into_bytes();
    if let Some(body) = body {
        request.extend(
            format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            )
            .bytes(),
        );
    }
    request.extend(b"\r\n");
    request.extend(body.unwrap_or_default());
    // A server that refuses a large body may answer and close before all of it is sent.
    let _ = stream.write_all(&request);

    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        return None;
    }
    let Some(split) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        panic!("half an answer: {ended:?}")
    };
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim().to_owned())
    });
    Some(Answer {
        status,
        headers: headers.collect(),
        body: bytes.split_off(split.saturating_add(4)),
    })
}

/// Sends a GET and expects an answer.
pub(crate) fn get(to: SocketAddr, target: &str) -> Answer {
    send(to, "GET", target, None).unwrap()
}

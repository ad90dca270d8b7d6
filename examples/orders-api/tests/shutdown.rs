//! A stopping program finishes its requests and writes their audit events.

#![cfg(unix)]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use iam_actix::{
    clock::{Clock as _, SystemClock},
    testing::TestIssuer,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

#[test]
fn events_of_answered_requests_survive_sigterm() {
    assert_every_answer_has_its_event(Signal::TERM);
}

#[test]
fn events_of_answered_requests_survive_ctrl_c() {
    assert_every_answer_has_its_event(Signal::INT);
}

/// Stops the program under load: four clients send requests in sequence, and one is in the middle of a body.
fn assert_every_answer_has_its_event(signal: Signal) {
    let mut program = Program::start();
    let (tell, told) = mpsc::channel();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (tell, address, token) = (tell.clone(), program.address, program.token());
            thread::spawn(move || load(address, client, &token, &tell))
        })
        .collect();
    let mut order = TcpStream::connect(program.address).unwrap();
    let (head, body) = program.order();
    order.write_all(head.as_bytes()).unwrap();
    let mut answered: Vec<String> = told.iter().take(200).collect();

    program.signal(signal);
    thread::sleep(Duration::from_millis(200));
    order.write_all(body.as_bytes()).unwrap();
    let status = read_response(&mut BufReader::new(order)).unwrap();
    let ended = program.wait();

    for client in clients {
        client.join().unwrap();
    }
    drop(tell);
    answered.extend(told);
    assert_eq!(status, 201, "the order in flight was not answered");
    assert!(ended, "the program failed");
    answered.push("order-in-flight".to_owned());
    let events = program.events();
    let missing: Vec<_> = answered.iter().filter(|id| events.get(*id) != Some(&1)).collect();
    assert!(
        missing.is_empty(),
        "{} of {}: {missing:?}",
        missing.len(),
        answered.len()
    );
}

/// Sends requests in sequence until the service closes the connection, and reports the id of each answered request.
fn load(address: SocketAddr, client: usize, token: &str, answered: &mpsc::Sender<String>) {
    let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
    for number in 0.. {
        let id = format!("load-{client}-{number}");
        let request = format!(
            "GET /orders HTTP/1.1\r\nhost: orders\r\nauthorization: Bearer {token}\r\nx-request-id: {id}\r\n\r\n"
        );
        if connection.get_mut().write_all(request.as_bytes()).is_err() {
            return;
        }
        match read_response(&mut connection) {
            Ok(status) => assert_eq!(status, 200),
            Err(_) => return,
        }
        answered.send(id).unwrap();
    }
}

/// Reads a whole response and returns its status.
fn read_response(connection: &mut BufReader<TcpStream>) -> io::Result<u16> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.get(9..12).ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = status.parse().map_err(io::Error::other)?;
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    connection.read_exact(&mut vec![0; length])?;
    Ok(status)
}

/// orders-api as a separate process with its audit in a file.
struct Program {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
    issuer: TestIssuer,
}

impl Program {
    fn start() -> Self {
        let issuer = TestIssuer::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders-api.toml");
        fs::write(&file, configuration(&issuer, &folder.path().join("audit.jsonl"))).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

        let child = Command::new(env!("CARGO_BIN_EXE_orders-api"))
            .arg(file)
            .arg(address.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Self {
            address,
            child,
            folder,
            issuer,
        };
        eventually("the program listens", || TcpStream::connect(address).ok());
        program
    }

    fn token(&self) -> String {
        let now = SystemClock::new().now().as_secs();
        let claims = json!({
            "iss": "http://127.0.0.1:4455/", "aud": ["orders-api"], "sub": "somebody", "iat": now, "nbf": now,
            "exp": now.saturating_add(60), "jti": Uuid::new_v4().to_string(),
        });
        self.issuer.sign(&claims).unwrap()
    }

    /// Returns the head and the body of a request that places an order.
    fn order(&self) -> (String, &'static str) {
        let (token, body) = (self.token(), r#"{"sku":"sku-1"}"#);
        let head = format!(
            "POST /orders HTTP/1.1\r\nhost: orders\r\nauthorization: Bearer {token}\r\nx-request-id: order-in-flight\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (head, body)
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until the program has ended, and returns whether it succeeded.
    fn wait(&mut self) -> bool {
        eventually("the program ends", || self.child.try_wait().unwrap()).success()
    }

    /// Returns the number of events of each request id.
    fn events(&self) -> HashMap<String, usize> {
        let mut events = HashMap::new();
        for line in fs::read_to_string(self.folder.path().join("audit.jsonl"))
            .unwrap()
            .lines()
        {
            let event: Value = serde_json::from_str(line).unwrap();
            let id = event["request_id"].as_str().unwrap_or_default().to_owned();
            let count: &mut usize = events.entry(id).or_default();
            *count = count.saturating_add(1);
        }
        events
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program has already ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the configuration that ships, with the issuer's keys and an audit file.
fn configuration(issuer: &TestIssuer, audit: &Path) -> String {
    let keys = issuer.key_set();
    let keys: Vec<_> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            let members = key.as_object().unwrap().iter();
            let members: Vec<_> = members.map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", members.join(", "))
        })
        .collect();

    include_str!("../orders-api.toml")
        .replace(
            "url = \"http://127.0.0.1:4456/.well-known/jwks.json\"",
            &format!("keys = [{}]", keys.join(", ")),
        )
        .replace("RS256", "ES256")
        + &format!("\n[audit]\nsink = {{ file = \"{}\" }}\n", audit.display())
}

/// Retries until there is a result, for half a minute.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let answer = (0..1_500).find_map(|_| {
        let answer = ask();
        if answer.is_none() {
            thread::sleep(Duration::from_millis(20));
        }
        answer
    });
    assert!(answer.is_some(), "{what}: not within half a minute");
    answer.unwrap()
}

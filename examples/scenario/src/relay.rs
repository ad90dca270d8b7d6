//! An attacker in transit.
//!
//! A relay stands between two servers, passes every byte on, and keeps the bearer tokens and the request lines. It can be
//! pointed at another server, and taken down and put up again, unnoticed by the servers.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A relay that listens on one address and forwards to another.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    to: SocketAddr,
    tokens: VecDeque<String>,
    requests: usize,
}

impl Relay {
    /// Starts a relay. Port 0 lets the operating system choose.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, to: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            to,
            tokens: VecDeque::new(),
            requests: 0,
        }));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting: Some(accepting),
        })
    }

    /// Returns where the relay listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Points new connections at another server.
    pub fn point_at(&self, to: SocketAddr) {
        lock(&self.state).to = to;
    }

    /// Forgets the tokens seen so far.
    pub fn forget(&self) {
        lock(&self.state).tokens.clear();
    }

    /// Returns the last token that passed.
    pub fn last_token(&self) -> Option<String> {
        lock(&self.state).tokens.back().cloned()
    }

    /// Returns the number of requests that passed.
    pub fn requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// Stops listening and cuts every connection, as a crash would.
    pub async fn take_down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The listener is closed once the task is gone.
            let _ = accepting.await;
        }
    }

    /// Listens again on the same address.
    ///
    /// # Errors
    ///
    /// When the address was taken by another program in between.
    pub async fn put_up(&mut self) -> io::Result<()> {
        self.take_down().await;
        let listener = TcpListener::bind(self.address).await?;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.state))));
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Connections end with this task: they live in its set.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(pass_on(client, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn pass_on(mut client: TcpStream, state: Arc<Mutex<State>>) -> io::Result<()> {
    let to = lock(&state).to;
    let mut server = TcpStream::connect(to).await?;
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();

    let inward = async {
        let mut eavesdropper = Eavesdropper::default();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return to_server.shutdown().await;
            };
            eavesdropper.hear(bytes, &state);
            to_server.write_all(bytes).await?;
        }
    };
    let outward = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(inward, outward).map(|_| ())
}

/// Reads lines from a stream of bytes, and keeps the lines that an attacker would keep.
#[derive(Default)]
struct Eavesdropper {
    line: Vec<u8>,
}

impl Eavesdropper {
    fn hear(&mut self, bytes: &[u8], state: &Mutex<State>) {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < LONGEST_LINE {
                    self.line.push(*byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&self.line);
            let line = line.trim_end();
            if line.ends_with(" HTTP/1.1") {
                let mut state = lock(state);
                state.requests = state.requests.saturating_add(1);
            }
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("authorization")
                && let Some(token) = value.strip_prefix("Bearer ")
            {
                let mut state = lock(state);
                state.tokens.push_back(token.to_owned());
                if state.tokens.len() > KEPT_TOKENS {
                    state.tokens.pop_front();
                }
            }
            self.line.clear();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

const LONGEST_LINE: usize = 64 * 1024;
const KEPT_TOKENS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Connection, Request};

    const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    /// A server that answers every request with its name.
    async fn server(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind(SocketAddr::from(LOCAL)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        address
    }

    async fn relay(to: SocketAddr) -> Relay {
        Relay::start(LOCAL.into(), to).await.unwrap()
    }

    fn heard(chunks: &[&[u8]]) -> (Vec<String>, usize) {
        let state = Mutex::new(State {
            to: LOCAL.into(),
            tokens: VecDeque::new(),
            requests: 0,
        });
        let mut eavesdropper = Eavesdropper::default();
        for chunk in chunks {
            eavesdropper.hear(chunk, &state);
        }
        let state = state.into_inner().unwrap();
        (state.tokens.into(), state.requests)
    }

    #[actix_web::test]
    async fn relay_that_is_down_answers_no_request_until_it_is_up_again() {
        let mut relay = relay(server("one").await).await;
        let address = relay.address();
        let mut open = Connection::open(address).await.unwrap();
        open.write(&Request::get("/").bytes(address, true)).await.unwrap();
        open.response().await.unwrap();

        relay.take_down().await;
        let refused = Request::get("/").send(address).await;
        let cut = open.response().await;
        relay.put_up().await.unwrap();
        let back = Request::get("/").send(address).await.unwrap();

        assert!(refused.is_err() && cut.is_err(), "{refused:?} {cut:?}");
        assert_eq!(back.text(), "one");
    }

    #[actix_web::test]
    async fn relay_passes_new_connections_on_to_where_it_points() {
        let relay = relay(server("one").await).await;
        let before = Request::get("/").send(relay.address()).await.unwrap();

        relay.point_at(server("two").await);
        let after = Request::get("/").send(relay.address()).await.unwrap();

        assert_eq!(
            (before.text(), after.text()),
            ("one".to_owned(), "two".to_owned())
        );
    }

    #[actix_web::test]
    async fn token_that_passes_is_kept_until_it_is_forgotten() {
        let relay = relay(server("one").await).await;
        let request = Request::get("/").bearer("a.b.c");
        request.send(relay.address()).await.unwrap();

        assert_eq!(
            (relay.last_token(), relay.requests()),
            (Some("a.b.c".to_owned()), 1)
        );
        relay.forget();
        assert_eq!(relay.last_token(), None);
    }

    #[actix_web::test]
    async fn port_in_use_is_an_error() {
        let taken = server("one").await;

        assert!(Relay::start(taken, taken).await.is_err());
    }

    #[test]
    fn line_in_pieces_is_heard_whole() {
        let pieces: [&[u8]; 4] = [
            b"GET / HT",
            b"TP/1.1\r\nAUTHOR",
            b"IZATION: Bearer a.b",
            b".c\r\n",
        ];

        assert_eq!(heard(&pieces), (vec!["a.b.c".to_owned()], 1));
    }

    #[test]
    fn what_is_no_token_is_not_kept() {
        let lines: &[u8] = b"\xff\xfe\nauthorization: Basic x\r\nx-authorization: Bearer y\r\nBearer z\r\n";

        assert_eq!(heard(&[lines]), (Vec::new(), 0));
    }

    #[test]
    fn endless_line_takes_bounded_memory() {
        let state = Mutex::new(State {
            to: LOCAL.into(),
            tokens: VecDeque::new(),
            requests: 0,
        });
        let mut eavesdropper = Eavesdropper::default();

        for _ in 0..8 {
            eavesdropper.hear(&vec![b'a'; LONGEST_LINE], &state);
        }

        assert_eq!(eavesdropper.line.len(), LONGEST_LINE);
    }

    #[test]
    fn only_the_latest_tokens_are_kept() {
        let lines: Vec<_> = (0..KEPT_TOKENS + 10)
            .map(|number| format!("authorization: Bearer {number}\r\n").into_bytes())
            .collect();
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();

        let (tokens, _) = heard(&lines);

        assert_eq!(tokens.len(), KEPT_TOKENS);
        assert_eq!(tokens.first().map(String::as_str), Some("10"));
    }
}

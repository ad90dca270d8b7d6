//! What does an attacker in transit see?
//!
//! A relay stands between two servers, passes every byte on, and keeps the bearer tokens and the request lines that
//! flow by. It can be pointed at another server, and taken down and put up again, while the servers know nothing of it.

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

/// A relay that listens on one address and passes on to another.
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

    /// Returns the token that flowed by last.
    pub fn last_token(&self) -> Option<String> {
        lock(&self.state).tokens.back().cloned()
    }

    /// Returns how many requests flowed by.
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

/// Reads lines out of a stream of bytes, and keeps what an attacker would.
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

//! An upstream over real sockets that misbehaves as a test tells it to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// One received request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The upstream's behaviour for a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Closes the connection.
    Close,
    /// Writes one byte at a time, with pauses.
    Dribble(String, Duration),
    /// Sends nothing until the upstream is dropped.
    Hang,
    /// Writes these bytes and closes the connection.
    Raw(Vec<u8>),
    /// Writes these bytes and keeps the connection.
    RawKept(Vec<u8>),
    /// Sends a valid response and keeps the connection.
    Json(u16, String),
    /// Waits, then sends a valid response.
    Late(Duration, u16, String),
}

pub(crate) struct TestUpstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

type Script = Box<dyn Fn(&Received) -> Answer + Send + Sync>;

struct Shared {
    script: Script,
    requests: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl TestUpstream {
    pub(crate) fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            streams: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                accepting
                    .streams
                    .lock()
                    .unwrap()
                    .push(stream.try_clone().unwrap());
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.converse(stream));
            }
        });
        Self { addr, shared }
    }

    pub(crate) fn always(answer: Answer) -> Self {
        Self::start(move |_| answer.clone())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn close_connections(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for TestUpstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.close_connections();
        // Wakes the accepting thread, which frees the port.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn converse(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut reader) {
            self.requests.lock().unwrap().push(request.clone());
            if write(&mut stream, (self.script)(&request)).is_none() {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = field.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Received {
        line: line.trim_end().to_owned(),
        headers,
        body: String::new(),
    };
    let length = request
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

fn write(stream: &mut TcpStream, answer: Answer) -> Option<()> {
    match answer {
        Answer::Close => None,
        Answer::Dribble(text, pause) => {
            for byte in text.bytes() {
                stream.write_all(&[byte]).ok()?;
                thread::sleep(pause);
            }
            None
        }
        Answer::Hang => {
            // Ends when the client, or the drop of the upstream, closes the connection.
            let _ = stream.read(&mut [0]);
            None
        }
        Answer::Raw(bytes) => {
            stream.write_all(&bytes).ok()?;
            None
        }
        Answer::RawKept(bytes) => stream.write_all(&bytes).ok(),
        Answer::Json(status, body) => stream.write_all(json(status, &body).as_bytes()).ok(),
        Answer::Late(delay, status, body) => {
            thread::sleep(delay);
            stream.write_all(json(status, &body).as_bytes()).ok()
        }
    }
}

fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

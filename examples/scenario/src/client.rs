//! A client that sends any bytes.
//!
//! The walk attacks, so it must be able to send what a well-behaved client refuses to: duplicated headers, trimmed
//! signatures, two hundred requests in the same instant. Requests are written byte by byte here; answers are parsed by
//! `httparse`.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};
use url::form_urlencoded::Serializer;

/// A request, as it is sent.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Request {
    /// Creates a GET request.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Creates a POST request with a JSON body.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    /// Creates a request with any method.
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a bearer token (RFC 6750 §2.1).
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    /// Adds a form as the body (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = Some(form);
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// Returns the request line for the walk's report.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the bytes of the request. Without `keep_alive` the server is asked to close the connection after it.
    pub fn bytes(&self, host: SocketAddr, keep_alive: bool) -> Vec<u8> {
        let line = format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\n",
            self.method, self.path
        );
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let length = self
            .body
            .iter()
            .map(|body| format!("content-length: {}\r\n", body.len()));
        let close = (!keep_alive).then(|| "connection: close\r\n".to_owned());
        let end = ["\r\n", self.body.as_deref().unwrap_or_default()].concat();

        [line]
            .into_iter()
            .chain(headers)
            .chain(length)
            .chain(close)
            .chain([end])
            .collect::<String>()
            .into_bytes()
    }

    /// Sends the request on a connection of its own and returns the answer.
    ///
    /// # Errors
    ///
    /// When the connection fails, or the answer is not complete within ten seconds.
    pub async fn send(&self, to: SocketAddr) -> io::Result<Response> {
        within(async {
            let mut stream = TcpStream::connect(to).await?;
            stream.write_all(&self.bytes(to, false)).await?;
            Connection::new(stream).response().await
        })
        .await
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the value of the first line of a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the values of all lines of a header, its name in lower case.
    pub fn header_lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.headers.iter().filter(move |(key, _)| key == name);
        lines.map(|(_, value)| value.as_str())
    }

    /// Returns the `name=value` pairs of all cookies that the answer sets, as a `Cookie` header sends them.
    pub fn cookies(&self) -> String {
        self.header_lines("set-cookie")
            .filter_map(|cookie| cookie.split(';').next())
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Returns the body as JSON; `null` when the body is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection on which several answers arrive one after the other.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// When the connection is refused.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(to).await.map(Self::new)
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one answer.
    ///
    /// # Errors
    ///
    /// When the connection ends before the answer does, or the answer is no HTTP.
    pub async fn response(&mut self) -> io::Result<Response> {
        let (mut response, framing) = loop {
            if let Some(head) = parse_head(&mut self.buffer)? {
                break head;
            }
            self.fill().await?;
        };
        response.body = match framing {
            Framing::Length(length) => self.take(length).await?,
            Framing::Chunked => self.chunks().await?,
            Framing::UntilClose => self.rest().await?,
        };
        Ok(response)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = loop {
                if let Ok(httparse::Status::Complete((line, size))) = httparse::parse_chunk_size(&self.buffer)
                {
                    self.buffer.drain(..line);
                    break usize::try_from(size).map_err(io::Error::other)?;
                }
                self.fill().await?;
            };
            let chunk = self.take(size.saturating_add(2)).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend(chunk.into_iter().take(size));
        }
    }

    async fn rest(&mut self) -> io::Result<Vec<u8>> {
        self.stream.read_to_end(&mut self.buffer).await?;
        Ok(std::mem::take(&mut self.buffer))
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() > LARGEST_ANSWER {
            return Err(io::Error::other("the answer is too large"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Gives up after ten seconds.
///
/// # Errors
///
/// The error of `exchange`, or a timeout.
pub async fn within<T>(exchange: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    time::timeout(Duration::from_secs(10), exchange)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

enum Framing {
    Chunked,
    Length(usize),
    UntilClose,
}

fn parse_head(buffer: &mut Vec<u8>) -> io::Result<Option<(Response, Framing)>> {
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(length) = head.parse(buffer).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or_default();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|line| (line.name.to_ascii_lowercase(), text(line.value)))
        .collect();
    buffer.drain(..length);

    let value = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let framing = match (value("transfer-encoding"), value("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length.parse().map_err(io::Error::other)?),
        _ if status == 204 || status == 304 => Framing::Length(0),
        _ => Framing::UntilClose,
    };
    Ok(Some((
        Response {
            status,
            headers,
            body: Vec::new(),
        },
        framing,
    )))
}

const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Reads one answer from a server that writes `bytes` and closes the connection.
    async fn answer_to(bytes: &'static [u8]) -> io::Result<Response> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(bytes).await;
        });
        Request::get("/").send(address).await
    }

    #[actix_web::test]
    async fn what_is_no_whole_answer_is_an_error() {
        for bytes in [
            b"".as_slice(),
            b"\xff\xfe\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let answer = answer_to(bytes).await;

            assert!(
                answer.is_err(),
                "{:?}: {answer:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[actix_web::test]
    async fn body_is_read_however_it_is_framed() {
        for bytes in [
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcd".as_slice(),
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nabc",
        ] {
            assert_eq!(answer_to(bytes).await.unwrap().text(), "abc");
        }
    }

    #[actix_web::test]
    async fn cookies_are_what_a_browser_sends_back() {
        let answer = answer_to(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",
        );

        assert_eq!(answer.await.unwrap().cookies(), "a=1; b=2");
    }
}

//! Connections to upstreams, and the end of a response on them.
//!
//! A response with neither `Content-Length` nor `Transfer-Encoding` ends with the connection (RFC 9112 §6.3). The decoder of
//! `actix-http` implements that for HTTP/1.0 only: an HTTP/1.1 response of this kind is decoded as a response without a body, and
//! its bytes are lost. [`UntilClose`] stands between the connection and the decoder, and gives the head of such a response the
//! version 1.0, in which the rule is the same. TLS is below it, so the connector does the handshake itself.

use std::{
    fmt, io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use actix_service::Service;
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection, Connector, ConnectorService,
    rustls_0_23::{TlsConnector, TlsConnectorService, reexports::AsyncTlsStream},
};
use actix_web::http::Uri;
use bytes::{Buf as _, Bytes};
use futures_util::future::LocalBoxFuture;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Connects to an upstream. With a TLS configuration the connection uses TLS, whatever the scheme of the URI.
#[derive(Clone)]
pub(super) struct Connect {
    tcp: ConnectorService,
    tls: Option<TlsConnectorService>,
}

impl Connect {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            tcp: Connector::default().service(),
            tls: tls.map(TlsConnector::service),
        }
    }
}

impl Service<ConnectInfo<Uri>> for Connect {
    type Response = Connection<Uri, UntilClose<Box<dyn Io>>>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, ConnectError>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let connecting = self.tcp.call(info);
        let tls = self.tls.clone();
        Box::pin(async move {
            let (tcp, uri) = connecting.await?.into_parts();
            let io: Box<dyn Io> = match tls {
                Some(tls) => {
                    let secured = tls.call(Connection::new(uri.clone(), tcp)).await;
                    Box::new(secured.map_err(ConnectError::Io)?.into_parts().0)
                }
                None => Box::new(tcp),
            };
            Ok(Connection::new(uri, UntilClose::new(io)))
        })
    }
}

/// A connection, plain or with TLS.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + fmt::Debug {
    /// Returns the socket below.
    fn socket(&self) -> &TcpStream;
}

impl Io for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Io for AsyncTlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A connection on which a response without an announced length ends with the connection.
#[derive(Debug)]
pub(super) struct UntilClose<T> {
    io: T,
    reading: Reading,
}

/// The part of the stream that is read next.
#[derive(Debug)]
enum Reading {
    /// The head of a response, with the bytes that have arrived so far.
    Head(Vec<u8>),
    /// Bytes that have arrived with the head, and the head itself.
    Buffered(Bytes),
    /// Bytes that are passed on unchanged: a body, or nothing between two exchanges.
    Rest,
}

impl<T> UntilClose<T> {
    fn new(io: T) -> Self {
        Self {
            io,
            reading: Reading::Rest,
        }
    }

    /// Expects a response: a request is being written. The client writes a whole request before it reads.
    fn expect_head(&mut self) {
        if matches!(self.reading, Reading::Rest) {
            self.reading = Reading::Head(Vec::new());
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for UntilClose<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.reading {
                Reading::Head(head) => {
                    let mut chunk = [0; CHUNK];
                    let mut chunk = ReadBuf::new(&mut chunk);
                    ready!(Pin::new(&mut this.io).poll_read(cx, &mut chunk))?;
                    head.extend_from_slice(chunk.filled());

                    let has_ended = chunk.filled().is_empty();
                    if adjust(head) == Progress::Done || has_ended {
                        this.reading = Reading::Buffered(mem::take(head).into());
                    }
                }
                Reading::Buffered(bytes) if bytes.is_empty() => this.reading = Reading::Rest,
                Reading::Buffered(bytes) => {
                    let count = bytes.len().min(buf.remaining());
                    buf.put_slice(&bytes.split_to(count));
                    return Poll::Ready(Ok(()));
                }
                Reading::Rest => return Pin::new(&mut this.io).poll_read(cx, buf),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// The head is complete, or invalid in a way that the decoder rejects.
    Done,
    /// More bytes are needed.
    Partial,
}

/// Sets the version of a response head to 1.0 if the body ends with the connection.
fn adjust(bytes: &mut [u8]) -> Progress {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    // The same parser settings as the decoder's: both must find the same headers.
    config.allow_spaces_after_header_name_in_responses(true);

    match config.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Progress::Partial,
        Ok(httparse::Status::Partial) | Err(_) => return Progress::Done,
    }
    let is_announced = response.headers.iter().any(|header| {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        is("content-length") || is("transfer-encoding")
    });
    // RFC 9112 §6.3: these have no body.
    let is_bodiless = matches!(response.code, Some(100..=199 | 204 | 304));

    if response.version == Some(1)
        && !is_announced
        && !is_bodiless
        && let Some(start) = bytes.windows(VERSION.len()).position(|text| text == VERSION)
        && let Some(minor) = bytes.get_mut(start.saturating_add(VERSION.len()).saturating_sub(1))
    {
        *minor = b'0';
    }
    Progress::Done
}

impl<T: AsyncWrite + Unpin> AsyncWrite for UntilClose<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.expect_head();
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.expect_head();
        Pin::new(&mut this.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl ActixStream for UntilClose<Box<dyn Io>> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        match &self.reading {
            Reading::Buffered(bytes) if bytes.has_remaining() => Poll::Ready(Ok(Ready::READABLE)),
            Reading::Buffered(_) | Reading::Head(_) | Reading::Rest => {
                ActixStream::poll_read_ready(self.io.socket(), cx)
            }
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.io.socket(), cx)
    }
}

const VERSION: &[u8] = b"HTTP/1.1";

const CHUNK: usize = 8 * 1024;

/// The limits of the decoder, which rejects larger heads.
const MAX_HEAD: usize = 128 * 1024;
const MAX_HEADERS: usize = 96;

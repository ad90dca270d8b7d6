use std::{net::SocketAddr, sync::mpsc, thread, time::Instant};

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::{
    HttpServer,
    body::MessageBody,
    dev::{AppConfig, Response},
    rt::System,
};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use iam_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
};

pub(crate) const ISSUER: &str = "http://127.0.0.1:4455/";
pub(crate) const AUDIENCE: &str = "orders-api";

/// Connections that the client keeps open.
const CONNECTIONS: usize = 8;

/// Serves an application with one worker until the process ends.
pub(crate) fn serve<F, I, S, B>(factory: F) -> SocketAddr
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as actix_service::Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        System::new().block_on(async move {
            let server = HttpServer::new(factory)
                .workers(1)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .expect("a free port");
            let _ = sender.send(server.addrs()[0]);
            server.run().await
        })
    });
    receiver.recv().expect("a server that listens")
}

/// Sends requests over connections that stay open, on a thread of its own.
pub(crate) struct Client(Runtime);

impl Client {
    pub(crate) fn new() -> Self {
        Self(
            Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
        )
    }

    /// Sends `count` requests with the tokens in turn and returns the time of one, in microseconds.
    pub(crate) fn run(&mut self, address: SocketAddr, tokens: &[String], count: usize) -> f64 {
        let requests: Vec<Vec<u8>> = tokens
            .iter()
            .map(|token| {
                format!("GET /orders HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\nauthorization: Bearer {token}\r\n\r\n")
                    .into_bytes()
            })
            .collect();
        let requests = &requests;
        // A thread without a runtime: the one that calls has another already.
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.0.block_on(async move {
                        let connections = (0..CONNECTIONS).map(|_| async move {
                            let stream = TcpStream::connect(address).await.expect("a connection");
                            stream.set_nodelay(true).expect("an option");
                            stream
                        });
                        let connections = join_all(connections).await;

                        let start = Instant::now();
                        join_all(
                            connections
                                .into_iter()
                                .enumerate()
                                .map(|(first, mut stream)| async move {
                                    for number in (first..count).step_by(CONNECTIONS) {
                                        exchange(&mut stream, &requests[number % requests.len()]).await;
                                    }
                                }),
                        )
                        .await;
                        start.elapsed().as_secs_f64() * 1e6 / count as f64
                    })
                })
                .join()
                .expect("a client that ends well")
        })
    }
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).await.expect("a request is sent");

    let mut answer = [0; 1024];
    let mut length = 0;
    while !answer[..length].ends_with(b"\r\n\r\nok") {
        let read = stream.read(&mut answer[length..]).await.expect("an answer");
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer[..length]));
        length += read;
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Signs tokens as Oathkeeper does.
pub(crate) struct Signer {
    pair: RsaKeyPair,
    issued_at: u64,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self {
            pair: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"),
            issued_at: SystemClock::new().now().as_secs(),
        }
    }

    pub(crate) fn token(&self, number: usize) -> String {
        let header = json!({ "alg": "RS256", "kid": "7f78898c-bcc7-4e32-b06e-6a5c88b23a63", "typ": "JWT" });
        let claims = json!({
            "aud": [AUDIENCE, "inventory-api"], "exp": self.issued_at + 3600, "iat": self.issued_at, "iss": ISSUER,
            "jti": format!("bdb1b763-ccc4-4ef1-8da4-{number:012}"),
            "metadataPublic": { "roles": ["warehouse:admin"] }, "nbf": self.issued_at,
            "sub": "3550201f-950b-4744-a6cd-d675d0ca2ea4", "tenant": "default",
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("a token can be signed");

        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    pub(crate) fn jwk(&self) -> Value {
        let (modulus, exponent) = self.numbers();
        json!({
            "kid": "7f78898c-bcc7-4e32-b06e-6a5c88b23a63", "kty": "RSA", "alg": "RS256", "use": "sig",
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        })
    }

    /// Returns modulus and exponent, read from PKCS #1: a sequence of two integers that ends with a short exponent.
    pub(crate) fn numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.pair.public_key().as_ref();
        let start = der.len() - 5 - self.pair.public_modulus_len();

        (
            der[start..start + self.pair.public_modulus_len()].to_vec(),
            der[der.len() - 3..].to_vec(),
        )
    }
}

//! The HTTP server of each product, which frees its ports when it stops.
//!
//! A [`Server`] runs on a thread with its own actix `System`. It therefore works under every runtime, and can be stopped
//! and started while the process runs.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web::ServiceConfig};
use futures_util::future;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port cannot be bound, for a reason other than being in use.
    #[error("{server}: cannot listen on {address} ({listener}): {source}")]
    Listen {
        /// The product.
        server: String,
        /// The listener.
        listener: String,
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The address is reachable from other machines.
    #[error(
        "{server}: {address} ({listener}) is not a loopback address: this stand-in serves only its own machine"
    )]
    NotLoopback {
        /// The product.
        server: String,
        /// The listener.
        listener: String,
        /// The address.
        address: SocketAddr,
    },
    /// Another program uses the port.
    #[error(
        "{server}: port {port} ({listener}) is in use: stop the program that listens on {address} \
         (`ss -ltnp` names it), or configure another port",
        port = address.port()
    )]
    PortInUse {
        /// The product.
        server: String,
        /// The listener.
        listener: String,
        /// The address.
        address: SocketAddr,
    },
    /// The server's thread cannot be spawned.
    #[error("{server}: cannot start its thread: {source}")]
    Thread {
        /// The product.
        server: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// A running server with one or more listeners, each with its own routes.
///
/// Dropping the server stops it and aborts requests in progress. [`Server::stop`] gives them up to a second to finish.
///
/// # Examples
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use ory_dev::server::Server;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), ory_dev::server::StartError> {
/// let listeners = [("public", "127.0.0.1:0".parse().unwrap()), ("admin", "127.0.0.1:0".parse().unwrap())];
/// let server = Server::start("kratos", &listeners, 1, |listener, app| {
///     let name = listener.to_owned();
///     app.default_service(web::to(move || {
///         let name = name.clone();
///         async move { HttpResponse::Ok().body(name) }
///     }));
/// })?;
/// assert!(server.addr("public").is_some());
///
/// server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    addrs: Vec<(String, SocketAddr)>,
    handles: Vec<ServerHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds every address and starts `workers` workers for each. Each worker calls `configure` with the name of its
    /// listener, to add the listener's routes. State that workers share must be created before and captured.
    ///
    /// # Errors
    ///
    /// When an address is not a loopback address or cannot be bound. No listener is left running then.
    pub fn start<F>(
        name: &str,
        listeners: &[(&str, SocketAddr)],
        workers: usize,
        configure: F,
    ) -> Result<Self, StartError>
    where
        F: Fn(&str, &mut ServiceConfig) + Clone + Send + 'static,
    {
        Listeners::bind(name, listeners)?.serve(workers, configure)
    }

    /// Stops the server and returns once its ports are free and its connections closed.
    pub async fn stop(mut self) {
        future::join_all(self.handles.drain(..).map(|handle| handle.stop(true))).await;
        self.join();
    }

    /// Returns the address of a listener, with the actual port if port 0 was requested.
    pub fn addr(&self, listener: &str) -> Option<SocketAddr> {
        self.addrs
            .iter()
            .find(|(name, _)| name == listener)
            .map(|(_, address)| *address)
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a server thread of the embedded stack panicked");
        }
    }
}

/// A switch that makes a product unavailable while it keeps its ports and its data, for tests of its clients.
///
/// # Examples
///
/// ```
/// use ory_dev::server::Outage;
///
/// let outage = Outage::default();
/// outage.answer_with(503);
/// outage.end();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Outage(Arc<AtomicU16>);

impl Outage {
    /// Answers every request with this status and no body, until [`Outage::end`].
    pub fn answer_with(&self, status: u16) {
        self.0.store(status, Ordering::SeqCst);
    }

    /// Answers no request until [`Outage::end`].
    pub fn stay_silent(&self) {
        self.0.store(SILENT, Ordering::SeqCst);
    }

    /// Answers as usual again.
    pub fn end(&self) {
        self.0.store(UP, Ordering::SeqCst);
    }

    /// Returns the answer of an unavailable product, if it is unavailable. A silent one returns only when the outage ends.
    pub(crate) async fn answer(&self) -> Option<HttpResponse> {
        loop {
            match self.0.load(Ordering::SeqCst) {
                UP => return None,
                SILENT => actix_rt::time::sleep(Duration::from_millis(20)).await,
                status => {
                    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                    return Some(HttpResponse::new(status));
                }
            }
        }
    }
}

/// Bound ports that are not served yet, for a server whose answers name its own ports.
#[derive(Debug)]
pub struct Listeners {
    name: String,
    bound: Vec<Bound>,
}

impl Listeners {
    /// Binds every address.
    ///
    /// # Errors
    ///
    /// When an address is not a loopback address or cannot be bound.
    pub fn bind(name: &str, listeners: &[(&str, SocketAddr)]) -> Result<Self, StartError> {
        let bound = listeners
            .iter()
            .map(|(listener, address)| bind(name, listener, *address));
        Ok(Self {
            name: name.to_owned(),
            bound: bound.collect::<Result<_, _>>()?,
        })
    }

    /// Returns the address of a listener.
    pub fn addr(&self, listener: &str) -> Option<SocketAddr> {
        self.bound
            .iter()
            .find(|(name, _, _)| name == listener)
            .map(|(_, address, _)| *address)
    }

    /// Starts the workers, as in [`Server::start`].
    ///
    /// # Errors
    ///
    /// When no thread can be spawned.
    pub fn serve<F>(self, workers: usize, configure: F) -> Result<Server, StartError>
    where
        F: Fn(&str, &mut ServiceConfig) + Clone + Send + 'static,
    {
        let Self { name, bound } = self;
        let addrs = bound
            .iter()
            .map(|(listener, address, _)| (listener.clone(), *address))
            .collect();
        let (started, handles) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.clone())
            .spawn(move || run(bound, workers, &configure, &started))
            .map_err(|source| StartError::Thread {
                server: name.clone(),
                source,
            })?;

        let handles = match handles.recv() {
            Ok(Ok(handles)) => handles,
            Ok(Err(source)) => return Err(StartError::Thread { server: name, source }),
            Err(mpsc::RecvError) => {
                let source = io::Error::other("it ended before its servers ran");
                return Err(StartError::Thread { server: name, source });
            }
        };
        Ok(Server {
            addrs,
            handles,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `stop` sends its command at once. The returned future only waits for the end, as `join` does here.
        for handle in self.handles.drain(..) {
            drop(handle.stop(false));
        }
        self.join();
    }
}

type Bound = (String, SocketAddr, TcpListener);

fn bind(server: &str, listener: &str, address: SocketAddr) -> Result<Bound, StartError> {
    let (server, name) = (server.to_owned(), listener.to_owned());
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback {
            server,
            listener: name,
            address,
        });
    }
    let bound = TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
    match bound {
        Ok((local, listener)) => Ok((name, local, listener)),
        Err(err) if err.kind() == io::ErrorKind::AddrInUse => Err(StartError::PortInUse {
            server,
            listener: name,
            address,
        }),
        Err(source) => Err(StartError::Listen {
            server,
            listener: name,
            address,
            source,
        }),
    }
}

fn run<F>(
    bound: Vec<Bound>,
    workers: usize,
    configure: &F,
    started: &mpsc::Sender<io::Result<Vec<ServerHandle>>>,
) where
    F: Fn(&str, &mut ServiceConfig) + Clone + Send + 'static,
{
    actix_rt::System::new().block_on(async move {
        let mut servers = Vec::with_capacity(bound.len());
        for (name, _, listener) in bound {
            let configure = configure.clone();
            let server = HttpServer::new(move || App::new().configure(|app| configure(&name, app)))
                .workers(workers)
                .shutdown_timeout(GRACE.as_secs())
                .disable_signals()
                .listen(listener);
            match server {
                Ok(server) => servers.push(server.run()),
                Err(err) => {
                    // The receiver waits in `start`, so sending succeeds.
                    let _ = started.send(Err(err));
                    return;
                }
            }
        }

        let handles = servers.iter().map(actix_web::dev::Server::handle).collect();
        if started.send(Ok(handles)).is_ok() {
            for result in future::join_all(servers).await {
                if let Err(err) = result {
                    tracing::error!(%err, "a server of the embedded stack ended");
                }
            }
        }
    });
}

/// The grace period for requests in progress when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Values that are not HTTP statuses.
const UP: u16 = 0;
const SILENT: u16 = 1;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };

    use actix_web::{HttpResponse, web};

    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn echo_name(listener: &str, app: &mut ServiceConfig) {
        let name = listener.to_owned();
        app.default_service(web::to(move || {
            let name = name.clone();
            async move { HttpResponse::Ok().body(name) }
        }));
    }

    fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[actix_web::test]
    async fn each_listener_has_its_own_routes() {
        let server = Server::start("test", &[("one", local()), ("two", local())], 1, echo_name).unwrap();

        for name in ["one", "two"] {
            let answer = ask(&mut TcpStream::connect(server.addr(name).unwrap()).unwrap());
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with(name),
                "{answer}"
            );
        }
        assert_eq!(server.addr("three"), None);
        server.stop().await;
    }

    #[actix_web::test]
    async fn stop_frees_the_port_and_closes_idle_connections() {
        let server = Server::start("test", &[("one", local())], 1, echo_name).unwrap();
        let address = server.addr("one").unwrap();
        let mut idle = TcpStream::connect(address).unwrap();
        assert!(ask(&mut idle).starts_with("HTTP/1.1 200"));

        server.stop().await;

        assert!(TcpStream::connect(address).is_err());
        let again = Server::start("test", &[("one", address)], 1, echo_name).unwrap();
        assert!(ask(&mut TcpStream::connect(address).unwrap()).starts_with("HTTP/1.1 200"));
        drop(again);
        assert!(TcpStream::connect(address).is_err());
        let mut rest = Vec::new();
        assert!(idle.read_to_end(&mut rest).is_ok_and(|read| read == 0) || rest.is_empty());
    }

    #[test]
    fn port_in_use_is_an_error_that_names_the_port_and_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();

        let err = Server::start("kratos", &[("public", address)], 1, echo_name)
            .unwrap_err()
            .to_string();

        assert!(
            err.contains(&format!("kratos: port {} (public) is in use", address.port())),
            "{err}"
        );
        assert!(err.contains("stop the program"), "{err}");
    }

    #[test]
    fn failed_start_leaves_no_port_bound() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = free.local_addr().unwrap();
        drop(free);

        let started = Server::start(
            "test",
            &[("one", first), ("two", taken.local_addr().unwrap())],
            1,
            echo_name,
        );

        assert!(matches!(started, Err(StartError::PortInUse { .. })));
        assert!(TcpListener::bind(first).is_ok());
    }

    #[test]
    fn address_that_others_can_reach_is_refused() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let started = Server::start("test", &[("one", address.parse().unwrap())], 1, echo_name);
            assert!(
                matches!(started, Err(StartError::NotLoopback { .. })),
                "{address}"
            );
        }
    }
}

//! Starts and stops an example service.
//!
//! A service is a library `run(config, ports)`, so that tests can watch its audit, and a ten-line `main`:
//!
//! ```no_run
//! use actix_web::{App, HttpResponse, web};
//! use iam_actix::Ports;
//! use service::{BoxError, Config, Running, serve};
//!
//! /// Starts the service.
//! async fn run(config: Config, ports: Ports) -> Result<Running, BoxError> {
//!     serve(config.or_port(3001), ports, |iam| {
//!         let iam = iam.clone();
//!         Ok(move || {
//!             App::new()
//!                 .wrap(iam.middleware())
//!                 .route("/orders", web::get().to(HttpResponse::Ok))
//!         })
//!     })
//!     .await
//! }
//!
//! # async fn main_of_a_service() -> Result<(), BoxError> {
//! let service = run(Config::from_file("orders-api.toml")?, Ports::default()).await?;
//! service.until_signal().await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod signal;

use std::{
    error::Error,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    HttpServer,
    body::MessageBody,
    dev::{AppConfig, Server, ServerHandle, ServiceFactory, ServiceResponse},
    rt,
};
use iam_actix::{Iam, Ports};

pub use self::{config::Config, signal::stop_signal};

/// Starts a service. It serves while the returned value is awaited.
///
/// `app` gets the started [`Iam`] and returns the application factory. The application is checked before the service listens:
/// each route has a policy that can be enforced.
///
/// # Errors
///
/// When the configuration or a policy is wrong, with every problem, or when the address is in use.
pub async fn serve<A, F, I, S, B>(config: Config, ports: Ports, app: A) -> Result<Running, BoxError>
where
    A: FnOnce(&Iam) -> Result<F, BoxError>,
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = actix_web::Error>
        + 'static,
    S::InitError: fmt::Debug,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let Config { iam, listen } = config;
    let iam = Iam::builder(iam).ports(ports).start().await?;
    let app = app(&iam)?;
    iam.check(&app).await?;

    let server = HttpServer::new(app)
        .workers(listen.workers)
        .max_connections(config::MOST_CONNECTIONS)
        .client_request_timeout(config::REQUEST_HEAD)
        .keep_alive(listen.keep_alive)
        .shutdown_timeout(config::STOP_SECONDS)
        .disable_signals();
    let bound = if listen.http2 {
        server.bind_auto_h2c(listen.address)
    } else {
        server.bind(listen.address)
    };
    Ok(Running::new(
        bound.map_err(|err| in_use(listen.address, &err))?.run(),
        iam,
    ))
}

fn in_use(address: SocketAddr, err: &io::Error) -> String {
    format!(
        "cannot listen on {address}: {err}; stop the program that uses the port (`ss -ltnp` names it), or listen on \
         another"
    )
}

/// A service that serves while it is awaited, until its handle stops it. It ends when the audit events of all answered requests
/// have reached the sinks.
#[must_use = "a service serves only while it is awaited"]
pub struct Running {
    handle: ServerHandle,
    serving: Pin<Box<dyn Future<Output = io::Result<()>>>>,
}

impl Running {
    fn new(server: Server, iam: Iam) -> Self {
        Self {
            handle: server.handle(),
            serving: Box::pin(serve_and_flush(server, iam)),
        }
    }

    /// Returns the handle that stops the service. `stop(true)` lets requests in flight finish, within ten seconds.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until SIGTERM or Ctrl-C, then lets requests in flight finish, within ten seconds.
    ///
    /// # Errors
    ///
    /// When the signals cannot be listened to, or the server fails.
    pub async fn until_signal(self) -> io::Result<()> {
        let signal = stop_signal()?;
        let handle = self.handle();
        let stopping = rt::spawn(async move {
            signal.await;
            tracing::info!("stopping: no new connections, requests in flight finish");
            handle.stop(true).await;
        });

        let ended = self.await;
        stopping.abort();
        ended
    }
}

impl Future for Running {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.serving.as_mut().poll(context)
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

async fn serve_and_flush(server: Server, iam: Iam) -> io::Result<()> {
    let ended = server.await;

    if !iam.flush_audit().await {
        tracing::error!("the audit sinks did not take the last events in time");
    }
    let dropped = iam.dropped_audit_events();
    if dropped > 0 {
        tracing::error!(dropped, "audit events were lost: the queue was full");
    }
    ended
}

/// An error of any kind, as `main` shows it.
pub type BoxError = Box<dyn Error + Send + Sync>;

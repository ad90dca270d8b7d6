//! Relation tuples and permission checks, as Keto v26.2.0 answers.
//!
//! [`Keto::from_files`] reads `keto.yml` and the permission file that it names, and [`Keto::start`] serves the read, write
//! and syntax ports. All answers are computed from the permission file and the stored tuples. Tuples are written over HTTP,
//! or from Rust through [`Keto::store`].

mod config;
mod store;
mod tuple;
mod page;
mod query;
mod answer;
mod body;
mod list;
mod check;
mod expand;
mod write;
mod syntax;
pub(crate) mod fuzz;

use std::{net::SocketAddr, path::Path, sync::Arc};

use actix_web::{
    HttpResponse, Resource, guard,
    web::{self, Data, PayloadConfig, ServiceConfig},
};
use iam_opl::{CheckLimits, Namespaces};
use serde_json::json;

use crate::{
    config::{ConfigError, Vars},
    server::{Server, StartError},
};

pub use config::KetoConfig;
pub use store::{Filter, Store, StoreFull};
pub use tuple::{Subject, SubjectSet, Tuple};

use page::PageKey;

/// A running Keto. It stops when it is dropped.
///
/// # Examples
///
/// ```
/// use ory_dev::config::Vars;
/// use ory_dev::keto::Keto;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
/// let config = Keto::from_files(format!("{folder}/keto.yml").as_ref(), &Vars::new(folder, "/tmp"))?;
/// let keto = Keto::start(config.any_ports())?;
/// keto.store().insert("orders:o-1#owners@user:alice".parse::<iam_grammar::RelationTuple>()?)?;
///
/// let url = format!("http://{}/relation-tuples", keto.read());
/// assert!(url.starts_with("http://127.0.0.1:"));
/// keto.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Keto {
    server: Server,
    read: SocketAddr,
    write: SocketAddr,
    opl: SocketAddr,
    store: Arc<Store>,
}

impl Keto {
    /// Reads Keto's configuration file and the permission file that it names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, an option is not supported, or the permission file has mistakes.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<KetoConfig, ConfigError> {
        KetoConfig::read(path, vars)
    }

    /// Starts serving, with an empty store.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound.
    pub fn start(config: KetoConfig) -> Result<Self, StartError> {
        let store = Arc::new(Store::default());
        let listeners = [
            ("read", config.read),
            ("write", config.write),
            ("opl", config.opl),
        ];
        let state = Data::new(State {
            namespaces: config.namespaces,
            limits: config.limits,
            max_depth: config.max_depth,
            max_batch: config.max_batch,
            store: Arc::clone(&store),
            pages: PageKey::default(),
        });
        let server = Server::start("keto", &listeners, WORKERS, move |listener, app| {
            routes(listener, &state, app);
        })?;

        let [read, write, opl] = listeners.map(|(name, configured)| server.addr(name).unwrap_or(configured));
        Ok(Self {
            server,
            read,
            write,
            opl,
            store,
        })
    }

    /// Stops the server and returns once its ports are free.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    /// Returns the address for checks, expands and lists.
    pub fn read(&self) -> SocketAddr {
        self.read
    }

    /// Returns the address for writes.
    pub fn write(&self) -> SocketAddr {
        self.write
    }

    /// Returns the address for checking the syntax of permission files.
    pub fn opl(&self) -> SocketAddr {
        self.opl
    }

    /// Returns the tuple store, which tests can seed and inspect.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// The state that all workers of all three ports share.
#[derive(Debug)]
struct State {
    namespaces: Namespaces,
    limits: CheckLimits,
    max_depth: u32,
    max_batch: usize,
    store: Arc<Store>,
    pages: PageKey,
}

fn routes(listener: &str, state: &Data<State>, app: &mut ServiceConfig) {
    app.app_data(Data::clone(state))
        .app_data(PayloadConfig::new(MAX_BODY));
    let get = || guard::Any(guard::Get()).or(guard::Head());
    match listener {
        "read" => app
            .service(at("/relation-tuples", READS).route(web::route().guard(get()).to(list::list)))
            .service(
                at("/relation-tuples/check", "GET, HEAD, POST")
                    .route(web::route().guard(get()).to(check::get_mirrored))
                    .route(web::post().to(check::post_mirrored)),
            )
            .service(
                at("/relation-tuples/check/openapi", "GET, HEAD, POST")
                    .route(web::route().guard(get()).to(check::get))
                    .route(web::post().to(check::post)),
            )
            .service(at("/relation-tuples/batch/check", "POST").route(web::post().to(check::batch)))
            .service(at("/relation-tuples/expand", READS).route(web::route().guard(get()).to(expand::expand)))
            .service(at("/namespaces", READS).route(web::route().guard(get()).to(namespaces))),
        "write" => app.service(
            at("/admin/relation-tuples", "DELETE, PATCH, PUT")
                .route(web::put().to(write::create))
                .route(web::delete().to(write::delete))
                .route(web::patch().to(write::patch)),
        ),
        _ => app.service(at("/opl/syntax/check", "POST").route(web::post().to(syntax::check))),
    }
    .service(at("/health/alive", READS).route(web::route().guard(get()).to(health)))
    .service(at("/health/ready", READS).route(web::route().guard(get()).to(health)))
    .service(at("/version", READS).route(web::route().guard(get()).to(version)))
    .default_service(web::to(|| async { answer::plain_not_found() }));
}

/// A resource that answers other methods with 405 and lists `methods` in `Allow`.
fn at(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(
        move || async move { answer::method_not_allowed(methods) },
    ))
}

async fn namespaces(state: Data<State>) -> HttpResponse {
    let names: Vec<_> = state
        .namespaces
        .names()
        .map(|name| json!({ "name": name }))
        .collect();
    answer::json(&json!({ "namespaces": names }))
}

async fn health() -> HttpResponse {
    answer::json(&json!({ "status": "ok" }))
}

async fn version() -> HttpResponse {
    answer::json(&json!({ "version": concat!("ory-dev-", env!("CARGO_PKG_VERSION")) }))
}

/// The methods of a read-only path. Go's router answers HEAD wherever it answers GET.
const READS: &str = "GET, HEAD";

/// Enough for development; a check takes microseconds.
const WORKERS: usize = 2;

/// The largest accepted body: some ten thousand tuples in one PATCH. Keto has no such limit.
const MAX_BODY: usize = 2 * 1024 * 1024;

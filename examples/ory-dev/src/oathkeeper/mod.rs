//! Access rules, sessions and signed tokens, as Oathkeeper answers.
//!
//! The proxy matches each request against the access rules, authenticates the caller with the session service, replaces the
//! caller's credential by a signed token, and forwards the request. The API publishes the keys, shows the rules and decides
//! without forwarding.
//!
//! Beyond the options that the configuration rejects, three things differ from the real gateway. An answer of the session
//! check that is not JSON is an error, not a session without a subject. Redirects of the session check are not followed.
//! Connections are not upgraded.

mod config;
mod rule;
mod handlers;
mod gate;
mod target;
mod glob;
mod authn;
mod introspection;
mod session;
mod mutate;
mod template;
mod value;
mod keys;
mod key_file;
mod clock;
mod refusal;
mod proxy;
mod api;
pub(crate) mod fuzz;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::web;
use url::Url;

pub use self::{
    clock::Clock,
    config::OathkeeperConfig,
    key_file::{KeyFile, KeyFileError},
};

pub(crate) use self::{
    key_file::fresh_rsa,
    keys::{Keys, parse_keys},
};

use crate::{
    config::{ConfigError, Vars},
    oathkeeper::{
        gate::{Gate, Moved},
        keys::KeyRing,
        mutate::{Mint, TokenCache},
        proxy::Clients,
    },
    server::{Listeners, Server, StartError},
};

/// A running gateway. It stops when it is dropped.
///
/// # Examples
///
/// ```
/// use ory_dev::config::Vars;
/// use ory_dev::oathkeeper::Oathkeeper;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
/// let state = std::env::temp_dir().join("ory-dev-example");
/// let config = Oathkeeper::from_files(format!("{folder}/oathkeeper.yml").as_ref(), &Vars::new(folder, &state))?;
/// let gateway = Oathkeeper::start(config.ports(0, 0))?;
///
/// let answer = awc::Client::new().get(format!("{}orders", gateway.proxy_url())).send().await?;
/// assert_eq!(answer.status(), 401);
/// gateway.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Oathkeeper {
    server: Server,
    gate: Arc<Gate>,
    watcher: Watcher,
    proxy: (SocketAddr, Url),
    api: (SocketAddr, Url),
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OathkeeperError {
    /// The address of a listener cannot be part of a URL.
    #[error("oathkeeper: the address of a listener is not valid in a URL")]
    Address(#[from] url::ParseError),
    /// A key file is invalid.
    #[error("oathkeeper: the signing keys are unusable")]
    Keys(#[from] KeyFileError),
    /// The listeners or a thread did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Oathkeeper {
    /// Reads `oathkeeper.yml` and the access rules that it names.
    ///
    /// # Errors
    ///
    /// As [`OathkeeperConfig::from_files`].
    pub fn from_files(path: &Path, vars: &Vars) -> Result<OathkeeperConfig, ConfigError> {
        OathkeeperConfig::from_files(path, vars)
    }

    /// Starts the gateway. A missing key file is created with one new key.
    ///
    /// # Errors
    ///
    /// When a key file cannot be used, or a port cannot be bound.
    pub fn start(config: OathkeeperConfig) -> Result<Self, OathkeeperError> {
        let mut rings = BTreeMap::new();
        for path in &config.key_files {
            rings.insert(path.clone(), Arc::new(KeyRing::open(path)?));
        }
        let listeners = Listeners::bind(NAME, &[(PROXY, config.proxy), (API, config.api)])?;
        let proxy = listeners.addr(PROXY).unwrap_or(config.proxy);
        let api = listeners.addr(API).unwrap_or(config.api);
        let gate = Arc::new(Gate {
            rules: config.rules,
            mint: Mint {
                rings,
                clock: config.clock,
                cache: TokenCache::default(),
            },
            is_verbose: config.is_verbose,
            trusts_forwarded: config.trusts_forwarded,
            moved: (proxy != config.written_proxy).then(|| Moved {
                actual: proxy.to_string(),
                configured: config.written_proxy.to_string(),
            }),
        });
        let watcher = Watcher::start(Arc::clone(&gate), config.reload)?;

        let shared = Arc::clone(&gate);
        let server = listeners.serve(config.workers, move |listener, app| {
            let gate = Arc::clone(&shared);
            let clients = Clients::new();
            if listener == PROXY {
                app.default_service(web::to(move |request, payload| {
                    proxy::proxy(request, payload, Arc::clone(&gate), clients.clone())
                }));
            } else {
                app.default_service(web::to(move |request| {
                    api::api(request, Arc::clone(&gate), clients.clone())
                }));
            }
        })?;
        Ok(Self {
            server,
            gate,
            watcher,
            proxy: (proxy, base_url(proxy)?),
            api: (api, base_url(api)?),
        })
    }

    /// Returns the address of the proxy.
    pub fn proxy_addr(&self) -> SocketAddr {
        self.proxy.0
    }

    /// Returns the address of the API.
    pub fn api_addr(&self) -> SocketAddr {
        self.api.0
    }

    /// Returns the base URL of the proxy, with `/` at the end.
    pub fn proxy_url(&self) -> &Url {
        &self.proxy.1
    }

    /// Returns the base URL of the API, with `/` at the end.
    pub fn api_url(&self) -> &Url {
        &self.api.1
    }

    /// Reads the key files now instead of at the next interval.
    pub fn reload_keys(&self) {
        reload(&self.gate, &mut BTreeMap::new());
    }

    /// Stops the gateway and returns once its ports are free.
    pub async fn stop(self) {
        self.server.stop().await;
        drop(self.watcher);
    }
}

fn base_url(address: SocketAddr) -> Result<Url, url::ParseError> {
    Url::parse(&format!("http://{address}/"))
}

/// Reloads the key files periodically until it is dropped.
#[derive(Debug)]
struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    fn start(gate: Arc<Gate>, interval: Duration) -> Result<Self, StartError> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new()
            .name("oathkeeper-keys".to_owned())
            .spawn(move || {
                let mut told = BTreeMap::new();
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                    reload(&gate, &mut told);
                }
            })
            .map_err(|source| StartError::Thread {
                server: NAME.to_owned(),
                source,
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The thread ends when the channel closes.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads the gateway's keys panicked");
        }
    }
}

/// Reads every key file. `told` holds the last reported error of each file, so that an error is reported once.
fn reload(gate: &Gate, told: &mut BTreeMap<PathBuf, String>) {
    for (path, ring) in &gate.mint.rings {
        match ring.reload() {
            Ok(()) => {
                told.remove(path);
            }
            Err(error) => {
                let problem = error.to_string();
                if told.get(path) != Some(&problem) {
                    tracing::warn!(%error, "the key file is invalid: the previous keys stay in use");
                    told.insert(path.clone(), problem);
                }
            }
        }
    }
}

const NAME: &str = "oathkeeper";

const PROXY: &str = "proxy";

const API: &str = "api";

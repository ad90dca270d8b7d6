//! What is running, and where?

use std::{
    error::Error,
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::dev::{Server, ServerHandle};
use iam_actix::{ConfigError, IamConfig, Ports};
use ory_dev::Stack;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time};

use crate::{
    audit::Audit,
    client::{Request, Response},
    relay::Relay,
};

/// Where everything listens.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Oathkeeper's proxy.
    pub gateway: SocketAddr,
    /// Oathkeeper's API, which publishes the keys.
    pub gateway_api: SocketAddr,
    /// Kratos's admin port.
    pub kratos_admin: SocketAddr,
    /// Kratos's public port.
    pub kratos_public: SocketAddr,
    /// Keto's read port.
    pub keto_read: SocketAddr,
    /// Keto's write port.
    pub keto_write: SocketAddr,
    /// auth-bff, as the gateway knows it.
    pub auth_bff: SocketAddr,
    /// orders-api, as the gateway knows it.
    pub orders_api: SocketAddr,
    /// inventory-api, as the gateway knows it.
    pub inventory_api: SocketAddr,
}

impl Places {
    /// Returns Ory's and the scenario's usual ports on loopback.
    pub fn usual() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            gateway: local(4455),
            gateway_api: local(4456),
            kratos_admin: local(4434),
            kratos_public: local(4433),
            keto_read: local(4466),
            keto_write: local(4467),
            auth_bff: local(3000),
            orders_api: local(3001),
            inventory_api: local(3002),
        }
    }

    /// Makes sure that somebody listens wherever Ory's servers should.
    async fn answer(&self) -> Result<(), StartError> {
        let servers = [
            ("Oathkeeper's proxy", self.gateway),
            ("Oathkeeper's API", self.gateway_api),
            ("Kratos, public", self.kratos_public),
            ("Kratos, admin", self.kratos_admin),
            ("Keto, read", self.keto_read),
            ("Keto, write", self.keto_write),
        ];
        let mut silent = Vec::new();
        for (server, address) in servers {
            if TcpStream::connect(address).await.is_err() {
                silent.push(format!("{address} ({server})"));
            }
        }
        if silent.is_empty() {
            return Ok(());
        }
        Err(StartError::NotRunning(silent.join(", ")))
    }
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with the services' configuration, instead of the files they ship with.
    pub config: Option<PathBuf>,
    /// Whether real Ory servers run on the usual ports; otherwise the embedded stack is started.
    pub live: bool,
    /// The gateway's key file, where it is at hand.
    pub key_file: Option<PathBuf>,
    /// What every service is plugged into.
    pub ports: fn() -> Ports,
    /// Whether a relay stands in front of orders-api, for the walk.
    pub relay: bool,
    /// How often the captured token is raced against itself.
    pub rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: None,
            live: false,
            key_file: None,
            ports: Ports::default,
            relay: true,
            rounds: 50,
        }
    }
}

/// A service that runs.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it wrote into its audit.
    pub audit: Arc<Audit>,
    handle: ServerHandle,
}

impl Service {
    /// Runs a server that has not been polled yet.
    pub fn spawn(server: Server, address: SocketAddr, audit: Arc<Audit>) -> Self {
        let handle = server.handle();
        actix_rt::spawn(server);
        Self {
            address,
            audit,
            handle,
        }
    }

    /// Stops the service and frees its port.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // The command is sent at once; only waiting for its end needs the future.
        drop(self.handle.stop(false));
    }
}

/// The stack, the services, and the relay between the gateway and orders-api.
#[derive(Debug)]
pub struct World {
    /// Where everything listens.
    pub places: Places,
    /// What every service is plugged into.
    pub ports: fn() -> Ports,
    /// The gateway's key file, where it is at hand.
    pub key_file: Option<PathBuf>,
    /// How often the captured token is raced against itself.
    pub rounds: usize,
    /// auth-bff.
    pub auth_bff: Service,
    /// orders-api, behind the relay.
    pub orders_api: Service,
    /// inventory-api.
    pub inventory_api: Service,
    /// Stands in front of orders-api.
    pub relay: Relay,
    config: Option<PathBuf>,
    stack: Option<Stack>,
}

impl World {
    /// Starts everything that is not running yet.
    ///
    /// # Errors
    ///
    /// When a configuration is wrong or a port is in use; the message names it.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let places = Places::usual();
        let config = options.config.as_deref();
        // Before anything runs: whoever mistyped a folder should not have to wait for a stack.
        check_files(config)?;
        let (stack, key_file) = if options.live {
            places.answer().await?;
            (None, options.key_file)
        } else {
            let state = std::env::temp_dir().join("zero-trust");
            let stack = Stack::start(&ory_dev::shipped_configuration(), &state).await?;
            (Some(stack), Some(state.join("id-token.jwks.json")))
        };

        let plan = |listen| Plan {
            config,
            listen,
            ports: (options.ports)(),
        };
        let auth_bff = plan(places.auth_bff).auth_bff().await?;
        let inventory_api = plan(places.inventory_api).inventory_api(|_| {}).await?;
        // Where there is no walk the service itself stands on its port, and the relay, out of the way, serves nobody.
        let (own, relayed) = if options.relay {
            (free_address()?, places.orders_api)
        } else {
            (places.orders_api, free_address()?)
        };
        let orders_api = plan(own).orders_api(|_| {}).await?;
        let relay = Relay::start(relayed, own)
            .await
            .map_err(|source| StartError::listen("the relay in front of orders-api", relayed, source))?;
        Ok(Self {
            places,
            ports: options.ports,
            key_file,
            rounds: options.rounds,
            auth_bff,
            orders_api,
            inventory_api,
            relay,
            config: options.config,
            stack,
        })
    }

    /// Returns whether the stack is the embedded one.
    pub fn is_embedded(&self) -> bool {
        self.stack.is_some()
    }

    /// Starts one more orders-api, with a changed configuration and its own ports.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong.
    pub async fn orders_api(
        &self,
        change: impl FnOnce(&mut IamConfig),
        ports: Ports,
    ) -> Result<Service, StartError> {
        Plan {
            config: self.config.as_deref(),
            listen: free_address()?,
            ports,
        }
        .orders_api(change)
        .await
    }

    /// Starts one more inventory-api, with a changed configuration and its own ports.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong.
    pub async fn inventory_api(
        &self,
        change: impl FnOnce(&mut IamConfig),
        ports: Ports,
    ) -> Result<Service, StartError> {
        Plan {
            config: self.config.as_deref(),
            listen: free_address()?,
            ports,
        }
        .inventory_api(change)
        .await
    }

    /// Registers a person through the gateway and returns the identity's id and the session token.
    ///
    /// # Errors
    ///
    /// When the gateway or Kratos gives no answer, or another one than a new session.
    pub async fn register(&self, email: &str) -> io::Result<Person> {
        let start = Request::get("/auth/registration")
            .send(self.places.gateway)
            .await?;
        let flow = text(&start.json(), "/id")?;
        let body = json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } });
        let done = Request::post(format!("/auth/registration/{flow}"), &body)
            .send(self.places.gateway)
            .await?;
        Person::from_answer(&done)
    }

    /// Returns a token that the gateway has just signed for a session, as the relay saw it pass.
    ///
    /// # Errors
    ///
    /// When the gateway lets the request not pass.
    pub async fn capture(&self, person: &Person) -> io::Result<String> {
        self.relay.forget();
        let response = Request::get("/orders")
            .bearer(&person.session_token)
            .send(self.places.gateway)
            .await?;
        self.relay
            .last_token()
            .ok_or_else(|| io::Error::other(format!("no token passed the relay: {}", response.status())))
    }

    /// Sets the roles of an identity through Kratos's admin API.
    ///
    /// # Errors
    ///
    /// When Kratos gives no answer, or refuses.
    pub async fn set_roles(&self, person: &Person, roles: &[&str]) -> io::Result<Response> {
        let patch = json!([{ "op": "add", "path": "/metadata_public", "value": { "roles": roles } }]);
        Request::new("PATCH", format!("/admin/identities/{}", person.id))
            .json(&patch)
            .send(self.places.kratos_admin)
            .await
    }

    /// Stops everything.
    pub async fn stop(mut self) {
        self.relay.take_down().await;
        for service in [self.auth_bff, self.orders_api, self.inventory_api] {
            service.stop().await;
        }
        if let Some(stack) = self.stack {
            stack.stop().await;
        }
    }
}

/// A person with a session.
#[derive(Clone, Debug)]
pub struct Person {
    /// The identity's id, which is the subject of every token.
    pub id: String,
    /// Kratos's session token.
    pub session_token: String,
}

impl Person {
    /// Reads the answer to a finished native login or registration.
    ///
    /// # Errors
    ///
    /// When it holds no session.
    pub fn from_answer(response: &Response) -> io::Result<Self> {
        let body = response.json();
        Ok(Self {
            id: text(&body, "/session/identity/id")?,
            session_token: text(&body, "/session_token")?,
        })
    }
}

/// Returns the text at a JSON pointer (RFC 6901).
///
/// # Errors
///
/// When there is none.
pub fn text(body: &Value, pointer: &str) -> io::Result<String> {
    let found = body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| io::Error::other(format!("no {pointer} in the answer")))
}

/// Waits until `ready` says so, for as long as `patience` lasts.
pub async fn eventually<F: Future<Output = bool>>(patience: Duration, mut ready: impl FnMut() -> F) -> bool {
    let rounds = patience
        .as_millis()
        .checked_div(POLL.as_millis())
        .unwrap_or_default();
    for _ in 0..rounds.max(1) {
        if ready().await {
            return true;
        }
        time::sleep(POLL).await;
    }
    false
}

/// Returns an address on loopback that is free now.
///
/// # Errors
///
/// When there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// A service that is about to start.
struct Plan<'a> {
    config: Option<&'a Path>,
    listen: SocketAddr,
    ports: Ports,
}

impl Plan<'_> {
    async fn auth_bff(self) -> Result<Service, StartError> {
        let named = StartError::service("auth-bff");
        let config = auth_bff::Config::from_file(self.file("auth-bff")).map_err(|err| named(err.into()))?;
        let audit = Arc::new(Audit::default());
        let ports = self.ports.audit_sink(Arc::<Audit>::clone(&audit));
        let server = auth_bff::run(config.listen(self.listen), ports)
            .await
            .map_err(named)?;
        Ok(Service::spawn(server, self.listen, audit))
    }

    async fn orders_api(self, change: impl FnOnce(&mut IamConfig)) -> Result<Service, StartError> {
        let named = StartError::service("orders-api");
        let mut config =
            orders_api::Config::from_file(self.file("orders-api")).map_err(|err| named(err.into()))?;
        change(&mut config.iam);
        let audit = Arc::new(Audit::default());
        let ports = self.ports.audit_sink(Arc::<Audit>::clone(&audit));
        let server = orders_api::run(config.listen(self.listen).workers(WORKERS), ports)
            .await
            .map_err(named)?;
        Ok(Service::spawn(server, self.listen, audit))
    }

    async fn inventory_api(self, change: impl FnOnce(&mut IamConfig)) -> Result<Service, StartError> {
        let named = StartError::service("inventory-api");
        let mut config =
            inventory_api::Config::from_file(self.file("inventory-api")).map_err(|err| named(err.into()))?;
        change(&mut config.iam);
        let audit = Arc::new(Audit::default());
        let ports = self.ports.audit_sink(Arc::<Audit>::clone(&audit));
        let server = inventory_api::run(config.listen(self.listen), ports)
            .await
            .map_err(named)?;
        Ok(Service::spawn(server, self.listen, audit))
    }

    /// Returns the configuration file of a service: in the folder that was asked for, or where it ships.
    fn file(&self, service: &str) -> PathBuf {
        file(self.config, service)
    }
}

fn file(folder: Option<&Path>, service: &str) -> PathBuf {
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(service);
    folder
        .map_or_else(shipped, Path::to_path_buf)
        .join(format!("{service}.toml"))
}

fn check_files(folder: Option<&Path>) -> Result<(), StartError> {
    for service in ["auth-bff", "orders-api", "inventory-api"] {
        let file = file(folder, service);
        IamConfig::from_file(&file)
            .and_then(IamConfig::validate)
            .map_err(|source| StartError::Config { file, source })?;
    }
    Ok(())
}

/// Why the scenario does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A service's configuration cannot be used.
    #[error("`{}`: {source}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// Everything that is wrong with it.
        source: ConfigError,
    },
    /// Something else than a service cannot listen.
    #[error(
        "{what}: cannot listen on {address}: {source}; stop the program that uses the port (`ss -ltnp` names it)"
    )]
    Listen {
        /// What cannot listen.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Real servers were asked for and are not there.
    #[error(
        "nothing answers on {0}: start the real Ory servers on their usual ports first, or leave `--live` out for the \
         embedded ones"
    )]
    NotRunning(
        /// Where, and who should.
        String,
    ),
    /// No free port is left.
    #[error("no free port: {0}")]
    Port(#[from] io::Error),
    /// A service does not start.
    #[error("{name}: {source}")]
    Service {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The embedded stack does not start.
    #[error(transparent)]
    Stack(#[from] ory_dev::StackError),
}

impl StartError {
    fn listen(what: &'static str, address: SocketAddr, source: io::Error) -> Self {
        Self::Listen {
            what,
            address,
            source,
        }
    }

    fn service(name: &'static str) -> impl Fn(Box<dyn Error + Send + Sync>) -> Self {
        move |source| Self::Service { name, source }
    }
}

/// The password of everybody in the scenario.
pub const PASSWORD: &str = "Corr3ct-Horse-Battery";
/// A token that is replayed may meet any of them.
const WORKERS: usize = 4;
const POLL: Duration = Duration::from_millis(50);

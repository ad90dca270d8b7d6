//! The running stack and services.

mod error;
mod addresses;
mod service;

use std::{io, path::PathBuf};

use iam_actix::{IamConfig, Ports};
use ory_dev::Stack;
use scenario::{
    RunningService,
    client::{Request, Response},
    free_address,
    ory::{PASSWORD, Person},
    relay::Relay,
    text,
};
use serde_json::json;
use tempfile::TempDir;

use self::service::{Plan, check_files};
pub use self::{addresses::Addresses, error::StartError};

/// The options of a world.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder with the services' configuration. Defaults to the files that ship with the services.
    pub config: Option<PathBuf>,
    /// Whether real Ory servers run on the usual ports; otherwise the embedded stack is started.
    pub live: bool,
    /// The gateway's key file, if it is known.
    pub key_file: Option<PathBuf>,
    /// The ports of every service.
    pub ports: fn() -> Ports,
    /// Whether a relay stands in front of orders-api, for the walk.
    pub relay: bool,
    /// The number of rounds in which copies of a captured token race.
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

/// The stack, the services, and the relay between the gateway and orders-api.
#[derive(Debug)]
pub struct World {
    /// The addresses of all servers.
    pub addresses: Addresses,
    /// The ports of every service.
    pub ports: fn() -> Ports,
    /// The gateway's key file, if it is known.
    pub key_file: Option<PathBuf>,
    /// The number of rounds in which copies of a captured token race.
    pub rounds: usize,
    /// auth-bff.
    pub auth_bff: RunningService,
    /// orders-api, behind the relay.
    pub orders_api: RunningService,
    /// inventory-api.
    pub inventory_api: RunningService,
    /// The relay in front of orders-api.
    pub relay: Relay,
    config: Option<PathBuf>,
    embedded: Option<Embedded>,
}

/// The embedded stack, and the folder with the gateway's keys, which only its owner can read and which is removed on drop.
#[derive(Debug)]
struct Embedded {
    stack: Stack,
    state: TempDir,
}

impl Embedded {
    async fn start() -> Result<Self, StartError> {
        let state = tempfile::Builder::new()
            .prefix("zero-trust-")
            .tempdir()
            .map_err(StartError::State)?;
        let stack = Stack::start(&ory_dev::shipped_configuration(), state.path()).await?;
        Ok(Self { stack, state })
    }
}

impl World {
    /// Starts the stack and the services.
    ///
    /// # Errors
    ///
    /// When a configuration is wrong or a port is in use; the message names it.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let addresses = Addresses::usual();
        let config = options.config.as_deref();
        // Before the stack starts, so that a mistyped folder is reported at once.
        check_files(config)?;
        let (embedded, key_file) = if options.live {
            addresses.answer().await?;
            (None, options.key_file)
        } else {
            let embedded = Embedded::start().await?;
            let key_file = embedded.state.path().join("id-token.jwks.json");
            (Some(embedded), Some(key_file))
        };

        let plan = |listen| Plan {
            config,
            listen,
            ports: (options.ports)(),
        };
        let auth_bff = plan(addresses.auth_bff).auth_bff().await?;
        let inventory_api = plan(addresses.inventory_api).inventory_api(|_| {}).await?;
        // Without a walk the service itself listens on its usual port, and the relay listens elsewhere, unused.
        let (own, relayed) = if options.relay {
            (free_address()?, addresses.orders_api)
        } else {
            (addresses.orders_api, free_address()?)
        };
        let orders_api = plan(own).orders_api(|config| config).await?;
        let relay = Relay::start(relayed, own)
            .await
            .map_err(|source| StartError::listen("the relay in front of orders-api", relayed, source))?;
        Ok(Self {
            addresses,
            ports: options.ports,
            key_file,
            rounds: options.rounds,
            auth_bff,
            orders_api,
            inventory_api,
            relay,
            config: options.config,
            embedded,
        })
    }

    /// Returns whether the stack is the embedded one.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
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
    ) -> Result<RunningService, StartError> {
        self.orders_api_with(change, |config| config, ports).await
    }

    /// Starts one more orders-api that also takes HTTP/2, with a changed configuration and its own ports.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong.
    pub async fn orders_api_over_http2(
        &self,
        change: impl FnOnce(&mut IamConfig),
        ports: Ports,
    ) -> Result<RunningService, StartError> {
        self.orders_api_with(change, orders_api::Config::http2, ports)
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
    ) -> Result<RunningService, StartError> {
        self.plan(ports)?.inventory_api(change).await
    }

    /// Registers a person through the gateway and returns the identity's id and the session token.
    ///
    /// # Errors
    ///
    /// When the gateway or Kratos gives no answer, or an answer without a session.
    pub async fn register(&self, email: &str) -> io::Result<Person> {
        let start = Request::get("/auth/registration")
            .send(self.addresses.gateway)
            .await?;
        let flow = text(&start.json(), "/id")?;
        let body = json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } });
        let done = Request::post(format!("/auth/registration/{flow}"), &body)
            .send(self.addresses.gateway)
            .await?;
        Person::from_answer(&done)
    }

    /// Returns a token that the gateway has just signed for a session, as the relay captured it.
    ///
    /// # Errors
    ///
    /// When the gateway refuses the request.
    pub async fn capture(&self, person: &Person) -> io::Result<String> {
        self.relay.forget();
        let response = Request::get("/orders")
            .bearer(&person.session_token)
            .send(self.addresses.gateway)
            .await?;
        self.relay
            .last_token()
            .ok_or_else(|| io::Error::other(format!("no token passed the relay: {}", response.status())))
    }

    /// Sets the roles of an identity through Kratos's admin API.
    ///
    /// # Errors
    ///
    /// When Kratos gives no answer.
    pub async fn set_roles(&self, person: &Person, roles: &[&str]) -> io::Result<Response> {
        let patch = json!([{ "op": "add", "path": "/metadata_public", "value": { "roles": roles } }]);
        Request::new("PATCH", format!("/admin/identities/{}", person.id))
            .json(&patch)
            .send(self.addresses.kratos_admin)
            .await
    }

    /// Stops everything.
    pub async fn stop(mut self) {
        self.relay.take_down().await;
        for service in [self.auth_bff, self.orders_api, self.inventory_api] {
            service.stop().await;
        }
        if let Some(embedded) = self.embedded {
            embedded.stack.stop().await;
        }
    }

    async fn orders_api_with(
        &self,
        change: impl FnOnce(&mut IamConfig),
        shape: fn(orders_api::Config) -> orders_api::Config,
        ports: Ports,
    ) -> Result<RunningService, StartError> {
        let change = |mut config: orders_api::Config| {
            change(&mut config.iam);
            shape(config)
        };
        self.plan(ports)?.orders_api(change).await
    }

    fn plan(&self, ports: Ports) -> Result<Plan<'_>, StartError> {
        Ok(Plan {
            config: self.config.as_deref(),
            listen: free_address()?,
            ports,
        })
    }
}

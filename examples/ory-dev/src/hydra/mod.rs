//! OAuth 2 clients, tokens, codes and introspection, as Hydra answers.
//!
//! Supported: client credentials, authorization code with PKCE and refresh tokens; opaque and JWT access tokens;
//! introspection and revocation; clients, login and consent requests over the admin interface. Not supported: key set
//! administration, trusted issuers, the device grant, pairwise subjects and dynamic registration.

mod answer;
mod secret;
mod config;
mod client;
mod flow;
mod store;
mod keys;
mod shared;
mod form;
mod authn;
mod token;
mod introspect;
mod authorize;
mod requests;
mod clients;
mod discovery;
mod routes;
pub(crate) mod fuzz;

use std::{net::SocketAddr, path::Path};

use actix_web::web::Data;
use url::Url;

use crate::{
    config::{ConfigError, Vars},
    server::{Listeners, Server, StartError},
};

pub use config::{HydraConfig, TokenStrategy};
use shared::Shared;

/// A running Hydra. It stops when it is dropped.
///
/// # Examples
///
/// ```
/// use ory_dev::config::Vars;
/// use ory_dev::hydra::Hydra;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
/// let config = Hydra::from_files(format!("{folder}/hydra.yml").as_ref(), &Vars::new(folder, "/tmp"))?;
/// let hydra = Hydra::start(config.ports(0, 0))?;
///
/// let answer = awc::Client::new().get(format!("{}health/ready", hydra.admin_url())).send().await?;
/// assert_eq!(answer.status(), 200);
/// hydra.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Hydra {
    server: Server,
    issuer: String,
    public: (SocketAddr, Url),
    admin: (SocketAddr, Url),
}

impl Hydra {
    /// Reads `hydra.yml`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or sets an option that this stand-in does not know.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<HydraConfig, ConfigError> {
        HydraConfig::from_files(path, vars)
    }

    /// Starts both interfaces, without clients.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound.
    pub fn start(config: HydraConfig) -> Result<Self, StartError> {
        let listeners = Listeners::bind(NAME, &[(PUBLIC, config.public), (ADMIN, config.admin)])?;
        let public = listeners.addr(PUBLIC).unwrap_or(config.public);
        let admin = listeners.addr(ADMIN).unwrap_or(config.admin);
        let issuer = config.issuer(public);
        let urls = (base_url(public, &config), base_url(admin, &config));
        let strategy = config.access_tokens;
        let shared = Data::new(Shared::new(config, issuer.clone()));
        if strategy == TokenStrategy::Jwt {
            shared.keys.make();
        }

        let server = listeners.serve(WORKERS, move |listener, app| {
            app.app_data(shared.clone());
            if listener == PUBLIC {
                routes::public(app);
            } else {
                routes::admin(app);
            }
        })?;
        Ok(Self {
            server,
            issuer,
            public: (public, urls.0),
            admin: (admin, urls.1),
        })
    }

    /// Returns the issuer as it appears in tokens and introspection answers.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the address of the public interface.
    pub fn public_addr(&self) -> SocketAddr {
        self.public.0
    }

    /// Returns the address of the admin interface.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.0
    }

    /// Returns the base URL of the public interface, with `/` at the end.
    pub fn public_url(&self) -> &Url {
        &self.public.1
    }

    /// Returns the base URL of the admin interface, with `/` at the end.
    pub fn admin_url(&self) -> &Url {
        &self.admin.1
    }

    /// Stops both interfaces and returns once their ports are free. All clients and tokens are lost.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Returns the URL of an address. An address always gives a valid URL; the fallback to the login URL satisfies the types.
fn base_url(address: SocketAddr, config: &HydraConfig) -> Url {
    Url::parse(&format!("http://{address}/")).unwrap_or_else(|_| config.login_url.clone())
}

const NAME: &str = "hydra";
const PUBLIC: &str = "public";
const ADMIN: &str = "admin";
const WORKERS: usize = 2;

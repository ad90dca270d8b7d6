//! Identities, self-service flows and sessions, as Kratos answers.
//!
//! Supported: registration and login with password, native and in a browser; the authenticator app as second factor;
//! sessions by cookie and token, and tokens about them; the admin interface for identities and sessions. Not supported:
//! other second factors, recovery, verification, mails, web hooks and social sign-in. Options that need them are rejected
//! at start, and requests are answered with 501.

pub(crate) mod clock;
mod answer;
mod secret;
mod config;
mod schema;
mod identity;
mod session;
mod flow;
mod store;
mod shared;
mod csrf;
mod submission;
mod password;
mod self_service;
mod attempt;
mod registration;
mod login;
mod totp;
mod second_factor;
mod settings;
mod tokenizer;
mod logout;
mod whoami;
pub(crate) mod page;
mod admin;
mod routes;
pub(crate) mod fuzz;

use std::{net::SocketAddr, path::Path};

use actix_web::web::Data;
use url::Url;

use crate::{
    config::{ConfigError, Vars},
    server::{Listeners, Server, StartError},
};

pub(crate) use answer::{no_such_page, redirect};
pub use clock::Clock;
pub use config::KratosConfig;
pub use session::RequiredAal;
pub(crate) use session::cookie;
use shared::Shared;
pub use totp::authenticator_code;

/// A running Kratos.
///
/// # Examples
///
/// ```
/// use ory_dev::config::Vars;
/// use ory_dev::kratos::Kratos;
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
/// let config = Kratos::from_files(format!("{folder}/kratos.yml").as_ref(), &Vars::new(folder, "/tmp"))?;
/// let kratos = Kratos::start(config.ports(0, 0))?;
///
/// let answer = awc::Client::new().get(format!("{}health/ready", kratos.public_url())).send().await?;
/// assert_eq!(answer.status(), 200);
/// kratos.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Kratos {
    server: Server,
    public: (SocketAddr, Url),
    admin: (SocketAddr, Url),
}

impl Kratos {
    /// Reads `kratos.yml` and the identity schemas that it names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or sets an option that this stand-in does not know.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<KratosConfig, ConfigError> {
        KratosConfig::from_files(path, vars)
    }

    /// Starts both interfaces, without identities.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound.
    pub fn start(config: KratosConfig) -> Result<Self, StartError> {
        let addresses = [(PUBLIC, config.public.address), (ADMIN, config.admin.address)];
        let listeners = Listeners::bind(NAME, &addresses)?;
        let public = listeners.addr(PUBLIC).unwrap_or(config.public.address);
        let admin = listeners.addr(ADMIN).unwrap_or(config.admin.address);
        let (public_url, admin_url) = (config.public.base_url(public), config.admin.base_url(admin));
        // The cost is checked when the file is read, so this hash exists. Without it, no login would succeed.
        let no_password = password::hash_now("nobody", config.bcrypt_cost).unwrap_or_default();
        let shared = Data::new(Shared::new(
            config,
            public_url.clone(),
            admin_url.clone(),
            no_password,
        ));

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
            public: (public, public_url),
            admin: (admin, admin_url),
        })
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

    /// Stops both interfaces and returns once their ports are free. All data is lost.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

const NAME: &str = "kratos";
const PUBLIC: &str = "public";
const ADMIN: &str = "admin";
const WORKERS: usize = 2;

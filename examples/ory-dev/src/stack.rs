//! Starts the whole stack on the ports of its configuration files.

use std::{
    io,
    path::{Path, PathBuf},
};

use url::Url;

use crate::{
    config::{ConfigError, Vars},
    hydra::{Hydra, HydraConfig},
    keto::{Keto, KetoConfig},
    kratos::{Kratos, KratosConfig},
    oathkeeper::{Oathkeeper, OathkeeperConfig, OathkeeperError},
    server::StartError,
};

/// Kratos, Keto, Hydra and Oathkeeper in this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stack {
    /// Identities and sessions.
    pub kratos: Kratos,
    /// Relationships and checks.
    pub keto: Keto,
    /// OAuth 2 clients and tokens.
    pub hydra: Hydra,
    /// The gateway.
    pub oathkeeper: Oathkeeper,
}

/// The configurations of all products.
#[derive(Debug)]
#[non_exhaustive]
pub struct StackConfig {
    /// From `kratos.yml`.
    pub kratos: KratosConfig,
    /// From `keto.yml`.
    pub keto: KetoConfig,
    /// From `hydra.yml`.
    pub hydra: HydraConfig,
    /// From `oathkeeper.yml`.
    pub oathkeeper: OathkeeperConfig,
}

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// A configuration file is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The gateway did not start.
    #[error(transparent)]
    Oathkeeper(#[from] OathkeeperError),
    /// The folder for the servers' state cannot be created.
    #[error("`{}`: cannot be made: {source}", folder.display())]
    State {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A port cannot be bound.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl StackConfig {
    /// Reads `kratos.yml`, `keto.yml`, `hydra.yml` and `oathkeeper.yml` in `config`, and creates the folder `state` if it
    /// is missing.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, an option is unknown, or the folder cannot be created.
    pub fn read(config: &Path, state: &Path) -> Result<Self, StackError> {
        std::fs::create_dir_all(state).map_err(|source| StackError::State {
            folder: state.to_owned(),
            source,
        })?;
        let vars = Vars::new(config, state);
        Ok(Self {
            kratos: Kratos::from_files(&config.join("kratos.yml"), &vars)?,
            keto: Keto::from_files(&config.join("keto.yml"), &vars)?,
            hydra: Hydra::from_files(&config.join("hydra.yml"), &vars)?,
            oathkeeper: Oathkeeper::from_files(&config.join("oathkeeper.yml"), &vars)?,
        })
    }

    /// Lets the operating system choose all ports. The URLs of Kratos, Hydra and the gateway, and the gateway's calls to
    /// the others, use the chosen ports.
    #[must_use]
    pub fn any_ports(mut self) -> Self {
        self.kratos = self.kratos.ports(0, 0);
        self.keto = self.keto.any_ports();
        self.hydra = self.hydra.ports(0, 0);
        self.oathkeeper = self.oathkeeper.ports(0, 0);
        self
    }

    /// Returns one sentence for each option of the files that has no effect here.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        let (kratos, keto) = (self.kratos.warnings(), self.keto.warnings());
        kratos
            .iter()
            .chain(keto)
            .chain(self.hydra.warnings())
            .chain(self.oathkeeper.warnings())
            .map(String::as_str)
    }
}

impl Stack {
    /// Starts everything on the ports of the files in `config`. The servers write their state to `state`. Prints to
    /// standard error that this is a stand-in, and which options have no effect.
    ///
    /// # Errors
    ///
    /// When a file is invalid, or a port cannot be bound. Nothing is left running then.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ory_dev::Stack;
    ///
    /// # async fn run() -> Result<(), ory_dev::StackError> {
    /// let state = std::env::temp_dir().join("ory-dev");
    /// let stack = Stack::start(&ory_dev::shipped_configuration(), &state).await?;
    /// println!("Kratos answers on {}", stack.kratos.public_url());
    /// stack.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(config: &Path, state: &Path) -> Result<Self, StackError> {
        Self::run(StackConfig::read(config, state)?).await
    }

    /// Starts everything with `config`, for a caller that has changed the configuration.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound, or a key file is invalid. Nothing is left running then.
    pub async fn run(config: StackConfig) -> Result<Self, StackError> {
        announce(&config);
        let configured_kratos = config.kratos.configured_public_url().clone();
        let configured_hydra = Url::parse(&format!("http://{}", config.hydra.configured_admin)).ok();
        let kratos = Kratos::start(config.kratos)?;
        let keto = match Keto::start(config.keto) {
            Ok(keto) => keto,
            Err(err) => {
                kratos.stop().await;
                return Err(err.into());
            }
        };
        let hydra = match Hydra::start(config.hydra) {
            Ok(hydra) => hydra,
            Err(err) => {
                kratos.stop().await;
                keto.stop().await;
                return Err(err.into());
            }
        };
        let mut oathkeeper = config
            .oathkeeper
            .replace_origin(&configured_kratos, kratos.public_url());
        if let Some(configured) = configured_hydra {
            oathkeeper = oathkeeper.replace_origin(&configured, hydra.admin_url());
        }
        match Oathkeeper::start(oathkeeper) {
            Ok(oathkeeper) => Ok(Self {
                kratos,
                keto,
                hydra,
                oathkeeper,
            }),
            Err(err) => {
                kratos.stop().await;
                keto.stop().await;
                hydra.stop().await;
                Err(err.into())
            }
        }
    }

    /// Stops everything and returns once all ports are free.
    pub async fn stop(self) {
        let Self {
            kratos,
            keto,
            hydra,
            oathkeeper,
        } = self;
        // The gateway stops first, so that no request reaches the others while they stop.
        oathkeeper.stop().await;
        futures_util::future::join3(kratos.stop(), keto.stop(), hydra.stop()).await;
    }
}

/// Returns the folder with the configuration files that come with this package.
pub fn shipped_configuration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

#[expect(
    clippy::print_stderr,
    reason = "the person who starts a stand-in must see this, whatever the log level"
)]
fn announce(config: &StackConfig) {
    eprintln!(
        "ory-dev: a stand-in for Ory Kratos, Keto, Hydra and Oathkeeper, in memory, for development and tests. \
         Not for production."
    );
    for warning in config.warnings() {
        eprintln!("ory-dev: {warning}");
    }
}

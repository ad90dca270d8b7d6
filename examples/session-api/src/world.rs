//! The running stack and service.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use iam_actix::{ConfigError, IamConfig, Ports};
use ory_dev::Stack;
use scenario::{
    Audit, RunningService, free_address,
    ory::{Hydra, Kratos},
    silent,
};
use service::BoxError;
use tempfile::TempDir;

use crate::Config;

/// The stack and the service.
#[derive(Debug)]
#[non_exhaustive]
pub struct World {
    /// The identity server.
    pub kratos: Kratos,
    /// The OAuth 2 server.
    pub hydra: Hydra,
    /// The write port of the permission server.
    pub keto_write: SocketAddr,
    /// The service.
    pub service: RunningService,
    config: PathBuf,
    embedded: Option<Embedded>,
}

/// The embedded stack, and the folder with its state, which is removed on drop.
#[derive(Debug)]
struct Embedded {
    stack: Stack,
    _state: TempDir,
}

impl World {
    /// Starts the service on its usual port, and the embedded stack unless real servers run (`live`). `config` is the service's
    /// configuration; the shipped one if it is left out.
    ///
    /// # Errors
    ///
    /// When a configuration is wrong, a port is in use, or the real servers do not listen; the message names it.
    pub async fn start(config: Option<PathBuf>, live: bool) -> Result<Self, StartError> {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let kratos = Kratos::new(local(4433), local(4434));
        let hydra = Hydra::new(local(4444), local(4445));
        let keto_write = local(4467);
        let config = config.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("session-api.toml"));
        // Before the stack starts, so that a mistyped file is reported at once.
        IamConfig::from_file(&config)?.validate()?;

        let embedded = if live {
            answering(&kratos, &hydra, keto_write).await?;
            None
        } else {
            let state = tempfile::Builder::new().prefix("session-api-").tempdir()?;
            let stack = Stack::start(&ory_dev::shipped_configuration(), state.path()).await?;
            Some(Embedded { stack, _state: state })
        };
        Ok(Self {
            kratos,
            hydra,
            keto_write,
            service: start(&config, local(3003), |_| {}).await?,
            config,
            embedded,
        })
    }

    /// Starts one more service, with a changed configuration, on a free port.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong.
    pub async fn another(&self, change: impl FnOnce(&mut IamConfig)) -> Result<RunningService, StartError> {
        start(&self.config, free_address()?, change).await
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.service.stop().await;
        if let Some(embedded) = self.embedded {
            embedded.stack.stop().await;
        }
    }
}

/// Reads the file, and runs the service with an audit that the walk can read.
async fn start(
    config: &Path,
    listen: SocketAddr,
    change: impl FnOnce(&mut IamConfig),
) -> Result<RunningService, StartError> {
    let mut config = Config::from_file(config)?;
    change(&mut config.iam);
    let audit = Arc::new(Audit::default());
    let ports = Ports::default().add_audit_sink(Arc::<Audit>::clone(&audit));

    let server = crate::run(config.listen(listen), ports)
        .await
        .map_err(StartError::Service)?;
    Ok(RunningService::spawn(server.handle(), server, listen, audit))
}

/// Checks that Ory's servers listen.
async fn answering(kratos: &Kratos, hydra: &Hydra, keto_write: SocketAddr) -> Result<(), StartError> {
    let silent = silent(&[
        ("Kratos, public", kratos.public),
        ("Kratos, admin", kratos.admin),
        ("Hydra, public", hydra.public),
        ("Hydra, admin", hydra.admin),
        ("Keto, write", keto_write),
    ])
    .await;
    if silent.is_empty() {
        return Ok(());
    }
    Err(StartError::NotRunning(silent.join(", ")))
}

/// An error at start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid; the message has the file and every problem.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Real servers were requested and do not answer.
    #[error(
        "nothing answers on {0}: start the real Ory servers on their usual ports first, or leave `--live` out for the \
         embedded ones"
    )]
    NotRunning(
        /// The addresses and servers.
        String,
    ),
    /// No free port is left, or no folder can be created.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The service does not start.
    #[error("{0}")]
    Service(#[source] BoxError),
    /// The embedded stack does not start.
    #[error(transparent)]
    Stack(#[from] ory_dev::StackError),
}

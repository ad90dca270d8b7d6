//! Starts and stops the services.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use iam_actix::{ConfigError, IamConfig, Ports};
use scenario::{Audit, RunningService};
use service::{BoxError, Running};

use super::StartError;

/// A service that is about to start.
pub(super) struct Plan<'a> {
    pub(super) config: Option<&'a Path>,
    pub(super) listen: SocketAddr,
    pub(super) ports: Ports,
}

impl Plan<'_> {
    pub(super) async fn auth_bff(self) -> Result<RunningService, StartError> {
        let listen = self.listen;
        self.start("auth-bff", auth_bff::Config::from_file, |config, ports| {
            auth_bff::run(config.listen(listen), ports)
        })
        .await
    }

    pub(super) async fn orders_api(
        self,
        change: impl FnOnce(orders_api::Config) -> orders_api::Config,
    ) -> Result<RunningService, StartError> {
        let listen = self.listen;
        self.start("orders-api", orders_api::Config::from_file, |config, ports| {
            orders_api::run(change(config).listen(listen).workers(WORKERS), ports)
        })
        .await
    }

    pub(super) async fn inventory_api(
        self,
        change: impl FnOnce(&mut IamConfig),
    ) -> Result<RunningService, StartError> {
        let listen = self.listen;
        self.start(
            "inventory-api",
            inventory_api::Config::from_file,
            |mut config, ports| {
                change(&mut config.iam);
                inventory_api::run(config.listen(listen), ports)
            },
        )
        .await
    }

    /// Reads a service's file, and runs the service with an audit that the walk can read.
    async fn start<C, F>(
        self,
        name: &'static str,
        read: impl FnOnce(PathBuf) -> Result<C, ConfigError>,
        run: impl FnOnce(C, Ports) -> F,
    ) -> Result<RunningService, StartError>
    where
        F: Future<Output = Result<Running, BoxError>>,
    {
        let config =
            read(file(self.config, name)).map_err(|source| StartError::service(name, source.into()))?;
        let audit = Arc::new(Audit::default());
        let ports = self.ports.add_audit_sink(Arc::<Audit>::clone(&audit));

        let server = run(config, ports)
            .await
            .map_err(|source| StartError::service(name, source))?;
        Ok(RunningService::spawn(server.handle(), server, self.listen, audit))
    }
}

/// Validates every service's file.
pub(super) fn check_files(folder: Option<&Path>) -> Result<(), StartError> {
    for service in ["auth-bff", "orders-api", "inventory-api"] {
        IamConfig::from_file(file(folder, service)).and_then(IamConfig::validate)?;
    }
    Ok(())
}

/// Returns the configuration file of a service, in the given folder or in the package of the service.
fn file(folder: Option<&Path>, service: &str) -> PathBuf {
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(service);
    folder
        .map_or_else(shipped, Path::to_path_buf)
        .join(format!("{service}.toml"))
}

/// More than one, so that a replayed token may meet another worker.
const WORKERS: usize = 4;

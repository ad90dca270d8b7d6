//! Running services.

use std::{io, net::SocketAddr, sync::Arc};

use actix_web::dev::ServerHandle;

use crate::Audit;

/// A running service.
#[derive(Debug)]
pub struct RunningService {
    /// Its address.
    pub address: SocketAddr,
    /// Its audit events.
    pub audit: Arc<Audit>,
    handle: ServerHandle,
}

impl RunningService {
    /// Runs a server that has not been polled yet.
    pub fn spawn(
        handle: ServerHandle,
        server: impl Future<Output = io::Result<()>> + 'static,
        address: SocketAddr,
        audit: Arc<Audit>,
    ) -> Self {
        actix_rt::spawn(server);
        Self {
            address,
            audit,
            handle,
        }
    }

    /// Stops the service at once and frees its port.
    pub async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Drop for RunningService {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for the end.
        drop(self.handle.stop(false));
    }
}

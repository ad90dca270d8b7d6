//! The addresses of all servers.

use std::net::SocketAddr;

use super::StartError;

/// The addresses of all servers.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
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

impl Addresses {
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

    /// Checks that Ory's servers listen.
    pub(super) async fn answer(&self) -> Result<(), StartError> {
        let servers = [
            ("Oathkeeper's proxy", self.gateway),
            ("Oathkeeper's API", self.gateway_api),
            ("Kratos, public", self.kratos_public),
            ("Kratos, admin", self.kratos_admin),
            ("Keto, read", self.keto_read),
            ("Keto, write", self.keto_write),
        ];
        let silent = scenario::silent(&servers).await;
        if silent.is_empty() {
            return Ok(());
        }
        Err(StartError::NotRunning(silent.join(", ")))
    }
}

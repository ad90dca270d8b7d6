//! Addresses of servers.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::net::TcpStream;

/// Returns an address on loopback that is free now, and that was not returned before.
///
/// Its port lies below those that Linux and macOS hand out by default, so that none of the many connections of a walk
/// takes it before it is listened on.
///
/// # Errors
///
/// When no port is free.
pub fn free_address() -> io::Result<SocketAddr> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);

    // Concurrent processes begin at different offsets.
    let begin = process::id().wrapping_mul(EACH);
    for _ in 0..PORTS {
        let offset = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(offset % PORTS)
            .map_err(io::Error::other)?
            .saturating_add(FIRST_PORT);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound?.local_addr(),
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// Returns which of the servers do not listen, as `address (name)`.
pub async fn silent(servers: &[(&str, SocketAddr)]) -> Vec<String> {
    let mut silent = Vec::new();
    for (server, address) in servers {
        if TcpStream::connect(address).await.is_err() {
            silent.push(format!("{address} ({server})"));
        }
    }
    silent
}

/// The distance between the offsets at which processes begin.
const EACH: u32 = 101;
const FIRST_PORT: u16 = 20_000;
const PORTS: u32 = 10_000;

//! The signals that stop a program.

use std::io;

/// Listens, from now on, to SIGTERM and Ctrl-C, and returns a future that ends with the first of them.
///
/// # Errors
///
/// When the operating system refuses the listeners.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Returns a future that ends with Ctrl-C.
///
/// # Errors
///
/// None on this platform: if Ctrl-C cannot be listened to, the future never ends.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

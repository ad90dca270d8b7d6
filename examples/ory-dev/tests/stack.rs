//! Does the whole stack start from the files that come with it, and stop?

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
};

use ory_dev::{Stack, StackConfig, StackError, shipped_configuration};

/// A folder for what the servers write, gone at the end of the test.
struct State(PathBuf);

impl State {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("ory-dev-stack-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Nothing is lost when a temporary folder stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on_free_ports(state: &State) -> Result<StackConfig, StackError> {
    let mut config = StackConfig::read(&shipped_configuration(), &state.0)?;
    config.kratos = config.kratos.ports(0, 0);
    config.keto = config.keto.any_ports();
    config.hydra = config.hydra.ports(0, 0);
    config.oathkeeper = config.oathkeeper.ports(0, 0);
    Ok(config)
}

#[actix_web::test]
async fn everything_starts_answers_and_stops() {
    let state = State::new();
    let config = on_free_ports(&state).unwrap();
    assert!(config.warnings().any(|warning| warning.contains("courier")));
    let stack = Stack::run(config).await.unwrap();
    let addresses = [
        stack.kratos.public_addr(),
        stack.kratos.admin_addr(),
        stack.keto.read(),
        stack.keto.write(),
        stack.hydra.public_addr(),
        stack.hydra.admin_addr(),
        stack.oathkeeper.api_addr(),
    ];

    for address in addresses {
        let answer = awc::Client::new()
            .get(format!("http://{address}/health/ready"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{address}");
    }
    stack.stop().await;

    assert!(
        addresses
            .iter()
            .all(|address| TcpStream::connect(address).is_err())
    );
}

#[actix_web::test]
async fn port_in_use_stops_what_has_started_already() {
    let state = State::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = on_free_ports(&state).unwrap();
    config.kratos = config.kratos.ports(free.port(), 0);
    config.oathkeeper = config.oathkeeper.ports(taken.local_addr().unwrap().port(), 0);

    let err = Stack::run(config).await.unwrap_err().to_string();

    assert!(err.contains("is in use"), "{err}");
    assert!(TcpStream::connect(free).is_err());
}

#[actix_web::test]
async fn missing_configuration_is_named() {
    let state = State::new();

    let err = StackConfig::read(&state.0.join("nowhere"), &state.0)
        .unwrap_err()
        .to_string();

    assert!(
        err.contains("kratos.yml") && err.contains("cannot be read"),
        "{err}"
    );
}

//! The whole stack starts from the shipped files, and stops.

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    time::Duration,
};

use ory_dev::{
    Stack, StackConfig, StackError, hydra::TokenStrategy, kratos::RequiredAal, server::Outage,
    shipped_configuration,
};

/// A folder for the servers' state, removed at the end of the test.
struct State(PathBuf);

impl State {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("ory-dev-stack-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // A leftover temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on_free_ports(state: &State) -> Result<StackConfig, StackError> {
    Ok(StackConfig::read(&shipped_configuration(), &state.0)?.any_ports())
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

async fn status(url: &str, headers: &[(&str, &str)]) -> Result<u16, awc::error::SendRequestError> {
    let mut request = awc::Client::new().get(url).timeout(Duration::from_millis(500));
    for header in headers {
        request = request.insert_header(*header);
    }
    Ok(request.send().await?.status().as_u16())
}

#[actix_web::test]
async fn gateway_on_a_free_port_asks_kratos_on_its_free_port() {
    let state = State::new();
    let stack = Stack::run(on_free_ports(&state).unwrap()).await.unwrap();
    let orders = format!("{}orders", stack.oathkeeper.proxy_url());
    let (cookie, bearer) = (("cookie", "ory_kratos_session=x"), ("authorization", "Bearer x"));

    // An unreachable session check gives 403; here Kratos answers that the session is unknown.
    assert_eq!(status(&orders, &[cookie]).await.unwrap(), 401);
    assert_eq!(status(&orders, &[bearer]).await.unwrap(), 401);
    stack.stop().await;
}

#[actix_web::test]
async fn outage_ends_without_loss_of_what_was_remembered() {
    let state = State::new();
    let mut config = on_free_ports(&state).unwrap();
    let (kratos, hydra) = (Outage::default(), Outage::default());
    config.kratos = config.kratos.outage(&kratos);
    config.hydra = config.hydra.outage(&hydra);
    let stack = Stack::run(config).await.unwrap();
    let body = serde_json::json!({"client_id": "worker"});
    let made = awc::Client::new()
        .post(format!("{}admin/clients", stack.hydra.admin_url()))
        .send_json(&body)
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
    let whoami = format!("{}sessions/whoami", stack.kratos.public_url());
    let client = format!("{}admin/clients/worker", stack.hydra.admin_url());

    kratos.answer_with(502);
    hydra.stay_silent();
    assert_eq!(status(&whoami, &[]).await.unwrap(), 502);
    assert!(status(&client, &[]).await.is_err());

    kratos.end();
    hydra.end();
    assert_eq!(status(&whoami, &[]).await.unwrap(), 401);
    assert_eq!(status(&client, &[]).await.unwrap(), 200);
    stack.stop().await;
}

#[actix_web::test]
async fn variants_are_set_before_the_stack_starts() {
    let state = State::new();
    let mut config = on_free_ports(&state).unwrap();
    let keys = format!("file://{}/id-token.jwks.json", state.0.display());
    let template = serde_json::json!({"jwks_url": keys, "ttl": "60s"});
    config.kratos = config
        .kratos
        .required_aal(RequiredAal::HighestAvailable)
        .tokenizer_template("service", &template)
        .unwrap();
    config.hydra = config.hydra.access_tokens(TokenStrategy::Jwt);

    let stack = Stack::run(config).await.unwrap();

    let keys = format!("{}.well-known/jwks.json", stack.hydra.public_url());
    assert_eq!(status(&keys, &[]).await.unwrap(), 200);
    stack.stop().await;
    let config = on_free_ports(&state).unwrap();
    let template = serde_json::json!({"jwks_url": "http://127.0.0.1/", "ttl": "60s"});
    let err = config
        .kratos
        .tokenizer_template("service", &template)
        .unwrap_err()
        .to_string();
    assert!(
        err.contains("`session.whoami.tokenizer.templates.service.jwks_url`"),
        "{err}"
    );
}

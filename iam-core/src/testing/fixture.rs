//! What the unit tests of this crate share.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::config::{IamConfig, Settings};

/// Runs a future that waits for nothing but scripted answers.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future waits for something that nobody scripted");
}

/// A tenant behind a gateway, with Kratos and Keto, and what a test adds.
pub(crate) fn settings_with(more: &str) -> Settings {
    config_with(more).validate().unwrap()
}

pub(crate) fn config_with(more: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        [tenants.default.oathkeeper.jwks]
        url = "https://gateway.example/.well-known/jwks.json"
        [tenants.default.kratos]
        public_url = "https://kratos.example/"
        [tenants.default.keto]
        read_url = "https://keto-read.example"
        write_url = "https://keto-write.example"
        {more}
        "#
    ))
    .unwrap()
}

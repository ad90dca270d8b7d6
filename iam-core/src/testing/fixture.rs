//! Fixtures of this crate's unit tests.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use serde_json::Value;

use super::{Mint, NOW};
use crate::{
    authenticate::{Authentication, authenticate},
    clock::Timestamp,
    config::{IamConfig, KetoConfig, KratosConfig, OathkeeperConfig, Settings, TenantConfig},
    principal::Principal,
    request::RequestHead,
    tenant::{Target, Tenant},
};

/// Runs a future that waits only for scripted answers.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("the future waits for an answer that is not scripted");
}

/// A tenant behind a gateway, with Kratos and Keto, and the settings in `more`.
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

/// A tenant whose access tokens are introspected, and the settings of `hydra` in `more`.
pub(crate) fn hydra_with(more: &str) -> Settings {
    hydra_config(more).validate().unwrap()
}

pub(crate) fn hydra_config(more: &str) -> IamConfig {
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oauth2"]
        [tenants.default.hydra]
        admin_url = "http://127.0.0.1:4445/"
        issuer = "http://127.0.0.1:4444"
        audience = ["orders-api"]
        {more}
        "#
    ))
    .unwrap()
}

/// The same tenants, with the keys of `mint` in their configuration.
pub(crate) fn tenants_of(mint: &Mint, names: &[&str], change: impl Fn(&mut TenantConfig)) -> Settings {
    names
        .iter()
        .fold(IamConfig::new().default_tenant(names[0]), |config, name| {
            let mut oathkeeper =
                OathkeeperConfig::new("https://gateway.example/", ["orders-api"]).key(mint.jwk());
            oathkeeper.algorithms = vec!["EdDSA".to_owned()];
            let mut tenant = TenantConfig::behind(oathkeeper).keto(KetoConfig::new("https://keto.example"));
            change(&mut tenant);
            config.tenant(*name, tenant)
        })
        .validate()
        .unwrap()
}

/// A tenant of people who log in at Kratos.
pub(crate) fn sessions_with(change: impl Fn(&mut TenantConfig)) -> Settings {
    let mut tenant = TenantConfig::with_sessions(KratosConfig::new("https://kratos.example/"));
    change(&mut tenant);
    IamConfig::new().tenant("default", tenant).validate().unwrap()
}

/// The principal of a token with `claims`, and its tenant.
pub(crate) fn principal_of(mint: &Mint, tenant: &Arc<Tenant>, claims: &Value) -> Principal {
    let value = format!("Bearer {}", mint.token(claims));
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &[("authorization", value.as_bytes())],
        peer: None,
    };
    let now = Timestamp::from_secs(NOW);
    let target = Target::of(tenant);
    let Authentication::Known(authenticated) = authenticate(&target, &head, now).unwrap() else {
        panic!("the key of the token is unknown");
    };
    authenticated.principal().clone()
}

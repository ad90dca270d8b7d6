//! Answers of Hydra, Keto and Kratos, through the clients that read them.

use std::{
    future::{Future, ready},
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use iam_core::{
    authenticate::{Authentication, Lookup, authenticate},
    clock::Timestamp,
    config::{HydraConfig, IamConfig, KetoConfig, KratosConfig, OathkeeperConfig, Settings, TenantConfig},
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    request::RequestHead,
    service::{
        hydra::introspect,
        keto::{PermissionClient, TupleQuery},
        kratos::flows::{Flow, FlowClient, FlowContext, FlowKind},
    },
    tenant::Transport,
};
use iam_grammar::{RelationTuple, Subject};
use serde_json::Value;

/// Takes the input as the answer to a batch of two tuples.
///
/// # Panics
///
/// When a tuple is allowed that a naive reader of the answer does not find allowed.
#[expect(clippy::panic, reason = "a broken promise has to be seen")]
pub fn keto_batch(data: &[u8]) {
    let (Some(keto), Some(tuples)) = (permission_client(data), tuples()) else {
        panic!("the fixture is broken");
    };

    let Some(Ok(answers)) = poll(keto.check(&tuples, "r-1")) else {
        return;
    };
    let naive: Value = serde_json::from_slice(data).unwrap_or_default();
    let results = naive.get("results").and_then(Value::as_array);
    let expected: Option<Vec<_>> = results.map(|results| {
        results
            .iter()
            .filter_map(|one| one.get("allowed")?.as_bool())
            .collect()
    });
    assert!(
        expected.as_deref() == Some(answers.as_slice()) && answers.len() == tuples.len(),
        "answers that were not given"
    );
}

/// Takes the input as a page of tuples.
///
/// # Panics
///
/// When a read tuple cannot be written.
#[expect(clippy::panic, reason = "a broken promise has to be seen")]
pub fn keto_list(data: &[u8]) {
    let Some(keto) = permission_client(data) else {
        panic!("the fixture is broken");
    };

    let Some(Ok(page)) = poll(keto.list(&TupleQuery::default(), "r-1")) else {
        return;
    };
    for tuple in page.tuples {
        assert!(tuple.to_string().parse() == Ok(tuple), "a tuple that is none");
    }
}

/// Takes the input as the answer about an access token.
///
/// # Panics
///
/// When a token authenticates that a naive reader of the answer finds inactive, expired, or for another use or audience.
#[expect(clippy::panic, reason = "a broken promise has to be seen")]
pub fn hydra_introspection(data: &[u8]) {
    let tenant = hydra_settings().registry().default_tenant();
    let Some(hydra) = tenant.hydra() else {
        panic!("the fixture is broken");
    };
    let Ok(target) = hydra_settings().registry().resolve(None) else {
        panic!("the fixture is broken");
    };
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &[("authorization", b"Bearer t")],
        peer: None,
    };
    let Ok(Authentication::Ask(Lookup::Token(lookup))) = authenticate(&target, &head, NOW) else {
        panic!("the fixture is broken");
    };

    let answer = poll(introspect(hydra, &answering(data), lookup.token(), "r-1"));
    let Some(Ok(found)) = answer.map(|answer| lookup.conclude(tenant, answer, NOW)) else {
        return;
    };
    let naive: Value = serde_json::from_slice(data).unwrap_or_default();
    let is_access_token = naive.get("token_use").is_none_or(|it| it == "access_token");
    let is_for_us = match naive.get("aud") {
        Some(Value::Array(all)) => all.iter().any(|one| one == "a"),
        Some(one) => one == "a",
        None => false,
    };
    assert!(
        naive.get("active") == Some(&Value::Bool(true))
            && naive.get("exp").and_then(Value::as_f64) > Some(1_700_000_000.0)
            && is_access_token
            && is_for_us
            && !found.principal().subject().is_empty(),
        "a token that is none authenticates"
    );
}

/// Takes the input as the answer to a flow.
///
/// # Panics
///
/// When the relayed body differs from the received one.
#[expect(clippy::panic, reason = "a broken promise has to be seen")]
pub fn kratos_flow(data: &[u8]) {
    let Some(settings) = settings().registry().default_tenant().kratos() else {
        panic!("the fixture is broken");
    };
    let flows = FlowClient::new(settings.clone(), answering(data));
    // The same bytes as a submission of a client.
    let head = RequestHead {
        method: "GET",
        authority: None,
        headers: &[("cookie", data)],
        peer: None,
    };
    let context = FlowContext::new(FlowKind::Browser, &head);

    let Some(Ok(answer)) = poll(flows.get(Flow::Login, &context, "id")) else {
        return;
    };
    let naive: Value = serde_json::from_slice(data).unwrap_or_default();
    assert!(
        *answer.body() == naive && naive.is_object(),
        "another body than came"
    );
}

fn permission_client(data: &[u8]) -> Option<PermissionClient> {
    let keto = settings().registry().default_tenant().keto()?;
    Some(PermissionClient::new(keto.clone(), answering(data)))
}

fn tuples() -> Option<[RelationTuple; 2]> {
    let tuple = |object| RelationTuple::new("orders", object, "view", Subject::id("user:a").ok()?).ok();
    Some([tuple("1")?, tuple("2")?])
}

#[expect(clippy::panic, reason = "the fixture is part of the target")]
fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let gateway =
            OathkeeperConfig::new("https://gateway.example/", ["a"]).jwks_url("https://gateway.example/jwks");
        let tenant = TenantConfig::behind(gateway)
            .keto(KetoConfig::new("https://keto.example"))
            .kratos(KratosConfig::new("https://kratos.example"));
        match IamConfig::new().tenant("default", tenant).validate() {
            Ok(settings) => settings,
            Err(error) => panic!("{error}"),
        }
    })
}

#[expect(clippy::panic, reason = "the fixture is part of the target")]
fn hydra_settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let hydra = HydraConfig::new("https://hydra.example", "https://issuer.example", ["a"]);
        let mut tenant = TenantConfig::default().hydra(hydra);
        tenant.transports = vec![Transport::Oauth2];
        match IamConfig::new().tenant("default", tenant).validate() {
            Ok(settings) => settings,
            Err(error) => panic!("{error}"),
        }
    })
}

#[derive(Debug)]
struct Answering(Bytes);

fn answering(data: &[u8]) -> Arc<dyn HttpClient> {
    Arc::new(Answering(Bytes::copy_from_slice(data)))
}

impl HttpClient for Answering {
    fn send(
        &self,
        _: http::Request<Bytes>,
        _: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        let mut response = http::Response::new(self.0.clone());
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        Box::pin(ready(Ok(response)))
    }
}

/// Runs a future that is ready at once.
fn poll<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..8 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

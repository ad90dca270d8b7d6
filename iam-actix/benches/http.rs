//! What does the gate cost a request?
//!
//! Over loopback with keep-alive, one worker each, JSON-lines audit to a file; each contender runs seven times, in turn with
//! the others, and the medians are compared. `cargo bench -p iam-actix --bench http`
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement may fail, and must look at the clock"
)]

mod support;

use std::{env, fs, net::SocketAddr, process, sync::Arc, time::Instant};

use actix_web::{
    App, Error, HttpMessage as _,
    dev::{Service, ServiceRequest},
    error::ErrorUnauthorized,
    test::{TestRequest, init_service},
    web,
};
use actix_web_httpauth::{extractors::bearer::BearerAuth, middleware::HttpAuthentication};
use iam_actix::{Iam, IamConfig, JsonLinesAuditSink, RouteExt as _};
use iam_core::config::{OathkeeperConfig, TenantConfig};
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use self::support::{AUDIENCE, Client, ISSUER, Signer, serve};

/// Requests of one run over the network, and distinct tokens.
const REQUESTS: usize = 10_000;
/// Requests of one run inside the process.
const CALLS: usize = 20_000;
const RUNS: usize = 7;

fn main() {
    let system = actix_web::rt::System::new();
    let audit = env::temp_dir().join(format!("iam-bench-{}.jsonl", process::id()));

    system.block_on(async {
        let signer = Signer::new();
        let sink = || Arc::new(JsonLinesAuditSink::file(&audit).expect("a file can be written"));
        let cached = start(&signer, 10_000, sink()).await;
        let uncached = start(&signer, 0, sink()).await;

        over_the_network(&signer, &cached, &uncached);
        by_number_of_routes(&signer, &cached).await;
    });
    let _ = fs::remove_file(&audit);
}

async fn start(signer: &Signer, verified_tokens: usize, sink: Arc<JsonLinesAuditSink>) -> Iam {
    let oathkeeper = OathkeeperConfig::new(ISSUER, [AUDIENCE]).key(signer.jwk());
    let mut tenant = TenantConfig::behind(oathkeeper);
    tenant.cache.verified_tokens = verified_tokens;

    Iam::builder(IamConfig::new().tenant("default", tenant))
        .audit_sink(sink)
        .start()
        .await
        .expect("a gate starts")
}

async fn handler() -> &'static str {
    "ok"
}

fn over_the_network(signer: &Signer, cached: &Iam, uncached: &Iam) {
    let bare = serve(|| App::new().route("/orders", web::get().to(handler)));
    let hits = gated(cached);
    let misses = gated(uncached);
    let peer = peer(signer);
    let tokens: Vec<_> = (0..REQUESTS).map(|number| signer.token(number)).collect();
    let one = vec![tokens[0].clone()];
    let mut client = Client::new();

    let mut run = |address: SocketAddr, tokens: &[String]| client.run(address, tokens, REQUESTS);
    let medians = {
        let mut times = vec![Vec::new(); 4];
        for round in 0..=RUNS {
            let contenders = [(bare, &one), (hits, &one), (misses, &tokens), (peer, &tokens)];
            for ((address, tokens), times) in contenders.into_iter().zip(&mut times) {
                let time = run(address, tokens);
                // The first round warms up.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        times.into_iter().map(median).collect::<Vec<_>>()
    };

    let [bare, hits, misses, peer] = medians[..] else {
        return;
    };
    println!("HTTP over loopback, one worker, {REQUESTS} requests, median of {RUNS} alternating runs");
    println!("  bare route, no gate                     {bare:>8.2} us");
    println!(
        "  protected route, token cache hit        {hits:>8.2} us   {:.3} of the bare route's throughput",
        bare / hits
    );
    println!("  protected route, no cache               {misses:>8.2} us");
    println!(
        "  actix-web-httpauth + jsonwebtoken       {peer:>8.2} us   ours has {:.3} x its throughput",
        peer / misses
    );
}

fn gated(iam: &Iam) -> SocketAddr {
    let iam = iam.clone();
    serve(move || {
        App::new()
            .route("/orders", web::get().to(handler))
            .wrap(iam.middleware())
    })
}

/// What one writes by hand: the key built once, the same claims demanded.
fn peer(signer: &Signer) -> SocketAddr {
    let (modulus, exponent) = signer.numbers();
    let key = Arc::new(DecodingKey::from_rsa_raw_components(&modulus, &exponent));
    let mut validation = Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let validation = Arc::new(validation);

    serve(move || {
        let (key, validation) = (Arc::clone(&key), Arc::clone(&validation));
        let check = move |request: ServiceRequest, bearer: BearerAuth| {
            let (key, validation) = (Arc::clone(&key), Arc::clone(&validation));
            async move {
                match jsonwebtoken::decode::<Value>(bearer.token(), &key, &validation) {
                    Ok(token) => {
                        request.extensions_mut().insert(token.claims);
                        Ok(request)
                    }
                    Err(_) => Err((ErrorUnauthorized("unauthorized"), request)),
                }
            }
        };
        App::new()
            .route("/orders", web::get().to(handler))
            .wrap(HttpAuthentication::bearer(check))
    })
}

/// Measures inside the process, where the added time is not lost in that of the sockets.
async fn by_number_of_routes(signer: &Signer, iam: &Iam) {
    let token = format!("Bearer {}", signer.token(0));

    println!("time added by the gate, inside the process, {CALLS} calls, median of {RUNS} alternating runs");
    for annotated in [false, true] {
        let mut added = Vec::new();
        for routes in [10, 10_000] {
            let app = |gate: bool| {
                let mut app = App::new();
                for number in 0..routes {
                    let route = web::get().to(handler);
                    let route = if annotated && gate {
                        route.protected()
                    } else {
                        route
                    };
                    app = app.route(&format!("/route/{number}"), route);
                }
                app
            };
            let bare = init_service(app(false)).await;
            let gated = init_service(app(true).wrap(iam.middleware())).await;

            let (mut without, mut with) = (Vec::new(), Vec::new());
            for round in 0..=RUNS {
                let times = (call(&bare, &token).await, call(&gated, &token).await);
                if round > 0 {
                    without.push(times.0);
                    with.push(times.1);
                }
            }
            added.push(median(with) - median(without));
        }
        println!(
            "  {:11} 10 routes {:.3} us   10,000 routes {:.3} us   {:.3} x",
            if annotated { "annotated" } else { "unannotated" },
            added[0],
            added[1],
            added[1] / added[0]
        );
    }
}

async fn call<S, R>(app: &S, token: &str) -> f64
where
    S: Service<actix_http::Request, Response = R, Error = Error>,
{
    let requests: Vec<_> = (0..CALLS)
        .map(|_| {
            TestRequest::with_uri("/route/3")
                .insert_header(("authorization", token))
                .insert_header(("user-agent", "bench"))
                .to_request()
        })
        .collect();

    let start = Instant::now();
    for request in requests {
        app.call(request).await.expect("an answer");
    }
    start.elapsed().as_secs_f64() * 1e6 / CALLS as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

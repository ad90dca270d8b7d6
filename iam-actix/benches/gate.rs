//! What does the gate add to a request, without a network?
//!
//! Calls one application in this process, with a token that was verified before: time on the processor, so that other
//! programs do not count, the median of fifteen alternating runs. Ours runs with its defaults and writes its audit as JSON
//! lines to a file. `cargo bench -p iam-actix --bench gate`
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where anything is not as expected"
)]

use actix_http::Request;
use actix_web::{
    App, Error, HttpResponse, Responder,
    dev::{Service, ServiceResponse},
    get,
    test::{TestRequest, init_service},
    web,
};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use iam_actix::{
    Iam, IamConfig, Identity,
    config::{AuditSinkConfig, OathkeeperConfig, TenantConfig},
    require_role,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

#[get("/protected")]
async fn protected(user: Identity) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("x-subject", user.subject().len()))
        .body("ok")
}

#[require_role("warehouse:admin")]
#[get("/with-role")]
async fn with_role(user: Identity) -> impl Responder {
    HttpResponse::Ok()
        .insert_header(("x-subject", user.subject().len()))
        .body("ok")
}

async fn bare() -> impl Responder {
    HttpResponse::Ok().insert_header(("x-subject", 36)).body("ok")
}

#[actix_web::main]
async fn main() {
    let issued = Issued::new();
    let iam = Iam::builder(issued.config()).start().await.unwrap();

    println!("time on the processor for each request, median of {RUNS} runs");
    let mut added = Vec::new();
    for routes in [10, 10_000] {
        let open = init_service(
            App::new()
                .configure(|app| more_routes(app, routes))
                .route("/protected", web::get().to(bare)),
        )
        .await;
        let ours = init_service(
            App::new()
                .configure(|app| more_routes(app, routes))
                .service(protected)
                .service(with_role)
                .wrap(iam.middleware()),
        )
        .await;

        let (mut without, mut ours_took, mut role, mut cost) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let alone = per_request(&open, "/protected", &issued.token).await;
            let took = per_request(&ours, "/protected", &issued.token).await;
            without.push(alone);
            ours_took.push(took);
            cost.push(took - alone);
            role.push(per_request(&ours, "/with-role", &issued.token).await - alone);
        }
        added.push(median(&mut cost));
        println!(
            "  {routes:>6} routes: bare {:>7.0} ns, protected {:>7.0} ns, added {:>6.0} ns; added with a role {:>6.0} ns",
            median(&mut without),
            median(&mut ours_took),
            median(&mut cost),
            median(&mut role)
        );
    }
    println!(
        "added with 10,000 routes / with 10: {:.2} (wanted 0.90 to 1.10)",
        added[1] / added[0]
    );
}

fn more_routes(app: &mut web::ServiceConfig, routes: usize) {
    // Actix looks at scopes one after the other, so a hundred of them with a hundred routes each.
    for scope in 0..routes.div_ceil(100) {
        let mut inner = web::scope(&format!("/scope-{scope}"));
        for route in 0..routes.min(100) {
            inner = inner.route(&format!("/route-{route}/{{id}}"), web::get().to(bare));
        }
        app.service(inner);
    }
}

/// Returns nanoseconds for one request.
async fn per_request<S, B>(app: &S, path: &str, token: &str) -> f64
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
{
    let authorization = format!("Bearer {token}");

    let start = processor_secs();
    for _ in 0..REQUESTS {
        let request = TestRequest::with_uri(path)
            .insert_header(("host", "bench"))
            .insert_header(("authorization", authorization.as_str()))
            .to_request();
        let response = app.call(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    (processor_secs() - start) * 1e9 / REQUESTS as f64
}

fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A token as Oathkeeper signs it, and the key to verify it with.
struct Issued {
    jwk: Value,
    token: String,
}

impl Issued {
    fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let modulus =
            BASE64_URL_SAFE_NO_PAD.encode(key.public_key().modulus().big_endian_without_leading_zero());
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let header = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
        let claims = json!({
            "aud": [AUDIENCE, "inventory-api"], "exp": now + 3600, "iat": now, "nbf": now, "iss": ISSUER,
            "jti": "bdb1b763-ccc4-4ef1-8da4-000000000000", "sub": "3550201f-950b-4744-a6cd-d675d0ca2ea4",
            "metadataPublic": { "roles": ["warehouse:admin"] }, "tenant": "default",
        });
        let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .unwrap();

        Self {
            jwk: json!({ "use": "sig", "kty": "RSA", "kid": KID, "alg": "RS256", "n": modulus, "e": "AQAB" }),
            token: format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)),
        }
    }

    fn config(&self) -> IamConfig {
        let tenant = TenantConfig::behind(OathkeeperConfig::new(ISSUER, [AUDIENCE]).key(self.jwk.clone()));
        let mut config = IamConfig::new().tenant("default", tenant);
        config.audit.sink =
            AuditSinkConfig::File(std::env::temp_dir().join("iam-gate.jsonl").display().to_string());
        config
    }
}

const AUDIENCE: &str = "orders-api";
const ISSUER: &str = "http://127.0.0.1:4455/";
const KID: &str = "bench";
const REQUESTS: usize = 2_000;
const RUNS: usize = 15;

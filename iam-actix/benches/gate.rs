//! What does the gate add to a request, without a network?
//!
//! Calls one application in this process, with a token that was verified before: time of the calling thread on the
//! processor, so that other programs do not count, and neither does the audit thread; the median of seven runs in short turns. Ours runs with its defaults and writes its audit as JSON
//! lines to a file. `cargo bench -p iam-actix --bench gate`
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops where anything is not as expected"
)]

use std::fmt;

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
    let authorization = format!("Bearer {}", issued.token);

    let (few, many) = (Apps::new(&iam, 10).await, Apps::new(&iam, 10_000).await);
    let (mut few_took, mut many_took) = (Took::default(), Took::default());
    for _ in 0..RUNS {
        // In short turns, so that whatever else the machine does hits all of them alike.
        for _ in 0..TURNS {
            few.take_turn(&authorization, &mut few_took).await;
            many.take_turn(&authorization, &mut many_took).await;
        }
        few_took.end_run();
        many_took.end_run();
    }

    println!("time on the processor for each request, median of {RUNS} runs");
    println!("      10 routes: {few_took}");
    println!("  10,000 routes: {many_took}");
    let ratio = median(&many_took.added) / median(&few_took.added);
    println!("added with 10,000 routes / with 10: {ratio:.2} (wanted 0.90 to 1.10)");
    assert_eq!(iam.dropped_audit_events(), 0, "a dropped event costs too little");
}

/// Two applications with the same routes, one with the gate.
struct Apps<A, B> {
    bare: A,
    ours: B,
}

impl Apps<(), ()> {
    async fn new(iam: &Iam, routes: usize) -> Apps<impl Called, impl Called> {
        let bare = App::new()
            .configure(|app| more_routes(app, routes))
            .route("/protected", web::get().to(bare));
        let ours = App::new()
            .configure(|app| more_routes(app, routes))
            .service(protected)
            .service(with_role)
            .wrap(iam.middleware());

        Apps {
            bare: init_service(bare).await,
            ours: init_service(ours).await,
        }
    }
}

impl<A: Called, B: Called> Apps<A, B> {
    async fn take_turn(&self, authorization: &str, took: &mut Took) {
        took.turn[0] += seconds(&self.bare, "/protected", authorization).await;
        took.turn[1] += seconds(&self.ours, "/protected", authorization).await;
        took.turn[2] += seconds(&self.ours, "/with-role", authorization).await;
    }
}

/// A service that answers requests, whatever its body.
trait Called {
    async fn status(&self, request: Request) -> u16;
}

impl<S, B> Called for S
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
{
    async fn status(&self, request: Request) -> u16 {
        self.call(request).await.unwrap().status().as_u16()
    }
}

/// Returns how long the requests of one turn take.
async fn seconds(app: &impl Called, path: &str, authorization: &str) -> f64 {
    let start = processor_secs();
    for _ in 0..REQUESTS {
        let request = TestRequest::with_uri(path)
            .insert_header(("host", "bench"))
            .insert_header(("authorization", authorization))
            .to_request();
        assert_eq!(app.status(request).await, 200);
    }
    processor_secs() - start
}

/// Nanoseconds for each request, one entry for each run.
#[derive(Default)]
struct Took {
    /// The seconds of the run so far: bare, protected, with a role.
    turn: [f64; 3],
    bare: Vec<f64>,
    added: Vec<f64>,
    added_with_role: Vec<f64>,
}

impl Took {
    fn end_run(&mut self) {
        let [bare, ours, checked] = self.turn.map(|secs| secs * 1e9 / (TURNS * REQUESTS) as f64);
        self.turn = [0.0; 3];
        self.bare.push(bare);
        self.added.push(ours - bare);
        self.added_with_role.push(checked - bare);
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bare {:>6.0} ns, added {:>5.0} ns, added with a role {:>5.0} ns",
            median(&self.bare),
            median(&self.added),
            median(&self.added_with_role)
        )
    }
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

fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
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
        let audit = std::env::temp_dir().join("iam-gate.jsonl");
        std::fs::write(&audit, "").unwrap();
        config.audit.sink = AuditSinkConfig::File(audit.display().to_string());
        config
    }
}

const AUDIENCE: &str = "orders-api";
const ISSUER: &str = "http://127.0.0.1:4455/";
const KID: &str = "bench";
/// In one turn.
const REQUESTS: usize = 20;
const RUNS: usize = 7;
const TURNS: usize = 400;

//! Tokens of Kratos's tokenizer (`whoami?tokenize_as=NAME`) at the gate: a JWT transport of its own issuer and keys.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use actix_web::{
    App,
    test::{TestRequest, call_service, init_service, read_body},
    web,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use iam_actix::{
    AuditEvents, Iam, IamConfig, Identity, Principal, RouteExt as _, Transport, audit_channel,
    config::{KratosConfig, OathkeeperConfig, TenantConfig},
};
use iam_core::decision::Reason;
use ory_dev::{config::Vars, kratos::Kratos, oathkeeper::KeyFile};
use scenario::{
    client::{Request, Response},
    ory::PASSWORD,
};
use serde_json::{Value, json};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// A Kratos with three templates, and an application that has their key.
struct Stand {
    kratos: Kratos,
    keys: PathBuf,
    iam: Iam,
    events: AuditEvents,
}

impl Stand {
    async fn start() -> Self {
        let keys = std::env::temp_dir().join(format!("tokenizer-{}.json", uuid::Uuid::new_v4()));
        let file = KeyFile::at(&keys);
        file.ensure().unwrap();
        let folder = format!("{EXAMPLES}/ory-dev/config");
        let vars = Vars::new(&folder, std::env::temp_dir());
        let mut config = Kratos::from_files(format!("{folder}/kratos.yml").as_ref(), &vars)
            .unwrap()
            .ports(0, 0);
        for (name, claims) in [
            ("service", Some("tenant: 'default', aud: ['orders-api']")),
            ("other", Some("tenant: 'other', aud: ['orders-api']")),
            ("foreign", Some("tenant: 'default', aud: ['billing-api']")),
            ("plain", None),
        ] {
            let mut template = json!({ "jwks_url": format!("file://{}", keys.display()), "ttl": "60s" });
            if let Some(claims) = claims {
                // As recorded: the mapper sets what the service asks for, and Kratos the rest.
                let mapper = format!(
                    "local session = std.extVar('session'); {{ claims: {{ {claims}, \
                     metadataPublic: session.identity.metadata_public }} }}"
                );
                template["claims_mapper_url"] = json!(format!("base64://{}", STANDARD.encode(mapper)));
            }
            config = config.tokenizer_template(name, &template).unwrap();
        }
        let kratos = Kratos::start(config).unwrap();

        let mut gateway = file.read().unwrap().iter().map(public_half).fold(
            OathkeeperConfig::new(kratos.public_url().as_str(), ["orders-api"]),
            OathkeeperConfig::key,
        );
        "metadataPublic".clone_into(&mut gateway.metadata_claim);
        let mut tenant = TenantConfig::behind(gateway);
        tenant.kratos = Some(KratosConfig::new(kratos.public_url().as_str()));
        tenant.transports.push(Transport::CookieOrBearer);
        let (sink, events) = audit_channel();
        let iam = Iam::builder(IamConfig::new().tenant("default", tenant))
            .audit_sink(Arc::new(sink))
            .start()
            .await
            .unwrap();
        Self {
            kratos,
            keys,
            iam,
            events,
        }
    }

    async fn send(&self, request: Request) -> Response {
        let address = self.kratos.public_url().as_str().trim_start_matches("http://");
        let address: SocketAddr = address.trim_end_matches('/').parse().unwrap();
        request.send(address).await.unwrap()
    }

    /// Registers a person, and returns the session token.
    async fn register(&self) -> String {
        let flow = self
            .send(Request::get("/self-service/registration/api"))
            .await
            .json();
        let action = flow["ui"]["action"].as_str().unwrap();
        let path = action.splitn(4, '/').nth(3).unwrap();
        let body = json!({
            "method": "password", "password": PASSWORD, "traits": { "email": "alice@example.com" },
        });
        let answer = self.send(Request::post(format!("/{path}"), &body)).await;
        answer.json()["session_token"].as_str().unwrap().to_owned()
    }

    /// Returns the token of a template, and the identity's id.
    async fn tokenize(&self, session: &str, template: &str) -> (String, String) {
        let request = Request::get(format!("/sessions/whoami?tokenize_as={template}"));
        let answer = self.send(request.header("x-session-token", session)).await.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&answer["tokenized"]), text(&answer["identity"]["id"]))
    }

    async fn reason(&mut self) -> Option<Reason> {
        self.events.next().await.unwrap().reason
    }
}

/// What a service may know of a key of the tokenizer. Kratos publishes it nowhere.
fn public_half(key: &Value) -> Value {
    let members = ["kty", "kid", "alg", "use", "n", "e"];
    let known = members.iter().filter(|&&name| key.get(name).is_some());
    known.map(|&name| (name.to_owned(), key[name].clone())).collect()
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.keys);
    }
}

async fn me(user: Identity) -> String {
    let claims = user.claims().map(|claims| claims.issuer().to_owned());
    format!("{} {}", user.subject(), claims.unwrap_or_default())
}

async fn who(principal: Principal) -> String {
    principal.subject().to_owned()
}

macro_rules! app {
    ($stand:expr) => {
        init_service(
            App::new()
                .route("/me", web::get().to(me))
                .route(
                    "/session",
                    web::get().to(who).transport(Transport::CookieOrBearer),
                )
                .route(
                    "/either",
                    web::get()
                        .to(who)
                        .transports([Transport::Oathkeeper, Transport::CookieOrBearer]),
                )
                .wrap($stand.iam.middleware()),
        )
        .await
    };
}

macro_rules! send {
    ($app:expr, $path:expr, $token:expr) => {{
        let request = TestRequest::get()
            .uri($path)
            .insert_header(("authorization", format!("Bearer {}", $token)));
        call_service(&$app, request.to_request()).await
    }};
}

#[actix_web::test]
async fn a_tokenized_session_passes_as_a_token_of_its_issuer() {
    let mut stand = Stand::start().await;
    let app = app!(stand);
    let session = stand.register().await;
    let (token, identity) = stand.tokenize(&session, "service").await;

    let response = send!(app, "/me", token);

    assert_eq!(response.status(), 200, "{:?}", stand.reason().await);
    let expected = format!("{identity} {}", stand.kratos.public_url());
    assert_eq!(read_body(response).await, expected);
    assert_eq!(stand.reason().await, None);
}

/// R020, R051: another template's token is for another audience or tenant; one without a mapper names no audience.
#[actix_web::test]
async fn tokens_of_other_templates_are_refused() {
    let mut stand = Stand::start().await;
    let app = app!(stand);
    let session = stand.register().await;

    for (template, reason) in [
        ("plain", Reason::AudienceMismatch),
        ("foreign", Reason::AudienceMismatch),
        ("other", Reason::TenantMismatch),
    ] {
        let (token, _) = stand.tokenize(&session, template).await;
        assert_eq!(send!(app, "/me", token).status(), 401, "{template}");
        assert_eq!(stand.reason().await, Some(reason), "{template}");
    }
}

/// R020: a session token and the token made of its session are two kinds. A list takes each as its own kind.
#[actix_web::test]
async fn a_session_token_and_a_tokenized_session_are_told_apart() {
    let mut stand = Stand::start().await;
    let app = app!(stand);
    let session = stand.register().await;
    let (token, identity) = stand.tokenize(&session, "service").await;

    assert_eq!(send!(app, "/me", session).status(), 401);
    assert_eq!(stand.reason().await, Some(Reason::Malformed));
    assert_eq!(send!(app, "/session", token).status(), 401);
    assert_eq!(stand.reason().await, Some(Reason::SessionInactive));
    for credential in [&session, &token] {
        let response = send!(app, "/either", credential);
        assert_eq!(response.status(), 200);
        assert_eq!(read_body(response).await, identity);
        assert_eq!(stand.reason().await, None);
    }
}

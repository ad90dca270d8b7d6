//! auth-bff: registration and login in front of Kratos, for applications and browsers.
//!
//! ```text
//! GET  /auth/login                     starts a login
//! POST /auth/login/{flow}              submits it
//! GET  /auth/registration              starts a registration
//! POST /auth/registration/{flow}       submits it
//! ```
//!
//! `?kind=native` (the default) or `browser`, `?returnTo=URL`. Statuses, bodies and cookies are Kratos's own, except that
//! `ui.action` points back here.

mod visitor;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App, HttpResponse, get,
    http::{Method, StatusCode, header},
    post,
    web::{self, Bytes, Data, PayloadConfig, ServiceConfig},
};
use iam_actix::{
    Body, ConfigError, IamConfig, Ports, ProblemDetails, ScopeExt as _,
    flows::{CallError, Flow, FlowAnswer, FlowClient},
};
use service::{BoxError, Running};

use crate::visitor::Visitor;

#[get("/login")]
async fn start_login(visitor: Visitor, kratos: Data<Kratos>) -> Result<HttpResponse, ProblemDetails> {
    kratos.start(Flow::Login, &visitor).await
}

#[post("/login/{flow}")]
async fn submit_login(
    id: web::Path<String>,
    visitor: Visitor,
    Body(form): Body<Bytes>,
    kratos: Data<Kratos>,
) -> Result<HttpResponse, ProblemDetails> {
    kratos.submit(Flow::Login, &visitor, &id, form).await
}

#[get("/registration")]
async fn start_registration(visitor: Visitor, kratos: Data<Kratos>) -> Result<HttpResponse, ProblemDetails> {
    kratos.start(Flow::Registration, &visitor).await
}

#[post("/registration/{flow}")]
async fn submit_registration(
    id: web::Path<String>,
    visitor: Visitor,
    Body(form): Body<Bytes>,
    kratos: Data<Kratos>,
) -> Result<HttpResponse, ProblemDetails> {
    kratos.submit(Flow::Registration, &visitor, &id, form).await
}

/// Adds the routes of the service. The scope is public; `public` comes last, outermost.
pub fn routes(app: &mut ServiceConfig) {
    let auth = web::scope("/auth")
        .service(start_login)
        .service(submit_login)
        .service(start_registration)
        .service(submit_registration);
    app.service(auth.public());
}

/// Starts the service, on port 3000 of 127.0.0.1 unless configured. It serves while the returned value is awaited.
///
/// # Errors
///
/// When the configuration or a policy is invalid, with every problem, or when the address is in use.
pub async fn run(config: Config, ports: Ports) -> Result<Running, BoxError> {
    let origin: Arc<str> = config.origin.into();

    service::serve(config.service.or_port(3000), ports, |iam| {
        let client = iam
            .default_tenant()
            .flows()
            .ok_or("auth-bff needs a `kratos` block in its configuration")?;
        let kratos = Data::new(Kratos {
            client,
            origin: Arc::clone(&origin),
        });
        let iam = iam.clone();
        Ok(move || {
            App::new()
                .wrap(iam.middleware())
                .wrap(cors(&origin))
                .app_data(kratos.clone())
                .app_data(PayloadConfig::new(LARGEST_FORM))
                .configure(routes)
        })
    })
    .await
}

fn cors(origin: &str) -> Cors {
    Cors::default()
        .allowed_origin(origin)
        .allowed_methods([Method::GET, Method::POST])
        .allowed_headers([header::ACCEPT, header::CONTENT_TYPE])
        .supports_credentials()
        .max_age(600)
}

/// Kratos's flows, and the origin of their forms.
struct Kratos {
    client: FlowClient,
    origin: Arc<str>,
}

impl Kratos {
    async fn start(&self, flow: Flow, visitor: &Visitor) -> Result<HttpResponse, ProblemDetails> {
        self.relay(
            flow,
            visitor,
            self.client
                .create(flow, &visitor.context, visitor.return_to.as_deref())
                .await,
            TOO_LONG,
        )
    }

    async fn submit(
        &self,
        flow: Flow,
        visitor: &Visitor,
        id: &str,
        form: Bytes,
    ) -> Result<HttpResponse, ProblemDetails> {
        self.relay(
            flow,
            visitor,
            self.client.submit(flow, &visitor.context, id, form).await,
            NO_FLOW,
        )
    }

    /// Relays Kratos's answer. Answers `unsendable` when the request could not be sent, and 503 when Kratos did not answer.
    fn relay(
        &self,
        flow: Flow,
        visitor: &Visitor,
        answer: Result<FlowAnswer, CallError>,
        unsendable: ProblemDetails,
    ) -> Result<HttpResponse, ProblemDetails> {
        let answer = answer.map_err(|err| {
            if matches!(err, CallError::Request) {
                unsendable
            } else {
                NO_ANSWER
            }
        })?;
        let answer = match answer.flow_id() {
            Some(id) => {
                let action = format!(
                    "{}/auth/{}/{id}?kind={}",
                    self.origin,
                    flow.as_str(),
                    visitor.kind()
                );
                answer.with_action(&action)
            }
            None => answer,
        };

        let (status, cookies, body) = answer.into_parts();
        // Two versions of the `http` crate meet here; a status code is a number in both.
        let status = StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        for cookie in cookies {
            response.append_header((header::SET_COOKIE, cookie));
        }
        Ok(response.json(body))
    }
}

/// The configuration of the service.
#[derive(Debug)]
pub struct Config {
    origin: String,
    service: service::Config,
}

impl Config {
    /// Reads the identity and access part from a file. The service has two workers, and is reached through a gateway at
    /// <http://127.0.0.1:4455>.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self, ConfigError> {
        service::Config::from_file(file).map(Self::new)
    }

    /// As [`from_file`](Self::from_file), with the file and the address that are named on the command line.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is malformed, or the address is invalid.
    pub fn from_args(file: &str) -> Result<Self, BoxError> {
        service::Config::from_args(file).map(Self::new)
    }

    fn new(service: service::Config) -> Self {
        Self {
            origin: "http://127.0.0.1:4455".to_owned(),
            service: service.workers(2),
        }
    }

    /// Returns the identity and access part, to be changed.
    pub fn iam_mut(&mut self) -> &mut IamConfig {
        &mut self.service.iam
    }

    /// Sets how long an idle connection is kept. Defaults to 100 seconds.
    #[must_use]
    pub fn keep_alive(mut self, time: Duration) -> Self {
        self.service = self.service.keep_alive(time);
        self
    }

    /// Sets the address to listen on.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.service = self.service.listen(address);
        self
    }

    /// Sets the origin under which clients reach the service: forms point there, and pages from there may call it with credentials.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }
}

const NO_FLOW: ProblemDetails =
    ProblemDetails::new(StatusCode::BAD_REQUEST).detail("the path has no valid flow id");
const TOO_LONG: ProblemDetails =
    ProblemDetails::new(StatusCode::BAD_REQUEST).detail("`returnTo` is too long");
const NO_ANSWER: ProblemDetails = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE)
    .detail("the sign-in service does not answer: try again")
    .retry_after(5);
/// The largest accepted form, in bytes.
const LARGEST_FORM: usize = 64 << 10;

//! Which routes are open, and is every policy consistent?
//!
//! [`Iam::check`](crate::Iam::check) builds the application as a worker does. It then routes sample requests to every route that
//! Actix Web's introspection lists, and reads what the wrappers announced. It polls no future beyond the gate: no handler, no
//! extractor and no asynchronous part of an inner middleware runs.
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use iam_actix::{Iam, RouteExt as _};
//!
//! # async fn check(iam: Iam) -> Result<(), Box<dyn std::error::Error>> {
//! let gate = iam.clone();
//! let app = move || {
//!     App::new()
//!         .route("/health", web::get().to(HttpResponse::Ok).public())
//!         .wrap(gate.middleware())
//! };
//! let map = iam.check(&app).await?.strict()?;
//! println!("{map}");
//! # Ok(())
//! # }
//! ```
//!
//! # Exact rows
//!
//! A row is exact if nothing but what it lists decides about its requests. The map knows three reasons why a row is not, and the
//! row then says so ([`RouteAccess::exact`], [`RouteAccess::notes`]):
//!
//! - **A closed scope** ([`ScopeExt::protected`](crate::ScopeExt::protected)). It exists so that nothing inside is called before
//!   authentication, and that includes samples: raw services and `wrap_fn` closures inside would act. The row lists what the scope and
//!   those around it require. What is inside requires an authenticated principal at least, so strict mode accepts the row, and the
//!   policies inside that no sample reaches ([`AccessMap::enclosed`]).
//! - **Guards** other than those for methods. One `Host` or `Header` guard is sampled both ways: one row for requests without the header,
//!   one for requests with it ([`RouteAccess::guard`]). With other guards, or several, the row is what a request gets that fulfils none.
//! - **A hidden policy**: a wrapper that was built, but that no sample reached. A middleware inside the gate that answers
//!   asynchronously hides what is inside of it. Where the wrapper comes from an attribute, its resource has the name of the handler, and
//!   the map names the route. Otherwise it marks every row that the policy may belong to, by the order of construction. If a
//!   hidden policy opens its route, or names another tenant or transport, the check fails ([`Finding::HiddenPolicy`]) where
//!   the route is known, and writes a warning to the log where it is not.
//!
//! # CORS
//!
//! The check sends two `OPTIONS` requests to each pattern, of which one is a CORS preflight. A middleware that answers the preflight
//! synchronously inside the gate, as `actix-cors` does, is found where the gate would refuse the preflight. A middleware that answers
//! preflights asynchronously is not found, nor one inside of a closed scope or behind a middleware that hides it.
//!
//! # Limits
//!
//! - Methods that no guard of a pattern asks for have a row, with `*`, only where they are open and others are not. Such a row may
//!   stand for a 404.
//! - Introspection keeps one name for each pattern. Where several handlers share a pattern, [`Finding::HiddenPolicy`] lists all of its
//!   methods.
//! - Where two patterns match one path and the route that Actix Web chooses declares no policy, the sample counts for either.
//! - Default services have no pattern, so the map has no rows for them. They are protected unless a scope around them is open.
//! - What a handler asks by itself, with the extractor [`Access`](crate::Access), is in its body, which does not run.
//! - Middleware *outside* the gate runs for each sample. So does the synchronous part of what is inside, such as the body of a raw
//!   `fn_service` or of a `wrap_fn` closure, unless a closed scope is around it.

mod finding;
mod layout;
mod map;
mod sample;
mod seen;
mod survey;
mod text;
mod unsampled;

use std::{fmt, sync::Arc};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    Error,
    dev::{AppConfig, Service, ServiceFactory, ServiceResponse},
    http::{Method, header},
    test::TestRequest,
};
use iam_core::requirement::Access;

pub(crate) use self::seen::{observe_inner_gate, observe_params, register, sample_of};
pub use self::{
    finding::{CheckError, Finding},
    map::{AccessMap, Openness, RouteAccess},
    unsampled::{Declaration, EnclosedPolicy, UnsampledPolicy, UnsampledRoute},
};
use self::{
    layout::Layout,
    sample::{GuardedResource, SampleTarget, Sampled},
    seen::{Running, Sample, Seen},
    survey::Survey,
    unsampled::Unreached,
};
use crate::state::State;

/// Checks the application that `factory` builds.
pub(crate) async fn check<F, I, S, B>(state: &Arc<State>, factory: F) -> Result<AccessMap, CheckError>
where
    F: FnOnce() -> I,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>,
    S::InitError: fmt::Debug,
{
    let _running = Running::start();
    let service = factory()
        .into_factory()
        .new_service(AppConfig::default())
        .await
        .map_err(|_| CheckError::one(Finding::Init))?;
    let layout = Layout::new(Running::take_built());

    let mut application = Application {
        state,
        service,
        is_gate_late: false,
    };
    let root = || TestRequest::default().to_request();
    let mut seen = application.see(root()).await;
    if !seen.has_reached_gate() {
        application.is_gate_late = true;
        seen = application.see(root()).await;
    }
    let (true, Some(tree)) = (seen.has_reached_gate(), seen.tree) else {
        return Err(CheckError::one(Finding::NoGate));
    };

    let resources = sample::resources(&tree.root);
    let mut survey = Survey::new(state.registry(), layout);
    for resource in &resources {
        survey.visit(&application, resource, &resources).await;
    }
    survey.finish()
}

/// A sample that another pattern's route did not take.
struct Reached {
    sampled: Sampled,
    seen: Seen,
    /// Whether the sample is known to have reached the route of its pattern, or what is around it.
    is_certain: bool,
}

/// The application under the check.
struct Application<'e, S> {
    state: &'e Arc<State>,
    service: S,
    /// Set if samples reach the gate only when a middleware outside of it is polled. Otherwise a route that a sample does not reach
    /// at once is outside of the gate, and polling would run its handler.
    is_gate_late: bool,
}

impl<S, B> Application<'_, S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
{
    /// Sends samples until one is not taken by another pattern's route, and returns that one.
    ///
    /// A route without a policy does not tell its pattern. Samples that no other pattern matches are preferred: no other route can
    /// have taken them.
    async fn reach(
        &self,
        target: &SampleTarget<'_>,
        resources: &[GuardedResource],
    ) -> Result<Reached, Unreached> {
        let others = || {
            resources
                .iter()
                .filter(|resource| resource.pattern != target.pattern)
        };
        // A resource of several patterns is named by the first one, which need not match the path.
        let is_of_another = |route: &str, path: &str| {
            others().any(|resource| resource.pattern == route && resource.is_match(path))
        };

        let mut fallback = None;
        let mut reason = Unreached::NoPath;
        for sampled in target.samples() {
            let mut request = TestRequest::with_uri(&sampled.uri.to_string()).method(target.method.clone());
            if let Some(header) = target.header() {
                request = request.insert_header(header);
            }
            let seen = self.see(request.to_request()).await;
            match seen.route.as_deref() {
                Some(route) if is_of_another(route, &sampled.path) => reason = Unreached::Shadowed,
                None if seen.has_reached_gate()
                    && others().any(|resource| resource.is_match(&sampled.path)) =>
                {
                    fallback.get_or_insert(Reached {
                        sampled,
                        seen,
                        is_certain: false,
                    });
                }
                Some(_) | None => {
                    return Ok(Reached {
                        sampled,
                        seen,
                        is_certain: true,
                    });
                }
            }
        }
        fallback.ok_or(reason)
    }

    /// Tells whether something inside the gate answers preflights that the gate refuses.
    async fn has_cors_inside(&self, sampled: &Sampled, method: &Method) -> bool {
        let options = || TestRequest::with_uri(&sampled.uri.to_string()).method(Method::OPTIONS);
        let preflight = options()
            .insert_header((header::ORIGIN, "https://preflight.example"))
            .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, method.as_str()));

        let plain = self.see(options().to_request()).await;
        let preflight = self.see(preflight.to_request()).await;
        let is_admitted = preflight
            .chain
            .as_deref()
            .and_then(|chain| chain.effective().ok())
            .is_some_and(|policy| policy.access() != Access::Protected);
        preflight.is_answered_at_once && !plain.is_answered_at_once && !is_admitted
    }

    /// Sends one sample through the application and returns what was seen of it.
    async fn see(&self, request: Request) -> Seen {
        let (sample, request) = Sample::mark(self.state, request);

        let answer = self.service.call(request);
        // The gate answers samples itself. What outer middleware makes of that answer has no effect on the map.
        if self.is_gate_late && !sample.has_reached_gate() {
            drop(answer.await);
        }
        sample.into_seen()
    }
}

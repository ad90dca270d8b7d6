//! How does a route that is built, not annotated, say what it requires?
//!
//! The attributes' words as methods, on [`Route`], [`Resource`] and [`Scope`]. They stand last: behind `to(…)` on a
//! route, behind every `service(…)`, `route(…)` and `wrap(…)` on a resource or scope, because each wraps what stands
//! before it.
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use iam_actix::{RouteExt as _, ScopeExt as _};
//!
//! async fn handler() -> HttpResponse { HttpResponse::Ok().finish() }
//!
//! let app = App::new()
//!     .route("/health", web::get().to(handler).public())
//!     .service(web::scope("/admin").route("/jobs", web::post().to(handler)).require_role(["admin"]));
//! # let _ = app;
//! ```

pub(crate) mod chain;
pub(crate) mod enforce;
pub(crate) mod hidden;
pub(crate) mod params;

use std::{
    collections::HashMap,
    panic::Location,
    sync::{LazyLock, Mutex},
};

use actix_web::{
    Error, Resource, Route, Scope,
    body::{BoxBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
};
use iam_core::{requirement::RoutePolicy, tenant::Transport};
use iam_grammar::{GrammarError, Permission};

use crate::policy::enforce::{Enforce, Place};

/// The service factory of a resource or scope that is held to a policy.
pub trait SecuredFactory:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    > + 'static
{
}

impl<T> SecuredFactory for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        > + 'static
{
}

/// Declares the words of one trait, each a call of `$secure` with a policy that says one thing.
macro_rules! words {
    ($returns:ty) => {
        /// Opens it: everybody may come, credentials are not looked at.
        ///
        /// A requirement anywhere on the way still counts.
        #[track_caller]
        #[must_use]
        fn public(self) -> $returns {
            let policy = here("public").public();
            self.secured(policy)
        }

        /// Lets requests without a credential in. A credential that is presented must be good.
        #[track_caller]
        #[must_use]
        fn optional(self) -> $returns {
            let policy = here("optional").optional();
            self.secured(policy)
        }

        /// Requires any of the roles.
        #[track_caller]
        #[must_use]
        fn require_role<R: Into<String>>(self, any_of: impl IntoIterator<Item = R>) -> $returns {
            let policy = here("require_role").require_role(any_of);
            self.secured(policy)
        }

        /// Requires all of the scopes.
        #[track_caller]
        #[must_use]
        fn require_scope<S: Into<String>>(self, all_of: impl IntoIterator<Item = S>) -> $returns {
            let policy = here("require_scope").require_scope(all_of);
            self.secured(policy)
        }

        /// Requires a permission, as [`Permission::new`] or [`Permission::tuple`] make it.
        ///
        /// A permission that cannot be read refuses everybody.
        #[track_caller]
        #[must_use]
        fn require_permission(self, permission: Result<Permission, GrammarError>) -> $returns {
            let policy = here("require_permission").require_permission(permission);
            self.secured(policy)
        }

        /// Accepts each credential once only.
        #[track_caller]
        #[must_use]
        fn single_use(self) -> $returns {
            let policy = here("single_use").single_use();
            self.secured(policy)
        }

        /// Takes principals of the tenant `name` instead of the default tenant's.
        #[track_caller]
        #[must_use]
        fn tenant(self, name: &str) -> $returns {
            let policy = here("tenant").tenant(name);
            self.secured(policy)
        }

        /// Takes credentials that travel by `transport` instead of the tenant's first.
        #[track_caller]
        #[must_use]
        fn transport(self, transport: Transport) -> $returns {
            let policy = here("transport").transport(transport);
            self.secured(policy)
        }
    };
}

/// The words of the attributes for a [`Route`]. They stand behind `to(…)`.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::RouteExt as _;
///
/// let route = web::post().to(|| async { HttpResponse::Ok() }).require_role(["warehouse:admin"]).single_use();
/// # let _ = route;
/// ```
pub trait RouteExt: Sized {
    words!(Route);

    /// Says that an authenticated principal is required, as it is where nothing is said.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Route {
        let policy = here("protected").protected();
        self.secured(policy)
    }

    /// Holds the route to a whole policy.
    #[must_use]
    fn secured(self, policy: RoutePolicy) -> Route;
}

impl RouteExt for Route {
    fn secured(self, policy: RoutePolicy) -> Route {
        self.wrap(Enforce::new(policy))
    }
}

/// The words of the attributes for a [`Resource`]. They stand behind every `route(…)`, `to(…)` and `wrap(…)`.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::ResourceExt as _;
///
/// let resource = web::resource("/orders/{id}")
///     .route(web::get().to(|| async { HttpResponse::Ok() }))
///     .require_scope(["orders:read"]);
/// # let _ = resource;
/// ```
pub trait ResourceExt: Sized {
    words!(Resource<impl SecuredFactory>);

    /// Says that an authenticated principal is required, as it is where nothing is said.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Resource<impl SecuredFactory> {
        let policy = here("protected").protected();
        self.secured(policy)
    }

    /// Holds every route of the resource to a whole policy.
    #[must_use]
    fn secured(self, policy: RoutePolicy) -> Resource<impl SecuredFactory>;
}

impl<T, B> ResourceExt for Resource<T>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    fn secured(self, policy: RoutePolicy) -> Resource<impl SecuredFactory> {
        self.wrap(Enforce::new(policy))
    }
}

/// The words of the attributes for a [`Scope`]. They stand last, outermost.
///
/// A scope that is public opens its unannotated routes and its 404s. A requirement of the scope is added to those of
/// its routes.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::ScopeExt as _;
///
/// let scope = web::scope("/auth").route("/login", web::get().to(|| async { HttpResponse::Ok() })).public();
/// # let _ = scope;
/// ```
pub trait ScopeExt: Sized {
    words!(Scope<impl SecuredFactory>);

    /// Authenticates before anything inside is called at all.
    ///
    /// Use it around services that act in their synchronous `call`, such as raw `fn_service`s or `wrap_fn` closures. Roles and
    /// scopes that are required behind it, as in `.protected().require_role(["admin"])`, are checked before too.
    /// What its routes say of tenant and transport is known too late then: say it on the scope as well.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Scope<impl SecuredFactory>;

    /// Holds everything in the scope to a whole policy.
    #[must_use]
    fn secured(self, policy: RoutePolicy) -> Scope<impl SecuredFactory>;
}

impl<T, B> ScopeExt for Scope<T>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    #[track_caller]
    fn protected(self) -> Scope<impl SecuredFactory> {
        self.wrap(Enforce::around(Place::ClosedScope, here("protected").protected()))
    }

    fn secured(self, policy: RoutePolicy) -> Scope<impl SecuredFactory> {
        self.wrap(Enforce::around(Place::Scope, policy))
    }
}

/// Tells whether a policy's name is that of a method of the extension traits, not of a handler.
pub(crate) fn is_builder_word(name: &str) -> bool {
    BUILDER_WORDS.contains(&name)
}

const BUILDER_WORDS: [&str; 9] = [
    "optional",
    "protected",
    "public",
    "require_permission",
    "require_role",
    "require_scope",
    "single_use",
    "tenant",
    "transport",
];

/// Starts the policy of the line that calls.
#[track_caller]
fn here(word: &'static str) -> RoutePolicy {
    RoutePolicy::new(declared_at(Location::caller()), word)
}

/// Returns `file:line` of a place in the code. Each place is kept once, however often applications are built.
fn declared_at(location: &'static Location<'static>) -> &'static str {
    static PLACES: LazyLock<Mutex<HashMap<(&'static str, u32), &'static str>>> =
        LazyLock::new(Mutex::default);

    let Ok(mut places) = PLACES.lock() else {
        return location.file();
    };
    places
        .entry((location.file(), location.line()))
        .or_insert_with(|| format!("{}:{}", location.file(), location.line()).leak())
}

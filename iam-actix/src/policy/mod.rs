//! Policies of routes that are built with methods instead of attributes.
//!
//! The methods of [`Route`], [`Resource`] and [`Scope`] have the names of the attributes. They are called last: after
//! `to(…)` on a route, and after every `service(…)`, `route(…)` and `wrap(…)` on a resource or scope, because each call
//! wraps what was registered before it.
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

pub(crate) mod enforce;

use std::{
    collections::HashMap,
    panic::Location,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use actix_web::{
    Error, Resource, Route, Scope,
    body::{BoxBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
};
use iam_core::{principal::AssuranceLevel, requirement::RoutePolicy, tenant::Transport};
use iam_grammar::{GrammarError, Permission};

use self::enforce::{Enforce, Wrapped};
use crate::route::hidden::Origin;

/// The service factory of a resource or scope with a policy.
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

/// Declares the methods that all three traits have. Each one calls `secured` with a policy of one property.
macro_rules! policy_methods {
    ($returns:ty) => {
        /// Makes it public: all requests are admitted, and credentials are ignored.
        ///
        /// A requirement of an enclosing scope, of the resource or of the route still applies.
        #[track_caller]
        #[must_use]
        fn public(self) -> $returns {
            let policy = here("public").public();
            self.secured(policy)
        }

        /// Admits requests without a credential. A presented credential must be valid.
        #[track_caller]
        #[must_use]
        fn optional(self) -> $returns {
            let policy = here("optional").optional();
            self.secured(policy)
        }

        /// Admits requests without a principal only, as pages where people log in do. A principal is refused with 403.
        #[track_caller]
        #[must_use]
        fn anonymous(self) -> $returns {
            let policy = here("anonymous").anonymous();
            self.secured(policy)
        }

        /// Requires a session of at least this assurance level.
        #[track_caller]
        #[must_use]
        fn require_aal(self, level: AssuranceLevel) -> $returns {
            let policy = here("require_aal").require_aal(level);
            self.secured(policy)
        }

        /// Requires a session whose person has proved who they are within `max_age`, in whole seconds.
        #[track_caller]
        #[must_use]
        fn require_fresh_session(self, max_age: Duration) -> $returns {
            let policy = here("require_fresh_session").require_fresh_session(max_age);
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

        /// Requires a permission, created with [`Permission::new`] or [`Permission::tuple`].
        ///
        /// An invalid permission denies every request.
        #[track_caller]
        #[must_use]
        fn require_permission(self, permission: Result<Permission, GrammarError>) -> $returns {
            let policy = here("require_permission").require_permission(permission);
            self.secured(policy)
        }

        /// Requires a permission, and asks Keto for each request. Neither this permission nor another one on the way to the route is
        /// answered from a cache, nor is the session or access token of the request.
        #[track_caller]
        #[must_use]
        fn require_fresh_permission(self, permission: Result<Permission, GrammarError>) -> $returns {
            let policy = here("require_fresh_permission").require_fresh_permission(permission);
            self.secured(policy)
        }

        /// Accepts each credential only once.
        #[track_caller]
        #[must_use]
        fn single_use(self) -> $returns {
            let policy = here("single_use").single_use();
            self.secured(policy)
        }

        /// Accepts principals of the tenant `name` instead of the default tenant.
        #[track_caller]
        #[must_use]
        fn tenant(self, name: &str) -> $returns {
            let policy = here("tenant").tenant(name);
            self.secured(policy)
        }

        /// Accepts credentials by `transport` instead of the tenant's first transport.
        #[track_caller]
        #[must_use]
        fn transport(self, transport: Transport) -> $returns {
            let policy = here("transport").transport(transport);
            self.secured(policy)
        }

        /// Accepts credentials by any of the transports, as [`RoutePolicy::transports`] tells.
        #[track_caller]
        #[must_use]
        fn transports(self, in_order: impl IntoIterator<Item = Transport>) -> $returns {
            let policy = here("transports").transports(in_order);
            self.secured(policy)
        }
    };
}

/// The attributes as methods of a [`Route`]. They are called after `to(…)`.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::RouteExt as _;
///
/// let route = web::post().to(|| async { HttpResponse::Ok() }).require_role(["warehouse:admin"]).single_use();
/// # let _ = route;
/// ```
pub trait RouteExt: Sized {
    policy_methods!(Route);

    /// Requires an authenticated principal, which is also the default.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Route {
        let policy = here("protected").protected();
        self.secured(policy)
    }

    /// Applies a whole policy to the route.
    #[must_use]
    fn secured(self, policy: RoutePolicy) -> Route;
}

impl RouteExt for Route {
    fn secured(self, policy: RoutePolicy) -> Route {
        self.wrap(Enforce::new(policy))
    }
}

/// The attributes as methods of a [`Resource`]. They are called after every `route(…)`, `to(…)` and `wrap(…)`.
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
    policy_methods!(Resource<impl SecuredFactory>);

    /// Requires an authenticated principal, which is also the default.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Resource<impl SecuredFactory> {
        let policy = here("protected").protected();
        self.secured(policy)
    }

    /// Applies a whole policy to every route of the resource.
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

/// The attributes as methods of a [`Scope`]. They are called last, outermost.
///
/// A public scope opens its unannotated routes and its 404s. Requirements of the scope are added to those of its routes.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::ScopeExt as _;
///
/// let scope = web::scope("/auth").route("/login", web::get().to(|| async { HttpResponse::Ok() })).public();
/// # let _ = scope;
/// ```
pub trait ScopeExt: Sized {
    policy_methods!(Scope<impl SecuredFactory>);

    /// Authenticates before any service inside the scope is called.
    ///
    /// Use it around services that act in their synchronous `call`, such as raw `fn_service`s or `wrap_fn` closures. Roles
    /// and scopes that are required after it, as in `.protected().require_role(["admin"])`, are also checked before. The
    /// tenant and transport of the routes inside are announced too late, so set them on the scope as well.
    #[track_caller]
    #[must_use]
    fn protected(self) -> Scope<impl SecuredFactory>;

    /// Applies a whole policy to everything in the scope.
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
        self.wrap(Enforce::around(
            Wrapped::ClosedScope,
            here("protected").protected(),
        ))
    }

    fn secured(self, policy: RoutePolicy) -> Scope<impl SecuredFactory> {
        self.wrap(Enforce::around(Wrapped::Scope, policy))
    }
}

/// Tells by its name whether a policy comes from a method of the extension traits or from an attribute on a handler.
fn origin_of(policy: &RoutePolicy) -> Origin {
    if METHODS.contains(&policy.name()) {
        Origin::Method
    } else {
        Origin::Handler
    }
}

const METHODS: [&str; 14] = [
    "anonymous",
    "optional",
    "protected",
    "public",
    "require_aal",
    "require_fresh_permission",
    "require_fresh_session",
    "require_permission",
    "require_role",
    "require_scope",
    "single_use",
    "tenant",
    "transport",
    "transports",
];

/// Starts a policy that is declared at the caller's line and has the name of the method that was called.
#[track_caller]
fn here(method: &'static str) -> RoutePolicy {
    RoutePolicy::new(declared_at(Location::caller()), method)
}

/// Returns `file:line` of a source location. Each location is stored once, however often applications are built.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Otherwise a policy of that method is taken for one of a handler, and is never suspected to be hidden.
    #[test]
    fn every_method_of_the_traits_is_in_the_list() {
        let called: BTreeSet<_> = include_str!("mod.rs")
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("let policy = here(\""))
            .filter_map(|rest| rest.split_once('"'))
            .map(|(method, _)| method)
            .collect();

        assert_eq!(called, BTreeSet::from(METHODS));
    }
}

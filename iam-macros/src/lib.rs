//! Attribute macros of `iam-actix`: they read attributes and emit one route policy. The generated code decides nothing.
//!
//! `iam_actix` exports all of them.
//!
//! # Position
//!
//! The attributes belong above the route attribute of a handler (`get`, `post`, `put`, `delete`, `head`, `connect`, `options`,
//! `trace`, `patch`, `query`, `route`, `routes`), in any order among themselves. The first one expands together with the others and
//! appends one wrapper to each route attribute, as `wrap = "…"` behind the other arguments. The last wrapper is the outermost, so
//! the policy is enforced before the wrappers of the user run.
//!
//! ```
//! use actix_web::{HttpResponse, post, web};
//! use iam_actix::{require_permission, require_role, single_use};
//!
//! #[require_role("accountant", "admin")]
//! #[require_permission(namespace = "orders", relation = "pay", object = "orders:{id}")]
//! #[single_use]
//! #[post("/orders/{id}/payment")]
//! async fn pay(id: web::Path<String>) -> HttpResponse {
//!     HttpResponse::Created().body(id.into_inner())
//! }
//! # drop(actix_web::App::new().service(pay));
//! ```
//!
//! A handler without a route attribute gets its policy where it is registered: `web::get().to(handler).require_role(["admin"])`.
//!
//! # On a module
//!
//! Above `#[actix_web::scope("/prefix")]` the attributes apply to exactly the routes that Actix prefixes: bare route attributes of
//! functions directly in the module. Any other route in the module is a compile error. The policies of the module and of a
//! function in it add up.
//!
//! ```
//! use actix_web::scope;
//! use iam_actix::require_role;
//!
//! #[require_role("warehouse:admin")]
//! #[scope("/admin")]
//! mod admin {
//!     use actix_web::{HttpResponse, delete, get};
//!
//!     #[get("/stock")]
//!     pub async fn stock() -> HttpResponse {
//!         HttpResponse::Ok().finish()
//!     }
//!
//!     #[delete("/stock/{sku}")]
//!     pub async fn discard() -> HttpResponse {
//!         HttpResponse::NoContent().finish()
//!     }
//! }
//! # drop(actix_web::App::new().service(admin::stock).service(admin::discard));
//! ```
//!
//! # Limits
//!
//! - Below a route attribute the attributes have no effect, so they do not compile there.
//! - A renamed import (`use iam_actix::public as open`) is not recognised beside the others and becomes a wrapper of its own.
//!   Wrappers add up, and a requirement wins over `public`, so no requirement is lost.
//! - A renamed *route attribute* (`use actix_web::get as fetch`) is not recognised, and the attributes do not compile above it.

mod attribute;
mod args;
mod check;
mod placeholder;
mod handler;
mod wrapper;
mod module;
mod expand;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

use crate::attribute::Attribute;

/// Opens a route to everybody. Credentials are ignored.
///
/// Only this, [`macro@optional`] and [`macro@anonymous`] let callers without a principal in. It takes no arguments and excludes every
/// other attribute but [`macro@tenant`].
///
/// ```
/// use actix_web::{Responder, get};
/// use iam_actix::public;
///
/// #[public]
/// #[get("/health")]
/// async fn health() -> impl Responder {
///     "ok"
/// }
/// # drop(actix_web::App::new().service(health));
/// ```
///
/// It does not compile below the route attribute:
///
/// ```compile_fail
/// # use actix_web::{Responder, get};
/// # use iam_actix::public;
/// #[get("/health")]
/// #[public]
/// async fn health() -> impl Responder {
///     "ok"
/// }
/// ```
#[proc_macro_attribute]
pub fn public(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Public, arguments.into(), &item.into()).into()
}

/// Lets callers without a credential in, and authenticates callers that present one.
///
/// A bad credential is refused as on every other route, except for a session that is over: it counts as none. It takes no arguments and
/// excludes every other attribute but [`macro@tenant`] and [`macro@transport`].
///
/// ```
/// use actix_web::{Responder, get};
/// use iam_actix::optional;
///
/// #[optional]
/// #[get("/catalogue")]
/// async fn catalogue() -> impl Responder {
///     "everything, and more for those we know"
/// }
/// # drop(actix_web::App::new().service(catalogue));
/// ```
#[proc_macro_attribute]
pub fn optional(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Optional, arguments.into(), &item.into()).into()
}

/// Lets only callers without a principal in, as on pages where people log in or register. A principal is refused with 403.
///
/// A bad credential is refused with 401, except for a session that is over: it counts as none. It takes no arguments and excludes every
/// other attribute but [`macro@tenant`] and [`macro@transport`].
///
/// ```
/// use actix_web::{Responder, get};
/// use iam_actix::anonymous;
///
/// #[anonymous]
/// #[get("/welcome")]
/// async fn welcome() -> impl Responder {
///     "log in or register"
/// }
/// # drop(actix_web::App::new().service(welcome));
/// ```
#[proc_macro_attribute]
pub fn anonymous(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Anonymous, arguments.into(), &item.into()).into()
}

/// Requires a session of at least this assurance level: `aal1`, `aal2` or `aal3`.
///
/// Other callers get 401 with the challenge of RFC 9470 and the tenant's `login_url`. A principal without a session is one of them.
///
/// ```
/// use actix_web::{HttpResponse, delete};
/// use iam_actix::{require_aal, require_fresh_session};
///
/// #[require_aal("aal2")]
/// #[require_fresh_session("15m")]
/// #[delete("/account")]
/// async fn leave() -> HttpResponse {
///     HttpResponse::NoContent().finish()
/// }
/// # drop(actix_web::App::new().service(leave));
/// ```
#[proc_macro_attribute]
pub fn require_aal(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::RequireAal, arguments.into(), &item.into()).into()
}

/// Requires a session whose person has proved who they are within this time, such as `15m`, `90s` or `24h`.
///
/// Other callers get 401 with the challenge of RFC 9470 and the tenant's `login_url`. A principal without a session is one of them.
///
/// ```
/// use actix_web::{HttpResponse, put};
/// use iam_actix::require_fresh_session;
///
/// #[require_fresh_session("15m")]
/// #[put("/account/email")]
/// async fn change() -> HttpResponse {
///     HttpResponse::NoContent().finish()
/// }
/// # drop(actix_web::App::new().service(change));
/// ```
#[proc_macro_attribute]
pub fn require_fresh_session(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::RequireFreshSession, arguments.into(), &item.into()).into()
}

/// Accepts principals of another tenant than the default one.
///
/// ```
/// use actix_web::{HttpResponse, get};
/// use iam_actix::tenant;
///
/// #[tenant("customer")]
/// #[get("/shop/orders")]
/// async fn orders() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// # drop(actix_web::App::new().service(orders));
/// ```
#[proc_macro_attribute]
pub fn tenant(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Tenant, arguments.into(), &item.into()).into()
}

/// Accepts credentials by another transport than the tenant's first one: `bearer`, `cookie`, `cookie-or-bearer`, `oathkeeper` or
/// `oauth2`. Credentials by other transports are not looked at.
///
/// Several transports make an ordered list: the one whose credential is presented decides, and a request that presents credentials of
/// two of them is answered with 400.
///
/// ```
/// use actix_web::{HttpResponse, get};
/// use iam_actix::transport;
///
/// #[transport("bearer")]
/// #[get("/mobile/feed")]
/// async fn feed() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// # drop(actix_web::App::new().service(feed));
/// ```
#[proc_macro_attribute]
pub fn transport(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Transport, arguments.into(), &item.into()).into()
}

/// Requires an authenticated principal, and nothing else of it.
///
/// A route without any attribute is protected as well. The attribute says so explicitly, which strict mode asks of every route. It
/// takes no arguments, excludes [`macro@public`], [`macro@optional`] and [`macro@anonymous`], and adds nothing to a requirement beside it.
///
/// ```
/// use actix_web::{HttpResponse, get};
/// use iam_actix::protected;
///
/// #[protected]
/// #[get("/me")]
/// async fn me() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// # drop(actix_web::App::new().service(me));
/// ```
#[proc_macro_attribute]
pub fn protected(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Protected, arguments.into(), &item.into()).into()
}

/// Requires any of the listed roles. Several such attributes all have to be met.
///
/// ```
/// use actix_web::{HttpResponse, post};
/// use iam_actix::require_role;
///
/// #[require_role("warehouse:admin", "warehouse:clerk")]
/// #[post("/inventory/adjust")]
/// async fn adjust() -> HttpResponse {
///     HttpResponse::NoContent().finish()
/// }
/// # drop(actix_web::App::new().service(adjust));
/// ```
#[proc_macro_attribute]
pub fn require_role(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::RequireRole, arguments.into(), &item.into()).into()
}

/// Requires all of the listed scopes (RFC 6749 §3.3). Scopes are not roles: they limit what a client may do on behalf of a person.
///
/// ```
/// use actix_web::{HttpResponse, get};
/// use iam_actix::require_scope;
///
/// #[require_scope("orders:read")]
/// #[get("/orders/export")]
/// async fn export() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// # drop(actix_web::App::new().service(export));
/// ```
#[proc_macro_attribute]
pub fn require_scope(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::RequireScope, arguments.into(), &item.into()).into()
}

/// Requires a permission, which Keto checks. Several such attributes all have to be met, and are checked together.
///
/// There are three forms:
///
/// - `namespace = "…", relation = "…", object = "…"`: the caller needs the relation to the object. The whole text of `object` is
///   the object, including the part in front of a `:`.
/// - `"namespace:object#relation@subject"`: a whole tuple in Keto's notation. Without `@subject` the caller is the subject.
/// - `any(…)` and `all(…)` of tuples, nested as deep as eight levels.
///
/// `fresh` behind any of them, as in `#[require_permission("Vault:{id}#open", fresh)]`, asks Keto for each request, also when its
/// answers are cached (`cache.permission_ttl`). The session or access token of the request is then asked about anew, too.
///
/// Objects and subject ids may contain `{placeholders}`, which the path of the request fills. `{user}`, `{sub}` and `{client_id}`
/// are ids of the caller. All texts are checked when the program is compiled.
///
/// A scope around the handler can add parameters to the path, so a placeholder without a parameter in the route attribute compiles.
/// `iam.check` reports the placeholders that the full path does not provide, and such a request is refused. Two mistakes are
/// compile errors: a name that differs from a parameter only in case or underscores (`{orderId}` and `{order_id}`), and a
/// parameter of the path called `user`, `sub` or `client_id` in a permission that uses that placeholder for the caller.
///
/// ```
/// use actix_web::{HttpResponse, get};
/// use iam_actix::require_permission;
///
/// #[require_permission(namespace = "listings", relation = "view", object = "inventory:{sku}")]
/// #[get("/inventory/{sku}/ledger")]
/// async fn ledger() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
///
/// #[require_permission(any("CatProfile:{id}#owners@User:{user}", "Group:admin#members@User:{user}"))]
/// #[get("/cats/{id}")]
/// async fn cat() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// # drop(actix_web::App::new().service(ledger).service(cat));
/// ```
///
/// An invalid tuple does not compile:
///
/// ```compile_fail
/// # use actix_web::{HttpResponse, get};
/// # use iam_actix::require_permission;
/// #[require_permission("CatProfile:{id}@User:{user}")]
/// #[get("/cats/{id}")]
/// async fn cat() -> HttpResponse {
///     HttpResponse::Ok().finish()
/// }
/// ```
#[proc_macro_attribute]
pub fn require_permission(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::RequirePermission, arguments.into(), &item.into()).into()
}

/// Accepts each token once: the second request with the same token is refused.
///
/// The token is used up right before the handler runs, so a refused request does not use it up. The gateway has to sign a fresh
/// token for every request to such a route. It takes no arguments.
///
/// Sessions, introspected access tokens and plain headers have no id that could be used up: such a request is answered with 500, and
/// `Iam::check` finds routes that accept nothing else.
///
/// ```
/// use actix_web::{HttpResponse, post};
/// use iam_actix::single_use;
///
/// #[single_use]
/// #[post("/orders")]
/// async fn order() -> HttpResponse {
///     HttpResponse::Created().finish()
/// }
/// # drop(actix_web::App::new().service(order));
/// ```
#[proc_macro_attribute]
pub fn single_use(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::SingleUse, arguments.into(), &item.into()).into()
}

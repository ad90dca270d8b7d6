//! Attribute macros of `iam-actix`: they read attributes and emit one route policy. No decision is made in generated code.
//!
//! Use them through `iam_actix`, which exports all of them.
//!
//! # Where they stand
//!
//! Above the route attribute of a handler (`get`, `post`, `put`, `delete`, `head`, `connect`, `options`, `trace`, `patch`,
//! `query`, `route`, `routes`), in any order among themselves. The first one takes the others with it and appends one
//! wrapper to each route attribute, as `wrap = "…"` behind the arguments that are there. The last wrapper is the
//! outermost: ours decides before the user's own run.
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
//! A handler that is registered without a route attribute says the same where it is registered:
//! `web::get().to(handler).require_role(["admin"])`.
//!
//! # On a module
//!
//! Above `#[actix_web::scope("/prefix")]` they hold for exactly the routes that Actix prefixes: bare route attributes of
//! functions that stand directly in the module. Any other route in the module is a compile error. What the module and a
//! function in it say adds up.
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
//! # What they cannot see
//!
//! - Below a route attribute they have no effect, so they do not compile there.
//! - A renamed import (`use iam_actix::public as open`) is not recognised as one of the family: it becomes a wrapper of
//!   its own. Wrappers add up, and a requirement beats `public`, so nothing is lost.
//! - A renamed *route attribute* (`use actix_web::get as fetch`) is not recognised at all: ours do not compile above it.

mod words;
mod args;
mod check;
mod handler;
mod module;
mod expand;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

use crate::words::Word;

/// Opens a route: nobody is authenticated, credentials are not looked at.
///
/// Only this and [`macro@optional`] let anonymous callers in. It takes no arguments, and does not go together with any other
/// attribute.
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
/// Below the route attribute it does not compile:
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
    expand::expand(Word::Public, arguments.into(), &item.into()).into()
}

/// Lets callers without a credential in, and authenticates those that present one.
///
/// A bad credential is refused as everywhere. It takes no arguments, and does not go together with any other attribute.
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
    expand::expand(Word::Optional, arguments.into(), &item.into()).into()
}

/// Asks for any of the listed roles. Of several such attributes all have to be met.
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
    expand::expand(Word::RequireRole, arguments.into(), &item.into()).into()
}

/// Asks for all of the listed scopes (RFC 6749 §3.3). Scopes are not roles: a client was given them, a person was not.
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
    expand::expand(Word::RequireScope, arguments.into(), &item.into()).into()
}

/// Asks Keto. Of several such attributes all have to be met; they are asked together.
///
/// Three forms:
///
/// - `namespace = "…", relation = "…", object = "…"`: may the caller have the relation to the object? The whole text of
///   `object` is the object, also what stands in front of a `:` in it.
/// - `"namespace:object#relation@subject"`: a whole tuple in Keto's notation; without `@subject` the caller is the subject.
/// - `any(…)` and `all(…)` of tuples, nested as deep as eight levels.
///
/// Objects and subject ids may contain `{placeholders}`, which the path of the request fills; `{user}`, `{sub}` and
/// `{client_id}` are the caller's. All texts are checked when the program is compiled. Whether the full path of the route
/// provides every placeholder is known when the application is put together: `iam.check` tells, and a value that is not
/// there is never asked about.
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
/// A text that is no tuple does not compile:
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
    expand::expand(Word::RequirePermission, arguments.into(), &item.into()).into()
}

/// Lets each token pass once: the second request with the same token is refused.
///
/// The claim is the last thing before the handler, so that a refused request uses up nothing. The gateway has to sign a
/// fresh token for every request to such a route. It takes no arguments.
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
    expand::expand(Word::SingleUse, arguments.into(), &item.into()).into()
}

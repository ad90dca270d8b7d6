//! Who is it, for a handler, and what did they send?
//!
//! | Extractor | Gives | Fails |
//! |---|---|---|
//! | [`Principal`] | whoever was authenticated | 401 for an anonymous caller |
//! | [`Identity`] | a person | 401 for an anonymous caller, 403 for a machine |
//! | [`Client`] | a machine | 401 for an anonymous caller, 403 for a person |
//! | [`Tenant`] | the tenant the request is decided for | |
//! | [`Access`] | permissions asked in the handler | |
//! | [`RequestId`](crate::RequestId) | the id of the request | |
//! | [`Granted`] | the very object that the route's permission was checked for | 500 without one |
//! | [`Body`] | what another extractor makes of the body, in time | 408, or with the status of the other |
//!
//! Each of them but the last fails with 500 when the request is not inside the gate, and on a public route whatever needs a
//! principal does: credentials are not looked at there, so there never is one.
//!
//! # Security
//!
//! `Option<Identity>` turns every error into `None`, which is Actix Web's own doing. It grants nothing and checks
//! nothing: the gate has decided before. On a route that is optional, `None` is an anonymous caller.

mod access;
mod body;
mod granted;
mod principal;
mod request_id;
mod tenant;

use std::rc::Rc;

use actix_web::HttpRequest;
use iam_core::{
    decision::{Reason, Refusal},
    requirement,
};

pub use self::{
    access::Access,
    body::{Body, BodyConfig},
    granted::Granted,
    principal::{Client, Identity, Principal},
    tenant::Tenant,
};
use crate::{
    error::Error,
    slot::{Admitted, RequestSecurity},
};

/// Gives `take` what the gate knows of a request that it let in.
fn let_in<T>(
    request: &HttpRequest,
    take: impl FnOnce(&Rc<RequestSecurity>, Admitted<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(slot) = RequestSecurity::of(request) else {
        tracing::error!(
            "an extractor was used outside of the gate: register `iam.middleware()` on the application"
        );
        return Err(Error::without_gate());
    };

    let admitted = slot.admitted().ok_or_else(|| {
        slot.extractor_error(Refusal::with_detail(Reason::InvalidRequirement, "not_let_in"))
    })?;
    take(&slot, admitted)
}

/// Returns the refusal of whoever has no principal, on a route of this access.
fn nobody(access: requirement::Access) -> Refusal {
    match access {
        requirement::Access::Public => {
            tracing::error!(
                "an extractor needs a principal on a public route: say `optional` or leave `public` out"
            );
            Refusal::with_detail(Reason::InvalidRequirement, "principal_on_public_route")
        }
        requirement::Access::Optional | requirement::Access::Protected => {
            Refusal::new(Reason::MissingCredential)
        }
    }
}

//! Who is it, for a handler, and what did they send?
//!
//! What each of them gives, and how it fails, stands in the documentation of the crate, where its users look.

mod access;
mod body;
mod granted;
mod principal;
mod request_id;
mod session;
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
    session::Session,
    tenant::Tenant,
};
use crate::{
    answer::error::Error,
    request::{Admission, RequestState},
};

/// Gives `take` what the gate knows of a request that it let in.
fn let_in<T>(
    request: &HttpRequest,
    take: impl FnOnce(&Rc<RequestState>, &Admission) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some(state) = RequestState::of(request) else {
        return Err(Error::without_gate());
    };

    let admission = state
        .admission()
        .ok_or_else(|| state.error(Refusal::with_detail(Reason::InvalidRequirement, "not_let_in")))?;
    take(&state, &admission)
}

/// Returns the refusal of whoever has no principal, on a route of this access.
fn nobody(access: requirement::Access) -> Refusal {
    match access {
        requirement::Access::Public => {
            Refusal::with_detail(Reason::InvalidRequirement, "principal_on_public_route")
        }
        requirement::Access::Anonymous => {
            Refusal::with_detail(Reason::InvalidRequirement, "principal_on_anonymous_route")
        }
        requirement::Access::Optional | requirement::Access::Protected => {
            Refusal::new(Reason::MissingCredential)
        }
    }
}

use std::ops::Deref;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use iam_core::{
    decision::{Reason, Refusal},
    principal,
};

use super::{let_in, nobody};
use crate::answer::error::Error;

/// The authenticated principal, a person or a machine, with its tenant.
///
/// ```
/// use iam_actix::Principal;
///
/// async fn whoami(principal: Principal) -> String {
///     principal.subject().to_owned()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Principal(principal::Principal);

/// The authenticated principal, if it is a person.
///
/// ```
/// use iam_actix::Identity;
///
/// async fn hello(user: Identity) -> String {
///     format!("hello {}", user.subject())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Identity(principal::Identity);

/// The authenticated principal, if it is a machine: an OAuth 2 client.
///
/// ```
/// use iam_actix::Client;
///
/// async fn report(client: Client) -> String {
///     format!("report for {}", client.client_id())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Client(principal::Client);

impl Principal {
    /// Returns the principal of `iam-core`.
    pub fn into_inner(self) -> principal::Principal {
        self.0
    }
}

impl Deref for Principal {
    type Target = principal::Principal;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Identity {
    type Target = principal::Identity;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Client {
    type Target = principal::Client;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromRequest for Principal {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of(request, |principal| Some(Self(principal.clone()))))
    }
}

impl FromRequest for Identity {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of(request, |principal| match principal {
            principal::Principal::Client(_) => None,
            principal::Principal::Identity(identity) => Some(Self(identity.clone())),
        }))
    }
}

impl FromRequest for Client {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(of(request, |principal| match principal {
            principal::Principal::Client(client) => Some(Self(client.clone())),
            principal::Principal::Identity(_) => None,
        }))
    }
}

/// Returns what `take` makes of the principal, which is `None` for one of the other kind.
fn of<T>(request: &HttpRequest, take: impl FnOnce(&principal::Principal) -> Option<T>) -> Result<T, Error> {
    let_in(request, |state, admission| {
        let Some(principal) = admission.principal() else {
            return Err(state.error(nobody(admission.access())));
        };

        take(principal)
            .ok_or_else(|| state.error(Refusal::with_detail(Reason::RoleDeny, "other_kind_of_principal")))
    })
}

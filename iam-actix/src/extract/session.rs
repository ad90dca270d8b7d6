use std::{ops::Deref, sync::Arc};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use iam_core::{
    decision::{Reason, Refusal},
    principal,
};

use super::{let_in, nobody};
use crate::answer::error::Error;

/// The Kratos session of the person who was authenticated.
///
/// ```
/// use iam_actix::{Error, Session};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Traits {
///     email: String,
/// }
///
/// async fn address(session: Session) -> String {
///     session.traits::<Traits>().map_or_else(|_| "no address".to_owned(), |traits| traits.email)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Session(Arc<principal::Session>);

impl Session {
    /// Returns the session as the core knows it.
    pub fn into_inner(self) -> Arc<principal::Session> {
        self.0
    }
}

impl Deref for Session {
    type Target = principal::Session;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromRequest for Session {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(let_in(request, |state, admission| {
            let Some(principal) = admission.principal() else {
                return Err(state.error(nobody(admission.access())));
            };

            principal.shared_session().map(Self).ok_or_else(|| {
                state.error(Refusal::with_detail(
                    Reason::RoleDeny,
                    "principal_without_session",
                ))
            })
        }))
    }
}

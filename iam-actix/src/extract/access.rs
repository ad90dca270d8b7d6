use std::rc::Rc;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use iam_core::requirement::Freshness;

use super::{let_in, nobody};
use crate::{answer::error::Error, request::RequestState};

/// Permission checks in a handler, where the object is known only from the body or the database.
///
/// The checks are part of the request's one audit event. Its outcome is that of the refusal that becomes the response, else that of
/// the last check. A check after the response, from a body that is streamed, has an event of its own.
///
/// ```
/// use actix_web::{HttpResponse, web};
/// use iam_actix::{Access, Error};
///
/// async fn close(access: Access, order: web::Json<String>) -> Result<HttpResponse, Error> {
///     access.require("orders", "edit", &order).await?;
///     Ok(HttpResponse::NoContent().finish())
/// }
/// ```
#[derive(Debug)]
pub struct Access(Rc<RequestState>);

impl Access {
    /// Asks Keto whether the principal has `relation` to `object` in `namespace`.
    ///
    /// # Errors
    ///
    /// As a response: 403 when the principal does not have it, 400 when `object` cannot name an object, 503 when Keto gives no
    /// answer, 500 when it does not know the namespace or relation.
    pub async fn require(&self, namespace: &str, relation: &str, object: &str) -> Result<(), Error> {
        self.ask([namespace, relation, object], Freshness::Cached).await
    }

    /// Asks as [`Access::require`] does, but never takes the answer from a cache. The session or access token of the request was
    /// looked up before, and may have been cached.
    ///
    /// # Errors
    ///
    /// As for [`Access::require`].
    pub async fn require_fresh(&self, namespace: &str, relation: &str, object: &str) -> Result<(), Error> {
        self.ask([namespace, relation, object], Freshness::Fresh).await
    }

    async fn ask(&self, asked: [&str; 3], freshness: Freshness) -> Result<(), Error> {
        self.0
            .require(asked, freshness)
            .await
            .map_err(|refusal| self.0.error(refusal))
    }
}

impl FromRequest for Access {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(let_in(request, |state, admission| match admission.principal() {
            Some(_) => Ok(Self(Rc::clone(state))),
            None => Err(state.error(nobody(admission.access()))),
        }))
    }
}

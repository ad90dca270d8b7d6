use std::sync::Arc;

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use iam_core::tenant;

use super::let_in;
use crate::answer::error::Error;

/// The tenant that the request was decided for: the route's, or the default one.
///
/// ```
/// use iam_actix::Tenant;
///
/// async fn whose(tenant: Tenant) -> String {
///     tenant.name().to_owned()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Tenant(Arc<tenant::Tenant>);

impl Tenant {
    /// Returns the tenant's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl FromRequest for Tenant {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(let_in(request, |_, admission| {
            Ok(Self(Arc::clone(admission.tenant())))
        }))
    }
}

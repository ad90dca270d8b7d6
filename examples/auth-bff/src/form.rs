//! What was filled in?

use std::time::Duration;

use actix_web::{
    Error, FromRequest, HttpRequest, dev::Payload, http::StatusCode, rt::time::timeout, web::Bytes,
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use iam_actix::ProblemDetails;

/// A form, as it came. *Unverified*: Kratos reads it.
pub(crate) struct Form(pub(crate) Bytes);

impl FromRequest for Form {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // The routes are public: without a deadline anybody could fill a worker with forms that never end.
        let arrival = timeout(FORM, Bytes::from_request(request, payload));
        async move {
            match arrival.await {
                Ok(Ok(form)) => Ok(Self(form)),
                Ok(Err(err)) => {
                    let status = err.as_response_error().status_code();
                    Err(refused(status, "the form cannot be taken"))
                }
                Err(_) => Err(refused(
                    StatusCode::REQUEST_TIMEOUT,
                    "the form took too long to arrive",
                )),
            }
        }
        .boxed_local()
    }
}

fn refused(status: StatusCode, detail: &'static str) -> Error {
    ProblemDetails::new(status).detail(detail).into()
}

/// The largest form that is taken, in bytes.
pub(crate) const LARGEST_FORM: usize = 64 << 10;
/// How long a client may take over the whole form, counted from the end of the head. The largest one needs a line of
/// little more than 100 kbit/s.
const FORM: Duration = Duration::from_secs(5);

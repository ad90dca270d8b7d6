//! Did the body arrive, and in time?

use std::time::Duration;

use actix_web::{
    Error, FromRequest, HttpRequest, dev::Payload, error::InternalError, http::StatusCode, rt::time::timeout,
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};

use crate::problem::ProblemDetails;

/// What a handler takes from a body that arrived whole and in time. *Unverified*: as it came.
///
/// The gate decides by a request's head and never waits for the body, so a caller whom it let in could keep one open for
/// as long as it likes. `T` is any extractor that reads a body: `Json<…>`, `Form<…>`, `Bytes`. It still has its own
/// configuration, such as the limit of a [`JsonConfig`](actix_web::web::JsonConfig) or a
/// [`PayloadConfig`](actix_web::web::PayloadConfig).
///
/// ```
/// use actix_web::{
///     App, post,
///     web::{Json, JsonConfig},
/// };
/// use iam_actix::Body;
///
/// #[post("/sum")]
/// async fn sum(Body(Json(numbers)): Body<Json<Vec<i64>>>) -> String {
///     numbers.into_iter().sum::<i64>().to_string()
/// }
///
/// let app = App::new()
///     .app_data(JsonConfig::default().limit(16 << 10))
///     .service(sum);
/// # drop(app);
/// ```
///
/// # Errors
///
/// 408 after the deadline of [`BodyConfig`], which also ends the connection; else what `T` fails with, such as 400 or 413.
/// The caller is told in [`ProblemDetails`] of fixed words, nothing of what was in the body. The cause stays with the
/// response, for middleware: Actix Web's `Logger` prints it at the level *debug*.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "handlers take it apart where it stands, as they do `Json`"
)]
pub struct Body<T>(pub T);

impl<T> FromRequest for Body<T>
where
    T: FromRequest<Future: 'static> + 'static,
{
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let config = request.app_data().copied().unwrap_or(BodyConfig::DEFAULT);
        let arrival = timeout(config.deadline, T::from_request(request, payload));
        async move {
            match arrival.await {
                Ok(Ok(body)) => Ok(Self(body)),
                Ok(Err(cause)) => Err(unreadable(cause.into())),
                Err(_) => Err(ProblemDetails::new(StatusCode::REQUEST_TIMEOUT)
                    .detail("the body took too long to arrive")
                    .into()),
            }
        }
        .boxed_local()
    }
}

/// Keeps the status of an extractor's error, and replaces what it says.
fn unreadable(cause: Error) -> Error {
    let problem =
        ProblemDetails::new(cause.as_response_error().status_code()).detail("the body cannot be taken");
    InternalError::from_response(cause, problem.into()).into()
}

/// How long a [`Body`] may take: data of an application, a scope or a resource.
///
/// ```
/// use std::time::Duration;
///
/// use actix_web::web;
/// use iam_actix::BodyConfig;
///
/// let uploads = web::scope("/uploads").app_data(BodyConfig::default().deadline(Duration::from_secs(60)));
/// # drop(uploads);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyConfig {
    deadline: Duration,
}

impl BodyConfig {
    const DEFAULT: Self = Self {
        deadline: Duration::from_secs(5),
    };

    /// Sets how long a whole body may take from the end of the request's head. Defaults to 5 seconds, in which a line of
    /// 100 kbit/s carries 60 KiB.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        body::MessageBody as _,
        error::PayloadError,
        http::header::ContentType,
        test::TestRequest,
        web::{Bytes, Json, JsonConfig, PayloadConfig},
    };
    use futures_util::stream;

    use super::*;

    fn json(body: &'static str) -> TestRequest {
        TestRequest::post()
            .app_data(JsonConfig::default().limit(8))
            .app_data(PayloadConfig::new(8))
            .insert_header(ContentType::json())
            .set_payload(body)
    }

    /// Makes the payload of a body that never ends.
    fn endless() -> Payload {
        Payload::Stream {
            payload: Box::pin(stream::pending::<Result<Bytes, PayloadError>>()),
        }
    }

    /// Returns the status of an extractor's error and what its answer says.
    fn told<T>(refused: Result<Body<T>, Error>) -> (u16, String) {
        let response = refused.err().unwrap().error_response();
        let status = response.status().as_u16();
        let body = response.into_body().try_into_bytes().unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn read<T: FromRequest<Future: 'static> + 'static>(request: TestRequest) -> Result<Body<T>, Error> {
        let (request, mut payload) = request.to_http_parts();
        Body::from_request(&request, &mut payload).await
    }

    #[actix_web::test]
    async fn body_that_never_ends_is_a_timeout() {
        let config = BodyConfig::default().deadline(Duration::from_millis(1));
        let (request, _) = TestRequest::post().app_data(config).to_http_parts();

        let refused = Body::<Bytes>::from_request(&request, &mut endless()).await;

        assert_eq!(
            told(refused),
            (
                408,
                r#"{"type":"about:blank","title":"Request Timeout","status":408,"detail":"the body took too long to arrive"}"#
                    .to_owned()
            )
        );
    }

    #[actix_web::test]
    async fn body_that_cannot_be_read_keeps_its_status_and_loses_its_words() {
        let refused = [
            (400, told(read::<Json<u8>>(json("<secret")).await)),
            (400, told(read::<Json<u8>>(TestRequest::post()).await)),
            (413, told(read::<Json<u8>>(json("123456789")).await)),
            (413, told(read::<Bytes>(json("123456789")).await)),
        ];

        for (status, (seen, words)) in refused {
            assert_eq!(seen, status, "{words}");
            assert!(
                words.ends_with(r#""detail":"the body cannot be taken"}"#),
                "{words}"
            );
        }
    }

    #[actix_web::test]
    async fn body_that_arrives_is_what_the_extractor_makes_of_it() {
        let Body(Json(number)) = read::<Json<u32>>(json("12345678")).await.unwrap();
        let Body(bytes) = read::<Bytes>(json("12345678")).await.unwrap();

        assert_eq!(number, 12_345_678);
        assert_eq!(bytes, "12345678");
    }
}

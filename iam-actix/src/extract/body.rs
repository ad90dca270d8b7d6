//! Bodies that must arrive whole and before a deadline.
//!
//! Access was already granted when a body is read, so an error here is no denial. It has the status that HTTP defines for
//! it.

use std::time::Duration;

use actix_web::{
    Error, FromRequest, HttpRequest, dev::Payload, http::StatusCode, rt::time::timeout, web::Data,
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};

use crate::answer::problem::ProblemDetails;

/// An extractor's value from a body that arrived whole and in time. *Unverified.*
///
/// The gate decides by a request's head and never waits for the body, so an authenticated caller could keep a body open
/// indefinitely. `T` is any extractor that reads the whole body: `Json<…>`, `Form<…>`, `Bytes`, `String`. `Payload` and
/// `Multipart` only return a stream, and that stream has no deadline.
///
/// `T` keeps its own configuration, such as the limit of a [`JsonConfig`](actix_web::web::JsonConfig) or a
/// [`PayloadConfig`](actix_web::web::PayloadConfig). Only the status of an `error_handler`'s response is kept.
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
/// 408 after the deadline of [`BodyConfig`], which also closes the connection, or over HTTP/2 the stream. Otherwise the
/// status of the error of `T`, such as 400 or 413. The response has a fixed text, and the cause is not kept, because it may
/// quote the body.
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
    type Error = ProblemDetails;
    type Future = LocalBoxFuture<'static, Result<Self, ProblemDetails>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let arrival = timeout(
            BodyConfig::of(request).deadline,
            T::from_request(request, payload),
        );
        async move {
            match arrival.await {
                Ok(Ok(body)) => Ok(Self(body)),
                Ok(Err(cause)) => Err(unreadable(&cause.into())),
                Err(_) => Err(LATE),
            }
        }
        .boxed_local()
    }
}

/// Keeps only the status of an extractor's error, because its text may quote the body.
fn unreadable(cause: &Error) -> ProblemDetails {
    ProblemDetails::new(cause.as_response_error().status_code()).detail("the body cannot be taken")
}

const LATE: ProblemDetails =
    ProblemDetails::new(StatusCode::REQUEST_TIMEOUT).detail("the body took too long to arrive");

/// The deadline of a [`Body`]: application data of an application, a scope or a resource, plain or in a [`Data`].
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

    fn of(request: &HttpRequest) -> Self {
        let shared = || request.app_data::<Data<Self>>().map(|config| ***config);
        request
            .app_data()
            .copied()
            .or_else(shared)
            .unwrap_or(Self::DEFAULT)
    }

    /// Sets the longest time for a whole body, from the moment when the handler's extractor begins to read. Defaults to 5
    /// seconds, in which a line of 100 kbit/s carries 60 KiB.
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
        HttpResponse, ResponseError as _,
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

    /// Returns the status and the body of an extractor's error.
    fn told<T>(refused: Result<Body<T>, ProblemDetails>) -> (u16, String) {
        says(refused.err().unwrap().error_response())
    }

    fn says(response: HttpResponse) -> (u16, String) {
        let status = response.status().as_u16();
        let body = response.into_body().try_into_bytes().unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn read<T: FromRequest<Future: 'static> + 'static>(
        request: TestRequest,
    ) -> Result<Body<T>, ProblemDetails> {
        let (request, mut payload) = request.to_http_parts();
        Body::from_request(&request, &mut payload).await
    }

    #[actix_web::test]
    async fn body_that_never_ends_is_a_timeout() {
        let config = BodyConfig::default().deadline(Duration::from_millis(1));

        for request in [
            TestRequest::post().app_data(config),
            TestRequest::post().app_data(Data::new(config)),
        ] {
            let (request, _) = request.to_http_parts();
            let refused = timeout(
                Duration::from_secs(2),
                Body::<Bytes>::from_request(&request, &mut endless()),
            );

            assert_eq!(
                told(refused.await.unwrap()),
                (
                    408,
                    r#"{"type":"about:blank","title":"Request Timeout","status":408,"detail":"the body took too long to arrive"}"#
                        .to_owned()
                )
            );
        }
    }

    /// Middleware may render the error of a response again, and Actix Web's `Logger` logs it.
    #[actix_web::test]
    async fn refusal_says_the_same_however_often_it_is_asked_and_nothing_of_the_body() {
        let refused = read::<Json<Word>>(json(r#""secret""#).app_data(JsonConfig::default())).await;

        let response = HttpResponse::from_error(refused.err().unwrap());
        let kept = response.error().unwrap();
        for text in [format!("{kept:?}"), format!("{kept:#?}"), kept.to_string()] {
            assert!(text.contains("the body cannot be taken"), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(kept.as_response_error().status_code(), 400);
        let (once, again) = (kept.error_response(), kept.error_response());
        let first = says(response);
        assert_eq!(first.0, 400);
        assert_eq!(says(once), first);
        assert_eq!(says(again), first);
    }

    /// An extractor whose error quotes the body.
    #[derive(Debug, serde::Deserialize)]
    enum Word {
        Known,
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

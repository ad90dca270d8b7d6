use std::{
    future::Future,
    pin::pin,
    sync::mpsc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use super::*;
use crate::test_upstream::{Answer, TestUpstream};

const LIMITS: CallLimits = CallLimits::new(Duration::from_secs(5), 1024);
const SHORT: CallLimits = CallLimits::new(Duration::from_millis(150), 1024);

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn client(threads: &Threads) -> Client {
    threads.client(ConcurrencyLimit::new(10))
}

async fn ask(upstream: &TestUpstream, limits: CallLimits) -> Result<Response<Bytes>, TransportError> {
    let threads = Threads::start(1).unwrap();
    client(&threads).send(get(&upstream.url("/x")), limits).await
}

fn raw(text: &str) -> TestUpstream {
    TestUpstream::always(Answer::Raw(text.as_bytes().to_vec()))
}

/// Polls a future without any runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn an_answer_comes_back_whole_without_any_runtime_of_the_callers() {
    let upstream = TestUpstream::always(Answer::Json(418, r#"{"a":1}"#.to_owned()));
    let threads = Threads::start(2).unwrap();
    let request = Request::post(upstream.url("/x?y=z"))
        .header("x-request-id", "r-1")
        .body(Bytes::from_static(b"question"))
        .unwrap();

    let answer = block_on(client(&threads).send(request, LIMITS)).unwrap();

    assert_eq!(answer.status(), 418);
    assert_eq!(answer.body().as_ref(), br#"{"a":1}"#);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let received = upstream.requests().pop().unwrap();
    assert_eq!(received.line, "POST /x?y=z HTTP/1.1");
    assert_eq!(received.body, "question");
    assert_eq!(received.header("x-request-id"), Some("r-1"));
    assert_eq!(received.header("accept-encoding"), Some("identity"));
}

#[actix_web::test]
async fn a_connection_is_used_again_under_actix() {
    let upstream = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let threads = Threads::start(1).unwrap();
    let client = client(&threads);

    for _ in 0..5 {
        client.send(get(&upstream.url("/x")), LIMITS).await.unwrap();
    }

    assert_eq!((upstream.count(), upstream.connections()), (5, 1));
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_meanwhile_is_not_used_again() {
    let upstream = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let threads = Threads::start(1).unwrap();
    let client = client(&threads);
    client.send(get(&upstream.url("/x")), LIMITS).await.unwrap();

    upstream.close_connections();

    client.send(get(&upstream.url("/x")), LIMITS).await.unwrap();
    assert_eq!(upstream.connections(), 2);
}

/// R123, D90: a redirect is returned as a response, and is not followed.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let upstream = raw(&format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url("/stolen")
    ));

    let answer = ask(&upstream, LIMITS).await.unwrap();

    assert_eq!(answer.status(), 302);
    assert_eq!(elsewhere.connections(), 0);
}

/// D78: an upstream that hangs is a timeout, not an internal error.
#[tokio::test]
async fn an_upstream_that_hangs_is_given_up_at_the_deadline() {
    let upstream = TestUpstream::always(Answer::Hang);

    assert_eq!(ask(&upstream, SHORT).await.err(), Some(TransportError::Timeout));
}

/// R083: the deadline covers the body, not only the head.
#[tokio::test]
async fn an_upstream_that_dribbles_its_body_is_given_up_at_the_deadline() {
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}",
        "x".repeat(500)
    );
    let upstream = TestUpstream::always(Answer::Dribble(text, Duration::from_millis(3)));

    assert_eq!(ask(&upstream, SHORT).await.err(), Some(TransportError::Timeout));
}

#[tokio::test]
async fn an_upstream_that_dribbles_its_head_is_given_up_at_the_deadline() {
    let text = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(500));
    let upstream = TestUpstream::always(Answer::Dribble(text, Duration::from_millis(3)));

    assert_eq!(ask(&upstream, SHORT).await.err(), Some(TransportError::Timeout));
}

/// R142: a body of the largest size passes; one more byte fails, announced or not.
#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let fits = TestUpstream::always(Answer::Json(200, "x".repeat(1024)));
    let announced = TestUpstream::always(Answer::Json(200, "x".repeat(1025)));
    let chunked = raw(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n0\r\n\r\n",
        "x".repeat(1025)
    ));
    let endless = raw(&format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(1 << 20)));

    assert_eq!(ask(&fits, LIMITS).await.unwrap().body().len(), 1024);
    assert_eq!(
        ask(&announced, LIMITS).await.err(),
        Some(TransportError::TooLarge)
    );
    assert_eq!(ask(&chunked, LIMITS).await.err(), Some(TransportError::TooLarge));
    assert_eq!(ask(&endless, LIMITS).await.err(), Some(TransportError::TooLarge));
}

#[tokio::test]
async fn a_head_beyond_reason_is_refused() {
    let upstream = raw(&format!(
        "HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n",
        "x".repeat(1 << 20)
    ));

    let refused = ask(&upstream, LIMITS).await.unwrap_err();

    assert!(
        matches!(refused, TransportError::TooLarge | TransportError::Protocol),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_body_that_ends_before_its_announced_length_is_refused() {
    let short = raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}");
    let empty = raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    let nonsense = raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}");
    let twice = raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}");

    for upstream in [short, empty, nonsense, twice] {
        assert_eq!(ask(&upstream, LIMITS).await.err(), Some(TransportError::Protocol));
    }
}

/// RFC 9112 §6.3, as in `jwks_response_until_close.http`.
#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_read() {
    let body = r#"{"keys":[]}"#;
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nConnection: close\n\n",
        "HTTP/1.1 500 HTTP/1.1\r\nConnection: keep-alive\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
    ] {
        for text in [format!("{head}{body}"), format!("\r\n{head}{body}")] {
            let answer = ask(&raw(&text), LIMITS).await.unwrap();

            assert_eq!(answer.body().as_ref(), body.as_bytes(), "{text:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_read_byte_by_byte_and_after_a_request_with_a_body() {
    let text = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}".to_owned();
    let upstream = TestUpstream::always(Answer::Dribble(text, Duration::from_millis(1)));
    let threads = Threads::start(1).unwrap();
    let client = client(&threads);

    for _ in 0..2 {
        let request = Request::post(upstream.url("/x")).body(Bytes::from_static(b"question"));
        let answer = client.send(request.unwrap(), LIMITS).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"{}");
    }
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_limited_and_does_not_outlast_the_deadline() {
    let endless = raw(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1025)));
    let open = TestUpstream::always(Answer::RawKept(b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec()));

    assert_eq!(ask(&endless, LIMITS).await.err(), Some(TransportError::TooLarge));
    assert_eq!(ask(&open, SHORT).await.err(), Some(TransportError::Timeout));
}

#[tokio::test]
async fn an_answer_that_has_no_body_is_not_waited_for() {
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status} Whatever\r\n\r\n");
        let upstream = TestUpstream::always(Answer::RawKept(text.into_bytes()));

        let answer = ask(&upstream, SHORT).await.unwrap();

        assert!(answer.body().is_empty());
    }
}

#[tokio::test]
async fn bytes_beyond_the_announced_length_do_not_become_the_next_answer() {
    let upstream = TestUpstream::start(|request| {
        if request.line.contains("first") {
            Answer::RawKept(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
                    .to_vec(),
            )
        } else {
            Answer::Json(200, "real".to_owned())
        }
    });
    let threads = Threads::start(1).unwrap();
    let client = client(&threads);

    let first = client.send(get(&upstream.url("/first")), LIMITS).await.unwrap();
    let second = client.send(get(&upstream.url("/second")), LIMITS).await.unwrap();

    assert_eq!(first.body().as_ref(), b"{}");
    assert_eq!(second.body().as_ref(), b"real");
}

/// A small body must not expand to a large one: nothing is decompressed.
#[tokio::test]
async fn an_unrequested_compressed_answer_is_refused() {
    let upstream = raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x0b");

    assert_eq!(ask(&upstream, LIMITS).await.err(), Some(TransportError::Protocol));
}

#[tokio::test]
async fn garbage_instead_of_http_is_refused() {
    for text in [
        "\0\0\0\0\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "{}",
    ] {
        assert_eq!(
            ask(&raw(text), LIMITS).await.err(),
            Some(TransportError::Protocol),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_no_answer() {
    let upstream = TestUpstream::always(Answer::Close);

    assert_eq!(ask(&upstream, LIMITS).await.err(), Some(TransportError::Protocol));
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    let threads = Threads::start(1).unwrap();

    assert_eq!(
        client(&threads)
            .send(get("http://127.0.0.1:1/x"), LIMITS)
            .await
            .err(),
        Some(TransportError::Connect)
    );
    assert_eq!(
        client(&threads)
            .send(get("http://does-not-exist.invalid/x"), LIMITS)
            .await
            .err(),
        Some(TransportError::Connect)
    );
}

/// R129: an upstream that does not prove its identity gets no request.
#[tokio::test]
async fn plain_text_where_tls_is_expected_is_refused() {
    let plain = raw("HTTP/1.1 400 Bad Request\r\n\r\n");
    let threads = Threads::start(1).unwrap();
    let url = plain.url("/x").replace("http://", "https://");

    let refused = client(&threads).send(get(&url), SHORT).await.unwrap_err();

    assert!(
        matches!(refused, TransportError::Tls | TransportError::Timeout),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_affects_no_other_call() {
    let upstream = TestUpstream::start(|request| {
        if request.line.contains("hang") {
            Answer::Hang
        } else {
            Answer::Late(Duration::from_millis(100), 200, "{}".to_owned())
        }
    });
    let threads = Threads::start(1).unwrap();
    // There is one slot: a call that does not return it would block the other calls.
    let client = threads.client(ConcurrencyLimit::new(1));

    let gone = client.send(get(&upstream.url("/hang")), LIMITS);
    let stays = client.send(get(&upstream.url("/x")), LIMITS);
    drop(gone);

    assert_eq!(stays.await.unwrap().status(), 200);
}

/// R164: each upstream has its own slots.
#[tokio::test]
async fn an_upstream_that_hangs_starves_no_other() {
    let hanging = TestUpstream::always(Answer::Hang);
    let healthy = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let threads = Threads::start(1).unwrap();
    let (bad, good) = (client(&threads), client(&threads));
    let stuck: Vec<_> = (0..130)
        .filter_map(|_| match bad.dispatch(get(&hanging.url("/x")), LIMITS) {
            Ok(waiting) => Some(waiting),
            Err(err) => {
                assert_eq!(err, TransportError::Busy);
                None
            }
        })
        .collect();

    let answer = good.send(get(&healthy.url("/x")), LIMITS).await.unwrap();

    assert_eq!(answer.status(), 200);
    assert_eq!(stuck.len(), 120, "ten under way, a hundred and ten waiting");
    assert_eq!(
        bad.send(get(&hanging.url("/x")), LIMITS).await.err(),
        Some(TransportError::Busy)
    );
}

#[tokio::test]
async fn who_waits_for_a_slot_keeps_its_own_deadline() {
    let upstream = TestUpstream::always(Answer::Hang);
    let threads = Threads::start(1).unwrap();
    let client = threads.client(ConcurrencyLimit::new(1));

    let _holds_the_slot = client.dispatch(get(&upstream.url("/x")), LIMITS).unwrap();

    assert_eq!(
        client.send(get(&upstream.url("/x")), SHORT).await.err(),
        Some(TransportError::Timeout)
    );
}

#[tokio::test]
async fn calls_under_way_are_cancelled_when_the_threads_stop() {
    let upstream = TestUpstream::always(Answer::Hang);
    let threads = Threads::start(2).unwrap();
    let client = client(&threads);
    let calls = [
        client.send(get(&upstream.url("/x")), LIMITS),
        client.send(get(&upstream.url("/x")), LIMITS),
    ];

    drop(threads);

    for call in calls {
        assert_eq!(call.await.err(), Some(TransportError::Cancel));
    }
    assert_eq!(
        client.send(get(&upstream.url("/x")), LIMITS).await.err(),
        Some(TransportError::Cancel)
    );
}

#[test]
fn the_last_owner_may_be_dropped_on_the_thread_itself() {
    let threads = Arc::new(Threads::start(1).unwrap());
    let (tell, told) = mpsc::channel();
    let (release, released) = oneshot::channel::<()>();
    let owned = Arc::clone(&threads);
    threads.spawner().spawn(move || async move {
        let _ = released.await;
        drop(owned);
        tell.send(()).unwrap();
    });

    drop(threads);
    release.send(()).unwrap();

    told.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[tokio::test]
async fn a_panic_in_one_task_ends_no_other_call() {
    let upstream = TestUpstream::always(Answer::Json(200, "{}".to_owned()));
    let threads = Threads::start(1).unwrap();

    threads.spawner().spawn(|| async { panic!("on purpose") });

    let answer = client(&threads).send(get(&upstream.url("/x")), LIMITS).await;
    assert_eq!(answer.unwrap().status(), 200);
}

/// R131: no part of a request can be printed.
#[test]
fn debug_output_of_client_and_error_holds_nothing_of_the_request() {
    let threads = Threads::start(1).unwrap();
    let client = client(&threads);
    let failed = block_on(client.send(get("http://127.0.0.1:1/secret"), LIMITS)).unwrap_err();

    assert_eq!(format!("{client:?}"), "Client { .. }");
    assert!(!format!("{failed:?} {failed}").contains("secret"));
}

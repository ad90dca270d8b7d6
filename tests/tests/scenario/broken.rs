//! Ports that break one promise each.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use iam_actix::Ports;
use iam_core::{
    clock::Timestamp,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    replay::{Claim, ClaimFuture, ReplayId, ReplayStore},
};
use scenario::client;
use serde_json::Value;

/// Checks and stores an id in two separate calls, with time between them.
pub(crate) fn replay_in_two_calls() -> Ports {
    Ports::default().replay_store(Arc::new(TwoCalls::default()))
}

/// Stores no id.
pub(crate) fn forgetful() -> Ports {
    Ports::default().replay_store(Arc::new(Forgetful))
}

/// Treats an upstream without an answer as one that allows.
pub(crate) fn yes_when_down() -> Ports {
    Ports::default().http_client(Arc::new(Client::YesWhenDown))
}

/// Fetches each key set once and never again.
pub(crate) fn first_answer_for_ever() -> Ports {
    Ports::default().http_client(Arc::new(Client::FirstAnswerForEver(Arc::default())))
}

/// Fetches every key set three times.
pub(crate) fn asks_three_times() -> Ports {
    Ports::default().http_client(Arc::new(Client::ThreeTimes))
}

/// Loses all keys but the newest: in a key set with several keys, the others get its modulus.
pub(crate) fn loses_older_keys() -> Ports {
    Ports::default().http_client(Arc::new(Client::NewestKeyOnly))
}

#[derive(Debug, Default)]
struct TwoCalls(Arc<Mutex<HashSet<String>>>);

impl ReplayStore for TwoCalls {
    fn claim(&self, id: ReplayId<'_>, _until: Timestamp, now: Timestamp) -> ClaimFuture {
        let (seen, id) = (Arc::clone(&self.0), format!("{id:?}"));
        ClaimFuture::boxed(async move {
            if seen.lock().unwrap().contains(&id) {
                return Ok(Claim::Replayed { first_seen: now });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            seen.lock().unwrap().insert(id);
            Ok(Claim::First)
        })
    }
}

#[derive(Debug)]
struct Forgetful;

impl ReplayStore for Forgetful {
    fn claim(&self, _id: ReplayId<'_>, _until: Timestamp, _now: Timestamp) -> ClaimFuture {
        ClaimFuture::ready(Ok(Claim::First))
    }
}

type Kept = Arc<Mutex<HashMap<String, http::Response<Bytes>>>>;

#[derive(Debug)]
enum Client {
    FirstAnswerForEver(Kept),
    NewestKeyOnly,
    ThreeTimes,
    YesWhenDown,
}

impl HttpClient for Client {
    fn send(
        &self,
        request: http::Request<Bytes>,
        _limits: CallLimits,
    ) -> BoxFuture<Result<http::Response<Bytes>, TransportError>> {
        match self {
            Self::FirstAnswerForEver(kept) => {
                let kept = Arc::clone(kept);
                Box::pin(async move {
                    let url = request.uri().to_string();
                    if !is_key_set(&request) {
                        return exchange(&request).await;
                    }
                    if let Some(answer) = kept.lock().unwrap().get(&url) {
                        return Ok(answer.clone());
                    }
                    let answer = exchange(&request).await?;
                    kept.lock().unwrap().insert(url, answer.clone());
                    Ok(answer)
                })
            }
            Self::NewestKeyOnly => Box::pin(async move {
                let answer = exchange(&request).await?;
                Ok(if is_key_set(&request) {
                    answer.map(|set| newest_key_only(&set))
                } else {
                    answer
                })
            }),
            Self::ThreeTimes => Box::pin(async move {
                for _ in 0..if is_key_set(&request) { 2 } else { 0 } {
                    let _ = exchange(&request).await;
                }
                exchange(&request).await
            }),
            Self::YesWhenDown => Box::pin(async move {
                let yes = Bytes::from_static(br#"{"results":[{"allowed":true}]}"#);
                Ok(exchange(&request).await.unwrap_or_else(|_| json(200, yes)))
            }),
        }
    }
}

/// A key that left the set is still accepted for its grace, unless another key has taken over its id.
fn newest_key_only(set: &[u8]) -> Bytes {
    let mut set: Value = serde_json::from_slice(set).unwrap();
    let keys = set.get_mut("keys").and_then(Value::as_array_mut).unwrap();
    let newest = keys.last().and_then(|key| key.get("n")).cloned().unwrap();
    for key in keys {
        key.as_object_mut()
            .unwrap()
            .insert("n".to_owned(), newest.clone());
    }
    Bytes::from(set.to_string())
}

fn is_key_set(request: &http::Request<Bytes>) -> bool {
    request.uri().path() == "/.well-known/jwks.json"
}

/// Sends the request like the real client. A login through a broken service still sends cookies.
async fn exchange(request: &http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
    let to: SocketAddr = request
        .uri()
        .authority()
        .and_then(|authority| authority.as_str().parse().ok())
        .ok_or(TransportError::Connect)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut sent = match serde_json::from_slice(request.body()) {
        Ok(body) => client::Request::post(path, &body),
        Err(_) => client::Request::get(path),
    };
    for name in ["cookie", "x-session-token"] {
        if let Some(value) = request.headers().get(name) {
            sent = sent.header(name, value.to_str().unwrap());
        }
    }

    let answer = sent.send(to).await.map_err(|_| TransportError::Connect)?;
    let mut response = json(answer.status(), Bytes::from(answer.text()));
    for cookie in answer.header_lines("set-cookie") {
        let headers = response.headers_mut();
        headers.append(http::header::SET_COOKIE, cookie.parse().unwrap());
    }
    Ok(response)
}

fn json(status: u16, body: Bytes) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

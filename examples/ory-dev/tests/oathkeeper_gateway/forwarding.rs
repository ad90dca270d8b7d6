//! Forwarded requests and relayed answers.

use std::{
    collections::BTreeSet,
    io::{Error, Write},
    net::TcpStream,
};

use actix_web::web::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::{
    noop,
    oathkeeper_support::{Stand, ask},
    open_stand, raw, raw_get, rule,
};

#[actix_web::test]
async fn what_claims_to_come_from_a_proxy_or_is_about_the_connection_does_not_reach_the_service() {
    let stand = open_stand();
    let headers = [
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-User", "root"),
        ("Forwarded", "for=1.2.3.4"),
        ("Connection", "keep-alive, X-Secret-Hop"),
        ("X-Secret-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Upgrade", "websocket"),
        ("X-Kept", "1"),
    ]
    .map(|(name, value)| (name, value.to_owned()));

    let answer = raw_get(&stand, &headers);

    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    let reached: BTreeSet<&str> = body["headers"]
        .as_array()
        .expect("headers")
        .iter()
        .filter_map(|pair| pair[0].as_str())
        .collect();
    assert_eq!(
        reached,
        BTreeSet::from(["date", "host", "x-gate", "x-kept", "x-user"])
    );
}

#[actix_web::test]
async fn the_noop_mutator_leaves_one_value_of_each_header() {
    let headers = [("X-A", "1".to_owned()), ("X-A", "2".to_owned())];
    let noop_stand = Stand::start(&json!([rule("/a", &["noop"], &noop())]));
    let other_stand = open_stand();

    assert_eq!(
        noop_stand.ask("GET", "/a", &headers).await.echoed_all("x-a"),
        ["1"]
    );
    assert_eq!(
        other_stand.ask("GET", "/a", &headers).await.echoed_all("x-a"),
        ["1", "2"]
    );
}

#[actix_web::test]
async fn statuses_and_cookies_of_the_service_reach_the_caller() {
    let stand = open_stand();
    for status in ["201", "302", "404", "418", "500", "503"] {
        let answer = stand
            .ask("GET", "/a", &[("X-Echo-Status", status.to_owned())])
            .await;

        assert_eq!(answer.status.to_string(), status);
        let cookies: Vec<_> = answer.cookies().collect();
        assert_eq!(
            cookies,
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]
        );
        assert_eq!(answer.header("x-service"), Some("echo"));
        assert_eq!(answer.header("keep-alive"), None);
    }
}

#[actix_web::test]
async fn answers_without_a_body_have_none() {
    let stand = open_stand();

    let head = raw(
        &stand,
        format!(
            "HEAD /a HTTP/1.1\r\nHost: {}\r\nX-Echo-Plain: 100\r\nConnection: close\r\n\r\n",
            stand.gateway.proxy_addr()
        )
        .as_bytes(),
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("content-length: 100\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");

    for status in ["204", "304"] {
        let answer = stand
            .ask("GET", "/a", &[("X-Echo-Status", status.to_owned())])
            .await;
        assert_eq!(
            (answer.status.to_string().as_str(), answer.body.len()),
            (status, 0)
        );
    }
}

#[actix_web::test]
async fn large_bodies_pass_in_both_directions() {
    let stand = open_stand();
    let addr = stand.gateway.proxy_addr();
    let large = "x".repeat(16 << 20);

    let sized = ask(addr, "POST", "/a", &[], Some(&large)).await;
    assert_eq!(sized.json()["body"], large.len().to_string());
    assert_eq!(sized.echoed("content-length"), Some(large.len().to_string()));

    let chunk = Bytes::from(vec![b'x'; 64_000]);
    let chunks = stream::iter(vec![chunk; 100]).map(Ok::<_, Error>);
    let client = awc::Client::new();
    let mut answer = client
        .post(format!("http://{addr}/a"))
        .send_stream(chunks)
        .await
        .expect("an answer");
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["body"], "6400000");

    let answer = stand
        .ask("GET", "/a", &[("X-Echo-Plain", "65000".to_owned())])
        .await;
    assert_eq!(answer.body.len(), 65_000);
    assert_eq!(answer.header("content-length"), Some("65000"));
}

#[actix_web::test]
async fn a_service_that_is_down_is_a_bare_502() {
    let stand = open_stand();
    assert_eq!(stand.ask("GET", "/a", &[]).await.status, 200);
    let Stand { echo, gateway, .. } = stand;
    echo.stop().await;

    for method in ["GET", "POST"] {
        let answer = ask(gateway.proxy_addr(), method, "/a", &[], None).await;
        assert_eq!((answer.status, answer.body.len()), (502, 0), "{method}");
    }
}

#[actix_web::test]
async fn paths_are_stripped_and_hosts_kept_when_the_rule_says_so() {
    let mut stripped = rule("/api", &["noop"], &noop());
    stripped["upstream"] =
        json!({"url": "http://127.0.0.1:3001/base/", "strip_path": "/api", "preserve_host": true});
    let stand = Stand::start(&json!([stripped, rule("/a", &["noop"], &noop())]));

    let answer = stand.ask("GET", "/api/x/../y%20z?q=1&r=%2F", &[]).await;
    assert_eq!(answer.json()["path"], "/base/y%20z?q=1&r=%2F");
    assert_eq!(
        answer.echoed("host"),
        Some(stand.gateway.proxy_addr().to_string())
    );

    let plain = stand.ask("GET", "/a/b/", &[]).await;
    assert_eq!(plain.json()["path"], "/a/b");
    assert_eq!(plain.echoed("host"), Some(stand.echo.addr().to_string()));
}

#[actix_web::test]
async fn malformed_requests_are_refused_and_the_gateway_goes_on() {
    let stand = open_stand();
    let host = stand.gateway.proxy_addr().to_string();
    let with_path = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut requests = vec![
        with_path("/a%"),
        with_path("/a%zz"),
        "GET\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        format!(
            "GET /a HTTP/1.1\r\nHost: {host}\r\nX-A: {}\r\n\r\n",
            "x".repeat(2 << 20)
        ),
        format!(
            "GET /a HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            "X-A: 1\r\n".repeat(10_000)
        ),
        format!("POST /a HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n"),
        format!("POST /a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
        format!(
            "POST /a HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"
        ),
    ];
    requests.push(with_path(&format!("/a?{}", "x".repeat(2 << 20))));
    for request in requests {
        let answer = raw(&stand, request.as_bytes());
        let shown = request.get(..60).unwrap_or(&request);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{shown:?}: {answer}"
        );
    }
    assert_eq!(stand.echo.hits(), 0);
    assert_eq!(stand.ask("GET", "/a", &[]).await.status, 200);
}

#[actix_web::test]
async fn an_upload_that_breaks_off_leaves_the_gateway_working() {
    let stand = open_stand();
    let request = format!(
        "POST /a HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\nabc",
        stand.gateway.proxy_addr()
    );
    let mut stream = TcpStream::connect(stand.gateway.proxy_addr()).expect("a connection");
    stream.write_all(request.as_bytes()).expect("written");
    drop(stream);

    for _ in 0..20 {
        assert_eq!(stand.ask("GET", "/a", &[]).await.status, 200);
    }
}

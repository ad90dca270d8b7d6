//! What runs ends with the last `Iam`. Alone in its file, because it counts the threads of the whole process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, future, thread, time::Duration};

use actix_web::{
    App, HttpResponse,
    rt::{self, task, time},
    test, web,
};
use iam_actix::{Iam, IamConfig};

fn threads() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).ok())
        .collect();
    names.sort();
    names
}

fn ours() -> usize {
    threads().iter().filter(|name| name.starts_with("iam-")).count()
}

/// Waits until that many threads of ours are listed: a new thread is listed before it takes its name, one that was joined a
/// moment longer than it runs.
async fn soon(count: usize) {
    within(Duration::from_secs(5), || ours() == count).await;
}

async fn within(patience: Duration, holds: impl Fn() -> bool) {
    let holding = async {
        while !holds() {
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    let held = time::timeout(patience, holding).await;
    assert!(held.is_ok(), "not in {patience:?}, there are {:?}", threads());
}

async fn start() -> Iam {
    let config = IamConfig::from_toml(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        audience = ["orders-api"]
        [tenants.default.oathkeeper.jwks]
        url = "http://localhost:1/jwks.json"
        [tenants.default.keto]
        read_url = "http://localhost:1"
        "#,
    )
    .unwrap();
    Iam::builder(config).upstream_threads(2).start().await.unwrap()
}

/// Threads come with the first `Iam`, are shared by its clones, and are gone with the last of them, also when that is a
/// middleware inside a running application, a handle on another thread, or a value in a task that is aborted.
#[actix_web::test]
async fn the_number_of_threads_returns_to_its_former_value() {
    let before = threads();
    for _ in 0..5 {
        let iam = start().await;
        let clone = iam.clone();
        let app = test::init_service(
            App::new()
                .route("/", web::get().to(HttpResponse::Ok))
                .service(iam.health())
                .wrap(iam.middleware()),
        )
        .await;
        drop(iam);
        // Two for upstreams, one for the audit.
        soon(3).await;
        let ready = || test::TestRequest::get().uri("/health/ready").to_request();
        assert_eq!(test::call_service(&app, ready()).await.status(), 503);

        drop(clone);
        // The application holds the middleware.
        soon(3).await;
        assert_eq!(test::call_service(&app, ready()).await.status(), 503);
        drop(app);
        soon(0).await;
    }

    let elsewhere = start().await;
    thread::spawn(move || drop(elsewhere)).join().unwrap();
    soon(0).await;

    let held = start().await;
    let holder = rt::spawn(async move {
        future::pending::<()>().await;
        drop(held);
    });
    task::yield_now().await;
    holder.abort();
    let _ = holder.await;
    soon(0).await;

    // Name lookups run on threads of the runtime's own, which end shortly after it.
    within(Duration::from_secs(60), || threads() == before).await;
}

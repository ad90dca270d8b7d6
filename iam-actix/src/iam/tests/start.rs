use std::error::Error;

use iam_core::audit::EventName;

use super::*;
use crate::{StartError, test_log::Log};

fn inline(key_set: &Value) -> IamConfig {
    let key = &key_set["keys"][0];
    IamConfig::from_toml(&format!(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "{ISSUER}"
        audience = ["orders-api"]
        [[tenants.default.oathkeeper.jwks.keys]]
        kty = "EC"
        crv = "P-256"
        kid = {}
        x = {}
        y = {}
        "#,
        key["kid"], key["x"], key["y"]
    ))
    .unwrap()
}

/// What is allowed and dangerous is said when it starts, once for each tenant.
#[tokio::test]
async fn what_is_less_safe_than_by_default_is_said_at_the_start() {
    let key_set = TestIssuer::new().unwrap().key_set();
    let (log, _guard) = Log::listen();
    let said = || ["development mode", "`csrf.enabled = false`"].map(|text| log.count(text));

    drop(Iam::builder(inline(&key_set)).start().await.unwrap());
    assert_eq!(said(), [0, 0]);

    let mut config = inline(&key_set);
    config.development = true;
    config.tenants.get_mut("default").unwrap().csrf.enabled = false;
    drop(Iam::builder(config).start().await.unwrap());
    assert_eq!(said(), [1, 1]);
}

/// Plain http between pods is allowed by a key of its own, and each such URL is logged at every start.
#[tokio::test]
async fn plain_http_beyond_loopback_is_logged_at_every_start() {
    let mut config = inline(&TestIssuer::new().unwrap().key_set());
    let mut keto = iam_core::config::KetoConfig::new("http://keto-read.ory.svc.cluster.local");
    keto.upstream.allow_http = Some(true);
    config.tenants.get_mut("default").unwrap().keto = Some(keto);
    let (log, _guard) = Log::listen();

    for start in 1..=2 {
        drop(Iam::builder(config.clone()).start().await.unwrap());
        let line = "plain http beyond loopback, allowed by `tenants.default.keto.upstream.allow_http`";
        assert_eq!(log.count(line), start);
        assert_eq!(log.count("tenants.default.keto.read_url"), start);
    }
    assert_eq!(log.count("development mode"), 0);
}

/// Every problem at once, for the person who can mend them, and an event for those who watch (D84).
#[tokio::test]
async fn a_configuration_with_problems_starts_nothing_and_lists_them_all() {
    let (sink, mut events) = audit_channel();
    let config = IamConfig::from_toml(
        r#"
        [tenants.default]
        transports = ["oathkeeper"]
        [tenants.default.oathkeeper]
        issuer = "https://gateway.example/"
        algorithms = ["none"]
        [tenants.default.oathkeeper.jwks]
        url = "ftp://gateway.example/keys"
        [tenants.default.keto]
        read_url = "nowhere"
        "#,
    )
    .unwrap();

    let err = Iam::builder(config)
        .audit_sink(Arc::new(sink))
        .start()
        .await
        .unwrap_err();

    let StartError::Config(problems) = &err else {
        panic!("{err}")
    };
    assert!(problems.problems().len() >= 4, "{err}");
    let printed = format!("{:?}", std::io::Error::from(err));
    for path in ["audience", "algorithms", "jwks.url", "keto.read_url"] {
        assert!(printed.contains(path), "{printed}");
    }
    let event = events.next().await.unwrap();
    assert_eq!(event.event, EventName::ConfigBootFailure);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn an_audit_file_that_cannot_be_opened_is_said_and_nothing_starts() {
    let issuer = TestIssuer::new().unwrap();
    let mut config = inline(&issuer.key_set());
    config.audit.sink = iam_core::config::AuditSinkConfig::File("/nowhere/at/all.jsonl".to_owned());

    let err = Iam::builder(config).start().await.unwrap_err();

    assert!(matches!(err, StartError::AuditFile(_)));
    let said = "`audit.sink.file`: the file cannot be opened";
    let cause = Error::source(&err).unwrap().to_string();
    assert_eq!(err.to_string(), said);
    assert_eq!(format!("{err:?}"), format!("{said}: {cause}"));
    let printed = format!("{:?}", std::io::Error::from(err));
    assert_eq!(printed.matches(&cause).count(), 1, "{printed}");
}

#[actix_web::test]
async fn keys_in_the_configuration_need_no_network() {
    let issuer = TestIssuer::new().unwrap();
    let clock = ManualClock::at_system_time();
    let iam = Iam::builder(inline(&issuer.key_set()))
        .clock(Arc::new(clock.clone()))
        .start()
        .await
        .unwrap();
    let app = app(&iam).await;

    let good = issuer.sign(&claims(&clock)).unwrap();
    let unknown = issuer.sign_as("other", &claims(&clock)).unwrap();

    assert_eq!(status(&app, "/orders", &good).await, 200);
    assert_eq!(status(&app, "/orders", &unknown).await, 401);
    assert!(!iam.state.has_threads());
    assert!(iam.tenant("default").unwrap().permissions().is_none());
    assert_eq!(iam.purge_keys("default").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_and_ends_under_the_runtime_of_tokio() {
    let stage = Stage::start().await;
    let services = stage.iam.tenant("default").unwrap();
    let permissions = services.permissions().unwrap();
    drop(services);
    drop(stage.iam);

    // What was handed out keeps the threads alive.
    let tuple = r#"orders:7#view@"user:alice""#.parse().unwrap();
    assert_eq!(permissions.check(&[tuple], "r-1").await, Ok(vec![false]));

    assert_eq!(stage.keto.count(), 1);
    drop(permissions);
    assert_eq!(
        Arc::strong_count(&stage.switches),
        3,
        "only the two servers and the stage"
    );
}

#[tokio::test]
async fn an_iam_whose_middleware_was_never_built_says_so_when_it_goes() {
    let issuer = TestIssuer::new().unwrap();
    let (log, _listening) = Log::listen();

    drop(Iam::builder(inline(&issuer.key_set())).start().await.unwrap());
    assert_eq!(log.count("middleware was never built"), 1);

    let iam = Iam::builder(inline(&issuer.key_set())).start().await.unwrap();
    drop(iam.middleware());
    drop(iam);
    assert_eq!(log.count("middleware was never built"), 1);
}

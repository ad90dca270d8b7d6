//! The scenario: every promise holds, and each step fails when its subject is broken on purpose.
//!
//! These tests use the usual ports of Ory and of the scenario, so they run one after the other.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

mod broken;

use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::{App, HttpResponse, HttpServer, web};
use iam_actix::Ports;
use scenario::{Audit, Report, RunningService, free_address};
use zero_trust::{
    step,
    walk::Walk,
    world::{Options, World},
};

static PORTS: Mutex<()> = Mutex::new(());

fn usual_ports() -> MutexGuard<'static, ()> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a world with a broken part. A broken promise shows within a few rounds.
async fn start(ports: fn() -> Ports) -> World {
    World::start(Options {
        ports,
        rounds: 5,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// Returns the broken promises of one step.
macro_rules! broken_by {
    ($world:expr, $step:ident) => {{
        let mut report = Report::quiet();
        let mut walk = Walk {
            world: &$world,
            report: &mut report,
        };
        let who = step::login::walk(&mut walk).await.unwrap();
        assert!(
            walk.report.broken().is_empty(),
            "login: {:#?}",
            walk.report.broken()
        );
        // A step that cannot continue has failed too.
        let ended = step::$step::walk(&mut walk, &who).await;
        let mut broken = report.broken().to_vec();
        broken.extend(ended.err().map(|err| err.to_string()));
        broken
    }};
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn every_promise_holds() {
    let _ports = usual_ports();
    let world = World::start(Options::default()).await.unwrap();
    let mut report = Report::quiet();

    let ended = zero_trust::walk(&world, &mut report).await;

    world.stop().await;
    assert!(
        ended.is_ok() && report.broken().is_empty(),
        "{ended:?} {:#?}",
        report.broken()
    );
    assert!(
        report.kept() > 92,
        "only {} promises were looked at",
        report.kept()
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_3_fails_when_the_service_has_no_gate() {
    let _ports = usual_ports();
    let mut world = start(Ports::default).await;
    let address = free_address().unwrap();
    let open = HttpServer::new(|| {
        let list = || async { HttpResponse::Ok().json(serde_json::json!({ "user": "anybody" })) };
        App::new().route("/orders", web::get().to(list))
    });
    let open = open.workers(1).disable_signals().bind(address).unwrap().run();
    let open = RunningService::spawn(
        open.handle(),
        open,
        address,
        std::sync::Arc::new(Audit::default()),
    );
    world.relay.point_at(address);
    let gated = std::mem::replace(&mut world.orders_api, open);

    let broken = broken_by!(world, direct);

    gated.stop().await;
    world.stop().await;
    for attack in [
        "no credential",
        "alg none",
        "signed by another key",
        "a trimmed signature",
    ] {
        assert!(
            broken.iter().any(|line| line.contains(attack)),
            "{attack}: {broken:#?}"
        );
    }
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_5_fails_when_the_claim_is_not_atomic() {
    let _ports = usual_ports();
    let world = start(broken::replay_in_two_calls).await;

    let broken = broken_by!(world, replay);

    world.stop().await;
    assert!(
        broken
            .iter()
            .any(|line| line.contains("of 200 copies at once exactly one passes")),
        "{broken:#?}"
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_5_fails_when_nothing_is_remembered() {
    let _ports = usual_ports();
    let world = start(broken::forgetful).await;

    let broken = broken_by!(world, replay);

    world.stop().await;
    assert!(
        broken
            .iter()
            .any(|line| line.contains("the second time it does not")),
        "{broken:#?}"
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_7_fails_when_a_keto_that_is_down_counts_as_yes() {
    let _ports = usual_ports();
    let world = start(broken::yes_when_down).await;

    let broken = broken_by!(world, permission);

    world.stop().await;
    assert!(
        broken.iter().any(|line| line.contains("Keto is down: 503")),
        "{broken:#?}"
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_8_fails_when_keys_are_never_fetched_again() {
    let _ports = usual_ports();
    let world = start(broken::first_answer_for_ever).await;

    let broken = broken_by!(world, rotation);

    world.stop().await;
    for promise in [
        "the switch refuses no valid token",
        "a service that never saw the new kid",
        "the removed key is refused",
    ] {
        assert!(
            broken.iter().any(|line| line.contains(promise)),
            "{promise}: {broken:#?}"
        );
    }
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_9_fails_when_an_outage_is_papered_over() {
    let _ports = usual_ports();
    let world = start(broken::first_answer_for_ever).await;

    let broken = broken_by!(world, outage);

    world.stop().await;
    assert!(
        broken
            .iter()
            .any(|line| line.contains("but not for longer than stated")),
        "{broken:#?}"
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_9_fails_when_each_fetch_asks_three_times() {
    let _ports = usual_ports();
    let world = start(broken::asks_three_times).await;

    let broken = broken_by!(world, outage);

    world.stop().await;
    assert!(
        broken
            .iter()
            .any(|line| line.contains("made-up key ids") && line.contains("cost at most")),
        "{broken:#?}"
    );
}

#[actix_web::test]
#[expect(clippy::await_holding_lock, reason = "the ports belong to one test at a time")]
async fn step_9_fails_when_the_flood_costs_the_old_key() {
    let _ports = usual_ports();
    let world = start(broken::loses_older_keys).await;

    let broken = broken_by!(world, outage);

    world.stop().await;
    let refused = |key: &str| {
        let told = |line: &String| line.contains("no valid token was refused") && line.contains(key);
        broken.iter().any(told)
    };
    assert!(refused("the old key") && !refused("the new key"), "{broken:#?}");
}

//! The walk against real Ory servers on their usual ports: `cargo test -p iam-tests --features live-ory --test live`.
//!
//! `ZERO_TRUST_JWKS_FILE` names the gateway's key file. Without it the rotation step is skipped.

#![cfg(feature = "live-ory")]

use std::{env, path::PathBuf};

use scenario::Report;
use zero_trust::world::{Options, World};

#[actix_web::test]
async fn every_promise_holds_with_real_servers() {
    let world = World::start(Options {
        live: true,
        key_file: env::var_os("ZERO_TRUST_JWKS_FILE").map(PathBuf::from),
        ..Options::default()
    })
    .await;
    let world = match world {
        Ok(world) => world,
        Err(err) => panic!("these tests need the real servers: {err}"),
    };
    let mut report = Report::new();

    let ended = zero_trust::walk(&world, &mut report).await;

    world.stop().await;
    assert!(
        ended.is_ok() && report.broken().is_empty(),
        "{ended:?} {:#?}",
        report.broken()
    );
}

//! `cargo run --release -p zero-trust`: starts the scenario, walks its promises, stays up until SIGTERM or Ctrl-C.

use std::{env, process::ExitCode};

use scenario::{Report, Verb};
use zero_trust::{
    command::{Command, USAGE},
    world::World,
};

#[actix_web::main]
#[expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for the terminal"
)]
async fn main() -> ExitCode {
    let command = match Command::parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if command.verb == Verb::Serve {
        // A walk shows the events in its report.
        tracing_subscriber::fmt().json().init();
    }
    let world = match World::start(command.options.clone()).await {
        Ok(world) => world,
        Err(err) => {
            eprintln!("zero-trust does not start: {err}");
            return ExitCode::FAILURE;
        }
    };

    let mut kept = true;
    if command.verb != Verb::Serve {
        kept = walk(&world).await;
    }
    if command.verb != Verb::Walk {
        match service::stop_signal() {
            Ok(stop) => {
                println!("{CURL}");
                stop.await;
            }
            Err(err) => eprintln!("cannot wait for Ctrl-C: {err}"),
        }
    }
    world.stop().await;
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn walk(world: &World) -> bool {
    let mut report = Report::new();
    let ended = zero_trust::walk(world, &mut report).await;
    report.close(&ended)
}

const CURL: &str = r#"
Up until Ctrl-C. Try:

  flow=$(curl -s http://127.0.0.1:4455/auth/registration | sed 's/.*"id":"\([^"]*\)".*/\1/;q')
  curl -s "http://127.0.0.1:4455/auth/registration/$flow" -H 'content-type: application/json' \
    -d '{"method":"password","password":"Corr3ct-Horse-Battery","traits":{"email":"me@example.com"}}'
  token=…                                                        # its session_token
  curl -i http://127.0.0.1:4455/orders -H "authorization: Bearer $token"      # 200, your own id
  curl -i http://127.0.0.1:3001/orders -H "authorization: Bearer $token"      # 401, around the gateway
  curl -i http://127.0.0.1:4455/inventory/sku-1/ledger -H "authorization: Bearer $token"   # 403
"#;

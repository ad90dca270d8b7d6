//! `cargo run --release -p session-api`: starts the stack and the service, walks its promises, stays up until SIGTERM or Ctrl-C.

use std::{env, process::ExitCode};

use scenario::{Arguments, Report, Verb};
use session_api::world::World;

#[actix_web::main]
#[expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for the terminal"
)]
async fn main() -> ExitCode {
    let arguments = match Arguments::parse(env::args().skip(1), &[CONFIG]) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.verb == Verb::Serve {
        // A walk shows the events in its report.
        tracing_subscriber::fmt().json().init();
    }
    let config = arguments.paths.get(CONFIG).cloned();
    let world = match World::start(config, arguments.live).await {
        Ok(world) => world,
        Err(err) => {
            eprintln!("session-api does not start: {err}");
            return ExitCode::FAILURE;
        }
    };

    let mut kept = true;
    if arguments.verb != Verb::Serve {
        kept = walk(&world).await;
    }
    if arguments.verb != Verb::Walk {
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
    let ended = session_api::walk(world, &mut report).await;
    report.close(&ended)
}

const CONFIG: &str = "--config";

const USAGE: &str = "\
usage: session-api [walk | serve] [--live] [--config FILE]

  (nothing)  start the embedded Ory stack and the service, walk the promises, stay until Ctrl-C
  walk       walk and exit: 0 if every promise held, else 1
  serve      start and stay, without walking
  --live     start only the service; real Ory servers run on the usual ports
  --config   the service's configuration file";

const CURL: &str = r#"
Up until Ctrl-C. Try:

  flow=$(curl -s http://127.0.0.1:4433/self-service/registration/api | sed 's/.*"id":"\([^"]*\)".*/\1/;q')
  curl -s "http://127.0.0.1:4433/self-service/registration?flow=$flow" -H 'content-type: application/json' \
    -d '{"method":"password","password":"Corr3ct-Horse-Battery","traits":{"email":"me@example.com"}}'
  token=…                                                                # its session_token
  curl -i http://127.0.0.1:3003/me -H "authorization: Bearer $token"          # 200, your session
  curl -i http://127.0.0.1:3003/feed                                          # 200, nobody
  curl -i -X POST http://127.0.0.1:3003/logout -H "x-session-token: $token"   # 204, and /me is 401
"#;

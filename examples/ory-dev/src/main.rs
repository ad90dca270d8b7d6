//! Runs the embedded stack until Ctrl-C: `cargo run -p ory-dev [-- --config DIR] [--state DIR]`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use std::{path::PathBuf, process::ExitCode};

use ory_dev::{Stack, shipped_configuration};

#[actix_web::main]
async fn main() -> ExitCode {
    let folders = match Folders::read(std::env::args().skip(1)) {
        Ok(folders) => folders,
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let stack = match Stack::start(&folders.config, &folders.state).await {
        Ok(stack) => stack,
        Err(err) => {
            eprintln!("ory-dev: {err}");
            return ExitCode::FAILURE;
        }
    };

    println!(
        "Kratos      {} (public), {} (admin)",
        stack.kratos.public_url(),
        stack.kratos.admin_url()
    );
    println!(
        "Keto        http://{}/ (read), http://{}/ (write)",
        stack.keto.read(),
        stack.keto.write()
    );
    println!(
        "Hydra       {} (public), {} (admin)",
        stack.hydra.public_url(),
        stack.hydra.admin_url()
    );
    println!(
        "Oathkeeper  {} (proxy), {} (API)",
        stack.oathkeeper.proxy_url(),
        stack.oathkeeper.api_url()
    );
    println!("Press Ctrl-C to stop. All data is lost then.");
    if let Err(err) = actix_rt::signal::ctrl_c().await {
        eprintln!("ory-dev: cannot wait for Ctrl-C: {err}");
    }
    stack.stop().await;
    ExitCode::SUCCESS
}

struct Folders {
    config: PathBuf,
    state: PathBuf,
}

impl Folders {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut folders = Self {
            config: shipped_configuration(),
            state: std::env::temp_dir().join("ory-dev"),
        };
        while let Some(argument) = arguments.next() {
            let folder = match argument.as_str() {
                "--config" => &mut folders.config,
                "--state" => &mut folders.state,
                _ => return Err(format!("`{argument}` is not an option")),
            };
            let value = arguments
                .next()
                .ok_or_else(|| format!("`{argument}` needs a folder"))?;
            *folder = PathBuf::from(value);
        }
        Ok(folders)
    }
}

const USAGE: &str = "usage: ory-dev [--config DIR] [--state DIR]
  --config DIR  the folder with kratos.yml, keto.yml, hydra.yml and oathkeeper.yml; the one that comes with this package
  --state DIR   where the servers write their keys; a folder for temporary files";

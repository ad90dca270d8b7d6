//! Runs auth-bff with the configuration file that is named on the command line.

use std::{env, error::Error};

use iam_actix::Ports;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt().json().init();
    let file = env::args().nth(1).unwrap_or_else(|| "auth-bff.toml".to_owned());
    auth_bff::run(auth_bff::Config::from_file(file)?, Ports::default())
        .await?
        .await?;
    Ok(())
}

//! Runs inventory-api with the configuration file that is named on the command line.

use std::{env, error::Error};

use iam_actix::Ports;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    tracing_subscriber::fmt().json().init();
    let file = env::args()
        .nth(1)
        .unwrap_or_else(|| "inventory-api.toml".to_owned());
    inventory_api::run(inventory_api::Config::from_file(file)?, Ports::default())
        .await?
        .await?;
    Ok(())
}

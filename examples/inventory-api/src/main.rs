//! Runs inventory-api: `inventory-api [FILE [ADDRESS]]`, by default with `inventory-api.toml`.

use iam_actix::Ports;
use inventory_api::Config;
use service::BoxError;

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().json().init();
    let config = Config::from_args("inventory-api.toml")?;
    let service = inventory_api::run(config, Ports::default()).await?;
    Ok(service.until_signal().await?)
}

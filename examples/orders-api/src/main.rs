//! Runs orders-api: `orders-api [FILE [ADDRESS]]`, by default with `orders-api.toml`.

use iam_actix::Ports;
use orders_api::Config;
use service::BoxError;

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().json().init();
    let config = Config::from_args("orders-api.toml")?;
    let service = orders_api::run(config, Ports::default()).await?;
    Ok(service.until_signal().await?)
}

//! Runs auth-bff: `auth-bff [FILE [ADDRESS]]`, by default with `auth-bff.toml`.

use auth_bff::Config;
use iam_actix::Ports;
use service::BoxError;

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().json().init();
    let config = Config::from_args("auth-bff.toml")?;
    let service = auth_bff::run(config, Ports::default()).await?;
    Ok(service.until_signal().await?)
}

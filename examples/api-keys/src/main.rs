//! Runs api-keys: `api-keys [FILE [ADDRESS]]`, by default with `api-keys.toml`. The table of keys is `keys.json`.

use api_keys::{ApiKeys, run};
use iam_actix::Ports;
use service::{BoxError, Config};

#[actix_web::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().json().init();
    let config = Config::from_args("api-keys.toml")?;
    let service = run(config, ApiKeys::from_file("keys.json")?, Ports::default()).await?;
    Ok(service.until_signal().await?)
}

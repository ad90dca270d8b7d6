//! Makes a key: `cargo run -p api-keys --example issue -- ci-bot orders:read`. Prints the key for its owner, and the row for `keys.json`.

use std::{
    env,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use api_keys::issue;
use iam_actix::clock::Timestamp;
use service::BoxError;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
#[expect(clippy::disallowed_methods, reason = "a program without a clock to replace")]
fn main() -> Result<(), BoxError> {
    let mut arguments = env::args().skip(1);
    let client = arguments.next().ok_or("usage: issue CLIENT [SCOPE…]")?;
    let now = Timestamp::from_secs(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());

    let (key, row) = issue(&client, arguments, now.saturating_add(QUARTER))?;
    println!("{key}\n{}", serde_json::to_string(&row)?);
    Ok(())
}

const QUARTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

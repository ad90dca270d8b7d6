//! What may an administrator do? Identities and sessions, without any credential: the port is the protection.

pub(crate) mod identities;
pub(crate) mod sessions;
pub(super) mod change;
pub(super) mod patch;

use actix_web::HttpRequest;
use uuid::Uuid;

use super::answer::Refusal;

/// Returns the id in the path. What is not a UUID names nothing.
fn id_in(request: &HttpRequest) -> Result<Uuid, Refusal> {
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(Refusal::not_found)
}

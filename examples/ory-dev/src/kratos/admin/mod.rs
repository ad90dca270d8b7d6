//! The admin interface for identities and sessions. It asks for no credential: access to the port is the protection.

pub(crate) mod identities;
pub(crate) mod sessions;
pub(super) mod change;
pub(super) mod patch;

use actix_web::HttpRequest;
use uuid::Uuid;

use super::answer::Refusal;

/// Returns the id in the path. An id that is not a UUID is unknown.
fn id_in(request: &HttpRequest) -> Result<Uuid, Refusal> {
    let id = request
        .match_info()
        .get("id")
        .and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(Refusal::not_found)
}

//! What a service changes at Kratos: sessions end, identities are deleted.

use iam_core::service::kratos::{AdminClient, AdminError};

/// The sessions of one tenant, for logging out.
///
/// ```
/// use actix_web::{HttpResponse, http::StatusCode, post, web::Data};
/// use iam_actix::{ProblemDetails, RequestId, Session, TenantServices};
///
/// #[post("/logout")]
/// async fn log_out(
///     session: Session,
///     id: RequestId,
///     tenant: Data<TenantServices>,
/// ) -> Result<HttpResponse, ProblemDetails> {
///     const UNAVAILABLE: ProblemDetails = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE);
///
///     let sessions = tenant.sessions().ok_or(UNAVAILABLE)?;
///     sessions.revoke(session.id(), id.as_str()).await.map_err(|_| UNAVAILABLE)?;
///     Ok(HttpResponse::NoContent().finish())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    client: AdminClient,
}

impl Sessions {
    pub(super) const fn new(client: AdminClient) -> Self {
        Self { client }
    }

    /// Ends a session at Kratos (`DELETE /admin/sessions/{id}`).
    ///
    /// # Errors
    ///
    /// [`AdminError`] when Kratos does not confirm it. The session then still counts, unless Kratos has ended it unheard.
    pub async fn revoke(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        self.client.revoke_session(id, request_id).await
    }
}

/// The identities of one tenant.
#[derive(Clone, Debug)]
pub struct Identities {
    client: AdminClient,
}

impl Identities {
    pub(super) const fn new(client: AdminClient) -> Self {
        Self { client }
    }

    /// Deletes an identity at Kratos, with its sessions (`DELETE /admin/identities/{id}`).
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] when there is no such identity, another [`AdminError`] when Kratos does not confirm the deletion.
    pub async fn delete(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        self.client.delete_identity(id, request_id).await
    }
}

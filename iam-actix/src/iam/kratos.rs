//! What a service changes at Kratos: sessions end, identities are deleted.

use iam_core::service::kratos::{AdminClient, AdminError};

use super::{Revocation, TenantServices};

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
    tenant: TenantServices,
}

impl Sessions {
    pub(super) const fn new(client: AdminClient, tenant: TenantServices) -> Self {
        Self { client, tenant }
    }

    /// Ends a session at Kratos (`DELETE /admin/sessions/{id}`), and in the caches of this process. In those of other processes it
    /// counts for up to `cache.session_ttl` more.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when Kratos does not confirm it. The session then still counts, unless Kratos has ended it unheard.
    pub async fn revoke(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        let ending = Ending::of(&self.tenant, Revocation::Session(id));
        ending.with(self.client.revoke_session(id, request_id).await)
    }
}

/// The identities of one tenant.
#[derive(Clone, Debug)]
pub struct Identities {
    client: AdminClient,
    tenant: TenantServices,
}

impl Identities {
    pub(super) const fn new(client: AdminClient, tenant: TenantServices) -> Self {
        Self { client, tenant }
    }

    /// Deletes an identity at Kratos, with its sessions (`DELETE /admin/identities/{id}`), and drops them from the caches of this
    /// process. In those of other processes they count for up to `cache.session_ttl` more.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] when there is no such identity, another [`AdminError`] when Kratos does not confirm the deletion.
    pub async fn delete(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        let ending = Ending::of(&self.tenant, Revocation::Identity(id));
        ending.with(self.client.delete_identity(id, request_id).await)
    }
}

/// Drops what is cached when Kratos confirms the end, and also when no confirmation arrives or the caller goes away first: Kratos may
/// have done it.
struct Ending<'r> {
    tenant: &'r TenantServices,
    revocation: Option<Revocation<'r>>,
}

impl<'r> Ending<'r> {
    const fn of(tenant: &'r TenantServices, revocation: Revocation<'r>) -> Self {
        Self {
            tenant,
            revocation: Some(revocation),
        }
    }

    fn with(mut self, answer: Result<(), AdminError>) -> Result<(), AdminError> {
        match answer {
            Ok(()) | Err(AdminError::NotFound) => {}
            // Kratos is asked again: it may have done it.
            Err(error) if error.is_unclear() => {}
            // It still counts as it did.
            Err(_) => self.revocation = None,
        }
        answer
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(revocation) = self.revocation {
            self.tenant.revoke(revocation);
        }
    }
}

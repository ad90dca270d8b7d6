//! Kratos's admin API, as far as a service changes what it was asked about: sessions end, identities are deleted.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::{
    http::{HttpClient, TransportError},
    service::{CallError, call},
    tenant::KratosSettings,
};

/// A client of one tenant's admin API. Cheap to clone.
///
/// Sessions that are cached stay there: `iam_actix::TenantServices` has the services that end them too.
#[derive(Clone, Debug)]
pub struct AdminClient {
    settings: Arc<KratosSettings>,
    client: Arc<dyn HttpClient>,
}

impl AdminClient {
    /// Makes a client that sends its calls through `client`.
    pub fn new(settings: impl Into<Arc<KratosSettings>>, client: Arc<dyn HttpClient>) -> Self {
        Self {
            settings: settings.into(),
            client,
        }
    }

    /// Ends a session: `DELETE /admin/sessions/{id}`. Kratos confirms it also for a session that has ended before.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when Kratos does not confirm it. The session may have ended nevertheless.
    pub async fn revoke_session(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        self.delete("sessions", id, request_id).await
    }

    /// Deletes an identity with its sessions and credentials: `DELETE /admin/identities/{id}`.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`] when there is no such identity, another [`AdminError`] when Kratos does not confirm the deletion. The
    /// identity may be deleted nevertheless.
    pub async fn delete_identity(&self, id: &str, request_id: &str) -> Result<(), AdminError> {
        self.delete("identities", id, request_id).await
    }

    async fn delete(&self, kind: &str, id: &str, request_id: &str) -> Result<(), AdminError> {
        let admin_url = self.settings.admin_url().ok_or(AdminError::NoAdminPort)?;
        let url = format!("{admin_url}/admin/{kind}/{}", segment(id)?);
        let request = call::request(Method::DELETE, url, self.settings.admin_token(), request_id);
        let answer = call::send(&*self.client, request, Bytes::new(), self.settings.limits()).await?;

        if answer.status() == StatusCode::NOT_FOUND {
            return Err(AdminError::NotFound);
        }
        Ok(call::expect(&answer, StatusCode::NO_CONTENT)?)
    }
}

/// Checks an id that becomes a segment of a path. Kratos's ids are UUIDs.
fn segment(id: &str) -> Result<&str, CallError> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_id) {
        return Err(CallError::Request);
    }
    Ok(id)
}

/// Why a call of the admin API failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Kratos gave no answer, or an unexpected one.
    #[error("no answer of the identity server")]
    Call(#[from] CallError),
    /// The tenant has no `kratos.admin_url`.
    #[error("the tenant has no `kratos.admin_url`")]
    NoAdminPort,
    /// There is no such session or identity, or `kratos.admin_url` leads to another server.
    #[error("the identity server does not know it")]
    NotFound,
}

impl AdminError {
    /// Tells whether Kratos may have done what it was asked for although no confirmation arrived.
    pub const fn is_unclear(self) -> bool {
        match self {
            Self::Call(CallError::Unreadable) => true,
            Self::Call(CallError::Transport(error)) => match error {
                TransportError::Cancel
                | TransportError::Protocol
                | TransportError::Timeout
                | TransportError::TooLarge => true,
                TransportError::Busy | TransportError::Connect | TransportError::Tls => false,
            },
            Self::Call(CallError::Credential | CallError::Request | CallError::Status)
            | Self::NoAdminPort
            | Self::NotFound => false,
        }
    }
}

/// The longest id.
const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::{
        secret::Secret,
        testing::{ScriptedClient, block_on, config_with, settings_with},
    };

    const ID: &str = "aca81d9e-622b-4273-b976-549cc5e3d92c";

    fn client(script: &ScriptedClient) -> AdminClient {
        let mut config = config_with("");
        let kratos = config
            .tenants
            .get_mut("default")
            .unwrap()
            .kratos
            .as_mut()
            .unwrap();
        kratos.admin_url = Some("http://127.0.0.1:4434/".to_owned());
        kratos.admin_token = Some(Secret::new("admin-token"));
        let settings = config.validate().unwrap();
        let kratos = settings.registry().default_tenant().kratos().unwrap().clone();
        AdminClient::new(kratos, Arc::new(script.clone()))
    }

    fn revoke(script: &ScriptedClient) -> Result<(), AdminError> {
        block_on(client(script).revoke_session(ID, "r-1"))
    }

    fn delete(script: &ScriptedClient) -> Result<(), AdminError> {
        block_on(client(script).delete_identity(ID, "r-1"))
    }

    fn sent(script: &ScriptedClient) -> Request<Bytes> {
        script.requests().pop().unwrap()
    }

    #[test]
    fn what_kratos_does_not_confirm_was_taken_for_done() {
        for (status, error) in [
            (200, CallError::Status.into()),
            (202, CallError::Status.into()),
            (307, CallError::Status.into()),
            (401, CallError::Credential.into()),
            (403, CallError::Credential.into()),
            (404, AdminError::NotFound),
            (500, CallError::Status.into()),
        ] {
            let script = ScriptedClient::new();
            for _ in 0..2 {
                script.answer_with(StatusCode::from_u16(status).unwrap(), "{}");
            }

            assert_eq!(revoke(&script), Err(error), "{status}");
            assert_eq!(delete(&script), Err(error), "{status}");
        }
        let script = ScriptedClient::new();
        script.fail(TransportError::Timeout);
        assert_eq!(
            revoke(&script),
            Err(CallError::Transport(TransportError::Timeout).into())
        );
    }

    /// As recorded: `sessions: revoke`, `identity: delete`.
    #[test]
    fn confirmed_deletions_name_the_id_and_carry_our_own_token_only() {
        let script = ScriptedClient::new();
        script.answer_with(StatusCode::NO_CONTENT, "");
        script.answer_with(StatusCode::NO_CONTENT, "");

        assert_eq!(revoke(&script), Ok(()));
        let request = sent(&script);
        assert_eq!(request.method(), Method::DELETE);
        assert_eq!(
            request.uri(),
            &*format!("http://127.0.0.1:4434/admin/sessions/{ID}")
        );
        assert_eq!(request.headers()["authorization"], "Bearer admin-token");
        assert_eq!(request.headers()["x-request-id"], "r-1");
        assert!(request.body().is_empty());

        assert_eq!(delete(&script), Ok(()));
        assert_eq!(sent(&script).uri().path(), format!("/admin/identities/{ID}"));
    }

    #[test]
    fn only_an_answer_that_was_lost_on_its_way_is_unclear() {
        for (error, is_unclear) in [
            (CallError::Transport(TransportError::Timeout), true),
            (CallError::Transport(TransportError::Protocol), true),
            (CallError::Transport(TransportError::Connect), false),
            (CallError::Transport(TransportError::Busy), false),
            (CallError::Status, false),
            (CallError::Credential, false),
        ] {
            assert_eq!(AdminError::from(error).is_unclear(), is_unclear, "{error:?}");
        }
        assert!(!AdminError::NotFound.is_unclear() && !AdminError::NoAdminPort.is_unclear());
    }

    #[test]
    fn an_id_that_is_no_segment_reached_another_resource() {
        let script = ScriptedClient::new();
        let long = "a".repeat(MAX_ID + 1);

        for id in [
            "", ".", "..", "a/b", "a%2Fb", "a?b", "a#b", "a b", "\u{e9}", &long,
        ] {
            let client = client(&script);
            let error = Err(CallError::Request.into());
            assert_eq!(block_on(client.revoke_session(id, "r-1")), error, "{id}");
            assert_eq!(block_on(client.delete_identity(id, "r-1")), error, "{id}");
        }
        assert!(script.requests().is_empty());
    }

    #[test]
    fn without_an_admin_port_nothing_is_sent() {
        let script = ScriptedClient::new();

        let settings = settings_with("");
        let kratos = settings.registry().default_tenant().kratos().unwrap().clone();
        let client = AdminClient::new(kratos, Arc::new(script.clone()));

        let refused = block_on(client.revoke_session(ID, "r-1"));

        assert_eq!(refused, Err(AdminError::NoAdminPort));
        assert!(script.requests().is_empty());
    }
}

//! [`Iam`]: the handle that a service holds.

mod builder;
mod kratos;
mod revocation;

use std::{fmt, sync::Arc};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::dev::{AppConfig, ServiceFactory, ServiceResponse};
use bytes::Bytes;
use http::Response;
use iam_core::{
    audit::{AuditEvent, AuditSink},
    config::IamConfig,
    http::{BoxFuture, CallLimits, HttpClient, TransportError},
    jwks::KeyStatus,
    service::{
        keto::{PermissionClient, TupleObserver},
        kratos::{AdminClient, flows::FlowClient},
    },
    tenant::Tenant,
};

pub use self::{
    builder::{IamBuilder, StartError},
    kratos::{Identities, Sessions},
    revocation::{Revocation, UnknownTenant},
};
use crate::{
    check::{self, AccessMap, CheckError},
    gate::IamMiddleware,
    health::Health,
    state::{PurgeError, State},
    tenant::permissions::CachedPermissions,
};

/// Identity and access of one process: started once, shared by all workers.
///
/// Cloning is cheap and shares everything. The threads that talk to upstreams, and the one that serves the audit sinks,
/// stop when the last clone, the last middleware and the last [`TenantServices`] are gone.
///
/// ```no_run
/// use actix_web::{App, HttpServer};
/// use iam_actix::{Iam, IamConfig};
///
/// #[actix_web::main]
/// async fn main() -> std::io::Result<()> {
///     let iam = Iam::builder(IamConfig::from_file("iam.toml")?).start().await?;
///     HttpServer::new(move || App::new().service(iam.health()).wrap(iam.middleware()))
///         .bind(("127.0.0.1", 3002))?
///         .run()
///         .await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Iam {
    state: Arc<State>,
}

impl Iam {
    /// Starts from a configuration. See [`IamBuilder::start`].
    pub fn builder(config: IamConfig) -> IamBuilder {
        IamBuilder::new(config)
    }

    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Returns the middleware that every request must pass. Register it on the application, inside of CORS, loggers,
    /// compression and default headers, that is, with an earlier `wrap`.
    pub fn middleware(&self) -> IamMiddleware {
        self.state.gate_is_built();
        IamMiddleware::new(Arc::clone(&self.state))
    }

    /// Returns the routes for liveness and readiness, to be registered with `service(…)`.
    pub fn health(&self) -> Health {
        Health::new(Arc::clone(self.state.readiness()))
    }

    /// Returns the services of a tenant; nothing when no tenant is called that.
    pub fn tenant(&self, name: &str) -> Option<TenantServices> {
        let tenant = self.state.registry().get(name)?;
        Some(TenantServices::new(&self.state, tenant))
    }

    /// Returns the services of the tenant of routes that name none.
    pub fn default_tenant(&self) -> TenantServices {
        TenantServices::new(&self.state, self.state.registry().default_tenant())
    }

    /// Checks the application that `factory` builds, and returns its access map. The check finds
    ///
    /// - routes outside of the gate, a second gate on the way to a route, and CORS middleware inside the gate;
    /// - policies that contradict each other, that no request can fulfil, or that a middleware hides from the gate: a credential without an
    ///   id is not accepted once, one without scopes has none of them, and only sessions have a level and an age;
    /// - tenants that are not configured, transports that the tenant does not use or that take the same credentials, permissions of a tenant without Keto, and
    ///   placeholders that the path cannot fill.
    ///
    /// Call it once, before the server starts, with the closure that the server gets. [`AccessMap::strict`] asks for more: that every
    /// route declares a policy, and that every policy was sampled.
    ///
    /// # Errors
    ///
    /// [`CheckError`] with every finding and its remedy. It prints as a list, also when `main` returns it.
    pub async fn check<F, I, S, B>(&self, factory: F) -> Result<AccessMap, CheckError>
    where
        F: FnOnce() -> I,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<
                Request,
                Config = AppConfig,
                Response = ServiceResponse<B>,
                Error = actix_web::Error,
            >,
        S::InitError: fmt::Debug,
    {
        check::check(&self.state, factory).await
    }

    /// Fetches a tenant's keys now, and ends the grace of every key that is no longer published. Returns how many ended.
    ///
    /// Without this a withdrawn key verifies until the next refresh and for the grace period after it.
    ///
    /// # Errors
    ///
    /// [`PurgeError`] when there is no such tenant, or its keys cannot be fetched. The grace of keys that are already
    /// known to be withdrawn is ended even then.
    pub async fn purge_keys(&self, tenant: &str) -> Result<usize, PurgeError> {
        self.state.purge_keys(tenant).await
    }

    /// Drops what the caches of this process hold about a session, an identity or a token. See [`TenantServices::revoke`].
    ///
    /// # Errors
    ///
    /// [`UnknownTenant`] when no tenant is called that.
    pub fn revoke(&self, tenant: &str, revocation: Revocation<'_>) -> Result<(), UnknownTenant> {
        self.tenant(tenant).ok_or(UnknownTenant)?.revoke(revocation);
        Ok(())
    }

    /// Waits until the audit events of everything that was decided before have reached the sinks; `false` when they have not
    /// after two seconds.
    ///
    /// Call it behind the server, before `main` returns. A process that ends waits for none of its threads, and Actix Web's
    /// workers may still hold an [`Iam`] then, so that nothing else waits for the last events either.
    pub async fn flush_audit(&self) -> bool {
        self.state.flush_audit().await
    }

    /// Returns how many audit events were dropped because the queue was full.
    pub fn dropped_audit_events(&self) -> u64 {
        self.state.dropped_audit_events()
    }
}

/// The services of one tenant. Keeps what they work with alive.
#[derive(Clone, Debug)]
pub struct TenantServices {
    state: Arc<State>,
    tenant: Arc<Tenant>,
}

impl TenantServices {
    fn new(state: &Arc<State>, tenant: &Arc<Tenant>) -> Self {
        Self {
            state: Arc::clone(state),
            tenant: Arc::clone(tenant),
        }
    }

    /// Returns the tenant's name.
    pub fn name(&self) -> &str {
        self.tenant.name()
    }

    /// Tells how the keys stand that verify the gateway's tokens. Readiness also tells about those of JWT access tokens.
    pub fn keys(&self) -> Option<KeyStatus> {
        let verifier = self.tenant.verifier()?;
        Some(verifier.keys().status(self.state.now()))
    }

    /// Returns the client of the tenant's permission server; nothing without a `keto` block.
    ///
    /// Every tuple that it writes or deletes leaves an audit event; `on_behalf_of` says whose it was. It also drops the cached
    /// permissions of this process, of all tenants with the same permission server.
    ///
    /// ```
    /// use iam_actix::{Iam, Principal};
    ///
    /// async fn share(iam: &Iam, owner: &Principal) -> Result<(), Box<dyn std::error::Error>> {
    ///     let keto = iam.default_tenant().permissions().ok_or("no permission server")?;
    ///     let keto = keto.on_behalf_of(owner).map_err(|refusal| refusal.reason.code())?;
    ///     keto.create(&"orders:o-1#viewers@bob".parse()?, "request-7").await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn permissions(&self) -> Option<PermissionClient> {
        let settings = self.tenant.keto()?;
        let client = Arc::clone(self.state.runtime(&self.tenant).ok()?.keto()?);
        let sink = Arc::new(AuditQueue(Arc::clone(&self.state)));

        let permissions = PermissionClient::new(settings.clone(), self.keeping_alive(client));
        Some(
            permissions
                .recorded(self.tenant.name(), sink, Arc::clone(self.state.clock()))
                .observed(Arc::new(SharedTuples(self.state.cached_permissions(settings)))),
        )
    }

    /// Returns the client of the tenant's login and registration flows; nothing without a `kratos` block.
    pub fn flows(&self) -> Option<FlowClient> {
        let settings = self.tenant.kratos()?;
        let client = Arc::clone(self.state.runtime(&self.tenant).ok()?.kratos()?);
        Some(FlowClient::new(settings.clone(), self.keeping_alive(client)))
    }

    /// Returns the tenant's sessions; nothing without `kratos.admin_url`.
    pub fn sessions(&self) -> Option<Sessions> {
        Some(Sessions::new(self.kratos_admin()?, self.clone()))
    }

    /// Returns the tenant's identities; nothing without `kratos.admin_url`.
    pub fn identities(&self) -> Option<Identities> {
        Some(Identities::new(self.kratos_admin()?, self.clone()))
    }

    /// Drops what the caches of this process hold about a session, an identity or a token, for this tenant and all tenants with the
    /// same identity server or OAuth 2 server.
    ///
    /// Call it for what has ended elsewhere: a webhook of Kratos, a message of another process, an access token that was revoked at
    /// Hydra. Requests that come later are answered by the upstream, and a call that is under way leaves nothing in the cache. Nothing
    /// is sent to an upstream.
    ///
    /// # Security
    ///
    /// Other processes have caches of their own, which this does not reach: there the answer counts for up to `cache.session_ttl` or
    /// `cache.introspection_ttl` more, which is at most a minute. A JWT that is verified here is not cached in this sense, and counts
    /// until it expires.
    ///
    /// ```
    /// use iam_actix::{Iam, Revocation};
    ///
    /// fn session_has_ended(iam: &Iam, id: &str) {
    ///     iam.default_tenant().revoke(Revocation::Session(id));
    /// }
    /// ```
    pub fn revoke(&self, revocation: Revocation<'_>) {
        self.state.revoke(&self.tenant, revocation);
    }

    fn kratos_admin(&self) -> Option<AdminClient> {
        let settings = self.tenant.kratos()?;
        settings.admin_url()?;
        let client = Arc::clone(self.state.runtime(&self.tenant).ok()?.kratos()?);
        Some(AdminClient::new(settings.clone(), self.keeping_alive(client)))
    }

    fn keeping_alive(&self, client: Arc<dyn HttpClient>) -> Arc<dyn HttpClient> {
        Arc::new(KeepAlive {
            client,
            state: Arc::clone(&self.state),
        })
    }
}

/// The cached answers of all tenants with one permission server.
#[derive(Debug)]
struct SharedTuples(Vec<Arc<CachedPermissions>>);

impl TupleObserver for SharedTuples {
    fn tuples_changed(&self) {
        self.0.iter().for_each(|cached| cached.tuples_changed());
    }
}

/// The near end of the queue to the audit sinks.
struct AuditQueue(Arc<State>);

impl AuditSink for AuditQueue {
    fn emit(&self, event: &AuditEvent<'_>) {
        self.0.emit(event);
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue").finish_non_exhaustive()
    }
}

/// A client whose threads run as long as it is held.
struct KeepAlive {
    client: Arc<dyn HttpClient>,
    state: Arc<State>,
}

impl HttpClient for KeepAlive {
    fn send(
        &self,
        request: http::Request<Bytes>,
        limits: CallLimits,
    ) -> BoxFuture<Result<Response<Bytes>, TransportError>> {
        let answer = self.client.send(request, limits);
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let answer = answer.await;
            drop(state);
            answer
        })
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

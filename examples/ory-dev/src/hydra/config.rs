//! The supported part of `hydra.yml`.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use url::Url;

use crate::{
    config::{ConfigError, Document, Options, Vars},
    kratos::Clock,
    server::Outage,
};

/// The configuration of an embedded Hydra, read from the real server's file.
#[derive(Clone, Debug)]
pub struct HydraConfig {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    configured_port: u16,
    pub(crate) configured_admin: SocketAddr,
    issuer: String,
    pub(crate) login_url: Url,
    pub(crate) consent_url: Url,
    pub(crate) system_secret: String,
    pub(crate) lifespans: Lifespans,
    pub(crate) access_tokens: TokenStrategy,
    pub(crate) wildcard_scopes: bool,
    pub(crate) allowed_top_level_claims: BTreeSet<String>,
    pub(crate) pkce: PkcePolicy,
    pub(crate) subject_types: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) outage: Outage,
    warnings: Vec<String>,
}

/// The form of access tokens, `strategies.access_token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two strategies of Hydra")]
pub enum TokenStrategy {
    /// Signed JWTs. A resource server can verify them without introspection.
    Jwt,
    /// Random `ory_at_…` tokens, which are opaque without introspection.
    Opaque,
}

/// The lifespans of the section `ttl`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifespans {
    pub(crate) access_token: Duration,
    pub(crate) auth_code: Duration,
    pub(crate) id_token: Duration,
    pub(crate) login_consent_request: Duration,
    /// `None` for refresh tokens that never expire, written `-1`.
    pub(crate) refresh_token: Option<Duration>,
}

/// Which clients must send a code challenge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PkcePolicy {
    pub(crate) for_all: bool,
    pub(crate) for_public_clients: bool,
}

impl HydraConfig {
    /// Reads `hydra.yml`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or sets an option that this stand-in does not know.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<Self, ConfigError> {
        Self::from_document(&Document::read(path, vars)?)
    }

    pub(super) fn from_document(document: &Document) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let warn = &mut warnings;
        let mut root = document.options()?;
        if !matches!(root.string("dsn")?, None | Some("memory")) {
            return Err(root.refuse("dsn", "only `memory` is supported: nothing is stored"));
        }
        root.version(warn)?;
        root.harmless("log", "this stand-in does not log");
        root.harmless("hashers", "client secrets are kept in memory");

        let mut serve = root.section("serve")?;
        let public = listener(serve.section("public")?, 4444, warn)?;
        let admin = listener(serve.section("admin")?, 4445, warn)?;
        serve.harmless("cookies", "cookies are always `SameSite=Lax`");
        serve.harmless("tls", "this stand-in serves plain HTTP on its own machine");
        serve.finish(warn)?;

        let urls = Urls::read(root.section("urls")?, public, warn)?;
        let system_secret = system_secret(root.section("secrets")?, warn)?;
        let lifespans = Lifespans::read(root.section("ttl")?, warn)?;
        let (access_tokens, wildcard_scopes) = strategies(root.section("strategies")?, warn)?;
        let (allowed_top_level_claims, pkce) = oauth2(root.section("oauth2")?, warn)?;
        let subject_types = subject_types(root.section("oidc")?, warn)?;
        root.finish(warn)?;

        Ok(Self {
            public,
            admin,
            configured_port: public.port(),
            configured_admin: admin,
            issuer: urls.issuer,
            login_url: urls.login,
            consent_url: urls.consent,
            system_secret,
            lifespans,
            access_tokens,
            wildcard_scopes,
            allowed_top_level_claims,
            pkce,
            subject_types,
            clock: Clock::default(),
            outage: Outage::default(),
            warnings,
        })
    }

    /// Overrides the ports of the file; 0 lets the operating system choose. The issuer and Hydra's own URLs use the new
    /// ports.
    #[must_use]
    pub fn ports(mut self, public: u16, admin: u16) -> Self {
        self.public.set_port(public);
        self.admin.set_port(admin);
        self
    }

    /// Issues access tokens of this form, in place of `strategies.access_token`.
    #[must_use]
    pub fn access_tokens(mut self, strategy: TokenStrategy) -> Self {
        self.access_tokens = strategy;
        self
    }

    /// Issues access tokens that live this long, in place of `ttl.access_token`.
    #[must_use]
    pub fn access_token_lifespan(mut self, lifespan: Duration) -> Self {
        self.lifespans.access_token = lifespan;
        self
    }

    /// Connects `outage`, which can take both interfaces down and bring them back.
    #[must_use]
    pub fn outage(mut self, outage: &Outage) -> Self {
        self.outage = outage.clone();
        self
    }

    /// Takes the time from `clock`, which a test can advance.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Returns one sentence for each option of the file that has no effect here.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the issuer. If the file's issuer names the configured port, it is replaced by the served port.
    pub(crate) fn issuer(&self, served: SocketAddr) -> String {
        let Ok(mut url) = Url::parse(&self.issuer) else {
            return self.issuer.clone();
        };
        if url.port_or_known_default() != Some(self.configured_port)
            || served.port() == self.configured_port
            || url.set_port(Some(served.port())).is_err()
        {
            return self.issuer.clone();
        }
        let text = String::from(url);
        if self.issuer.ends_with('/') {
            text
        } else {
            text.trim_end_matches('/').to_owned()
        }
    }
}

fn listener(
    mut options: Options<'_>,
    port: u16,
    warnings: &mut Vec<String>,
) -> Result<SocketAddr, ConfigError> {
    let address = options.address(port)?;
    options.harmless("cors", "cross-origin answers are left to the services");
    options.harmless("tls", "this stand-in serves plain HTTP on its own machine");
    options.finish(warnings)?;
    Ok(address)
}

struct Urls {
    issuer: String,
    login: Url,
    consent: Url,
}

impl Urls {
    fn read(
        mut options: Options<'_>,
        public: SocketAddr,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut own = options.section("self")?;
        own.http_url("issuer")?;
        let issuer = own.string("issuer")?.map(ToOwned::to_owned);
        own.harmless("public", "the issuer is used");
        own.harmless("admin", "the admin interface names no URL of its own");
        own.finish(warnings)?;

        let login = options.http_url("login")?;
        let login = options.required("login", login)?;
        let consent = options.http_url("consent")?;
        let consent = options.required("consent", consent)?;
        for key in [
            "logout",
            "post_logout_redirect",
            "error",
            "registration",
            "device",
        ] {
            options.harmless(key, "this stand-in sends no browser there");
        }
        options.finish(warnings)?;
        Ok(Self {
            issuer: issuer.unwrap_or_else(|| format!("http://{public}")),
            login,
            consent,
        })
    }
}

fn system_secret(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<String, ConfigError> {
    options.harmless("cookie", "`secrets.system` is used");
    let secrets = options.strings("system")?.filter(|secrets| !secrets.is_empty());
    let secrets = options.required("system", secrets)?;
    if let Some(index) = secrets.iter().position(|secret| secret.chars().count() < 16) {
        return Err(options.refuse(&format!("system[{index}]"), "must have at least 16 characters"));
    }
    options.finish(warnings)?;
    Ok(secrets.first().copied().unwrap_or_default().to_owned())
}

impl Lifespans {
    fn read(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let refresh_token = match options.value("refresh_token").and_then(|value| value.as_str()) {
            Some("-1") => None,
            Some(_) | None => Some(
                options
                    .duration("refresh_token")?
                    .unwrap_or(DAY.saturating_mul(30)),
            ),
        };
        let lifespans = Self {
            access_token: options.duration("access_token")?.unwrap_or(HOUR),
            auth_code: options
                .duration("auth_code")?
                .unwrap_or(MINUTE.saturating_mul(10)),
            id_token: options.duration("id_token")?.unwrap_or(HOUR),
            login_consent_request: options
                .duration("login_consent_request")?
                .unwrap_or(MINUTE.saturating_mul(30)),
            refresh_token,
        };
        options.finish(warnings)?;
        Ok(lifespans)
    }
}

fn strategies(
    mut options: Options<'_>,
    warnings: &mut Vec<String>,
) -> Result<(TokenStrategy, bool), ConfigError> {
    let access_tokens = match options.string("access_token")? {
        None | Some("opaque") => TokenStrategy::Opaque,
        Some("jwt") => TokenStrategy::Jwt,
        Some(_) => return Err(options.refuse("access_token", "must be `opaque` or `jwt`")),
    };
    let wildcard_scopes = match options.string("scope")? {
        None | Some("wildcard") => true,
        Some("exact") => false,
        Some(_) => return Err(options.refuse("scope", "must be `wildcard` or `exact`")),
    };
    let mut jwt = options.section("jwt")?;
    if !matches!(jwt.string("scope_claim")?, None | Some("list")) {
        return Err(jwt.refuse("scope_claim", "only `list` is supported"));
    }
    jwt.finish(warnings)?;
    options.finish(warnings)?;
    Ok((access_tokens, wildcard_scopes))
}

fn oauth2(
    mut options: Options<'_>,
    warnings: &mut Vec<String>,
) -> Result<(BTreeSet<String>, PkcePolicy), ConfigError> {
    let claims = options.strings("allowed_top_level_claims")?.unwrap_or_default();
    let claims = claims.into_iter().map(ToOwned::to_owned).collect();
    if options.boolean("mirror_top_level_claims")? == Some(false) {
        return Err(options.refuse("mirror_top_level_claims", "must be `true`"));
    }
    let mut pkce = options.section("pkce")?;
    let policy = PkcePolicy {
        for_all: pkce.boolean("enforced")?.unwrap_or(false),
        for_public_clients: pkce.boolean("enforced_for_public_clients")?.unwrap_or(false),
    };
    pkce.finish(warnings)?;
    options.harmless("expose_internal_errors", "there are no internal errors to show");
    options.harmless("hashers", "client secrets are kept in memory");
    options.finish(warnings)?;
    Ok((claims, policy))
}

fn subject_types(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Vec<String>, ConfigError> {
    let mut identifiers = options.section("subject_identifiers")?;
    let types = identifiers
        .strings("supported_types")?
        .unwrap_or_else(|| vec!["public"]);
    // The real server publishes them in this order, regardless of the order in the file.
    let types = ["public", "pairwise"]
        .into_iter()
        .filter(|kind| types.contains(kind))
        .map(ToOwned::to_owned)
        .collect();
    identifiers.harmless("pairwise", "every subject is public here");
    identifiers.finish(warnings)?;

    let mut registration = options.section("dynamic_client_registration")?;
    if registration.boolean("enabled")? == Some(true) {
        return Err(registration.refuse(
            "enabled",
            "must be `false`: clients are made by the admin interface",
        ));
    }
    registration.harmless("default_scope", "clients are made by the admin interface");
    registration.finish(warnings)?;
    options.finish(warnings)?;
    Ok(types)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../config/hydra.yml");

    fn read(text: &str) -> Result<HydraConfig, ConfigError> {
        let vars = Vars::new("/config", "/state");
        HydraConfig::from_document(&Document::parse(Path::new("hydra.yml"), text, &vars)?)
    }

    #[test]
    fn shipped_configuration_is_read_with_the_defaults_of_hydra() {
        let config = read(SHIPPED).unwrap();

        assert_eq!(config.access_tokens, TokenStrategy::Opaque);
        assert_eq!(config.lifespans.access_token, HOUR);
        assert_eq!(config.lifespans.refresh_token, Some(DAY.saturating_mul(30)));
        assert_eq!(config.subject_types, ["public", "pairwise"]);
        assert!(config.warnings().iter().any(|warning| warning.contains("`log`")));
    }

    #[test]
    fn variant_with_jwt_access_tokens_is_read() {
        let text = format!(
            "{SHIPPED}\nstrategies: {{ access_token: jwt }}\noauth2: {{ allowed_top_level_claims: [tenant] }}\n\
             ttl: {{ access_token: 90s, refresh_token: '-1' }}"
        );

        let config = read(&text).unwrap();

        assert_eq!(config.access_tokens, TokenStrategy::Jwt);
        assert_eq!(config.lifespans.access_token, Duration::from_secs(90));
        assert_eq!(config.lifespans.refresh_token, None);
        assert!(config.allowed_top_level_claims.contains("tenant"));
    }

    #[test]
    fn option_that_would_change_behaviour_is_refused_with_its_path() {
        for (from, to, path) in [
            ("dsn: memory", "dsn: sqlite://x", "dsn"),
            (
                "enabled: false",
                "enabled: true",
                "oidc.dynamic_client_registration.enabled",
            ),
            ("host: 127.0.0.1", "host: 0.0.0.0", "serve.public.host"),
            (
                "development-only-system-secret-00000000",
                "short",
                "secrets.system[0]",
            ),
            (
                "log: {",
                "strategies: { access_token: nope }\nlog: {",
                "strategies.access_token",
            ),
            ("log: {", "clients: {}\nlog: {", "clients"),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let err = read(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(err.contains(&format!("`{path}")), "{path}: {err}");
        }
    }

    #[test]
    fn issuer_follows_the_port_that_is_served() {
        let config = read(SHIPPED).unwrap().ports(0, 0);

        let served = "127.0.0.1:5555".parse().unwrap();
        assert_eq!(config.issuer(served), "http://127.0.0.1:5555");
    }
}

//! Which of `kratos.yml` is used, and what else may stand there?

use std::{net::SocketAddr, path::Path, time::Duration};

use url::Url;

use super::{clock::Clock, schema::Schema};
use crate::config::{ConfigError, Document, Options, Vars};

/// The configuration of an embedded Kratos, read from the real server's files.
#[derive(Clone, Debug)]
pub struct KratosConfig {
    pub(crate) public: Listener,
    pub(crate) admin: Listener,
    pub(crate) default_return_url: Url,
    pub(crate) allowed_return_urls: Vec<Url>,
    pub(crate) login: FlowConfig,
    pub(crate) registration: FlowConfig,
    pub(crate) session_after_registration: bool,
    pub(crate) logout_return_url: Option<Url>,
    pub(crate) error_url: Url,
    pub(crate) verification: bool,
    pub(crate) session_lifespan: Duration,
    pub(crate) cookie_secrets: Vec<String>,
    pub(crate) bcrypt_cost: u32,
    pub(crate) default_schema: String,
    pub(crate) schemas: Vec<Schema>,
    pub(crate) clock: Clock,
    warnings: Vec<String>,
}

/// Where one interface listens, and what its own URLs begin with.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    base_url: Url,
    configured_port: u16,
}

impl Listener {
    /// Returns the base URL: with the port that is served, where the file names the port that it configures.
    pub(crate) fn base_url(&self, served: SocketAddr) -> Url {
        let mut url = self.base_url.clone();
        if url.port_or_known_default() == Some(self.configured_port)
            && url.set_port(Some(served.port())).is_err()
        {
            tracing::error!("a base URL without a host passed the configuration check");
        }
        url
    }
}

/// One self-service flow.
#[derive(Clone, Debug)]
pub(crate) struct FlowConfig {
    pub(crate) ui_url: Url,
    pub(crate) lifespan: Duration,
}

impl KratosConfig {
    /// Reads `kratos.yml` and the identity schemas that it names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or sets an option that this stand-in does not know.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<Self, ConfigError> {
        Self::from_document(&Document::read(path, vars)?, vars)
    }

    pub(super) fn from_document(document: &Document, vars: &Vars) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let warn = &mut warnings;
        let mut root = document.options()?;

        if !matches!(root.string("dsn")?, None | Some("memory")) {
            return Err(root.refuse("dsn", "only `memory` is supported: nothing is stored"));
        }
        root.version(warn)?;
        root.harmless("log", "this stand-in does not log");
        root.harmless("courier", "no mail is sent");
        root.harmless("ciphers", "nothing is stored, so nothing is encrypted");

        let mut serve = root.section("serve")?;
        let public = listener(serve.section("public")?, 4433, warn)?;
        let admin = listener(serve.section("admin")?, 4434, warn)?;
        serve.finish(warn)?;

        let cookie_secrets = cookie_secrets(root.section("secrets")?, warn)?;
        let session_lifespan = session_lifespan(root.section("session")?, warn)?;
        let bcrypt_cost = bcrypt_cost(root.section("hashers")?, warn)?;
        let (default_schema, schemas) = schemas(root.section("identity")?, vars, warn)?;

        let mut selfservice = root.section("selfservice")?;
        let default_return_url = selfservice.http_url("default_browser_return_url")?;
        let default_return_url = selfservice.required("default_browser_return_url", default_return_url)?;
        let allowed_return_urls = allowed_urls(&mut selfservice)?;
        methods(selfservice.section("methods")?, warn)?;
        let flows = Flows::read(selfservice.section("flows")?, warn)?;
        selfservice.finish(warn)?;
        root.finish(warn)?;

        Ok(Self {
            public,
            admin,
            default_return_url,
            allowed_return_urls,
            login: flows.login,
            registration: flows.registration,
            session_after_registration: flows.session_after_registration,
            logout_return_url: flows.logout_return_url,
            error_url: flows.error_url,
            verification: flows.verification,
            session_lifespan,
            cookie_secrets,
            bcrypt_cost,
            default_schema,
            schemas,
            clock: Clock::default(),
            warnings,
        })
    }

    /// Listens on other ports than the file says; 0 lets the operating system choose. Kratos's own URLs follow.
    #[must_use]
    pub fn ports(mut self, public: u16, admin: u16) -> Self {
        self.public.address.set_port(public);
        self.admin.address.set_port(admin);
        self
    }

    /// Allows browsers to be sent back to `url`, for a gateway on another port than the file says.
    #[must_use]
    pub fn allow_return_url(mut self, url: Url) -> Self {
        self.allowed_return_urls.push(url);
        self
    }

    /// Takes the time from `clock`, so that a test can move it ahead.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Returns what the file sets without effect here, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(crate) fn schema(&self, id: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.id() == id)
    }
}

fn listener(
    mut options: Options<'_>,
    port: u16,
    warnings: &mut Vec<String>,
) -> Result<Listener, ConfigError> {
    let address = options.address(port)?;
    let base_url = match options.http_url("base_url")? {
        Some(url) if url.path().ends_with('/') => url,
        Some(_) => return Err(options.refuse("base_url", "must end with `/`")),
        None => match Url::parse(&format!("http://{address}/")) {
            Ok(url) => url,
            Err(_) => return Err(options.refuse("base_url", "is required")),
        },
    };
    options.harmless("cors", "cross-origin answers are left to the services");
    options.finish(warnings)?;
    Ok(Listener {
        address,
        base_url,
        configured_port: address.port(),
    })
}

fn cookie_secrets(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Vec<String>, ConfigError> {
    options.harmless("cipher", "nothing is stored, so nothing is encrypted");
    options.harmless("default", "`secrets.cookie` is used");
    // The real server refuses other lengths, also of what has no effect here.
    for (key, length, problem) in [
        ("cookie", 16..=usize::MAX, "must have at least 16 characters"),
        ("default", 16..=usize::MAX, "must have at least 16 characters"),
        ("cipher", 32..=32, "must have 32 characters"),
    ] {
        let secrets = options.strings(key)?.unwrap_or_default();
        let wrong = secrets
            .iter()
            .position(|secret| !length.contains(&secret.chars().count()));
        if let Some(index) = wrong {
            return Err(options.refuse(&format!("{key}[{index}]"), problem));
        }
    }

    let secrets = options.strings("cookie")?.filter(|secrets| !secrets.is_empty());
    let secrets = options.required("cookie", secrets)?;
    options.finish(warnings)?;
    Ok(secrets.into_iter().map(ToOwned::to_owned).collect())
}

fn session_lifespan(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Duration, ConfigError> {
    let lifespan = options.duration("lifespan")?.unwrap_or(DEFAULT_SESSION_LIFESPAN);
    let mut whoami = options.section("whoami")?;
    if !matches!(whoami.string("required_aal")?, None | Some("aal1")) {
        return Err(whoami.refuse(
            "required_aal",
            "only `aal1` is supported: there is no second factor here",
        ));
    }
    whoami.finish(warnings)?;
    options.finish(warnings)?;
    Ok(lifespan)
}

fn bcrypt_cost(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<u32, ConfigError> {
    if options.string("algorithm")? != Some("bcrypt") {
        return Err(options.refuse("algorithm", "only `bcrypt` is supported"));
    }
    let mut bcrypt = options.section("bcrypt")?;
    // The real server refuses a cost above 31 too; above 16 a login would take seconds.
    let cost = bcrypt
        .number("cost", 4..=16)?
        .unwrap_or_else(|| u64::from(bcrypt::DEFAULT_COST));
    bcrypt.finish(warnings)?;
    options.finish(warnings)?;
    Ok(u32::try_from(cost).unwrap_or(bcrypt::DEFAULT_COST))
}

fn schemas(
    mut options: Options<'_>,
    vars: &Vars,
    warnings: &mut Vec<String>,
) -> Result<(String, Vec<Schema>), ConfigError> {
    let default = options.string("default_schema_id")?.unwrap_or("default");
    let mut schemas = Vec::new();
    for mut entry in options.list("schemas")? {
        let id = entry.string("id")?;
        let id = entry.required("id", id)?;
        let file = entry.file_url("url")?;
        let file = entry.required("url", file)?;
        schemas.push(Schema::read(id, &Document::read(&file, vars)?, warnings)?);
        entry.finish(warnings)?;
    }
    if !schemas.iter().any(|schema| schema.id() == default) {
        return Err(options.refuse("default_schema_id", "must be one of `identity.schemas`"));
    }
    options.finish(warnings)?;
    Ok((default.to_owned(), schemas))
}

fn allowed_urls(options: &mut Options<'_>) -> Result<Vec<Url>, ConfigError> {
    let mut urls = Vec::new();
    let texts = options.strings("allowed_return_urls")?.unwrap_or_default();
    for (index, text) in texts.into_iter().enumerate() {
        let refuse = |problem| Err(options.refuse(&format!("allowed_return_urls[{index}]"), problem));
        match Url::parse(text) {
            // Which wildcards the real server takes depends on its list of public suffixes.
            Ok(url) if url.host_str().is_some_and(|host| host.contains('*')) => {
                return refuse("wildcards are not supported by this stand-in; list each host");
            }
            Ok(url) if url.has_host() => urls.push(url),
            Ok(_) | Err(_) => return refuse("must be an absolute URL"),
        }
    }
    Ok(urls)
}

fn methods(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    let mut password = options.section("password")?;
    if password.boolean("enabled")? == Some(false) {
        return Err(password.refuse("enabled", "must be `true`: it is the only way to log in here"));
    }
    let mut config = password.section("config")?;
    if config.boolean("haveibeenpwned_enabled")? != Some(false) {
        return Err(config.refuse(
            "haveibeenpwned_enabled",
            "must be `false`: this stand-in asks nobody",
        ));
    }
    config.finish(warnings)?;
    password.finish(warnings)?;
    for method in ["code", "link", "totp", "lookup_secret"] {
        options.harmless(method, "passwords are the only way to log in here");
    }
    options.finish(warnings)
}

struct Flows {
    login: FlowConfig,
    registration: FlowConfig,
    session_after_registration: bool,
    logout_return_url: Option<Url>,
    error_url: Url,
    verification: bool,
}

impl Flows {
    fn read(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut login = options.section("login")?;
        let login_config = flow(&mut login)?;
        login.finish(warnings)?;

        let mut registration = options.section("registration")?;
        let registration_config = flow(&mut registration)?;
        if registration.boolean("enabled")? == Some(false) {
            return Err(registration.refuse("enabled", "must be `true`"));
        }
        let session_after_registration = hooks(registration.section("after")?, warnings)?;
        registration.finish(warnings)?;

        let mut logout = options.section("logout")?;
        let mut after = logout.section("after")?;
        let logout_return_url = after.http_url("default_browser_return_url")?;
        after.finish(warnings)?;
        logout.finish(warnings)?;

        let mut error = options.section("error")?;
        let error_url = error.http_url("ui_url")?;
        let error_url = error.required("ui_url", error_url)?;
        error.finish(warnings)?;

        // New addresses are marked as written to when the flow is on; that is all of it that exists here.
        let mut verification = options.section("verification")?;
        let verified = verification.boolean("enabled")? == Some(true);
        verification.harmless("ui_url", "there is no verification flow here");
        verification.harmless("use", "there is no verification flow here");
        verification.finish(warnings)?;
        options.harmless("settings", "there is no settings flow here");
        options.harmless("recovery", "there is no recovery flow here");
        options.finish(warnings)?;

        Ok(Self {
            login: login_config,
            registration: registration_config,
            session_after_registration,
            logout_return_url,
            error_url,
            verification: verified,
        })
    }
}

fn flow(options: &mut Options<'_>) -> Result<FlowConfig, ConfigError> {
    let ui_url = options.http_url("ui_url")?;
    let ui_url = options.required("ui_url", ui_url)?;
    let lifespan = options.duration("lifespan")?.unwrap_or(DEFAULT_FLOW_LIFESPAN);
    Ok(FlowConfig { ui_url, lifespan })
}

fn hooks(mut after: Options<'_>, warnings: &mut Vec<String>) -> Result<bool, ConfigError> {
    let mut password = after.section("password")?;
    let mut session = false;
    for mut hook in password.list("hooks")? {
        match hook.string("hook")? {
            Some("session") => session = true,
            Some(_) | None => return Err(hook.refuse("hook", "only `session` is supported")),
        }
        hook.finish(warnings)?;
    }
    password.finish(warnings)?;
    after.finish(warnings)?;
    Ok(session)
}

const DEFAULT_SESSION_LIFESPAN: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_FLOW_LIFESPAN: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../config/kratos.yml");

    fn read(text: &str) -> Result<KratosConfig, ConfigError> {
        let vars = Vars::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config"), "/state");
        KratosConfig::from_document(&Document::parse(Path::new("kratos.yml"), text, &vars)?, &vars)
    }

    #[test]
    fn shipped_configuration_is_read_and_its_unused_options_are_named() {
        let config = read(SHIPPED).unwrap();

        assert_eq!(config.session_lifespan, Duration::from_secs(24 * 3600));
        assert_eq!(config.login.lifespan, Duration::from_secs(600));
        assert_eq!(config.bcrypt_cost, 8);
        assert!(config.session_after_registration && config.verification);
        for option in [
            "log",
            "courier",
            "ciphers",
            "secrets.cipher",
            "selfservice.methods.totp",
        ] {
            assert!(
                config
                    .warnings()
                    .iter()
                    .any(|w| w.contains(&format!("`{option}`"))),
                "{option}"
            );
        }
    }

    #[test]
    fn option_that_would_change_behaviour_is_refused_with_its_path() {
        for (from, to, path) in [
            ("dsn: memory", "dsn: sqlite://x", "dsn"),
            (
                "required_aal: aal1",
                "required_aal: highest_available",
                "session.whoami.required_aal",
            ),
            ("algorithm: bcrypt", "algorithm: argon2", "hashers.algorithm"),
            (
                "hook: session",
                "hook: web_hook",
                "selfservice.flows.registration.after.password.hooks[0].hook",
            ),
            ("cost: 8", "cost: 40", "hashers.bcrypt.cost"),
            (
                "session:\n",
                "session:\n  cookie: { name: other }\n",
                "session.cookie",
            ),
            (
                "haveibeenpwned_enabled: false",
                "min_password_length: 4",
                "selfservice.methods.password.config.haveibeenpwned_enabled",
            ),
            ("lifespan: 24h", "lifespan: 24", "session.lifespan"),
            ("log: {", "tracing: {}\nlog: {", "tracing"),
            ("host: 127.0.0.1", "host: 0.0.0.0", "serve.public.host"),
            (
                "default_schema_id: default",
                "default_schema_id: nope",
                "identity.default_schema_id",
            ),
            (
                "allowed_return_urls: [http://127.0.0.1:4455]",
                "allowed_return_urls: [http://127.0.0.1:4455, /dashboard]",
                "selfservice.allowed_return_urls[1]",
            ),
            (
                "cookie: [ development-only-cookie-secret-000000 ]",
                "cookie: []",
                "secrets.cookie",
            ),
            (
                "cookie: [ development-only-cookie-secret-000000 ]",
                "cookie: [ development-only-cookie-secret-000000, 15-characters-0 ]",
                "secrets.cookie[1]",
            ),
            (
                "cookie: [ development-only-cookie-secret-000000 ]",
                "cookie: [ x ]",
                "secrets.cookie[0]",
            ),
            (
                "secrets:\n",
                "secrets:\n  default: [ 15-characters-0 ]\n",
                "secrets.default[0]",
            ),
            (
                "32-LONG-DEV-SECRET-NOT-SECURE-00",
                "31-LONG-DEV-SECRET-NOT-SECURE-0",
                "secrets.cipher[0]",
            ),
            (
                "32-LONG-DEV-SECRET-NOT-SECURE-00",
                "33-LONG-DEV-SECRET-NOT-SECURE-000",
                "secrets.cipher[0]",
            ),
        ] {
            assert!(SHIPPED.contains(from), "{from}");
            let err = read(&SHIPPED.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(
                err.contains("`kratos.yml`") && err.contains(&format!("`{path}")),
                "{path}: {err}"
            );
        }
    }

    #[test]
    fn wildcard_in_the_host_of_a_return_url_is_refused_and_one_in_its_path_means_itself() {
        let with = |url: &str| {
            let list = "allowed_return_urls: [http://127.0.0.1:4455]";
            assert!(SHIPPED.contains(list));
            read(&SHIPPED.replacen(list, &format!("allowed_return_urls: ['http://a/', '{url}']"), 1))
        };

        for url in [
            "https://*.example.org",
            "https://*.example.org:8443/x",
            "https://*",
            "https://*example.org/",
            "https://app.*.org/",
            "https://%2A.example.org/",
            "app://*.example.org/",
        ] {
            let err = with(url).unwrap_err().to_string();
            let path = "`selfservice.allowed_return_urls[1]`: wildcards are not supported";
            assert!(err.contains(path), "{url}: {err}");
        }
        let config = with("https://example.org/*").unwrap();
        assert_eq!(config.allowed_return_urls.last().unwrap().path(), "/*");
    }

    #[test]
    fn secrets_that_are_just_long_enough_are_read() {
        let secrets = "secrets:\n  default: [ 16-characters-00 ]\n  cookie: [ 16-characters-01, 16-characters-\u{e4}\u{e4} ]\n";
        let (before, after) = SHIPPED.split_once("secrets:\n").unwrap();
        let (_, after) = after.split_once("000000 ]\n").unwrap();

        let config = read(&format!("{before}{secrets}{after}")).unwrap();

        assert_eq!(
            config.cookie_secrets,
            ["16-characters-01", "16-characters-\u{e4}\u{e4}"]
        );
        assert!(config.warnings().iter().any(|w| w.contains("`secrets.default`")));
    }

    #[test]
    fn refused_secret_is_not_repeated() {
        let err =
            read(&SHIPPED.replacen("development-only-cookie-secret-000000", "short-secret", 1)).unwrap_err();

        assert!(!format!("{err} {err:?}").contains("short-secret"));
    }

    #[test]
    fn base_url_follows_the_port_that_is_served() {
        let config = read(SHIPPED).unwrap().ports(0, 0);

        let served = "127.0.0.1:5555".parse().unwrap();
        assert_eq!(config.public.base_url(served).as_str(), "http://127.0.0.1:5555/");
    }
}

//! The supported part of `kratos.yml`.

mod flows;

use std::{net::SocketAddr, path::Path, time::Duration};

use serde_json::Value;
use url::Url;

use self::flows::Flows;
use super::{clock::Clock, flow::Methods, schema::Schema, session::RequiredAal, tokenizer::Template};
use crate::{
    config::{ConfigError, Document, Options, Vars},
    server::Outage,
};

/// The configuration of an embedded Kratos, read from the real server's files.
#[derive(Clone, Debug)]
pub struct KratosConfig {
    pub(crate) public: Listener,
    pub(crate) admin: Listener,
    pub(crate) default_return_url: Url,
    pub(crate) allowed_return_urls: Vec<Url>,
    pub(crate) login: FlowConfig,
    pub(crate) registration: FlowConfig,
    pub(crate) settings: SettingsConfig,
    pub(crate) session_after_registration: bool,
    pub(crate) logout_return_url: Option<Url>,
    pub(crate) error_url: Url,
    pub(crate) verification: bool,
    pub(crate) session_lifespan: Duration,
    pub(crate) whoami_aal: RequiredAal,
    pub(crate) tokenizer: Vec<Template>,
    pub(crate) cookie_secrets: Vec<String>,
    pub(crate) bcrypt_cost: u32,
    pub(crate) default_schema: String,
    pub(crate) schemas: Vec<Schema>,
    pub(crate) clock: Clock,
    pub(crate) outage: Outage,
    warnings: Vec<String>,
}

/// The address of one interface, and the base of its own URLs.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    base_url: Url,
    configured_port: u16,
}

impl Listener {
    /// Returns the base URL. If it names the configured port, that is replaced by the served port.
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

/// The settings flow, and the settings that it can change.
#[derive(Clone, Debug)]
pub(crate) struct SettingsConfig {
    pub(crate) flow: FlowConfig,
    pub(crate) methods: Methods,
    /// How long after a login credentials can be changed.
    pub(crate) privileged_session_max_age: Duration,
    pub(crate) required_aal: RequiredAal,
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
        let session = SessionConfig::read(root.section("session")?, warn)?;
        let bcrypt_cost = bcrypt_cost(root.section("hashers")?, warn)?;
        let (default_schema, schemas) = schemas(root.section("identity")?, vars, warn)?;

        let mut selfservice = root.section("selfservice")?;
        let default_return_url = selfservice.http_url("default_browser_return_url")?;
        let default_return_url = selfservice.required("default_browser_return_url", default_return_url)?;
        let allowed_return_urls = allowed_urls(&mut selfservice)?;
        let methods = methods(selfservice.section("methods")?, warn)?;
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
            settings: SettingsConfig {
                flow: flows.settings.flow,
                methods,
                privileged_session_max_age: flows.settings.privileged_session_max_age,
                required_aal: flows.settings.required_aal,
            },
            session_after_registration: flows.session_after_registration,
            logout_return_url: flows.logout_return_url,
            error_url: flows.error_url,
            verification: flows.verification,
            session_lifespan: session.lifespan,
            whoami_aal: session.required_aal,
            tokenizer: session.tokenizer,
            cookie_secrets,
            bcrypt_cost,
            default_schema,
            schemas,
            clock: Clock::default(),
            outage: Outage::default(),
            warnings,
        })
    }

    /// Overrides the ports of the file; 0 lets the operating system choose. Kratos's own URLs use the new ports.
    #[must_use]
    pub fn ports(mut self, public: u16, admin: u16) -> Self {
        self.public.address.set_port(public);
        self.admin.address.set_port(admin);
        self
    }

    /// Adds `url` to the allowed return URLs, for a gateway on another port than in the file.
    #[must_use]
    pub fn allow_return_url(mut self, url: Url) -> Self {
        self.allowed_return_urls.push(url);
        self
    }

    /// Sets the required assurance level of sessions, in place of `session.whoami.required_aal`.
    #[must_use]
    pub fn required_aal(mut self, required: RequiredAal) -> Self {
        self.whoami_aal = required;
        self
    }

    /// Sets the lifespan of sessions, in place of `session.lifespan`.
    #[must_use]
    pub fn session_lifespan(mut self, lifespan: Duration) -> Self {
        self.session_lifespan = lifespan;
        self
    }

    /// Adds a template for `whoami?tokenize_as=NAME`, in the form of `session.whoami.tokenizer.templates` in `kratos.yml`.
    /// An existing template of that name is replaced.
    ///
    /// # Errors
    ///
    /// When the template's keys, lifespan or claims mapper are invalid.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run(config: ory_dev::kratos::KratosConfig) -> Result<(), ory_dev::config::ConfigError> {
    /// let template = serde_json::json!({"jwks_url": "file:///tmp/id-token.jwks.json", "ttl": "60s"});
    /// let config = config.tokenizer_template("service", &template)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tokenizer_template(mut self, name: &str, template: &Value) -> Result<Self, ConfigError> {
        let path = format!("session.whoami.tokenizer.templates.{name}");
        let options = Options::of(Path::new("kratos.yml"), path, Some(template))?;
        let template = Template::read(name, options, &mut self.warnings)?;
        self.tokenizer.retain(|own| own.name() != name);
        self.tokenizer.push(template);
        Ok(self)
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

    /// Returns the base URL of the public interface as the file states it.
    pub(crate) fn configured_public_url(&self) -> &Url {
        &self.public.base_url
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
    // The real server rejects other lengths, even for secrets that have no effect here.
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

/// The section `session`.
struct SessionConfig {
    lifespan: Duration,
    required_aal: RequiredAal,
    tokenizer: Vec<Template>,
}

impl SessionConfig {
    fn read(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let lifespan = options.duration("lifespan")?.unwrap_or(DEFAULT_SESSION_LIFESPAN);
        let mut whoami = options.section("whoami")?;
        let required_aal = required_aal(&mut whoami)?;
        let tokenizer = Template::read_all(whoami.section("tokenizer")?, warnings)?;
        whoami.finish(warnings)?;
        options.finish(warnings)?;
        Ok(Self {
            lifespan,
            required_aal,
            tokenizer,
        })
    }
}

/// Reads `required_aal`. The default, as in Kratos, is the highest level that the person can reach.
fn required_aal(options: &mut Options<'_>) -> Result<RequiredAal, ConfigError> {
    match options.string("required_aal")? {
        None | Some("highest_available") => Ok(RequiredAal::HighestAvailable),
        Some("aal1") => Ok(RequiredAal::Aal1),
        Some(_) => Err(options.refuse("required_aal", "must be `aal1` or `highest_available`")),
    }
}

fn bcrypt_cost(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<u32, ConfigError> {
    if options.string("algorithm")? != Some("bcrypt") {
        return Err(options.refuse("algorithm", "only `bcrypt` is supported"));
    }
    let mut bcrypt = options.section("bcrypt")?;
    // The real server rejects a cost above 31. Above 16, a login would take seconds.
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
            // The real server decides with its list of public suffixes which wildcards it accepts.
            Ok(url) if url.host_str().is_some_and(|host| host.contains('*')) => {
                return refuse("wildcards are not supported by this stand-in; list each host");
            }
            Ok(url) if url.has_host() => urls.push(url),
            Ok(_) | Err(_) => return refuse("must be an absolute URL"),
        }
    }
    Ok(urls)
}

fn methods(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Methods, ConfigError> {
    let mut password = options.section("password")?;
    if password.boolean("enabled")? == Some(false) {
        return Err(password.refuse("enabled", "must be `true`: it is the only way to log in here"));
    }
    let mut config = password.section("config")?;
    if config.boolean("haveibeenpwned_enabled")? != Some(false) {
        return Err(config.refuse(
            "haveibeenpwned_enabled",
            "must be `false`: this stand-in calls no other service",
        ));
    }
    config.finish(warnings)?;
    password.finish(warnings)?;
    let mut totp = options.section("totp")?;
    let has_totp = totp.boolean("enabled")?.unwrap_or(false);
    totp.harmless(
        "config",
        "the QR code, which would show the issuer, is empty here",
    );
    totp.finish(warnings)?;
    let mut lookup_secret = options.section("lookup_secret")?;
    let has_lookup_secret = lookup_secret.boolean("enabled")?.unwrap_or(false);
    lookup_secret.finish(warnings)?;
    if has_lookup_secret {
        warnings.push(
            "`selfservice.methods.lookup_secret`: the settings form has the button, and it does nothing here"
                .to_owned(),
        );
    }
    for method in ["code", "link"] {
        options.harmless(method, "passwords are the only way to log in here");
    }
    options.finish(warnings)?;
    Ok(Methods {
        lookup_secret: has_lookup_secret,
        totp: has_totp,
    })
}

const DEFAULT_SESSION_LIFESPAN: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;

//! Reads `oathkeeper.yml` and the rules that it names.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use url::Url;

use crate::{
    config::{ConfigError, Document, Options, Vars, file_path},
    oathkeeper::{
        clock::Clock,
        handlers::Handlers,
        rule::{Rule, read_rules},
    },
};

/// The configuration of one embedded gateway.
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a gateway is started with it"]
pub struct OathkeeperConfig {
    pub(crate) proxy: SocketAddr,
    pub(crate) api: SocketAddr,
    /// The configured address of the proxy, which the rules match against.
    pub(crate) written_proxy: SocketAddr,
    pub(crate) trusts_forwarded: bool,
    pub(crate) is_verbose: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) key_files: BTreeSet<PathBuf>,
    pub(crate) reload: Duration,
    pub(crate) workers: usize,
    pub(crate) clock: Clock,
    warnings: Vec<String>,
}

impl OathkeeperConfig {
    /// Reads `oathkeeper.yml` and the access rules that it names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, an option is unknown, or a template uses an unsupported function.
    pub fn from_files(path: &Path, vars: &Vars) -> Result<Self, ConfigError> {
        Self::from_document(&Document::read(path, vars)?, vars)
    }

    pub(super) fn from_document(document: &Document, vars: &Vars) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let warn = &mut warnings;
        let mut root = document.options()?;
        root.version(warn)?;
        root.harmless("log", "this stand-in does not log as configured");
        root.harmless("tracing", "this stand-in does not trace");
        root.harmless("profiling", "this stand-in does not profile");

        let mut serve = root.section("serve")?;
        let mut proxy_section = serve.section("proxy")?;
        let trusts_forwarded = proxy_section.boolean("trust_forwarded_headers")?.unwrap_or(false);
        let proxy = listener(proxy_section, 4455, warn)?;
        let api = listener(serve.section("api")?, 4456, warn)?;
        serve.harmless("prometheus", "this stand-in has no metrics");
        serve.finish(warn)?;

        let handlers = Handlers::read(&mut root, warn)?;
        let is_verbose = errors(root.section("errors")?, warn)?;

        let mut access_rules = root.section("access_rules")?;
        if access_rules.string("matching_strategy")? != Some("glob") {
            return Err(access_rules.refuse(
                "matching_strategy",
                "must be `glob`: nothing else is supported here",
            ));
        }
        let mut rules = Vec::new();
        for file in access_rules.file_urls("repositories")? {
            rules.extend(read_rules(&file, vars, &handlers, warn)?);
        }
        handlers.check_unused(document.file(), &rules)?;
        access_rules.finish(warn)?;
        root.finish(warn)?;

        let mut key_files: BTreeSet<PathBuf> = rules.iter().flat_map(Rule::key_files).cloned().collect();
        // This key set is published even when every rule configures its own.
        let common = handlers
            .id_token_config()
            .and_then(|config| config.get("jwks_url"))
            .and_then(Value::as_str);
        key_files.extend(common.and_then(file_path));
        Ok(Self {
            proxy,
            api,
            written_proxy: proxy,
            trusts_forwarded,
            is_verbose,
            rules,
            key_files,
            reload: DEFAULT_RELOAD,
            workers: DEFAULT_WORKERS,
            clock: Clock::default(),
            warnings,
        })
    }

    /// Overrides the ports of the file; 0 lets the operating system choose. Rules for the configured port match requests to
    /// the new one.
    pub fn ports(mut self, proxy: u16, api: u16) -> Self {
        self.proxy.set_port(proxy);
        self.api.set_port(api);
        self
    }

    /// Redirects all calls to the origin `from` to the origin `to`, for services and session checks on other ports.
    pub fn replace_origin(mut self, from: &Url, to: &Url) -> Self {
        for rule in &mut self.rules {
            rule.replace_origin(from, to);
        }
        self
    }

    /// Sets the interval at which key files are read. Defaults to 500 milliseconds; the real gateway takes up to 30
    /// seconds.
    pub fn reload(mut self, interval: Duration) -> Self {
        self.reload = interval;
        self
    }

    /// Sets the number of workers of each listener. Defaults to 2.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Takes the time from `clock`, which a test can advance.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Returns one sentence for each option of the files that has no effect here.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the files of the signing keys.
    pub fn key_files(&self) -> impl Iterator<Item = &Path> {
        self.key_files.iter().map(PathBuf::as_path)
    }
}

fn listener(
    mut options: Options<'_>,
    default_port: u16,
    warnings: &mut Vec<String>,
) -> Result<SocketAddr, ConfigError> {
    let address = options.address(default_port)?;
    options.harmless("timeout", "this stand-in has its own timeouts");
    let mut cors = options.section("cors")?;
    if cors.boolean("enabled")?.unwrap_or(false) {
        return Err(cors.refuse(
            "enabled",
            "this stand-in adds no CORS headers; let the services behind it add them",
        ));
    }
    for key in [
        "allowed_origins",
        "allowed_methods",
        "allowed_headers",
        "exposed_headers",
        "allow_credentials",
        "max_age",
        "debug",
    ] {
        cors.harmless(key, "CORS is not enabled");
    }
    cors.finish(warnings)?;
    options.finish(warnings)?;
    Ok(address)
}

/// Reads whether errors are verbose. Only the JSON handler is supported.
fn errors(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<bool, ConfigError> {
    if options
        .strings("fallback")?
        .is_some_and(|fallback| fallback.first() != Some(&"json"))
    {
        return Err(options.refuse(
            "fallback",
            "must start with `json`: no other error handler is supported here",
        ));
    }
    let mut handlers = options.section("handlers")?;
    for name in ["redirect", "www_authenticate"] {
        handlers.harmless(name, "this stand-in answers every error with JSON");
    }
    let mut json = handlers.section("json")?;
    if !json.boolean("enabled")?.unwrap_or(true) {
        return Err(json.refuse(
            "enabled",
            "must be `true`: no other error handler is supported here",
        ));
    }
    let mut config = json.section("config")?;
    let is_verbose = config.boolean("verbose")?.unwrap_or(false);
    config.finish(warnings)?;
    json.finish(warnings)?;
    handlers.finish(warnings)?;
    options.finish(warnings)?;
    Ok(is_verbose)
}

const DEFAULT_RELOAD: Duration = Duration::from_millis(500);

const DEFAULT_WORKERS: usize = 2;

#[cfg(test)]
mod tests;

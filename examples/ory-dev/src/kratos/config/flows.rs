//! Self-service flows: lifespans, pages, return URLs and hooks.

use std::time::Duration;

use url::Url;

use super::{super::session::RequiredAal, FlowConfig, required_aal};
use crate::config::{ConfigError, Options};

/// The section `selfservice.flows`.
pub(super) struct Flows {
    pub(super) login: FlowConfig,
    pub(super) registration: FlowConfig,
    pub(super) settings: SettingsFlow,
    pub(super) session_after_registration: bool,
    pub(super) logout_return_url: Option<Url>,
    pub(super) error_url: Url,
    pub(super) verification: bool,
}

/// The section `selfservice.flows.settings`.
pub(super) struct SettingsFlow {
    pub(super) flow: FlowConfig,
    pub(super) privileged_session_max_age: Duration,
    pub(super) required_aal: RequiredAal,
}

impl Flows {
    pub(super) fn read(mut options: Options<'_>, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
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

        // With this flow enabled, new addresses are marked as notified. The stand-in implements nothing else of it.
        let mut verification = options.section("verification")?;
        let verified = verification.boolean("enabled")? == Some(true);
        verification.harmless("ui_url", "there is no verification flow here");
        verification.harmless("use", "there is no verification flow here");
        verification.finish(warnings)?;
        let mut settings = options.section("settings")?;
        let settings_config = SettingsFlow {
            flow: flow(&mut settings)?,
            privileged_session_max_age: settings
                .duration("privileged_session_max_age")?
                .unwrap_or(DEFAULT_PRIVILEGED_AGE),
            required_aal: required_aal(&mut settings)?,
        };
        settings.finish(warnings)?;
        options.harmless("recovery", "there is no recovery flow here");
        options.finish(warnings)?;

        Ok(Self {
            login: login_config,
            registration: registration_config,
            settings: settings_config,
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

const DEFAULT_FLOW_LIFESPAN: Duration = Duration::from_secs(60 * 60);
const DEFAULT_PRIVILEGED_AGE: Duration = Duration::from_secs(60 * 60);

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use uuid::Uuid;

use super::OathkeeperConfig;
use crate::config::Vars;

const CONFIG: &str = include_str!("../../../config/oathkeeper.yml");

const RULES: &str = include_str!("../../../config/access-rules.json");

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ory-dev-config-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn read(&self, config: &str, rules: &str) -> Result<OathkeeperConfig, String> {
        self.write("oathkeeper.yml", config);
        self.write("access-rules.json", rules);
        let vars = Vars::new(&self.0, &self.0);
        OathkeeperConfig::from_files(&self.0.join("oathkeeper.yml"), &vars).map_err(|error| error.to_string())
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.0.join(name), content).expect("a file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the error of a changed configuration.
fn config_error(from: &str, to: &str) -> String {
    assert!(CONFIG.contains(from), "{from}");
    Folder::new()
        .read(&CONFIG.replacen(from, to, 1), RULES)
        .map(|_| ())
        .expect_err("refused")
}

/// Returns the error of rules after one member of the second rule was changed.
fn rule_error(pointer: &str, value: Value) -> String {
    let mut rules: Value = serde_json::from_str(RULES).expect("rules");
    *rules[1].pointer_mut(pointer).expect("a member") = value;
    Folder::new()
        .read(CONFIG, &rules.to_string())
        .map(|_| ())
        .expect_err("refused")
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn unknown_options_are_refused_with_their_place() {
    assert_says(
        &config_error("serve:", "server: {}\nserve:"),
        &["oathkeeper.yml", "`server`", "not supported"],
    );
    assert_says(
        &config_error("preserve_path: true", "preserve_paths: true"),
        &[
            "access-rules.json",
            "rule `orders-api:zero-trust`: authenticators[0]",
            "preserve_paths",
        ],
    );
    assert_says(
        &config_error("verbose: true", "colour: true"),
        &["errors.handlers.json.config.colour"],
    );
    assert_says(
        &rule_error("/upstream", json!({"uri": "http://127.0.0.1:1"})),
        &["[1].upstream.uri"],
    );
}

#[test]
fn what_the_stand_in_does_not_have_is_refused_with_what_it_has() {
    assert_says(
        &config_error("matching_strategy: glob", "matching_strategy: regexp"),
        &["must be `glob`"],
    );
    assert_says(&config_error("matching_strategy: glob", ""), &["must be `glob`"]);
    assert_says(
        &config_error("port: 4455", "port: 4455, cors: { enabled: true }"),
        &["serve.proxy.cors.enabled"],
    );
    assert_says(
        &config_error("fallback: [ json ]", "fallback: [ redirect ]"),
        &["errors.fallback", "`json`"],
    );
    assert_says(
        &config_error("\"file://${CONFIG}/access-rules.json\"", "\"https://x/y\""),
        &["repositories"],
    );
    assert_says(
        &config_error("jwks_url: \"file://", "jwks_url: \"https://"),
        &["jwks_url", "file://"],
    );
    assert_says(
        &config_error("host: 127.0.0.1", "host: 0.0.0.0"),
        &["serve.proxy.host", "loopback"],
    );
    assert_says(&config_error("ttl: 60s", "ttl: soon"), &["ttl"]);
    assert_says(&config_error("ttl: 60s", "ttl: 0s"), &["ttl", "at least"]);
    assert_says(
        &config_error("subject_from: identity.id", "subject_from: identity.#.id"),
        &["subject_from"],
    );
    assert_says(
        &config_error(
            "check_session_url: http://127.0.0.1",
            "check_session_url: https://127.0.0.1",
        ),
        &["check_session_url", "only http"],
    );
    assert_says(
        &rule_error("/upstream/url", json!("https://127.0.0.1:1")),
        &["[1].upstream.url", "only http"],
    );
}

#[test]
fn a_handler_that_is_unknown_or_not_enabled_is_refused_with_the_rule_and_the_ones_there_are() {
    assert_says(
        &rule_error("/authenticators/0/handler", json!("oauth2_client_credentials")),
        &[
            "rule `orders-api:zero-trust`: authenticators[0].handler",
            "`oauth2_client_credentials`",
            "`cookie_session`",
        ],
    );
    assert_says(
        &rule_error("/authorizer/handler", json!("remote_json")),
        &["authorizer.handler", "`deny`"],
    );
    assert_says(
        &rule_error("/mutators/0/handler", json!("hydrator")),
        &["mutators[0].handler", "`id_token`"],
    );
    assert_says(
        &config_error(
            "cookie_session:\n    enabled: true",
            "cookie_session:\n    enabled: false",
        ),
        &["`cookie_session` is not enabled"],
    );
}

#[test]
fn a_template_outside_the_subset_is_refused_with_rule_and_template() {
    let claims = json!([{"handler": "id_token", "config": {"claims": "{\"a\": \"{{ env .Subject }}\"}"}}]);
    assert_says(
        &rule_error("/mutators", claims),
        &[
            "rule `orders-api:zero-trust`: mutators[0].claims",
            "{{ env .Subject }}",
            "`env` is not one of",
        ],
    );
    let headers =
        json!([{"handler": "header", "config": {"headers": {"X-A": "{{ .MatchContext.Method }}"}}}]);
    assert_says(
        &rule_error("/mutators", headers),
        &["mutators[0].headers", ".MatchContext.Method"],
    );
    let name = json!([{"handler": "header", "config": {"headers": {"X A": "a"}}}]);
    assert_says(
        &rule_error("/mutators", name),
        &["mutators[0].headers", "`X A` is not a header name"],
    );
}

#[test]
fn broken_rules_are_refused() {
    assert_says(&rule_error("/id", json!("")), &["[1].id"]);
    assert_says(&rule_error("/id", json!(7)), &["[1].id"]);
    assert_says(
        &rule_error("/match/url", json!("http://h/<**")),
        &["[1].match.url", "not balanced"],
    );
    assert_says(&rule_error("/match/url", json!("")), &["[1].match.url"]);
    assert_says(&rule_error("/match/methods", json!([1])), &["[1].match.methods"]);
    assert_says(
        &rule_error("/authenticators", json!([])),
        &["[1].authenticators", "at least one"],
    );
    assert_says(&rule_error("/authenticators", json!({})), &["[1].authenticators"]);
    assert_says(
        &rule_error("/mutators", json!([])),
        &["[1].mutators", "at least one"],
    );
    assert_says(
        &rule_error("/authorizer", json!({})),
        &["[1].authorizer.handler", "required"],
    );
    assert_says(
        &rule_error("/upstream/url", json!("not a url")),
        &["[1].upstream.url"],
    );
}

#[test]
fn rules_files_that_are_not_lists_of_rules_are_refused() {
    let folder = Folder::new();
    for rules in [
        "",
        "{",
        "{}",
        "[1]",
        "\u{0}",
        "[{\"id\":\"a\",\"id\":\"b\"}]",
        &"[".repeat(100_000),
    ] {
        let error = folder.read(CONFIG, rules).map(|_| ()).expect_err("refused");
        assert_says(&error, &["access-rules.json"]);
    }
    folder.write("oathkeeper.yml", CONFIG);
    fs::remove_file(folder.0.join("access-rules.json")).expect("removed");
    let vars = Vars::new(&folder.0, &folder.0);
    let error = OathkeeperConfig::from_files(&folder.0.join("oathkeeper.yml"), &vars).expect_err("absent");
    assert_says(&error.to_string(), &["access-rules.json"]);
}

#[test]
fn the_shipped_configuration_is_read_and_what_has_no_effect_is_said() {
    let config = Folder::new().read(CONFIG, RULES).expect("a configuration");

    assert_eq!(config.rules.len(), 3);
    assert_eq!((config.proxy.port(), config.api.port()), (4455, 4456));
    assert_eq!(config.key_files().count(), 1);
    let warnings = config.warnings().join("\n");
    assert_says(&warnings, &["serve.prometheus"]);
    assert_eq!(config.warnings().len(), 1, "{warnings}");
}

#[test]
fn rules_may_be_yaml_and_an_id_that_occurs_twice_is_said() {
    let folder = Folder::new();
    let rules: Value = serde_json::from_str(RULES).expect("rules");
    let rule = json!([rules[0], rules[0]]);
    folder.write("rules.yaml", &serde_norway::to_string(&rule).expect("YAML"));

    let config = folder
        .read(&CONFIG.replacen("access-rules.json", "rules.yaml", 1), RULES)
        .expect("read");

    assert_eq!(config.rules.len(), 2);
    assert_says(
        &config.warnings().join("\n"),
        &["two rules have the id `auth-bff:public`"],
    );
}

#[test]
fn a_rule_overrides_the_common_configuration_member_by_member() {
    let mut rules: Value = serde_json::from_str(RULES).expect("rules");
    rules[1]["authenticators"][0]["config"] = json!({"only": ["other"], "subject_from": "subject"});
    let config = Folder::new()
        .read(CONFIG, &rules.to_string())
        .expect("a configuration");

    let text = format!("{:?}", config.rules[1].authenticators[0]);
    assert_says(
        &text,
        &[
            "only: [\"other\"]",
            "Members([\"subject\"])",
            "extra_from: This",
            "4433",
        ],
    );
}

#[test]
fn origins_are_replaced_where_they_are_the_same_and_nowhere_else() {
    let url = |text: &str| url::Url::parse(text).expect("a URL");
    let config = Folder::new()
        .read(CONFIG, RULES)
        .expect("a configuration")
        .replace_origin(&url("http://127.0.0.1:3001"), &url("http://127.0.0.1:9"))
        .replace_origin(&url("http://127.0.0.1:443"), &url("http://127.0.0.1:8"));

    let upstreams: Vec<_> = config
        .rules
        .iter()
        .map(|rule| rule.upstream.as_ref().and_then(url::Url::port))
        .collect();
    assert_eq!(upstreams, [Some(3000), Some(9), Some(3002)]);
    assert!(format!("{:?}", config.rules[1].authenticators[0]).contains("4433"));
}

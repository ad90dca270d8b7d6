//! From files, from the environment, in code.

use std::{fs, path::PathBuf};

use super::*;
use crate::secret::Secret;

#[test]
fn keys_that_occur_twice_are_refused_in_every_format() {
    for (name, result) in [
        (
            "toml",
            IamConfig::from_toml("development = true\ndevelopment = false"),
        ),
        (
            "yaml",
            IamConfig::from_yaml("development: true\ndevelopment: false\n"),
        ),
        (
            "json",
            IamConfig::from_json(r#"{"development": true, "development": false}"#),
        ),
        (
            "json",
            IamConfig::from_json(r#"{"tenants": {"a": {}, "\u0061": {}}}"#),
        ),
    ] {
        assert!(result.is_err(), "{name}");
    }
}

#[test]
fn the_three_formats_say_the_same() {
    let toml =
        IamConfig::from_toml("[tenants.default.keto]\nread_url = \"https://k.example\"\nbatch_size = 7")
            .unwrap();
    let yaml = IamConfig::from_yaml(
        "tenants:\n  default:\n    keto:\n      read_url: https://k.example\n      batch_size: 7\n",
    )
    .unwrap();
    let json = IamConfig::from_json(
        r#"{"tenants":{"default":{"keto":{"read_url":"https://k.example","batch_size":7}}}}"#,
    )
    .unwrap();

    assert_eq!(toml.tenants, yaml.tenants);
    assert_eq!(toml.tenants, json.tenants);
}

fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_environment_overrides_the_file() {
    let config = config_with("").with_env(env(&[
        ("IAM__TENANTS__DEFAULT__KETO__READ_URL", "http://127.0.0.1:4466"),
        ("IAM__TENANTS__DEFAULT__KETO__BATCH_SIZE", "25"),
        (
            "IAM__TENANTS__DEFAULT__OATHKEEPER__AUDIENCE",
            "orders-api, billing-api",
        ),
        ("IAM__TENANTS__DEFAULT__OATHKEEPER__CLOCK_SKEW", "5s"),
        ("IAM__TENANTS__DEFAULT__OATHKEEPER__REPLAY", "always"),
        ("IAM__TENANTS__DEFAULT__CSRF__ENABLED", "false"),
        ("IAM__AUDIT__SINK", "json"),
        ("PATH", "/bin"),
    ]));

    let settings = config.validate().unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().read_url(), "http://127.0.0.1:4466");
    assert_eq!(tenant.keto().unwrap().batch_size(), 25);
    let profile = tenant.verifier().unwrap().profile();
    assert_eq!(profile.audience(), ["orders-api", "billing-api"]);
    assert_eq!(profile.clock_skew(), Duration::from_secs(5));
    assert!(profile.jti_required());
    assert_eq!(settings.registry().credential_headers(), ["authorization"]);
    assert_eq!(settings.audit().sink, AuditSinkConfig::Json);
}

#[test]
fn a_variable_that_names_no_key_does_not_start() {
    for name in [
        "IAM__TENANT__DEFAULT",
        "IAM__TENANTS__DEFAULT__KETO__READURL",
        "IAM__",
        "IAM____X",
        "IAM__DEVELOPMENT__X",
    ] {
        let problems = problems(config_with("development = true\n").with_env(env(&[(name, "1")])));
        assert!(!problems.is_empty(), "{name}");
    }
    assert_eq!(
        problems(config_with("").with_env(env(&[("IAM__DEVELOPMENT", "perhaps")]))),
        ["`IAM__DEVELOPMENT`: expected a boolean"]
    );
    let twice = config_with("").with_env(env(&[
        ("IAM__DEVELOPMENT", "true"),
        ("IAM__Development", "false"),
    ]));
    assert_eq!(problems(twice).len(), 1);
}

#[test]
fn letter_case_of_a_variable_does_not_matter() {
    let config = config_with("").with_env(env(&[
        ("iam__tenants__default__keto__batch_size", "25"),
        ("Iam__Tenants__DEFAULT__Csrf__Enabled", "false"),
    ]));

    let settings = config.validate().unwrap();

    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().batch_size(), 25);
    assert!(!tenant.has_csrf_check());
}

#[test]
fn a_variable_that_resembles_one_of_ours_is_a_warning_that_names_it() {
    for (name, meant) in [
        (
            "IAM_TENANTS__DEFAULT__KETO__READ_URL",
            "IAM__TENANTS__DEFAULT__KETO__READ_URL",
        ),
        (
            "IAM_TENANTS_DEFAULT_KETO_READ_URL",
            "IAM__TENANTS__DEFAULT__KETO__READ_URL",
        ),
        ("iam_development", "IAM__DEVELOPMENT"),
        (
            "IAM_TENANTS_DEFAULT_KETO_TOKEN_FILE",
            "IAM__TENANTS__DEFAULT__KETO__TOKEN_FILE",
        ),
    ] {
        let settings = config_with("")
            .with_env(env(&[(name, "true")]))
            .validate()
            .unwrap();

        let warnings: Vec<_> = settings.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("`{name}`: ignored; did you mean `{meant}`?")]);
    }
}

/// Kubernetes sets these for a service that is called `iam`.
#[test]
fn variables_of_a_cluster_are_not_mistaken_for_ours() {
    let others = [
        ("IAM_SERVICE_HOST", "10.0.0.1"),
        ("IAM_PORT", "tcp://10.0.0.1:80"),
        ("IAM_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("IAMBIC", "1"),
        ("IAM", "1"),
    ];

    let settings = config_with("").with_env(env(&others)).validate().unwrap();

    assert_eq!(settings.warnings(), []);
}

#[test]
fn a_variable_with_an_unknown_key_names_the_right_variable() {
    for name in [
        "IAM__TENANTS_DEFAULT__KETO__READ_URL",
        "IAM__TENANTS__DEFAULT__KETO__READURL",
        "IAM__TENANT__DEFAULT__KETO__READ_URL",
    ] {
        let found = problems(config_with("").with_env(env(&[(name, "https://k.example")])));

        assert_eq!(
            found,
            [format!(
                "`{name}`: unknown key; did you mean `IAM__TENANTS__DEFAULT__KETO__READ_URL`?"
            )]
        );
    }
}

#[test]
fn a_problem_of_a_variable_names_the_variable_and_not_the_file() {
    let folder = Folder::new("variable");
    let sound = "[tenants.default]\ntransports = [\"oathkeeper\"]\n[tenants.default.oathkeeper]\n\
                 issuer = \"https://g.example/\"\naudience = [\"a\"]\njwks.url = \"https://g.example/jwks\"";
    let path = folder.write("iam.toml", sound.as_bytes());

    for (name, value, message) in [
        ("IAM__DEVELOPMENT", "perhaps", "expected a boolean"),
        (
            "IAM__TENANTS__DEFAULT__KETO__READ_URL",
            "ftp://keto.example",
            "not an https URL",
        ),
        ("iam__audit__queue", "0", "expected 1 to 1000000"),
        (
            "IAM__TENANTS__DEFAULT__OATHKEEPER__ALGORITHMS",
            "RS256,none",
            "`none` is not an algorithm with public keys; ",
        ),
    ] {
        let config = IamConfig::from_file(&path).unwrap();
        let error = config.with_env(env(&[(name, value)])).validate().unwrap_err();

        let printed = error.to_string();
        let expected = format!("invalid configuration\n  `{name}`: {message}");
        assert!(printed.starts_with(&expected), "{printed}");
        assert_eq!(error.problems().len(), 1, "{printed}");
        assert_eq!(error.problems()[0].variable(), Some(name));
    }
}

#[test]
fn variables_may_be_given_in_several_calls() {
    let config = config_with("")
        .with_env(env(&[("IAM__TENANTS__DEFAULT__KETO__BATCH_SIZE", "25")]))
        .with_env(env(&[("IAM__DEVELOPMENT", "true")]));

    let settings = config.validate().unwrap();

    assert!(settings.registry().development());
    let tenant = settings.registry().default_tenant();
    assert_eq!(tenant.keto().unwrap().batch_size(), 25);
}

#[test]
fn changes_in_code_are_not_silently_undone_by_the_environment() {
    let config = config_with("").development(true).with_env(env(&[]));

    assert_eq!(problems(config).len(), 1);
}

#[test]
fn a_secret_may_stand_in_a_file_of_its_own() {
    let file = std::env::temp_dir().join(format!("iam-core-secret-{}", std::process::id()));
    fs::write(&file, "hunter2\n").unwrap();
    let path = file.display();

    let settings = settings_with(&format!("token_file = '{path}'"));
    let both = problems_with(&format!("token = \"x\"\ntoken_file = '{path}'"));
    fs::write(&file, "\n").unwrap();
    let empty = problems_with(&format!("token_file = '{path}'"));
    fs::remove_file(&file).unwrap();
    let gone = problems_with(&format!("token_file = '{path}'"));

    let token = settings
        .registry()
        .default_tenant()
        .keto()
        .unwrap()
        .token()
        .cloned();
    assert_eq!(token, Some(Secret::new("hunter2")));
    assert_eq!(
        both,
        ["`tenants.default.keto.token_file`: given together with `token`"]
    );
    assert_eq!(empty, ["`tenants.default.keto.token_file`: the file is empty"]);
    assert!(
        matches!(gone.as_slice(), [gone] if gone.starts_with("`tenants.default.keto.token_file`: the file cannot be opened: ")),
        "{gone:?}"
    );
}

#[test]
fn a_file_is_read_by_its_extension() {
    let folder = Folder::new("extension");

    for (name, text) in [
        ("a.toml", "development = true"),
        ("a.yml", "development: true"),
        ("a.yaml", "development: true"),
        ("a.json", "{\"development\": true}"),
    ] {
        let config = IamConfig::from_file(folder.write(name, text.as_bytes())).unwrap();
        assert!(config.development, "{name}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_cause() {
    let folder = Folder::new("unreadable");
    fs::create_dir(folder.0.join("folder.toml")).unwrap();

    for (path, cause) in [
        (folder.0.join("missing.toml"), "the file cannot be opened: "),
        (folder.0.join("folder.toml"), "the file cannot be read: "),
        (folder.write("bytes.toml", b"a = '\xff'"), "the file is not UTF-8"),
        (
            folder.write("large.toml", &vec![b'#'; (1 << 20) + 1]),
            "the file is larger than 1048576 bytes",
        ),
        (
            folder.write("iam.ini", b"development = true"),
            "expected a file name that ends in .toml, ",
        ),
        (folder.0.clone(), "expected a file name that ends in .toml, "),
        (folder.write("broken.toml", b"\na = "), "not valid TOML, line 2: "),
        (folder.write("broken.yml", b"a: ["), "not valid YAML: "),
        (folder.write("broken.json", b"{"), "not valid JSON: "),
        (folder.write("empty.json", b""), "not valid JSON: "),
    ] {
        let error = IamConfig::from_file(&path).unwrap_err();

        assert_eq!(error.file(), path.to_str());
        let printed = error.to_string();
        let expected = format!("invalid configuration in `{}`\n  {cause}", path.display());
        assert!(printed.starts_with(&expected), "{printed}");
    }
    let largest = folder.write("largest.toml", &vec![b'#'; 1 << 20]);
    assert!(IamConfig::from_file(largest).is_ok());
}

#[test]
fn what_is_wrong_with_the_keys_of_a_file_names_the_file() {
    let folder = Folder::new("named");
    let path = folder.write("iam.toml", b"surprise = 1");
    let config = IamConfig::from_file(&path).unwrap();

    let from_file = config.clone().validate().unwrap_err();
    let with_env = config
        .with_env(env(&[("IAM__DEVELOPMENT", "perhaps")]))
        .validate()
        .unwrap_err();
    let from_text = IamConfig::from_toml("surprise = 1")
        .unwrap()
        .validate()
        .unwrap_err();

    assert_eq!(from_file.file(), path.to_str());
    assert_eq!(with_env.file(), path.to_str());
    assert_eq!(from_text.file(), None);
    let line = format!(
        "invalid configuration in `{}`\n  `surprise`: unknown key",
        path.display()
    );
    assert!(from_file.to_string().starts_with(&line), "{from_file}");
    assert_eq!(
        with_env.problems().len(),
        from_file.problems().len() + 1,
        "{with_env}"
    );
}

#[test]
fn the_name_of_a_file_is_shown_on_one_line() {
    let error = IamConfig::from_file("no\nsuch\u{1b}.toml").unwrap_err();

    assert_eq!(error.file(), Some("no\\nsuch\\u{1b}.toml"));
}

#[test]
fn nothing_but_control_characters_is_escaped_in_the_name_of_a_file() {
    let name = "it's \"Grüße\" \\ new.toml";
    let error = IamConfig::from_file(name).unwrap_err();

    assert_eq!(error.file(), Some(name));
}

/// A folder of its own for the files of one test. Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("iam-core-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

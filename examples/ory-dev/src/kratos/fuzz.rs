//! Fuzz targets for forms, identities, cookies and `kratos.yml`.

use std::{sync::OnceLock, time::Duration};

use serde_json::{Value, json};
use url::Url;

use super::{
    admin::{change::Change, patch},
    clock::Clock,
    config::KratosConfig,
    flow::{Flow, Kind, Methods, Surroundings},
    registration::examine,
    schema::Schema,
    secret::CookieKeys,
    submission::Submission,
    tokenizer::Mapper,
};
use crate::{
    config::Document,
    fuzz::{assert_known, document, vars},
};

/// Submissions of a registration form: JSON, or fields when the input does not begin with a brace.
///
/// # Panics
///
/// When the form that is shown again contains the password.
pub fn kratos_form(data: &[u8]) {
    static SCHEMA: OnceLock<Option<(Schema, Url)>> = OnceLock::new();
    let Some((schema, url)) = SCHEMA.get_or_init(shipped_schema) else {
        return;
    };
    let submission = if data.trim_ascii_start().starts_with(b"{") {
        let Ok(submission) = Submission::from_json(data) else {
            return;
        };
        submission
    } else {
        Submission::from_form(data)
    };

    let mut flow = Flow::new(
        Kind::Registration,
        Clock::default().now(),
        Duration::from_secs(60),
        String::new(),
    );
    examine(&mut flow, schema, &submission);
    // Only invalid submissions are shown again.
    if !flow.form.has_complaints() || submission.text("password").is_none() {
        return;
    }
    let shown = flow.json(Surroundings {
        public_url: url,
        schema,
        person: None,
        methods: Methods {
            lookup_secret: false,
            totp: false,
        },
    });
    let nodes = shown.pointer("/ui/nodes").and_then(Value::as_array);
    let nodes = nodes.map(Vec::as_slice).unwrap_or_default();
    let is_password = |node: &Value| {
        node.pointer("/attributes/name")
            .is_some_and(|name| name == "password")
    };
    assert!(!nodes.is_empty(), "a form without fields");
    assert!(
        nodes
            .iter()
            .all(|node| !is_password(node) || node.pointer("/attributes/value").is_none()),
        "a form that shows a password"
    );
}

/// Bodies that create an identity or replace it.
///
/// # Panics
///
/// When an unknown member is accepted.
pub fn kratos_identity(data: &[u8]) {
    if Change::read(data).is_err() {
        return;
    }

    let naive: Value = serde_json::from_slice(data).unwrap_or_default();
    assert!(naive.is_object(), "a body that is no object");
    assert_known(&naive, IDENTITY);
}

/// Patches of an identity.
///
/// # Panics
///
/// When a patch changes a read-only member.
pub fn kratos_patch(data: &[u8]) {
    let Ok(operations) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let document = json!({
        "id": "a",
        "schema_id": "default",
        "traits": {"email": "a@b.c", "list": [1, 2]},
        "metadata_public": null,
        "credentials": {"password": "secret"},
    });
    let Ok(patched) = patch::apply(&operations, &document) else {
        return;
    };

    for name in ["id", "credentials"] {
        assert_eq!(
            patched.get(name),
            document.get(name),
            "a patch reached what it must not"
        );
    }
}

/// Values of the session cookie.
///
/// # Panics
///
/// When a forged cookie is opened, or a cookie has two encodings.
pub fn kratos_cookie(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let keys = CookieKeys::new(&["development-only-cookie-secret".to_owned()]);
    // No fuzzer can find a valid seal, so a marker in the corpus is replaced by a sealed cookie.
    let sealed = keys.seal(&[7; 32]);
    let text = text.replace("SEALED", &sealed);

    if keys.open(&text).is_ok() {
        assert_eq!(text, sealed, "a cookie that was not sealed here");
    }
}

/// Kratos's configuration.
///
/// # Panics
///
/// When a configuration with an unknown option or an address beyond loopback is accepted.
pub fn kratos_yml(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let Ok(config) = KratosConfig::from_document(&document, &vars()) else {
        return;
    };

    assert_known(document.root(), CONFIGURATION);
    assert_known(&document.root()["serve"], &["admin", "public"]);
    assert!(
        [config.public.address, config.admin.address]
            .iter()
            .all(|address| address.ip().is_loopback()),
        "it would listen beyond this machine"
    );
    assert!(!config.cookie_secrets.is_empty(), "no secret seals the cookies");
}

/// Claims mappers of a tokenizer template.
///
/// # Panics
///
/// When evaluation is not deterministic.
pub fn claims_mapper(data: &[u8]) {
    let Some(mapper) = str::from_utf8(data)
        .ok()
        .and_then(|text| Mapper::parse(text).ok())
    else {
        return;
    };
    let (session, claims) = (json!({"id": "a", "identity": {"id": "b"}}), json!({"iss": "c"}));
    let once = mapper.evaluate(&session, &claims);
    assert_eq!(once, mapper.evaluate(&session, &claims), "two results");
}

/// Identity schemas.
///
/// # Panics
///
/// When an accepted schema cannot be applied.
pub fn identity_schema(data: &[u8]) {
    let Some(document) = document(data) else { return };
    let Ok(schema) = Schema::read("default", &document, &mut Vec::new()) else {
        return;
    };

    assert_known(document.root(), SCHEMA);
    for traits in [
        json!({"email": "a@b.c", "name": ["x"], "age": 1.5}),
        json!({"email": {"a": null}, "name": ""}),
        json!([]),
    ] {
        let _ = (schema.violations(&traits), schema.extract(&traits));
    }
    let _ = (schema.fields(), schema.identifier_field());
}

fn shipped_schema() -> Option<(Schema, Url)> {
    let file = vars().config().join("identity.schema.json");
    let document = Document::read(&file, &vars()).ok()?;
    let schema = Schema::read("default", &document, &mut Vec::new()).ok()?;
    Some((schema, Url::parse("http://127.0.0.1:4433/").ok()?))
}

const IDENTITY: &[&str] = &[
    "credentials",
    "external_id",
    "metadata_admin",
    "metadata_public",
    "organization_id",
    "recovery_addresses",
    "schema_id",
    "state",
    "traits",
    "verifiable_addresses",
];

const CONFIGURATION: &[&str] = &[
    "ciphers",
    "courier",
    "dsn",
    "hashers",
    "identity",
    "log",
    "secrets",
    "selfservice",
    "serve",
    "session",
    "version",
];

const SCHEMA: &[&str] = &[
    "$comment",
    "$id",
    "$schema",
    "additionalProperties",
    "description",
    "properties",
    "required",
    "title",
    "type",
];

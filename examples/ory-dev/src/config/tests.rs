use std::{path::Path, time::Duration};

use super::*;

fn parse(name: &str, text: &str) -> Result<Document, ConfigError> {
    Document::parse(Path::new(name), text, &Vars::new("/c", "/s"))
}

#[test]
fn unknown_option_is_an_error_with_file_path_and_what_is_supported() {
    let document = parse("kratos.yml", "serve: { public: { port: 1, tls: {} } }").unwrap();
    let mut root = document.options().unwrap();
    let mut serve = root.section("serve").unwrap();
    let mut public = serve.section("public").unwrap();
    public.address(4433).unwrap();

    let err = public.finish(&mut Vec::new()).unwrap_err().to_string();

    assert_eq!(
        err,
        "`kratos.yml`: `serve.public.tls`: not supported by this stand-in; supported here: `host`, `port`"
    );
    serve.finish(&mut Vec::new()).unwrap();
    root.finish(&mut Vec::new()).unwrap();
}

#[test]
fn harmless_option_is_a_warning_only_when_it_is_set() {
    for (text, expected) in [("log: { level: debug }", 1), ("{}", 0)] {
        let document = parse("kratos.yml", text).unwrap();
        let mut warnings = Vec::new();
        let mut root = document.options().unwrap();
        root.harmless("log", "nothing is logged");

        root.finish(&mut warnings).unwrap();

        assert_eq!(warnings.len(), expected);
        assert!(
            warnings
                .iter()
                .all(|w| w.contains("`kratos.yml`") && w.contains("`log`"))
        );
    }
}

#[test]
fn duplicate_member_is_refused_in_both_notations() {
    assert!(
        parse("a.yml", "a: 1\na: 2\n")
            .unwrap_err()
            .to_string()
            .contains("duplicate")
    );
    assert!(
        parse("a.json", r#"{"b":{"a":1,"a":2}}"#)
            .unwrap_err()
            .to_string()
            .contains("duplicate")
    );
}

#[test]
fn malformed_empty_and_deeply_nested_files_are_refused() {
    assert!(parse("a.yml", "a: [").is_err());
    assert!(parse("a.json", "").is_err());
    assert!(parse("a.json", "[]").unwrap().options().is_err());
    assert!(parse("a.json", &"[".repeat(100_000)).is_err());
    assert!(parse("a.yml", &"[".repeat(100_000)).is_err());
    assert!(parse("a.yml", "a: !tag 1").is_err());
    assert!(parse("a.yml", "? [a]\n: 1\n").is_err());
}

#[test]
fn empty_yaml_is_an_empty_mapping() {
    let document = parse("a.yml", "").unwrap();

    let root = document.options().unwrap();

    assert!(!root.is_present());
    root.finish(&mut Vec::new()).unwrap();
}

#[test]
fn absent_oversized_and_non_utf8_files_are_refused() {
    let folder = std::env::temp_dir().join(format!("ory-dev-config-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("a.yml");

    assert!(matches!(read_text(&file), Err(ConfigError::Read { .. })));
    std::fs::write(&file, b"a: \xff").unwrap();
    assert!(matches!(read_text(&file), Err(ConfigError::Parse { .. })));
    std::fs::write(&file, vec![b'#'; 1024 * 1024]).unwrap();
    assert!(read_text(&file).is_ok());
    std::fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(read_text(&file), Err(ConfigError::TooLarge { .. })));

    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn value_of_the_wrong_type_is_refused_with_its_path() {
    let document = parse(
        "a.yml",
        "s: 1\nb: yes please\nn: -1\nd: 10\nl: [1]\nm: []\nu: ftp://x/\nf: http://x/",
    )
    .unwrap();
    let mut root = document.options().unwrap();

    let errors = [
        root.string("s").unwrap_err(),
        root.boolean("b").unwrap_err(),
        root.number("n", 0..=9).unwrap_err(),
        root.duration("d").unwrap_err(),
        root.strings("l").unwrap_err(),
        root.section("m").unwrap_err(),
        root.http_url("u").unwrap_err(),
        root.file_url("f").unwrap_err(),
        root.list("s").unwrap_err(),
    ];

    for (err, key) in errors.iter().zip(["s", "b", "n", "d", "l", "m", "u", "f", "s"]) {
        assert!(err.to_string().contains(&format!("`{key}`")), "{err}");
    }
    root.finish(&mut Vec::new()).unwrap();
}

#[test]
fn address_that_is_not_loopback_is_refused() {
    for (host, served) in [
        ("127.0.0.1", true),
        ("localhost", true),
        ("::1", true),
        ("127.9.9.9", true),
        ("0.0.0.0", false),
        ("192.168.0.1", false),
        ("::", false),
        ("example.com", false),
    ] {
        let document = parse("a.yml", &format!("host: '{host}'\nport: 5")).unwrap();
        let mut root = document.options().unwrap();
        assert_eq!(root.address(1).is_ok(), served, "{host}");
        root.number("port", 0..=9).unwrap();
        root.finish(&mut Vec::new()).unwrap();
    }
}

#[test]
fn durations_are_read_as_go_writes_them() {
    for (text, expected) in [
        ("10m", Some(Duration::from_secs(600))),
        ("1h30m", Some(Duration::from_secs(5400))),
        ("500ms", Some(Duration::from_millis(500))),
        ("0s", Some(Duration::ZERO)),
        ("", None),
        ("10", None),
        ("m", None),
        ("-1s", None),
        ("10 m", None),
        ("99999999999999999999h", None),
        ("18446744073709551615h", None),
    ] {
        assert_eq!(parse_duration(text), expected, "{text}");
    }
}

#[test]
fn both_variables_are_expanded_in_strings_at_any_depth() {
    let document = parse(
        "a.yml",
        "a: [ 'file://${CONFIG}/x' ]\nb: { c: '${STATE}' }\nd: '${HOME}'",
    )
    .unwrap();

    assert_eq!(
        document.root(),
        &serde_json::json!({"a": ["file:///c/x"], "b": {"c": "/s"}, "d": "${HOME}"})
    );
}

//! The program's errors at start.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Returns the exit code and the text on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let program = Command::new(env!("CARGO_BIN_EXE_session-api"))
        .args(arguments)
        .output();
    let Output { status, stderr, .. } = program.unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_arguments_end_with_2_and_the_usage() {
    for arguments in [&["run"][..], &["walk", "serve"], &["--config"]] {
        let (code, said) = refused(arguments);

        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("usage: session-api [walk | serve]"), "{said}");
    }
}

#[test]
fn configuration_with_problems_is_named_with_all_of_them() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("session-api.toml");
    let text = fs::read_to_string(shipped).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session-api.toml");
    let broken = text
        .replace("http://127.0.0.1:4466", "nowhere")
        .replace("audience = [\"session-api\"]", "audience = []");
    fs::write(&file, broken).unwrap();

    let (code, said) = refused(&["walk", "--config", file.to_str().unwrap()]);

    assert_eq!(code, Some(1));
    for part in ["session-api.toml", "keto.read_url", "hydra.audience"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn missing_configuration_file_is_named() {
    let (code, said) = refused(&["serve", "--config", "nowhere.toml"]);

    assert_eq!(code, Some(1));
    assert!(said.contains("nowhere.toml"), "{said}");
}

//! The program's errors at start, and its end on a signal.
//!
//! These tests use the usual ports, so they run one after the other.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where anything is not as expected"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

static PORTS: Mutex<()> = Mutex::new(());

fn usual_ports() -> MutexGuard<'static, ()> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn program(arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_zero-trust"));
    program.args(arguments);
    program
}

/// Returns the exit code and the text on standard error.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = program(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A folder with the three configuration files, removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("zero-trust-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        for service in ["auth-bff", "orders-api", "inventory-api"] {
            let file = format!("{service}.toml");
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(service);
            fs::copy(shipped.join(&file), folder.join(&file)).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let file = self.0.join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover temporary folder does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn wrong_arguments_end_with_2_and_the_usage() {
    for arguments in [
        &["run"][..],
        &["walk", "serve"],
        &["--config"],
        &["--jwks-file", "keys.json"],
    ] {
        let (code, said) = refused(arguments);

        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("usage: zero-trust [walk | serve]"), "{said}");
    }
}

#[test]
fn missing_configuration_file_is_named() {
    let folder = Folder::new();
    fs::remove_file(folder.0.join("inventory-api.toml")).unwrap();

    let (code, said) = refused(&["serve", "--config", folder.path()]);

    assert_eq!(code, Some(1));
    assert!(said.contains("inventory-api.toml"), "{said}");
}

#[test]
fn configuration_with_problems_is_named_with_all_of_them() {
    let folder = Folder::new();
    folder.change("orders-api.toml", "http://127.0.0.1:4466", "nowhere");
    folder.change("orders-api.toml", "RS256", "HS256");

    let (code, said) = refused(&["serve", "--config", folder.path()]);

    assert_eq!(code, Some(1));
    for part in ["orders-api.toml", "keto.read_url", "algorithms"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn real_servers_that_are_not_there_are_named() {
    let _ports = usual_ports();

    let (code, said) = refused(&["serve", "--live"]);

    assert_eq!(code, Some(1));
    for part in [
        "127.0.0.1:4455",
        "127.0.0.1:4434",
        "127.0.0.1:4467",
        "leave `--live` out",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn port_in_use_is_named_with_what_to_do() {
    let _ports = usual_ports();
    for port in [3000, 3001, 3002, 4433, 4434, 4455, 4456, 4466, 4467] {
        let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();

        for verb in ["serve", "walk"] {
            let (code, said) = refused(&[verb]);

            assert_eq!(code, Some(1), "{port}: {said}");
            assert!(said.contains(&port.to_string()), "{port}: {said}");
            assert!(said.contains("stop the program"), "{port}: {said}");
        }
        drop(taken);
    }
}

#[test]
fn broken_promise_ends_the_walk_with_1_and_is_listed() {
    let _ports = usual_ports();
    let folder = Folder::new();
    folder.change("auth-bff.toml", "http://127.0.0.1:4433", "http://127.0.0.1:1");

    let Output { status, stdout, .. } = program(&["walk", "--config", folder.path()]).output().unwrap();

    let said = String::from_utf8(stdout).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("BROKEN 1. Register and log in") && said.contains("the walk ended early"),
        "{said}"
    );
}

#[cfg(unix)]
#[test]
fn serve_stays_up_until_it_is_interrupted() {
    let _ports = usual_ports();
    let mut child = program(&["serve"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();

    assert!(lines.any(|line| line.unwrap().contains("curl -i http://127.0.0.1:4455/orders")));
    for port in [3000, 3001, 3002, 4455] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "{port}");
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());

    let mut ended = None;
    for _ in 0..1_500 {
        ended = child.try_wait().unwrap();
        if ended.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    assert!(ended.is_some_and(|ended| ended.success()), "{ended:?}");
}

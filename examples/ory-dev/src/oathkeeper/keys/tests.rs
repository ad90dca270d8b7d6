use std::{fs, path::PathBuf};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::KeyRing;
use crate::oathkeeper::key_file::{KeyFile, KeyFileError};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ory-dev-keys-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self) -> KeyFile {
        KeyFile::at(self.0.join("keys.json"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn published(ring: &KeyRing) -> Vec<String> {
    ring.keys()
        .public()
        .iter()
        .map(|key| key["kid"].as_str().expect("a kid").to_owned())
        .collect()
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).expect("base64url")
}

fn verifies(token: &str, jwk: &Value) -> bool {
    let (message, signature) = token.rsplit_once('.').expect("a signature");
    let number = |name: &str| decode(jwk[name].as_str().expect("a number"));
    let key = RsaPublicKeyComponents {
        n: number("n"),
        e: number("e"),
    };
    key.verify(
        &RSA_PKCS1_2048_8192_SHA256,
        message.as_bytes(),
        &decode(signature),
    )
    .is_ok()
}

#[test]
fn an_absent_file_is_created_with_one_key_that_signs() {
    let folder = Folder::new();
    let ring = KeyRing::open(folder.file().path()).expect("keys");

    let token = ring.keys().sign(&Map::new()).expect("a token");

    let kids = folder.file().kids().expect("kids");
    assert_eq!(kids.len(), 1);
    assert_eq!(ring.keys().kid(), kids[0]);
    let header: Value =
        serde_json::from_slice(&decode(token.split('.').next().expect("a header"))).expect("JSON");
    assert_eq!(header, json!({"alg": "RS256", "kid": kids[0], "typ": "JWT"}));
    assert!(verifies(&token, &ring.keys().public()[0]));
}

#[test]
fn no_private_member_is_published() {
    let folder = Folder::new();
    let ring = KeyRing::open(folder.file().path()).expect("keys");

    let keys = ring.keys();
    let mut names: Vec<&str> = keys.public()[0]
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
}

#[cfg(unix)]
#[test]
fn others_cannot_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    folder.file().ensure().expect("a file");
    let mode = fs::metadata(folder.file().path())
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn an_appended_key_signs_a_prepended_one_is_only_published_and_a_removed_one_is_gone() {
    let folder = Folder::new();
    let file = folder.file();
    let ring = KeyRing::open(file.path()).expect("keys");
    let first = ring.keys().kid().to_owned();

    let front = file.prepend_rsa().expect("a key");
    ring.reload().expect("keys");
    assert_eq!(ring.keys().kid(), first);
    assert_eq!(published(&ring), [front.clone(), first.clone()]);

    let last = file.append_rsa().expect("a key");
    ring.reload().expect("keys");
    assert_eq!(ring.keys().kid(), last);
    assert_eq!(published(&ring), [front.clone(), first.clone(), last.clone()]);
    let token = ring.keys().sign(&Map::new()).expect("a token");
    assert!(verifies(&token, &ring.keys().public()[2]));
    assert!(!verifies(&token, &ring.keys().public()[1]));

    assert!(file.move_to_end(&front).expect("a file"));
    assert!(file.remove(&first).expect("a file"));
    assert!(!file.remove(&first).expect("a file"));
    ring.reload().expect("keys");
    assert_eq!(ring.keys().kid(), front);
    assert_eq!(published(&ring), [last, front]);
}

#[test]
fn a_public_key_behind_the_private_one_mislabels_tokens_as_in_the_real_gateway() {
    let folder = Folder::new();
    let file = folder.file();
    file.ensure().expect("a file");
    let private = file.kids().expect("kids").remove(0);
    let mut public = file.read().expect("keys").remove(0);
    let members = public.as_object_mut().expect("an object");
    members.retain(|name, _| ["kty", "n", "e", "alg", "use"].contains(&name.as_str()));
    members.insert("kid".to_owned(), "public-one".into());
    let mut keys = file.read().expect("keys");
    keys.push(public);
    file.write(&keys).expect("a file");

    let ring = KeyRing::open(file.path()).expect("keys");

    assert_eq!(ring.keys().kid(), "public-one");
    assert_eq!(published(&ring), [private, "public-one".to_owned()]);
}

#[test]
fn a_file_that_cannot_be_used_leaves_the_keys_as_they_were() {
    let folder = Folder::new();
    let file = folder.file();
    let ring = KeyRing::open(file.path()).expect("keys");
    let kid = ring.keys().kid().to_owned();
    let good = file.read_text().expect("text");

    for broken in [
        "",
        "{",
        "[]",
        "{\"keys\":[]}",
        "{\"keys\":{}}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\",\"kid\":\"a\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        &good.replacen("\"kid\"", "\"kid\":\"x\",\"kid\"", 1),
        &good.replacen("\"alg\":\"RS256\"", "\"alg\":\"none\"", 1),
        &good.replacen("\"d\":\"", "\"d\":\"A", 1),
        &" ".repeat(2 << 20),
    ] {
        fs::write(file.path(), broken).expect("a file");
        assert!(ring.reload().is_err(), "{}", broken.get(..40).unwrap_or(broken));
        assert_eq!(ring.keys().kid(), kid);
    }

    fs::remove_file(file.path()).expect("removed");
    assert!(matches!(ring.reload(), Err(KeyFileError::Io { .. })));
    assert_eq!(ring.keys().kid(), kid);
    fs::write(file.path(), good).expect("a file");
    ring.reload().expect("keys");
}

#[test]
fn errors_hold_no_key_material() {
    let folder = Folder::new();
    let file = folder.file();
    file.ensure().expect("a file");
    let secret = file.read().expect("keys")[0]["d"]
        .as_str()
        .expect("a number")
        .to_owned();
    let broken = file
        .read_text()
        .expect("text")
        .replacen("\"p\":\"", "\"p\":\"!", 1);
    fs::write(file.path(), broken).expect("a file");

    let error = KeyRing::open(file.path()).expect_err("broken");

    let text = format!("{error} {error:?}");
    assert!(text.contains("`p` must be base64url"), "{text}");
    assert!(!text.contains(secret.get(..20).expect("a long number")), "{text}");
}

#[test]
fn es256_keys_sign_too() {
    let folder = Folder::new();
    let file = folder.file();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = pair.public_key().as_ref().to_vec();
    let secret = aws_lc_rs::encoding::AsBigEndian::<aws_lc_rs::encoding::EcPrivateKeyBin<'_>>::as_be_bytes(
        &pair.private_key(),
    )
    .expect("a number");
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "ec-1",
        "x": encode(&point[1..33]), "y": encode(&point[33..]), "d": encode(secret.as_ref()),
    });
    file.write(&[key]).expect("a file");

    let ring = KeyRing::open(file.path()).expect("keys");
    let token = ring.keys().sign(&Map::new()).expect("a token");

    let (message, signature) = token.rsplit_once('.').expect("a signature");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .verify(message.as_bytes(), &decode(signature))
        .expect("a signature that verifies");
    assert!(ring.keys().public()[0].get("d").is_none());
    // The generator is used only to show that the pair was used as given.
    assert!(pair.sign(&SystemRandom::new(), b"x").is_ok());
}

#[test]
fn what_is_printed_for_debugging_holds_no_private_number() {
    let folder = Folder::new();
    let ring = KeyRing::open(folder.file().path()).expect("keys");
    let key = folder.file().read().expect("keys").remove(0);

    let text = format!("{ring:?}");

    for name in ["d", "p", "q", "dp", "dq", "qi"] {
        let number = key[name].as_str().expect("a number");
        assert!(!text.contains(number), "{name}");
    }
}

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CacheKey, IdToken, MAX_TOKENS, Mint, TokenCache};
use crate::oathkeeper::{
    clock::Clock, key_file::KeyFile, keys::KeyRing, session::Session, template::Template,
};

struct Setup {
    folder: PathBuf,
    file: KeyFile,
    mint: Mint,
    clock: Clock,
}

impl Setup {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("ory-dev-mint-{}", Uuid::new_v4()));
        let file = KeyFile::at(folder.join("keys.json"));
        let ring = Arc::new(KeyRing::open(file.path()).expect("keys"));
        let clock = Clock::default();
        let mint = Mint {
            rings: BTreeMap::from([(file.path().to_owned(), ring)]),
            clock: clock.clone(),
            cache: TokenCache::default(),
        };
        Self {
            folder,
            file,
            mint,
            clock,
        }
    }

    fn id_token(&self, claims: &str) -> IdToken {
        IdToken {
            issuer: "http://gateway/".to_owned(),
            key_file: self.file.path().to_owned(),
            ttl: Duration::from_secs(60),
            claims: Some(Template::parse(claims).expect("a template")),
        }
    }

    fn mint(&self, claims: &str) -> String {
        self.mint_for(claims, &session("user-1")).expect("a token")
    }

    fn mint_for(&self, claims: &str, session: &Session) -> Option<String> {
        self.id_token(claims).token(session, &self.mint, "rule-1").ok()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn session(subject: &str) -> Session {
    Session {
        subject: subject.to_owned(),
        ..Session::default()
    }
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// R163: cached tokens keep their one-time id, so a second request behind the real gateway is a replay.
#[test]
fn the_same_token_comes_back_until_a_tenth_of_its_life_is_left() {
    let setup = Setup::new();
    let first = setup.mint("{}");

    setup.clock.advance(Duration::from_secs(53));
    assert_eq!(setup.mint("{}"), first);

    setup.clock.advance(Duration::from_secs(2));
    let second = setup.mint("{}");
    assert_ne!(second, first);
    assert_ne!(part(&second, 1)["jti"], part(&first, 1)["jti"]);
    assert_eq!(setup.mint("{}"), second);
}

#[test]
fn a_cached_token_is_handed_out_up_to_the_exact_tenth_and_not_after_it() {
    let cache = TokenCache::default();
    let key = |subject: &str| CacheKey {
        issuer: String::new(),
        ttl: Duration::from_secs(60),
        key_file: PathBuf::new(),
        claims: String::new(),
        subject: subject.to_owned(),
    };
    cache.keep(
        key("a"),
        Duration::from_secs(160),
        "token".to_owned(),
        Duration::from_secs(100),
    );

    assert_eq!(
        cache.find(&key("a"), Duration::from_secs(154)).as_deref(),
        Some("token")
    );
    assert_eq!(cache.find(&key("a"), Duration::from_millis(154_001)), None);
    assert_eq!(cache.find(&key("b"), Duration::from_secs(100)), None);
}

#[test]
fn a_full_cache_drops_what_has_expired_and_grows_no_further() {
    let cache = TokenCache::default();
    let key = |index: usize| CacheKey {
        issuer: String::new(),
        ttl: Duration::from_secs(60),
        key_file: PathBuf::new(),
        claims: index.to_string(),
        subject: String::new(),
    };
    let start = Duration::from_secs(100);
    for index in 0..=MAX_TOKENS {
        cache.keep(key(index), Duration::from_secs(160), String::new(), start);
    }
    assert_eq!(cache.tokens.lock().expect("no panic").len(), MAX_TOKENS);

    cache.keep(
        key(0),
        Duration::from_secs(300),
        String::new(),
        Duration::from_secs(200),
    );
    assert_eq!(cache.tokens.lock().expect("no panic").len(), 1);
}

#[test]
fn another_subject_or_other_claims_get_another_token() {
    let setup = Setup::new();
    let first = setup.mint("{}");

    assert_ne!(setup.mint_for("{}", &session("user-2")), Some(first.clone()));
    assert_ne!(setup.mint("{\"a\":1}"), first);
    assert_ne!(
        setup.mint("{\"a\":\"{{ uuidv4 }}\"}"),
        setup.mint("{\"a\":\"{{ uuidv4 }}\"}")
    );
}

#[test]
fn a_cached_token_of_the_old_key_outlives_a_rotation() {
    let setup = Setup::new();
    let old = setup.mint("{}");
    let kid = setup.file.append_rsa().expect("a key");
    setup.mint.rings[setup.file.path()].reload().expect("keys");

    assert_eq!(setup.mint("{}"), old);
    assert_eq!(part(&setup.mint("{\"a\":1}"), 0)["kid"], kid);
}

#[test]
fn a_template_cannot_set_the_claims_of_the_gateway() {
    let setup = Setup::new();

    let claims = part(
        &setup.mint(
            "{\"exp\":1,\"iat\":1,\"nbf\":1,\"iss\":\"x\",\"jti\":\"x\",\"sub\":\"x\",\"aud\":[\"a\"]}",
        ),
        1,
    );

    let now = setup.clock.now().as_secs();
    assert_eq!(claims["sub"], "user-1");
    assert_eq!(claims["iss"], "http://gateway/");
    assert_eq!(claims["aud"], json!(["a"]));
    assert!(claims["iat"].as_u64().expect("seconds").abs_diff(now) <= 1);
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|iat| iat + 60));
    assert_ne!(claims["jti"], "x");
}

#[test]
fn claims_that_are_not_an_object_give_no_token() {
    let setup = Setup::new();
    for claims in [
        "[]",
        "null",
        "1",
        "{",
        "{\"a\": {{ .Subject }}}",
        "{} {}",
        "{{ .Extra.a.b }}",
    ] {
        assert_eq!(setup.mint_for(claims, &session("user-1")), None, "{claims}");
    }
}

/// A template that prints a value inside quotes lets users inject claims; `toJson` does not.
#[test]
fn values_from_the_session_stay_values_through_to_json() {
    let setup = Setup::new();
    let nasty = "x\", \"roles\": [\"admin\"], \"y\": \"";
    let Value::Object(extra) = json!({"name": nasty}) else {
        panic!("an object")
    };
    let session = Session {
        extra: Some(extra),
        ..session("user-1")
    };

    let token = setup
        .mint_for("{\"name\": {{ .Extra.name | toJson }}}", &session)
        .expect("a token");

    let claims = part(&token, 1);
    assert_eq!(claims["name"], nasty);
    assert_eq!(claims.get("roles"), None);
}

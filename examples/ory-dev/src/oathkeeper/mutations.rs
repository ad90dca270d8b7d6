//! Thousands of damaged inputs for every parser of the gateway: none may panic, and what is read keeps its promises.

use std::path::Path;

use serde_json::{Value, json};

use super::glob::Glob;
use super::keys::parse_keys;
use super::session::{JsonPath, Session};
use super::target::Target;
use super::template::Template;

const ROUNDS: usize = 20_000;

/// A generator that gives the same numbers in every run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// One of the texts with a few characters removed, inserted, replaced or repeated.
    fn damaged(&mut self, texts: &[&str]) -> String {
        let mut characters: Vec<char> = texts[self.below(texts.len())].chars().collect();
        for _ in 0..self.below(5) {
            let at = self.below(characters.len());
            let character = ODD[self.below(ODD.len())];
            match self.below(4) {
                0 if !characters.is_empty() => {
                    characters.remove(at);
                }
                1 if !characters.is_empty() => characters[at] = character,
                2 => characters.extend_from_within(..at),
                _ => characters.insert(at, character),
            }
        }
        characters.into_iter().collect()
    }
}

const ODD: [char; 32] = [
    '{', '}', '<', '>', '[', ']', '(', ')', '*', '?', '\\', '/', '.', '%', '-', '!', ',', '|', ' ', '"', ':',
    ';', '&', '=', '+', '2', 'F', 'e', '\0', '\n', 'ü', '\u{fffd}',
];

#[test]
fn damaged_templates_are_refused_or_render() {
    let mut random = Random(1);
    let Value::Object(extra) = json!({"identity": {"metadata_public": {"roles": ["a"]}}}) else {
        panic!("an object")
    };
    let session = Session {
        subject: "a".to_owned(),
        extra: Some(extra),
        ..Session::default()
    };
    let texts = [
        "{\"a\": {{ .Extra.identity.metadata_public | toJson }}, \"jti\": \"{{ uuidv4 }}\"}",
        "{{ print .Subject }}{{- .Extra.identity | toJson | b64enc -}} x",
    ];
    for _ in 0..ROUNDS {
        if let Ok(template) = Template::parse(&random.damaged(&texts)) {
            let _ = template.render(&session);
        }
    }
}

#[test]
fn damaged_patterns_are_refused_or_match() {
    let mut random = Random(2);
    let texts = [
        "http://127.0.0.1:4455/orders<{,/**}>",
        "<{http,https}>://<*>.h/<[a-z0-9]>/<[!x]?**>",
    ];
    for _ in 0..ROUNDS {
        if let Ok(glob) = Glob::compile(&random.damaged(&texts)) {
            let _ = glob.matches(&random.damaged(&["http://127.0.0.1:4455/orders/x"]));
        }
    }
}

#[test]
fn damaged_paths_are_refused_or_forwarded_as_they_were_matched() {
    let mut random = Random(3);
    let texts = ["/orders/../a%2Fb/./c//d", "/%2e%2e/a;b=c&d", "/a%C3%BC%FF/"];
    for _ in 0..ROUNDS {
        let path = random.damaged(&texts);
        let Ok(target) = Target::parse(&path, Some(&random.damaged(&["a=1&b=%20;c"]))) else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }

        let forwarded = target.forward("", "");

        let (forwarded, _) = forwarded.split_once('?').expect("a query");
        let again = Target::parse(forwarded, None).expect("a path that can be read");
        assert_eq!(again.path(), target.path(), "{path}");
        assert!(
            target
                .path()
                .split('/')
                .all(|segment| segment != ".." && segment != "."),
            "{path}"
        );
    }
}

#[test]
fn damaged_key_sets_and_json_paths_are_refused_or_read() {
    let mut random = Random(4);
    let sets = [
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"alg\":\"RS256\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AQ\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"alg\":\"ES256\",\"x\":\"AQ\",\"y\":\"AQ\",\"d\":\"AQ\"}]}",
    ];
    let value = json!({"identity": {"id": "a", "list": [1]}});
    for _ in 0..ROUNDS {
        assert!(parse_keys(Path::new("keys.json"), &random.damaged(&sets)).is_err());
        if let Some(path) = JsonPath::parse(&random.damaged(&["identity.id", "@this", "identity.list.0"])) {
            let _ = path.find(&value);
        }
    }
}

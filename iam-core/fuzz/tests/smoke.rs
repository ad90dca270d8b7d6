//! Drives every fuzz target body on stable: its corpus, then 100,000 mutations of it, the same ones on every run.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail"
)]

use std::{fs, path::Path, thread};

use iam_fuzz::{Body, TARGETS};

const MUTATIONS: u64 = 100_000;

/// R178.
#[test]
fn no_target_panics_on_its_corpus_or_on_mutations_of_it() {
    thread::scope(|scope| {
        for (name, run) in TARGETS {
            thread::Builder::new()
                .name((*name).to_owned())
                .spawn_scoped(scope, move || drive(name, *run))
                .expect("a thread can be started");
        }
    });
}

fn drive(name: &str, run: Body) {
    let corpus = corpus(name);
    for input in &corpus {
        run(input);
    }

    let mut random = Random(name.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| {
        (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }));
    for _ in 0..MUTATIONS {
        let input = mutate(&corpus, &mut random);
        // Prints the input if the body panics, so that it can join the corpus.
        let _guard = Guard { name, input: &input };
        run(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|err| panic!("no corpus for `{name}`: {err}"));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry can be read").path())
        .collect();
    paths.sort();

    assert!(!paths.is_empty(), "the corpus of `{name}` is empty");
    paths
        .iter()
        .map(|path| fs::read(path).expect("an input can be read"))
        .collect()
}

fn mutate(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.choose(corpus).clone();
    for _ in 0..=random.below(3) {
        let at = random.below(input.len());
        let end = at + random.below(input.len() - at).min(32);
        match random.below(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            3 => {
                let other = random.choose(corpus);
                let from = random.below(other.len());
                let piece = other[from..]
                    .iter()
                    .take(random.below(64))
                    .copied()
                    .collect::<Vec<_>>();
                input.splice(at..end, piece);
            }
            4 | 5 => {
                let piece = *random.choose(PIECES);
                input.splice(at..end, piece.iter().copied());
            }
            6 => input.insert(at, random.byte()),
            _ if input.is_empty() => {}
            _ => {
                let at = at.min(input.len() - 1);
                input[at] ^= 1 << random.below(7);
            }
        }
    }
    input
}

const PIECES: &[&[u8]] = &[
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[[[",
    b":",
    b",",
    b".",
    b"..",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"0",
    b"-1",
    b"-0",
    b"1e999",
    b"1e400",
    b"9007199254740992",
    b"18446744073709551616",
    b"1.5",
    b"\"a\":1,\"a\":1",
    b"\xef\xbb\xbf",
    b"\xc0\xaf",
    b"\xff",
    b"\0",
    b"\r\n",
    b"=",
    b"==",
    b"+",
    b"/",
    b"%2F",
    b"#",
    b"@",
    b"(",
    b")",
    b";",
    b" ",
    b"\t",
    b"none",
    b"HS256",
    b"eyJhbGciOiJub25lIn0",
    b"\"d\":\"AQAB\"",
    b"AAAA",
    b"A",
];

struct Guard<'a> {
    name: &'a str,
    input: &'a [u8],
}

impl Drop for Guard<'_> {
    #[expect(clippy::print_stderr, reason = "the input is needed to reproduce the failure")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("target `{}` fails on: {}", self.name, self.input.escape_ascii());
        }
    }
}

/// Xorshift: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `most`.
    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % (most as u64 + 1)).expect("no more than `most`")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() - 1)]
    }
}

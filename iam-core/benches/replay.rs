//! The cost of a replay claim in time and in memory.
//!
//! Fills a store with live ids, counting every byte that is allocated, then claims on: new ids that take the places of expired
//! ones, and used ids. Median of seven runs, in time on the processor, so that other programs do not count.
//! `cargo bench -p iam-core --bench replay`
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement may fail"
)]

use std::{hint::black_box, time::Duration};

use iam_core::{
    clock::Timestamp,
    replay::{Claim, MemoryReplayStore, ReplayId},
};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// As many as a busy service has, and as few as the caches of a processor hold: the difference is what memory costs.
const LIVE: [usize; 2] = [1_000_000, 1_000];
const RUNS: usize = 7;
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// As long as Oathkeeper's tokens live here, with the clock skew.
const LIFETIME: Duration = Duration::from_secs(90);

fn main() {
    for live in LIVE {
        measure(live);
    }
}

/// Measures a store in which so many ids live.
fn measure(live: usize) {
    // Ids come evenly over their lifetime, so that the store holds as many live ones from then on.
    let spacing = LIFETIME / u32::try_from(live).expect("few");
    let at = |number: usize| START.saturating_add(spacing * u32::try_from(number).expect("few"));
    // So that a run takes as long with few ids.
    let claims = live.max(LIVE[0] / 10);

    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let store = MemoryReplayStore::new(live * 2);
    let fill = per_claim(live, || {
        let mut jti = Jti::from(0);
        for number in 0..live {
            let now = at(number);
            assert_eq!(claim(&store, jti.next(), now, now), Claim::First);
        }
    });
    let bytes = (MEMORY.current_usage() - before) as f64 / live as f64;
    let peak = (MEMORY.peak_usage() - before) as f64 / live as f64;
    assert_eq!(store.len(), live);

    let (mut fresh, mut used) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let first = live + run * claims;
        fresh.push(per_claim(claims, || {
            let mut jti = Jti::from(first);
            for number in first..first + claims {
                let now = at(number);
                assert_eq!(claim(&store, jti.next(), now, now), Claim::First);
            }
        }));
        // Those that live still: the last ones.
        let now = at(first + claims - 1);
        used.push(per_claim(live, || {
            let first = first + claims - live;
            let mut jti = Jti::from(first);
            for number in first..first + live {
                assert!(matches!(
                    black_box(claim(&store, jti.next(), at(number), now)),
                    Claim::Replayed { .. }
                ));
            }
        }));
    }

    println!("replay claims in memory, {live} live ids, median of {RUNS} runs");
    println!("  first claim, into an empty store        {fill:>8.1} ns");
    println!(
        "  first claim, an expired id makes room   {:>8.1} ns",
        median(fresh)
    );
    println!(
        "  claim of a used id                      {:>8.1} ns",
        median(used)
    );
    println!(
        "  memory for each live id                 {bytes:>8.1} bytes ({peak:.1} at the peak of growing)"
    );
    println!("  places after {RUNS} runs                   {:>10}", store.len());
}

/// Ids that look like Oathkeeper's, counted up in place: text that is made for each claim would be measured with it.
struct Jti([u8; 36]);

impl Jti {
    fn from(number: usize) -> Self {
        let text = format!("bdb1b763-ccc4-4ef1-8da4-{number:012}");
        Self(text.into_bytes().try_into().expect("36 bytes"))
    }

    fn next(&mut self) -> &str {
        for digit in self.0.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
        str::from_utf8(&self.0).expect("digits")
    }
}

fn claim(store: &MemoryReplayStore, jti: &str, issued: Timestamp, now: Timestamp) -> Claim {
    let id = ReplayId {
        tenant: "default",
        issuer: "http://127.0.0.1:4455/",
        jti,
    };
    store
        .claim_now(id, issued.saturating_add(LIFETIME), now)
        .expect("there is room")
}

/// Returns nanoseconds for one of so many claims.
fn per_claim(count: usize, claims: impl FnOnce()) -> f64 {
    let start = processor_secs();
    claims();
    (processor_secs() - start) * 1e9 / count as f64
}

fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

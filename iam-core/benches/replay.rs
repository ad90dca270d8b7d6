//! What does a replay claim cost, in time and in memory?
//!
//! Fills a store with 1,000,000 live ids, counting every byte that is allocated, then claims on: new ids that take the places of
//! expired ones, and used ids. Median of seven runs, in time on the
//! processor, so that other programs do not count. `cargo bench -p iam-core --bench replay`
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

const IDS: usize = 1_000_000;
const RUNS: usize = 7;
const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// As long as Oathkeeper's tokens live here, with the clock skew.
const LIFETIME: Duration = Duration::from_secs(90);
/// A million of them fill a lifetime.
const SPACING: Duration = Duration::from_micros(90);

fn main() {
    // Ids come evenly over their lifetime, so that the store holds a million live ones from then on.
    let at = |number: usize| START.saturating_add(SPACING * u32::try_from(number).expect("few"));

    let before = MEMORY.current_usage();
    let store = MemoryReplayStore::new(IDS * 2);
    let fill = per_claim(|| {
        let mut jti = Jti::of_run(0);
        for number in 0..IDS {
            let now = at(number);
            assert_eq!(claim(&store, jti.next(), now, now), Claim::First);
        }
    });
    let bytes = (MEMORY.current_usage() - before) as f64 / IDS as f64;
    let peak = (MEMORY.peak_usage() - before) as f64 / IDS as f64;
    assert_eq!(store.len(), IDS);

    let (mut fresh, mut used) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        fresh.push(per_claim(|| {
            let mut jti = Jti::of_run(run);
            for number in 0..IDS {
                let now = at(run * IDS + number);
                assert_eq!(claim(&store, jti.next(), now, now), Claim::First);
            }
        }));
        used.push(per_claim(|| {
            let now = at(run * IDS + IDS - 1);
            let mut jti = Jti::of_run(run);
            for number in 0..IDS {
                let issued = at(run * IDS + number);
                assert!(matches!(
                    black_box(claim(&store, jti.next(), issued, now)),
                    Claim::Replayed { .. }
                ));
            }
        }));
    }

    println!("replay claims in memory, {IDS} live ids, median of {RUNS} runs");
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
    println!("  places after {RUNS} lifetimes              {:>10}", store.len());
}

/// Ids that look like Oathkeeper's, counted up in place: text that is made for each claim would be measured with it.
struct Jti([u8; 36]);

impl Jti {
    fn of_run(run: usize) -> Self {
        let text = format!("{run:08}-ccc4-4ef1-8da4-000000000000");
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

/// Returns nanoseconds for one claim.
fn per_claim(claims: impl FnOnce()) -> f64 {
    let start = processor_secs();
    claims();
    (processor_secs() - start) * 1e9 / IDS as f64
}

fn processor_secs() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

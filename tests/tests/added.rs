//! The arithmetic of the benchmark over HTTP.

#[path = "../benches/http/added.rs"]
mod added;

use added::Added;

#[test]
fn added_times_are_what_is_left_above_the_bare_check() {
    // 25, 32 and 23 microseconds for each request.
    let added = Added::of(40_000.0, 31_250.0, 43_478.260_869_565_22);

    assert!((added.ours - 2.0).abs() < 1e-6, "{added:?}");
    assert!((added.other - 9.0).abs() < 1e-6, "{added:?}");
    assert!((added.ratio() - 2.0 / 9.0).abs() < 1e-6, "{added:?}");
}

#[test]
fn a_run_in_which_the_other_adds_nothing_has_no_ratio() {
    assert!(Added::of(40_000.0, 43_000.0, 43_000.0).ratio().is_nan());
    assert!(Added::of(40_000.0, 44_000.0, 43_000.0).ratio().is_nan());
}

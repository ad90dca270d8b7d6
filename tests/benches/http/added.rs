//! The time that a protection adds to a request.

/// The time that two protections add to the same bare check, in microseconds for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    pub(crate) ours: f64,
    pub(crate) other: f64,
}

impl Added {
    /// Makes it of throughputs in requests per second. `floor` is that of the bare check.
    pub(crate) fn of(ours: f64, other: f64, floor: f64) -> Self {
        let added = |throughput: f64| (throughput.recip() - floor.recip()) * 1e6;

        Self {
            ours: added(ours),
            other: added(other),
        }
    }

    /// Returns the part that ours adds of what the other adds. Not a number when the other adds nothing: there is no part of it.
    pub(crate) fn ratio(self) -> f64 {
        if self.other > 0.0 {
            self.ours / self.other
        } else {
            f64::NAN
        }
    }
}

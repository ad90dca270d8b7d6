//! Tuples as written, as printed, and as refused.

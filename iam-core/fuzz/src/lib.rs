//! One fuzz target body for each parser of outside bytes.

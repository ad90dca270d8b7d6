//! What a permission asks, and what its answers mean.

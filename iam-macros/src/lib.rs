//! Attribute macros of iam-actix: they read attributes and emit one route policy.

//! The embedded Kratos, from outside: against recordings of the real one, and against bad input.

mod support;
mod fidelity;
mod browser;
mod lifetime;
mod admin;
mod bad_input;

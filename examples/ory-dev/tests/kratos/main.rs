//! The embedded Kratos, from outside: against recordings of the real one, and against bad input.

#[cfg(test)]
mod support;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod bad_input;

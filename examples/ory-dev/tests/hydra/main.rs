//! The embedded Hydra, from outside: against recordings of the real one, and against misuse.

#[cfg(test)]
mod support;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod bad_input;

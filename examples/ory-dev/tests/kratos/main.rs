//! The embedded Kratos, from outside: against recordings of the real one, and against bad input.

#[cfg(test)]
mod support;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod fidelity;
#[cfg(test)]
mod variant;
#[cfg(test)]
mod second_factor;
#[cfg(test)]
mod own_sessions;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod lifetime;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod bad_input;

//! Black-box tests of the embedded Kratos: recordings of the real one, and invalid requests.

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

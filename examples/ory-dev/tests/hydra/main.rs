//! Black-box tests of the embedded Hydra: recordings of the real one, and invalid requests.

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

//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the builder that starts the threads follows")
)]
mod upstream;

#[cfg(test)]
mod test_upstream;

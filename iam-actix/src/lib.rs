//! Identity and access for Actix Web beside the Ory stack: exact default deny, attributes, extractors.

mod upstream;

#[cfg(test)]
mod test_upstream;

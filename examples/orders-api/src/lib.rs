//! Service orders-api of the zero-trust scenario.

//! Service auth-bff of the zero-trust scenario.

//! Service inventory-api of the zero-trust scenario.

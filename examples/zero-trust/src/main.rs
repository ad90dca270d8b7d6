//! Starts the stack and the services, walks the promises.
fn main() {}

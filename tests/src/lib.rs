//! Black-box tests over HTTP and the public API.

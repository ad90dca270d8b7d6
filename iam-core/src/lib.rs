//! Verification and policy for services beside the Ory stack: no framework, no runtime, no network of its own.

//! An embedded stand-in for Kratos, Keto and Oathkeeper: in memory, loopback only, for development and tests.

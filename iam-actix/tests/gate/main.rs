//! The gate, seen from outside: through applications, over sockets, and by its audit events.

#[cfg(test)]
#[macro_use]
mod common;

#[cfg(test)]
mod again;
#[cfg(test)]
mod around;
#[cfg(test)]
mod caches;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod check;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod extract;
mod faults;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod inward;
#[cfg(test)]
mod oauth2;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod scopes;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tricks;
#[cfg(test)]
mod server;

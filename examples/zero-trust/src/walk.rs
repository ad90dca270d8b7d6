//! Sends requests and checks the promises about their answers.

use std::{fmt, net::SocketAddr};

use scenario::{
    Promise, Report, RunningService,
    client::{Request, Response},
};

use crate::world::World;

/// A walk through a world.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The running servers.
    pub world: &'a World,
    /// The results so far.
    pub report: &'a mut Report,
}

impl Walk<'_> {
    /// Sends a request to a service and checks status, body and audit event against a promise.
    pub async fn ask(
        &mut self,
        service: &RunningService,
        request: Request,
        promise: Promise,
    ) -> Option<Response> {
        self.report.ask(service, request, promise).await
    }

    /// Sends a request through another server, such as the gateway.
    pub async fn ask_through(
        &mut self,
        through: SocketAddr,
        service: &RunningService,
        request: Request,
        promise: Promise,
    ) -> Option<Response> {
        self.report.ask_through(through, service, request, promise).await
    }

    /// Records a promise about an observation.
    pub fn observe(&mut self, what: &str, seen: impl fmt::Display, proves: &str, held: bool) {
        self.report.observe(what, seen, proves, held);
    }
}

//! The flow kind and return URL of a request.

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::StatusCode, web::Query};
use futures_util::future::{Ready, ready};
use iam_actix::{
    ProblemDetails, RequestId,
    flows::{FlowContext, FlowKind, RequestHead},
};
use serde::Deserialize;

/// The flow parameters of a request, *unverified*: Kratos validates them.
pub(crate) struct Visitor {
    pub(crate) context: FlowContext,
    pub(crate) return_to: Option<String>,
}

impl Visitor {
    pub(crate) fn kind(&self) -> &'static str {
        match self.context.kind() {
            FlowKind::Browser => "browser",
            FlowKind::Native => "native",
        }
    }
}

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let id = RequestId::from_request(request, payload).into_inner();
        ready(id.map_err(Error::from).and_then(|id| visitor(request, &id)))
    }
}

fn visitor(request: &HttpRequest, id: &RequestId) -> Result<Visitor, Error> {
    let wanted = Query::<Wanted>::from_query(request.query_string()).map_err(|_| {
        let detail = "the only parameters are `kind`, `native` or `browser`, and `returnTo`, a URL";
        ProblemDetails::new(StatusCode::BAD_REQUEST).detail(detail)
    })?;
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let head = RequestHead {
        method: request.method().as_str(),
        authority: None,
        headers: &headers,
        peer: None,
    };

    let kind = match wanted.kind {
        Kind::Browser => FlowKind::Browser,
        Kind::Native => FlowKind::Native,
    };
    Ok(Visitor {
        context: FlowContext::new(kind, &head).with_request_id(id.as_str()),
        return_to: wanted.0.return_to,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    #[serde(default)]
    kind: Kind,
    #[serde(rename = "returnTo")]
    return_to: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Browser,
    #[default]
    Native,
}

use std::{ops::Deref, str::FromStr};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};
use iam_core::decision::{Reason, Refusal};
use iam_grammar::RelationTuple;

use super::let_in;
use crate::{answer::error::Error, request::Grant};

/// The path parameter that the route's permission was checked for, and the checked tuples.
///
/// A handler that takes its id from here cannot load another object than the checked one. The permissions of the route and
/// of its scopes must have exactly one path parameter.
///
/// ```
/// use iam_actix::Granted;
///
/// async fn show(order: Granted<u64>) -> String {
///     format!("order {}", *order)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Granted<T> {
    value: T,
    tuples: Vec<RelationTuple>,
}

impl<T> Granted<T> {
    /// Returns the parameter's value.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Returns the tuples that Keto checked.
    pub fn tuples(&self) -> &[RelationTuple] {
        &self.tuples
    }
}

impl<T> Deref for Granted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromStr> FromRequest for Granted<T> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(let_in(request, |state, _| {
            state
                .grant()
                .ok_or(Refusal::with_detail(
                    Reason::InvalidRequirement,
                    "nothing_granted",
                ))
                .and_then(|grant| read(&grant))
                .map_err(|refusal| state.error(refusal))
        }))
    }
}

fn read<T: FromStr>(grant: &Grant) -> Result<Granted<T>, Refusal> {
    let [(_, value)] = grant.values.as_slice() else {
        return Err(Refusal::with_detail(
            Reason::InvalidRequirement,
            "not_one_parameter",
        ));
    };

    Ok(Granted {
        value: value
            .parse()
            .map_err(|_| Refusal::with_detail(Reason::InvalidObject, "object_type"))?,
        tuples: grant.tuples.clone(),
    })
}

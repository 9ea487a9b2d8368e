//! Whoever asks for a change, and the key under which it is done once however often it is asked for.

use super::{
    Operator,
    answers::Failure,
    auth::{Caller, only},
};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, request::Parts},
};
use holdall_protocol::ids::OrderKey;

/// The header that names the key of what is asked for.
const KEY_HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// All that a change is judged by but its path and its body.
pub(super) struct Asking {
    pub(super) operator: Operator,
    pub(super) by: Caller,
    in_header: Option<OrderKey>,
}

impl Asking {
    /// The key of what is asked for: the header's, or the body's.
    pub(super) fn key(&self, in_body: Option<OrderKey>) -> Result<Option<OrderKey>, Failure> {
        match (&self.in_header, in_body) {
            (Some(header), Some(body)) if *header != body => {
                Err(Failure::bad_request("the header Idempotency-Key and the body name different keys"))
            }
            (header, body) => Ok(header.clone().or(body)),
        }
    }

    /// The same, where there has to be one.
    pub(super) fn needed_key(&self, in_body: Option<OrderKey>) -> Result<OrderKey, Failure> {
        let missing = "this needs a key, in the header Idempotency-Key: the same request again bears the same one";
        self.key(in_body)?.ok_or_else(|| Failure::bad_request(missing))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asking
where
    Operator: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let by = parts.extensions.get::<Caller>().expect("no route of these is open").clone();
        let in_header = if parts.headers.contains_key(&KEY_HEADER) {
            let text = only(&parts.headers, KEY_HEADER).and_then(|header| header.to_str().ok());
            let text =
                text.ok_or_else(|| Failure::bad_request("the header Idempotency-Key is there twice, or no text"))?;
            Some(OrderKey::new(text).map_err(|error| Failure::bad_request(error.to_string()))?)
        } else {
            None
        };
        Ok(Self { operator: Operator::from_ref(state), by, in_header })
    }
}

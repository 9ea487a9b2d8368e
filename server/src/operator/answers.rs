//! The shapes of answers that every route shares.

use crate::{engine::refusal::Refusal, roster::orders::OrderError, store::ReadError, upkeep::inspect};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use holdall_protocol::{code::Code, ids::PlayerId};
use serde::Serialize;
use utoipa::ToSchema;

/// A route's "no".
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// What every refusal looks like: `{"status": 404, "code": "not_found", "message": "…"}`.
#[derive(Serialize, ToSchema)]
#[schema(as = Failure)]
pub(super) struct Said<'a> {
    /// The HTTP status.
    status: u16,
    /// What it is about, for programs.
    code: &'a str,
    /// What it is about, for people.
    message: &'a str,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn no_player(player: &PlayerId) -> Self {
        Self::not_found(format!("there is no player {player}"))
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let status = match &error {
            OrderError::NoSuchPlayer => StatusCode::NOT_FOUND,
            OrderError::Impossible(_) => StatusCode::BAD_REQUEST,
            OrderError::Refused { code, .. } => refused(*code),
            OrderError::KeyTaken => StatusCode::CONFLICT,
            OrderError::Busy | OrderError::StoreAway => StatusCode::SERVICE_UNAVAILABLE,
            OrderError::Unreadable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            OrderError::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        OrderError::from(refusal).into()
    }
}

/// What can never be, whatever the state of things, is a bad request; what there is not, is not found; the rest may be later.
const fn refused(code: Code) -> StatusCode {
    match code {
        Code::InvalidItem | Code::InvalidQuantity | Code::InvalidAttribute | Code::SamePlayer => {
            StatusCode::BAD_REQUEST
        }
        Code::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let (status, code) = match &error {
            ReadError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            ReadError::Unreadable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
            ReadError::Exists => (StatusCode::CONFLICT, "exists"),
        };
        Self::new(status, code, inspect::refusal(&error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Said { status: self.status.as_u16(), code: self.code, message: &self.message };
        (self.status, Json(body)).into_response()
    }
}

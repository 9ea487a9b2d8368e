//! What only the control socket answers: what is left to whoever may read and write the data directory.

use super::answers::Failure;
use crate::{
    store::{ReadError, Store},
    upkeep::inspect::{self, Inspection},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use holdall_protocol::ids::PlayerId;
use std::sync::Arc;

/// What the routes answer from.
#[derive(Clone)]
pub struct Control {
    /// The server's store.
    pub store: Arc<dyn Store>,
}

/// Every route.
pub(super) fn router(control: Control) -> Router {
    Router::new().route("/v1/players/{player}/stored", get(stored)).with_state(control)
}

/// A player as the store has it; what is only in memory is not in it.
async fn stored(State(control): State<Control>, Path(player): Path<String>) -> Result<Json<Inspection>, Failure> {
    let bad =
        |error: holdall_protocol::ids::BadId| Failure::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string());
    let player = PlayerId::new(&player).map_err(bad)?;
    match inspect::look(&*control.store, &player).await {
        Ok(Some(found)) => Ok(Json(found)),
        Ok(None) => Err(Failure::new(StatusCode::NOT_FOUND, "not_found", format!("there is no player {player}"))),
        Err(error) => Err(unread(&error)),
    }
}

fn unread(error: &ReadError) -> Failure {
    let (status, code) = match error {
        ReadError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        ReadError::Unreadable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
        ReadError::Exists => (StatusCode::CONFLICT, "exists"),
    };
    Failure::new(status, code, error.to_string())
}

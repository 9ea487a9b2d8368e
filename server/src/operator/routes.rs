//! The table of routes, and what each answers.

use super::{Operator, answers::Failure, metrics};
use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

/// Every route.
pub(super) fn router(operator: Operator) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/log", post(set_log))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(operator)
}

/// The process is alive: nothing else is asked.
async fn healthz() -> &'static str {
    "ok"
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
    store: String,
    durability: String,
}

/// Whether players should be sent here: 200 or 503.
async fn readyz(State(operator): State<Operator>) -> Response {
    let readiness = &operator.readiness;
    let reasons = readiness.reasons();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (store, durability) = (readiness.store().to_owned(), readiness.durability());
    (status, Json(Ready { ready, reasons, store, durability })).into_response()
}

#[derive(Serialize, Deserialize)]
struct Log {
    level: String,
}

/// Changes the level of the log until the next start: `{"level": "debug"}`.
async fn set_log(
    State(operator): State<Operator>,
    body: Result<Json<Log>, JsonRejection>,
) -> Result<Json<Log>, Failure> {
    let bad = |message: String| Failure::new(StatusCode::BAD_REQUEST, "bad_request", message);
    let Json(Log { level }) = body.map_err(|error| bad(error.body_text()))?;
    operator.log.set(&level).map_err(bad)?;
    tracing::info!(%level, "the level of the log was changed");
    Ok(Json(Log { level: operator.log.get() }))
}

async fn not_found(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    let message = format!("no route {path}; this is the operator port, players connect to the game port");
    Failure::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{path} does not take {method}"))
}

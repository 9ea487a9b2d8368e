//! `/metrics`: what is counted and measured, for Prometheus. Nothing in it is secret, so that it needs no key.

use super::Operator;
use crate::telemetry::metrics::CONTENT_TYPE;
use axum::{extract::State, http::header, response::IntoResponse};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The route.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Every metric as it is now.
#[utoipa::path(get, path = "/metrics", tag = "process", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(operator): State<Operator>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], (operator.scrape)())
}

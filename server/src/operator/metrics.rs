//! `/metrics`: what is counted and measured, for Prometheus. Nothing in it is secret, so that it needs no key.

use super::Operator;
use crate::telemetry::metrics::CONTENT_TYPE;
use axum::{extract::State, http::header, response::IntoResponse};

/// Every metric as it is now.
pub(super) async fn metrics(State(operator): State<Operator>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], (operator.scrape)())
}

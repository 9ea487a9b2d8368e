//! The description of the routes, for programs and for people. It is the same for every server of this build, and says
//! nothing of this one.

use super::{Operator, routes::description};
use axum::{
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
};
use std::sync::OnceLock;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Both routes.
pub(super) fn routes() -> OpenApiRouter<Operator> {
    OpenApiRouter::new().routes(routes!(document)).routes(routes!(page))
}

/// The page fetches the description from beside it, and nothing from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/// This description, in OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "process", responses((status = 200, body = serde_json::Value)))]
async fn document() -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| description().to_pretty_json().expect("it serialises into memory"));
    ([(CONTENT_TYPE, "application/json")], text.as_str())
}

/// This description as a page to read.
#[utoipa::path(get, path = "/docs", tag = "process", responses((status = 200, body = String, content_type = "text/html")))]
async fn page() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("docs.html"))
}

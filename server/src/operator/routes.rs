//! The table of routes, who may ask for which, and the few that are about the process itself.

use super::{
    Operator,
    answers::Failure,
    auth,
    control::{self, Control},
    docs,
    extract::{BODY_BYTES_MAX, Body},
    metrics, openapi, orders, players, reload, shop,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{ToSchema, openapi::OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Routes that answer everybody who reaches the port.
fn open() -> OpenApiRouter<Operator> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).merge(metrics::routes()).merge(docs::routes())
}

/// Routes that need a key; to those that change something (every method but GET), one of the role `operate`.
fn guarded() -> OpenApiRouter<Operator> {
    OpenApiRouter::new()
        .routes(routes!(set_log))
        .merge(reload::routes())
        .merge(players::routes())
        .merge(orders::routes())
        .merge(shop::routes())
}

/// The description of both.
pub(super) fn description() -> OpenApi {
    openapi::describe(open().into_openapi(), guarded().into_openapi())
}

/// What the operator port answers.
pub(super) fn port(operator: Operator) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let guarded = answering_all(guarded).layer(from_fn_with_state(operator.access.clone(), auth::by_key));
    together(guarded, operator)
}

/// What the control socket answers: the port's routes and those of [`control`].
pub(super) fn socket(operator: Operator, control: Control) -> Router {
    let (guarded, _) = guarded().split_for_parts();
    let guarded = answering_all(guarded.merge(control::router(control))).layer(from_fn(auth::by_socket));
    together(guarded, operator)
}

fn answering_all(guarded: Router<Operator>) -> Router<Operator> {
    guarded.fallback(not_found).method_not_allowed_fallback(method_not_allowed)
}

fn together(guarded: Router<Operator>, operator: Operator) -> Router {
    let (open, _) = open().split_for_parts();
    let all = open.method_not_allowed_fallback(method_not_allowed).merge(guarded);
    all.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).with_state(operator)
}

/// The process is alive: nothing else is asked.
#[utoipa::path(get, path = "/healthz", tag = "process", responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok"
}

/// Whether players should be sent here.
#[derive(Serialize, ToSchema)]
struct Ready {
    ready: bool,
    /// What stands against it.
    reasons: Vec<String>,
    /// Which kind of store.
    store: String,
    /// What an acknowledgement promises.
    durability: String,
}

/// Whether players should be sent here.
#[utoipa::path(get, path = "/readyz", tag = "process",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn readyz(State(operator): State<Operator>) -> Response {
    let readiness = &operator.readiness;
    let reasons = readiness.reasons();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (store, durability) = (readiness.store().to_owned(), readiness.durability());
    (status, Json(Ready { ready, reasons, store, durability })).into_response()
}

#[derive(Serialize, Deserialize, ToSchema)]
struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[schema(pattern = "^(error|warn|info|debug|trace)$")]
    level: String,
}

/// Changes the level of the log until the next start.
#[utoipa::path(post, path = "/log", tag = "process", request_body = Log, responses((status = 200, body = Log)))]
async fn set_log(State(operator): State<Operator>, Body(Log { level }): Body<Log>) -> Result<Json<Log>, Failure> {
    operator.log.set(&level).map_err(Failure::bad_request)?;
    tracing::info!(%level, "the level of the log was changed");
    Ok(Json(Log { level: operator.log.get() }))
}

async fn not_found(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    Failure::not_found(format!("no route {path}; this is the operator port, players connect to the game port"))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{path} does not take {method}"))
}

//! What only the control socket answers: what is left to whoever may read and write the data directory.

use super::{
    answers::Failure,
    reload::{self, Reload},
};
use crate::{
    roster::Roster,
    store::ReadError,
    upkeep::{
        self,
        history::{self, History},
        inspect::{self, Inspection},
        migrate::{self, Mode},
        restore::{self, Asked, OrderError, Restored},
        verify::{self, By},
    },
};
use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    routing::{get, post},
};
use futures_util::stream;
use holdall_protocol::ids::PlayerId;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt::Display, pin::Pin, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What the routes answer from.
#[derive(Clone)]
pub struct Control {
    /// The server's players.
    pub roster: Arc<Roster>,
    /// What reads settings and catalogue again.
    pub reload: Arc<dyn Reload>,
    /// Turns true when the server stops.
    pub stopped: watch::Receiver<bool>,
}

/// Every route.
pub(super) fn router(control: Control) -> Router {
    Router::new()
        .route("/v1/players", get(players))
        .route("/v1/players/{player}/stored", get(stored))
        .route("/v1/players/{player}/history", get(past))
        .route("/v1/verify", post(prove))
        .route("/v1/players/{player}/restore", post(set_back))
        .route("/v1/migrate", post(bring_forward))
        .merge(reload::router(control.reload.clone()))
        .with_state(control)
}

/// Every player of the store.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    /// In order.
    pub players: Vec<PlayerId>,
}

async fn players(State(control): State<Control>) -> Result<Json<Listed>, Failure> {
    let players = upkeep::all_players(control.roster.store()).await.map_err(|error| unread(&error))?;
    Ok(Json(Listed { players }))
}

/// A player as the store has it; what is only in memory is not in it.
async fn stored(State(control): State<Control>, Path(player): Path<String>) -> Result<Json<Inspection>, Failure> {
    let player = player_id(&player)?;
    let found = inspect::look(control.roster.store(), &player).await;
    found.map_err(|error| unread(&error))?.map(Json).ok_or_else(|| no_player(&player))
}

/// What happened to a player, as far as the store has it.
async fn past(
    State(control): State<Control>,
    Path(player): Path<String>,
    wanted: Result<Query<history::Wanted>, QueryRejection>,
) -> Result<Json<History>, Failure> {
    let (player, Query(wanted)) = (player_id(&player)?, wanted.map_err(bad_query)?);
    let told = history::tell(control.roster.store(), &player, &wanted).await;
    told.map_err(|error| unread(&error))?.map(Json).ok_or_else(|| no_player(&player))
}

fn no_player(player: &PlayerId) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not_found", format!("there is no player {player}"))
}

fn bad_query(error: QueryRejection) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "bad_request", error.body_text())
}

fn player_id(text: &str) -> Result<PlayerId, Failure> {
    PlayerId::new(text).map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "bad_request", error.to_string()))
}

/// Says what setting a player back changes, or does it.
async fn set_back(
    State(control): State<Control>,
    Path(player): Path<String>,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Restored>, Failure> {
    let bad = |error: JsonRejection| Failure::new(StatusCode::BAD_REQUEST, "bad_request", error.body_text());
    let Json(asked) = asked.map_err(bad)?;
    restore::restore(&control.roster, &player_id(&player)?, asked).await.map(Json).map_err(|error| not_done(&error))
}

fn not_done(error: &OrderError) -> Failure {
    let status = match error {
        OrderError::NoSuchPlayer => StatusCode::NOT_FOUND,
        OrderError::Impossible(_) => StatusCode::BAD_REQUEST,
        OrderError::KeyTaken | OrderError::Refused(_) => StatusCode::CONFLICT,
        OrderError::Busy | OrderError::StoreAway => StatusCode::SERVICE_UNAVAILABLE,
        OrderError::Unreadable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        OrderError::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Failure::new(status, error.code(), error.to_string())
}

fn unread(error: &ReadError) -> Failure {
    let (status, code) = match error {
        ReadError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        ReadError::Unreadable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unreadable"),
        ReadError::Exists => (StatusCode::CONFLICT, "exists"),
    };
    Failure::new(status, code, inspect::refusal(error))
}

/// How a migration is to be done.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    dry_run: bool,
    /// The newest content step that the asker knows of.
    newest_step: u32,
}

/// One line of a long answer: as many of the first as it takes, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<T> {
    /// So many of so many are done.
    Progress(usize, usize),
    /// What came of it.
    Done(T),
    /// Why nothing, or not all, came of it.
    Failed(String),
}

/// Brings every player forward whom nobody plays; the answer is lines of JSON, [`Line`]s of a [`migrate::Migrated`]. Whoever stops
/// reading stops the work.
async fn bring_forward(
    State(control): State<Control>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Body, Failure> {
    let Query(Wanted { dry_run, newest_step }) = wanted.map_err(bad_query)?;
    let known = control.roster.rules().migrations.newest();
    if newest_step != known {
        let message = format!(
            "the running server was started with content steps up to {known}, the migrations file has them up to \
             {newest_step}: restart the server, then migrate"
        );
        return Err(Failure::new(StatusCode::CONFLICT, "other_steps", message));
    }
    let mode = if dry_run { Mode::DryRun } else { Mode::ForReal };
    let Control { roster, stopped, .. } = control;
    let work = move |tell: Tell| async move { migrate::migrate(&roster, mode, tell).await };
    Ok(in_lines(work, stopped))
}

/// Proves every player's things by the ledger; the answer is lines of JSON, [`Line`]s of a [`verify::Verified`]. Whoever
/// stops reading stops the work.
async fn prove(State(Control { roster, stopped, .. }): State<Control>) -> Body {
    let work = move |tell: Tell| async move { verify::verify(roster.store(), By::Server, tell).await };
    in_lines(work, stopped)
}

/// Hears how many of how many are done.
type Tell = Box<dyn FnMut(usize, usize) + Send>;

/// A long work's answer, line by line.
fn in_lines<T, E, F>(work: impl FnOnce(Tell) -> F, stopped: watch::Receiver<bool>) -> Body
where
    T: Serialize + 'static,
    E: Display + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let (progress, heard) = watch::channel((0, 0));
    let tell = move |done, total| {
        progress.send_replace((done, total));
    };
    let task = Task { work: Box::pin(work(Box::new(tell))), heard, stopped };
    Body::from_stream(stream::unfold(Some(task), next_line))
}

/// A work under way, which goes on while its next line is waited for.
struct Task<T, E> {
    work: Pin<Box<dyn Future<Output = Result<T, E>> + Send>>,
    heard: watch::Receiver<(usize, usize)>,
    stopped: watch::Receiver<bool>,
}

/// The next line of an answer, and what is left of the work.
type Next<T, E> = Option<(Result<String, Infallible>, Option<Task<T, E>>)>;

async fn next_line<T: Serialize, E: Display>(task: Option<Task<T, E>>) -> Next<T, E> {
    let mut task = task?;
    let line = tokio::select! {
        done = &mut task.work => match done {
            Ok(done) => Line::Done(done),
            Err(error) => Line::Failed(error.to_string()),
        },
        _ = task.stopped.wait_for(|stopped| *stopped) => Line::Failed("the server stops".to_owned()),
        () = sleep(PROGRESS_EVERY) => {
            let (done, total) = *task.heard.borrow();
            Line::Progress(done, total)
        }
    };
    let text = serde_json::to_string(&line).expect("it serialises into memory");
    let rest = matches!(line, Line::Progress(..)).then_some(task);
    Some((Ok(format!("{text}\n")), rest))
}

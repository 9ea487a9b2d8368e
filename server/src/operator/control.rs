//! What only the control socket answers: long work on all players, left to whoever may read and write the data directory.

use super::{Operator, answers::Failure, extract::Query};
use crate::{
    roster::Roster,
    upkeep::{
        migrate::{self, Mode},
        verify::{self, By},
    },
};
use axum::{Router, body, extract::State, http::StatusCode, routing::post};
use futures_util::stream;
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
    /// Turns true when the server stops.
    pub stopped: watch::Receiver<bool>,
}

/// Every route.
pub(super) fn router(control: Control) -> Router<Operator> {
    let own = Router::new().route("/v1/verify", post(prove)).route("/v1/migrate", post(bring_forward));
    own.with_state(control)
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
    Query(Wanted { dry_run, newest_step }): Query<Wanted>,
) -> Result<body::Body, Failure> {
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
async fn prove(State(Control { roster, stopped, .. }): State<Control>) -> body::Body {
    let work = move |tell: Tell| async move { verify::verify(roster.store(), By::Server, tell).await };
    in_lines(work, stopped)
}

/// Hears how many of how many are done.
type Tell = Box<dyn FnMut(usize, usize) + Send>;

/// A long work's answer, line by line.
fn in_lines<T, E, F>(work: impl FnOnce(Tell) -> F, stopped: watch::Receiver<bool>) -> body::Body
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
    body::Body::from_stream(stream::unfold(Some(task), next_line))
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

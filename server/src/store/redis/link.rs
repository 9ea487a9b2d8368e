//! One connection to Redis: made when it is needed, looked at before it is used, given up at the first doubt.
//!
//! It never reconnects under a call: a command whose answer did not come may have run, and only the caller knows what
//! that means.

use super::preflight::{self, Checked, Unfit};
use crate::store::Life;
use parking_lot::{Mutex, RwLock};
use redis::{
    AsyncConnectionConfig, Client, Cmd, RedisError, Value,
    aio::{ConnectionLike as _, MultiplexedConnection},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

/// For a connection to be made and looked at.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// What became of a command that was not answered as it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failure {
    /// It was never sent.
    #[error("{0}")]
    NotSent(String),
    /// It may have run: its answer did not come.
    #[error("{0}")]
    Lost(String),
    /// Redis refused it.
    #[error("{code}: {message}")]
    Said {
        /// The first word of the refusal.
        code: String,
        /// The rest.
        message: String,
    },
}

/// What the links of one store share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Runs of Redis that were seen; the place in the list is the number of the life.
    runs: Mutex<Vec<String>>,
    /// The life that the newest connection found.
    life: Mutex<Life>,
    /// What the newest connection found.
    promise: RwLock<String>,
    weaknesses: Mutex<Vec<String>>,
}

impl Shared {
    pub(super) fn promise(&self) -> String {
        self.promise.read().clone()
    }

    /// The run of Redis that is this life.
    pub(super) fn run(&self, life: Life) -> String {
        let at = usize::try_from(life.get()).unwrap_or(usize::MAX);
        self.runs.lock().get(at).cloned().unwrap_or_default()
    }

    fn learn(&self, checked: Checked) -> Life {
        *self.promise.write() = checked.promise;
        let mut known = self.weaknesses.lock();
        if *known != checked.weaknesses {
            for weakness in &checked.weaknesses {
                tracing::warn!("this Redis promises less than it could: {weakness}");
            }
            *known = checked.weaknesses;
        }
        let mut runs = self.runs.lock();
        let at = runs.iter().position(|run| *run == checked.run).unwrap_or_else(|| {
            runs.push(checked.run);
            runs.len().saturating_sub(1)
        });
        let life = Life::new(u64::try_from(at).unwrap_or(u64::MAX));
        *self.life.lock() = life;
        life
    }
}

/// A connection and the life of Redis that it reaches.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    pub(super) life: Life,
    generation: u64,
}

/// The place of one connection.
pub(super) struct Link {
    client: Client,
    shared: Arc<Shared>,
    answer_time_max: Duration,
    place: tokio::sync::Mutex<Place>,
}

#[derive(Default)]
struct Place {
    live: Option<Live>,
    generation: u64,
    /// The last attempt that failed: whoever waited for it failed with it.
    failed: Option<(Instant, Failure)>,
}

impl Link {
    pub(super) fn new(client: Client, shared: Arc<Shared>, answer_time_max: Duration) -> Self {
        Self { client, shared, answer_time_max, place: tokio::sync::Mutex::default() }
    }

    /// The connection there is, or a new one.
    pub(super) async fn live(&self) -> Result<Live, Failure> {
        let begun = Instant::now();
        let mut place = self.place.lock().await;
        // Another link may have seen a restart first: a connection from before it leads nowhere, and who only looks at its
        // life would never find out.
        if let Some(live) = place.live.as_ref().filter(|live| live.life == *self.shared.life.lock()) {
            return Ok(live.clone());
        }
        if let Some((_, failure)) = place.failed.as_ref().filter(|(at, _)| *at >= begun) {
            return Err(failure.clone());
        }
        let connected = timeout(CONNECT_TIME_MAX, self.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err(Failure::NotSent("Redis does not answer".to_owned())));
        match connected {
            Ok((connection, life)) => {
                place.generation = place.generation.saturating_add(1);
                let live = Live { connection, life, generation: place.generation };
                place.live = Some(live.clone());
                Ok(live)
            }
            Err(failure) => {
                place.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, Life), Failure> {
        let not_sent = |error: RedisError| Failure::NotSent(error.to_string());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME_MAX))
            .set_response_timeout(Some(self.answer_time_max));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connected.map_err(not_sent)?;
        match preflight::check(&mut connection).await.map_err(not_sent)? {
            Ok(checked) => {
                let life = self.shared.learn(checked);
                Ok((connection, life))
            }
            Err(unfit @ Unfit::Loading) => {
                Err(Failure::Said { code: "LOADING".to_owned(), message: unfit.to_string() })
            }
            Err(unfit @ Unfit::Wrong(_)) => Err(Failure::NotSent(unfit.to_string())),
        }
    }

    /// Sends a command over a connection and waits for its answer. After a failure that says that the connection or its
    /// Redis is not what it was, the next call makes a new one.
    pub(super) async fn call(&self, live: &Live, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = live.connection.clone();
        let failure = match connection.req_packed_command(command).await.and_then(Value::extract_error) {
            Ok(value) => return Ok(value),
            Err(error) => failure_of(&error),
        };
        if failure.is_of_the_connection() {
            let mut place = self.place.lock().await;
            if place.live.as_ref().is_some_and(|now| now.generation == live.generation) {
                tracing::debug!(%failure, "a connection to Redis was given up");
                place.live = None;
            }
        }
        Err(failure)
    }
}

fn failure_of(error: &RedisError) -> Failure {
    match error.code() {
        Some(code) => Failure::Said { code: code.to_owned(), message: error.detail().unwrap_or_default().to_owned() },
        None => Failure::Lost(error.to_string()),
    }
}

impl Failure {
    fn is_of_the_connection(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Lost(_) => true,
            // Another master may answer under the same name, or the same one under another name.
            Self::Said { code, .. } => matches!(code.as_str(), "READONLY" | "NOAUTH" | "LOADING" | "MASTERDOWN"),
        }
    }

    /// Whether it will pass by itself: Redis has just been started.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self, Self::Said { code, .. } if code == "LOADING")
    }

    /// Whether Redis refused a command before it did anything, so that it can be sent again later.
    pub(super) fn wrote_nothing(&self) -> bool {
        match self {
            Self::NotSent(_) => true,
            Self::Lost(_) => false,
            Self::Said { code, .. } => matches!(
                code.as_str(),
                "OOM"
                    | "MISCONF"
                    | "READONLY"
                    | "LOADING"
                    | "NOAUTH"
                    | "NOPERM"
                    | "BUSY"
                    | "MASTERDOWN"
                    | "NOREPLICAS"
                    | "NOSCRIPT"
            ),
        }
    }
}

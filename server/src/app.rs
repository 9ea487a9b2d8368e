//! The wiring: opens what is below in order, and stops it in reverse.
//!
//! Called by `cli` with settings and rules that have been checked. Owns the data directory: the node's identity, the lock
//! that keeps a second process out, the store's file and the spool.

mod data_dir;
mod reload;
mod scrape;
mod stop;
pub mod stores;
mod wiring;
pub mod workshop;

use crate::{
    catalog::Rules,
    clock::{Clock, Dice},
    config::{Faults, Loaded, Settings},
    gateway,
    journal::{Ack, Journal, spool},
    operator::{
        self, Operator,
        auth::Access,
        control::Control,
        keys::{KeyFile, Keyring},
    },
    roster::Roster,
    session::{InForce, Sessions, token},
    store::{Life, Outcome, Store},
    telemetry::{log::LogLevel, readiness::Readiness},
};
use data_dir::DataDir;
use holdall_protocol::message::Durability;
use reload::Reloader;
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};

/// How a server that had started came to its end; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Everything is saved.
    Clean,
    /// Something could not be saved and waits in the spool for the next start.
    Spooled,
    /// The store failed under way. What it had not taken is in the spool, if the disk took that.
    StoreFailed,
}

/// Why a server did not start, or a command did not get at a store.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings do not fit this machine; the text says what to do.
    #[error("{0}")]
    Config(String),
    /// The store or the data directory refused.
    #[error("{0}")]
    Store(String),
}

/// Reads settings, catalogue and all that they name, as was done before the start.
pub type Read = Box<dyn Fn() -> Result<(Loaded, Rules), Faults> + Send + Sync>;

/// What to serve.
pub struct Plan {
    /// Every knob.
    pub loaded: Loaded,
    /// Catalogue and bounds.
    pub rules: Rules,
    /// How both are read again while it serves.
    pub read: Read,
    /// Where to write the addresses once the server is ready.
    pub ready_file: Option<PathBuf>,
    /// Whether a store without the world that was served before is welcome.
    pub new_world: bool,
    /// The level of the log, changeable while it runs.
    pub log: LogLevel,
}

/// Serves until told to stop, by a signal or by `stop`, or until the store fails.
///
/// # Errors
/// [`StartError`]; then nothing was served.
pub async fn serve(plan: Plan, stop: impl Future<Output = ()> + Send) -> Result<Stopped, StartError> {
    let Plan { loaded, rules, read, ready_file, new_world, log } = plan;
    let settings = loaded.settings.clone();
    let hangups = reload::hangups()?;
    let verifier = verifier(&settings)?;
    let data = DataDir::open(&settings.server.data_dir)?;
    let store = stores::open(&settings, &data, new_world).await?;
    replay_spool(&*store, &data).await?;
    // The replay may have taken longer than a lease.
    store.renew(Life::default()).await.map_err(|error| StartError::Store(error.to_string()))?;

    let in_force = in_force(&settings, &store);
    let readiness = readiness(&in_force);
    let (stopping, stopped) = watch::channel(false);
    let (journal, roster) = rooms(&settings, rules, &store);
    let options = wiring::session_options(&settings);
    let development = verifier.is_development();
    let sessions = Arc::new(Sessions::new(roster.clone(), verifier, options, in_force.clone(), stopped.clone()));
    let game = gateway::bind(settings.server.listen, &wiring::gateway_options(&settings), &roster.metrics)
        .map_err(|error| StartError::Config(error.to_string()))?;
    let (operators, socket) = operators_doors(&settings, &data).await?;
    let writer = {
        let journal = journal.clone();
        tokio::spawn(async move { journal.run().await })
    };
    let desk = sessions.desk().clone();
    let (trades, shop) = open_desks(&sessions).await;
    let lease = tokio::spawn(roster.clone().keep_lease());
    let letters = tokio::spawn(roster.clone().read_letters());
    let reloader = Arc::new(Reloader::new((read, loaded), sessions.clone(), game.bounds(), log.clone()));
    let hangups = tokio::spawn(reloader.clone().on_hangup(hangups));
    let access = access(&settings, development)?;
    let scrape = scrape::scrape(roster.clone(), readiness.clone());
    let operator = Operator {
        readiness: readiness.clone(),
        log,
        scrape,
        roster: roster.clone(),
        reload: reloader.clone(),
        access,
    };
    let whole = Control { roster: roster.clone(), stopped: stopped.clone() };
    let addresses = (game.addr, operators.addr);
    let control = socket.run(operator.clone(), whole, stopped.clone());
    let operators = operators.run(operator, stopped.clone());
    let operator_task = tokio::spawn(async {
        tokio::join!(operators, control);
    });
    let gateway_task = tokio::spawn(game.run(sessions, stopped));
    first_sign_of_life(&roster, &settings).await;
    readiness.unblock("starting");
    announce(addresses, &settings, &in_force(), development);
    ready_file.map_or(Ok(()), |file| write_ready_file(&file, addresses))?;

    let running = stop::Running {
        journal,
        roster,
        store,
        readiness,
        stopping,
        writer,
        lease,
        letters,
        desk,
        trades,
        shop,
        hangups,
        gateway_task,
        operator_task,
    };
    Ok(running.until(stop, move || reloader.drain_time(), &data.spool_file()).await)
}

/// Runs the desk of trades, and the shop's once it has told the store what is for sale.
async fn open_desks(sessions: &Sessions) -> (JoinHandle<Infallible>, JoinHandle<()>) {
    let trades = tokio::spawn(sessions.desk().clone().run());
    if let Err(error) = sessions.shop().stock_up().await {
        tracing::warn!(%error, "not all that is new in the shop is for sale yet");
    }
    (trades, tokio::spawn(sessions.shop().clone().run()))
}

/// What checks how players sign in.
fn verifier(settings: &Settings) -> Result<token::Verifier, StartError> {
    let verifier = token::Verifier::new(wiring::token_options(settings)?).map_err(StartError::Config)?;
    if verifier.is_development() {
        token::development_allowed(settings.server.listen).map_err(StartError::Config)?;
    }
    Ok(verifier)
}

/// Waits for the store's first answer, for a lease at most: nobody could be served before it.
async fn first_sign_of_life(roster: &Roster, settings: &Settings) {
    let first = tokio::time::timeout(Duration::from_millis(settings.store.lease_ms), roster.lease.held());
    if first.await.is_err() {
        tracing::warn!("the store does not answer: nobody is served before it does");
    }
}

/// The operator port and the control socket, which do not answer yet.
async fn operators_doors(
    settings: &Settings,
    data: &DataDir,
) -> Result<(operator::Bound, operator::BoundSocket), StartError> {
    let address = settings.server.operator_listen;
    let port = operator::bind(address).await;
    let port = port.map_err(|error| StartError::Config(format!("operator port {address}: {error}")))?;
    let socket = operator::bind_socket(data.path())
        .map_err(|error| StartError::Store(format!("control socket in {}: {error}", data.path().display())))?;
    Ok((port, socket))
}

/// Who may ask for what on the operator port. Without any key, on this machine and in development, everybody for everything.
fn access(settings: &Settings, development: bool) -> Result<Arc<Access>, StartError> {
    let server = &settings.server;
    let file = KeyFile::new(server.operator_keys_file.as_deref(), &server.data_dir);
    let keyring = Keyring::open(file).map_err(|error| StartError::Config(error.to_string()))?;
    Ok(Arc::new(Access::new(keyring, development && server.operator_listen.ip().is_loopback())))
}

/// The rooms in which players are, over a store.
fn rooms(settings: &Settings, rules: Rules, store: &Arc<dyn Store>) -> (Arc<Journal>, Arc<Roster>) {
    let (clock, options) = (Clock::System, wiring::journal_options(settings));
    let journal = Arc::new(Journal::new(store.clone(), options, clock, Dice::from_os()));
    let options = wiring::roster_options(settings);
    let roster = Roster::new(journal.clone(), store.clone(), Arc::new(rules), (clock, Dice::from_os()), options);
    (journal, roster)
}

/// What could not be saved by the last stop is saved before anybody is served.
async fn replay_spool(store: &dyn Store, data: &DataDir) -> Result<(), StartError> {
    let file = data.spool_file();
    let failed = |error: String| StartError::Store(format!("the spool {}: {error}", file.display()));
    let batches = spool::read(&file, &store.home()).map_err(|error| failed(error.to_string()))?;
    if batches.is_empty() {
        return Ok(());
    }
    let replayed = spool::replay(store, Life::default(), batches).await.map_err(|outcome| match outcome {
        Outcome::Broken { error } => failed(error),
        outcome => failed(format!("the store does not take it: {outcome:?}")),
    })?;
    tracing::info!(batches = replayed.applied, "the spool of the last stop was replayed");
    if replayed.refused.is_empty() {
        return std::fs::remove_file(&file).map_err(|error| failed(error.to_string()));
    }
    let aside = data.refused_spool_file(Clock::System.now_ms());
    for (batch, outcome) in &replayed.refused {
        let players: Vec<_> = batch.players.iter().map(|write| &write.player).collect();
        tracing::error!(?players, ?outcome, kept = %aside.display(), "a spooled batch was refused and kept aside");
    }
    std::fs::rename(&file, &aside).map_err(|error| failed(error.to_string()))
}

/// What an acknowledgement promises, as the store stands whenever it is asked.
fn in_force(settings: &Settings, store: &Arc<dyn Store>) -> InForce {
    let (ack, store) = (wiring::ack(settings), store.clone());
    Arc::new(move || {
        let (ack, promise) = match ack {
            Ack::Durable => ("durable", format!("a reply leaves after its commit; {}", store.promise())),
            Ack::Applied { interval } => (
                "applied",
                format!(
                    "replies leave at once; a crash loses at most the last {} ms of each player; {}",
                    interval.as_millis(),
                    store.promise()
                ),
            ),
        };
        Durability { ack: ack.to_owned(), store: store.name().to_owned(), promise }
    })
}

/// Not ready yet, over the store that is in use.
fn readiness(in_force: &InForce) -> Arc<Readiness> {
    let promised = in_force.clone();
    Arc::new(Readiness::starting(&in_force().store, Box::new(move || promised().promise)))
}

fn announce((game, operators): (SocketAddr, SocketAddr), settings: &Settings, durability: &Durability, dev: bool) {
    let scheme = if settings.server.tls_cert_file.is_some() { "wss" } else { "ws" };
    tracing::info!("players connect to {scheme}://{game}{}", gateway::GAME_PATH);
    tracing::info!("operators look at http://{operators}/readyz");
    tracing::info!(
        store = %durability.store,
        url = %settings.store.url,
        data_dir = %shown(&settings.server.data_dir),
        ack = %durability.ack,
        "durability in force: {}",
        durability.promise
    );
    if dev {
        tracing::warn!("development sign-in is ON: whoever reaches this port is whom they say (token dev:<player-id>)");
    }
}

/// A path as a person would look for it.
fn shown(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn write_ready_file(file: &Path, (listen, operator): (SocketAddr, SocketAddr)) -> Result<(), StartError> {
    let ready = serde_json::json!({
        "listen": listen.to_string(),
        "operator": operator.to_string(),
        "pid": std::process::id(),
    });
    // Whoever waits for the file never sees half of it.
    let unfinished = file.with_extension("unfinished");
    let written = std::fs::write(&unfinished, format!("{ready}\n")).and_then(|()| std::fs::rename(&unfinished, file));
    written.map_err(|error| StartError::Config(format!("{}: {error}", file.display())))
}

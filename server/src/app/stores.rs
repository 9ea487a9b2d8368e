//! Opening the store that the settings name: for the server, and for the commands that work on one without a server.

use super::{
    StartError,
    data_dir::{DataDir, Taken},
};
use crate::{
    clock::Dice,
    config::{self, Settings},
    store::{
        Node, Store,
        embedded::Embedded,
        redis::{self, NoWorld, Redis},
    },
};
use rand::RngCore as _;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Opens it for a server. `new_world`: a Redis without the world that this data directory has served is welcome.
pub(super) async fn open(settings: &Settings, data: &DataDir, new_world: bool) -> Result<Arc<dyn Store>, StartError> {
    match settings.store.url.redis() {
        None => embedded(settings, data),
        Some(url) => {
            let mut options = redis_options(url, &settings.store)?;
            options.known_world = data.known_world(settings.store.realm.as_str())?;
            options.new_world = new_world;
            let redis = Redis::open(options, data.node().clone()).await.map_err(refused)?;
            data.learn_world(settings.store.realm.as_str(), redis.world())?;
            Ok(Arc::new(redis))
        }
    }
}

fn embedded(settings: &Settings, data: &DataDir) -> Result<Arc<dyn Store>, StartError> {
    let file = data.store_file();
    let opened = Embedded::open(&file, settings.store.cache_bytes, data.node().clone());
    Ok(Arc::new(opened.map_err(|error| StartError::Store(format!("{}: {error}", file.display())))?))
}

fn refused(error: redis::OpenError) -> StartError {
    StartError::Store(error.to_string())
}

/// For whoever comes without a world of their own.
fn redis_options(url: &str, store: &config::Store) -> Result<redis::Options, StartError> {
    let read = |file: &Path| fs::read(file).map_err(|error| StartError::Config(format!("{}: {error}", file.display())));
    let password = store.password_file.as_deref().map(read).transpose()?;
    let password = password.map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned());
    let mut dice = Dice::from_os();
    Ok(redis::Options {
        url: url.to_owned(),
        password,
        ca_cert: store.ca_file.as_deref().map(read).transpose()?,
        realm: store.realm.as_str().to_owned(),
        lease: Duration::from_millis(store.lease_ms),
        known_world: None,
        new_world: false,
        fresh_world: format!("{:016x}{:016x}", dice.next_u64(), dice.next_u64()),
    })
}

/// What a command wants of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To look at it.
    Look,
    /// To read or change all of it: nothing may wait in a spool.
    Work,
    /// To put players into it: it is made if it is not there.
    Fill,
}

/// A store that a command has opened. For a data directory, its lock is held.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    _data: Option<DataDir>,
}

/// How a command gets at a store.
pub enum Reached {
    /// It has opened it itself.
    Opened(Opened),
    /// A process has this data directory: a server can be asked through its control socket.
    Running(PathBuf),
}

/// Opens the store that a server with these settings would run on. A data directory that somebody has is left to them; a
/// Redis is there for everybody.
///
/// # Errors
/// [`StartError`], with what to do. Nothing was changed, and but for [`Purpose::Fill`] nothing was made.
pub async fn reach(settings: &Settings, purpose: Purpose) -> Result<Reached, StartError> {
    let opened = match settings.store.url.redis() {
        Some(url) => {
            let options = redis_options(url, &settings.store)?;
            let no_world = match purpose {
                Purpose::Look | Purpose::Work => NoWorld::Refused,
                Purpose::Fill => NoWorld::Begun,
            };
            let redis = Redis::visit(options, passing(), no_world).await.map_err(refused)?;
            Opened { store: Arc::new(redis), _data: None }
        }
        None => {
            let directory = &settings.server.data_dir;
            let Some(data) = take(directory, purpose)? else { return Ok(Reached::Running(directory.clone())) };
            Opened { store: embedded(settings, &data)?, _data: Some(data) }
        }
    };
    Ok(Reached::Opened(opened))
}

/// A node that is gone with its command: a server may have the data directory and its node.
fn passing() -> Node {
    let mut dice = Dice::from_os();
    Node { id: format!("command-{:016x}", dice.next_u64()), boot: dice.next_u64() }
}

/// The data directory for a command, unless somebody has it.
fn take(directory: &Path, purpose: Purpose) -> Result<Option<DataDir>, StartError> {
    let taken = match purpose {
        Purpose::Look | Purpose::Work => DataDir::existing(directory)?,
        Purpose::Fill => DataDir::make(directory)?,
    };
    let data = match taken {
        Taken::Ours(data) => data,
        Taken::InUse => return Ok(None),
    };
    if purpose != Purpose::Fill && !data.store_file().exists() {
        return Err(StartError::Store(format!(
            "data directory {} has no store in it; if its server keeps the players in a Redis, name that one",
            directory.display()
        )));
    }
    let spool = data.spool_file();
    // What waits there was acknowledged, and could not be saved any more once its players have changed.
    if purpose != Purpose::Look && spool.exists() {
        return Err(StartError::Store(format!(
            "{} holds what the last stop could not save: start the server once, so that it is",
            spool.display()
        )));
    }
    Ok(Some(data))
}

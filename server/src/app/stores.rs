//! Opening a store: for the server, and for the commands that work on one without a server.

use super::{
    StartError,
    data_dir::{DataDir, Taken},
};
use crate::{
    config::Settings,
    store::{Store, embedded::Embedded},
};
use std::{path::PathBuf, sync::Arc};

/// The store that a server with these settings runs on.
pub(super) fn open(settings: &Settings, data: &DataDir) -> Result<Arc<dyn Store>, StartError> {
    let file = data.store_file();
    let opened = Embedded::open(&file, settings.store.cache_bytes, data.node().clone());
    Ok(Arc::new(opened.map_err(|error| StartError::Store(format!("{}: {error}", file.display())))?))
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

/// A store that no server runs on. For a directory, its lock is held.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    _data: DataDir,
}

/// How a command gets at a store.
pub enum Reached {
    /// It has opened it itself.
    Opened(Opened),
    /// A process has this data directory: a server can be asked through its control socket.
    Running(PathBuf),
}

/// Opens the store that a server with these settings would run on, unless one does.
///
/// # Errors
/// [`StartError`], with what to do. Nothing was changed, and but for [`Purpose::Fill`] nothing was made.
pub fn reach(settings: &Settings, purpose: Purpose) -> Result<Reached, StartError> {
    let directory = &settings.server.data_dir;
    let taken = match purpose {
        Purpose::Look | Purpose::Work => DataDir::existing(directory)?,
        Purpose::Fill => DataDir::make(directory)?,
    };
    let data = match taken {
        Taken::Ours(data) => data,
        Taken::InUse => return Ok(Reached::Running(directory.clone())),
    };
    if purpose != Purpose::Fill && !data.store_file().exists() {
        return Err(StartError::Store(format!("the data directory {} has no store in it", directory.display())));
    }
    if purpose != Purpose::Look {
        nothing_spooled(&data)?;
    }
    Ok(Reached::Opened(Opened { store: open(settings, &data)?, _data: data }))
}

/// What waits in a spool was acknowledged, and could not be saved any more once its players have changed.
fn nothing_spooled(data: &DataDir) -> Result<(), StartError> {
    let spool = data.spool_file();
    if !spool.exists() {
        return Ok(());
    }
    let spool = spool.display();
    Err(StartError::Store(format!(
        "{spool} holds what the last stop could not save: start the server once, so that it is"
    )))
}

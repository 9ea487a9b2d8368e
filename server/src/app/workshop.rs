//! A roster and a journal without sessions: for work on players whom nobody plays.

use super::{StartError, rooms};
use crate::{
    catalog::Rules,
    config::Settings,
    journal::Journal,
    roster::Roster,
    store::{Life, Store},
};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::timeout};

/// For what is under way when the work ends.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(10);

/// The rooms, over a store that a command has opened.
pub struct Workshop {
    /// The players.
    pub roster: Arc<Roster>,
    store: Arc<dyn Store>,
    journal: Arc<Journal>,
    tasks: Vec<JoinHandle<()>>,
}

impl Workshop {
    /// Nothing runs yet and nothing can be written: enough to look at players as a load would.
    #[must_use]
    pub fn new(settings: &Settings, rules: Rules, store: Arc<dyn Store>) -> Self {
        let (journal, roster) = rooms(settings, rules, &store);
        Self { roster, store, journal, tasks: Vec::new() }
    }

    /// Signs on where several processes share the store, and writes from now on: once this returns, the lease is held.
    ///
    /// # Errors
    /// [`StartError::Store`].
    pub async fn start(&mut self) -> Result<(), StartError> {
        self.store.renew(Life::default()).await.map_err(|error| StartError::Store(error.to_string()))?;
        let (journal, roster) = (self.journal.clone(), self.roster.clone());
        self.tasks.push(tokio::spawn(async move { journal.run().await }));
        let reader = self.roster.clone();
        self.tasks.push(tokio::spawn(async move { match reader.read_letters().await {} }));
        self.tasks.push(tokio::spawn(async move {
            // A node of its own is never superseded.
            let _ = roster.keep_lease().await;
        }));
        // Without it an order would be refused as if the store were away.
        let lease = self.store.lease().unwrap_or_default();
        let held = timeout(lease, self.roster.lease.held()).await;
        held.map_err(|_| StartError::Store("the store does not answer".to_owned()))
    }

    /// Lets go of every player and signs off.
    pub async fn close(self) {
        if self.tasks.is_empty() {
            return;
        }
        self.roster.unload_all();
        // What cannot be written was told to nobody: such players are as they were, and owned by a node that is gone.
        self.journal.flush(FLUSH_TIME_MAX).await;
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        self.store.resign().await;
    }
}

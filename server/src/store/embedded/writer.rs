//! The writer thread: what waits in its queue shares one transaction.

use super::{AcquireError, Batch, Import, Loaded, Outcome, ReadError, Tables};
use crate::store::Node;
use holdall_protocol::ids::PlayerId;
use redb::{Database, Durability};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the thread is asked for, and where its answer goes.
pub(super) enum Verb {
    Commit(Arc<Batch>, oneshot::Sender<Outcome>),
    Acquire(PlayerId, oneshot::Sender<Result<Loaded, AcquireError>>),
    Import(Box<Import>, oneshot::Sender<Result<(), ReadError>>),
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) node: Node,
    /// What the disk said when it failed; from then on nothing is tried.
    pub(super) broken: Option<String>,
}

/// An answer that waits for its transaction.
enum Reply {
    Commit(Outcome, oneshot::Sender<Outcome>),
    Acquire(Result<Loaded, AcquireError>, oneshot::Sender<Result<Loaded, AcquireError>>),
    Import(Result<(), ReadError>, oneshot::Sender<Result<(), ReadError>>),
}

impl Writer {
    /// Runs some verbs in one transaction and answers them.
    pub(super) fn run(&mut self, verbs: Vec<Verb>) {
        if let Some(error) = &self.broken {
            for verb in verbs {
                verb.fail(error);
            }
            return;
        }
        match transact(&self.database, &self.node, &verbs) {
            Ok(results) => {
                for (verb, result) in verbs.into_iter().zip(results) {
                    result.send(verb);
                }
            }
            Err(error) => {
                let error = error.to_string();
                for verb in verbs {
                    verb.fail(&error);
                }
                self.broken = Some(error);
            }
        }
    }
}

impl Verb {
    fn fail(self, error: &str) {
        // Whoever stopped waiting needs no answer.
        match self {
            Self::Commit(_, to) => drop(to.send(Outcome::Broken { error: error.to_owned() })),
            Self::Acquire(_, to) => drop(to.send(Err(AcquireError::Unavailable(error.to_owned())))),
            Self::Import(_, to) => drop(to.send(Err(ReadError::Unavailable(error.to_owned())))),
        }
    }
}

/// One verb's result inside a transaction that has yet to commit.
enum Done {
    Commit(Outcome),
    Acquire(Result<Loaded, AcquireError>),
    Import(Result<(), ReadError>),
}

impl Done {
    fn send(self, verb: Verb) {
        let reply = match (self, verb) {
            (Self::Commit(outcome), Verb::Commit(_, to)) => Reply::Commit(outcome, to),
            (Self::Acquire(result), Verb::Acquire(_, to)) => Reply::Acquire(result, to),
            (Self::Import(result), Verb::Import(_, to)) => Reply::Import(result, to),
            (Self::Commit(_) | Self::Acquire(_) | Self::Import(_), _) => unreachable!("results keep their order"),
        };
        match reply {
            Reply::Commit(outcome, to) => drop(to.send(outcome)),
            Reply::Acquire(result, to) => drop(to.send(result)),
            Reply::Import(result, to) => drop(to.send(result)),
        }
    }
}

fn transact(database: &Database, node: &Node, verbs: &[Verb]) -> Result<Vec<Done>, redb::Error> {
    let mut write = database.begin_write()?;
    // An acquisition reaches the disk before its answer, too: if the disk fails later, the spool holds batches under this
    // token, and the next start takes them only when the token is known.
    write.set_durability(Durability::Immediate)?;
    write.set_quick_repair(true);
    let mut done = Vec::with_capacity(verbs.len());
    {
        let mut tables = Tables::open(&write)?;
        for verb in verbs {
            done.push(match verb {
                Verb::Commit(batch, _) => Done::Commit(tables.commit(batch)?),
                Verb::Acquire(player, _) => Done::Acquire(tables.acquire(node, player)?),
                Verb::Import(import, _) => Done::Import(tables.import(import)?),
            });
        }
    }
    write.commit()?;
    Ok(done)
}

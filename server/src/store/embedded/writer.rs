//! The writer thread: what waits in its queue shares one transaction.

use super::Tables;
use crate::store::Node;
use redb::{Database, Durability};
use std::sync::Arc;
use tokio::sync::oneshot;

/// What the thread is asked for: first it runs inside a transaction, then, once it is known what became of that one, it
/// answers.
pub(super) trait Verb: Send {
    fn run(&mut self, tables: &mut Tables<'_>, node: &Node) -> Result<(), redb::Error>;
    /// `broken` is what the disk said when it failed.
    fn answer(self: Box<Self>, broken: Option<&str>);
}

/// A verb, and where its answer goes.
pub(super) struct Asked<R, A> {
    /// Until it has run.
    pub(super) run: Option<R>,
    /// Once it has run.
    pub(super) answer: Option<A>,
    /// The answer when the disk failed.
    pub(super) failed: fn(String) -> A,
    pub(super) to: oneshot::Sender<A>,
}

impl<R, A> Verb for Asked<R, A>
where
    R: FnOnce(&mut Tables<'_>, &Node) -> Result<A, redb::Error> + Send,
    A: Send,
{
    fn run(&mut self, tables: &mut Tables<'_>, node: &Node) -> Result<(), redb::Error> {
        let run = self.run.take().expect("a verb runs once");
        self.answer = Some(run(tables, node)?);
        Ok(())
    }

    fn answer(self: Box<Self>, broken: Option<&str>) {
        let answer = match broken {
            Some(error) => (self.failed)(error.to_owned()),
            None => self.answer.expect("it has run in the transaction that was committed"),
        };
        // Whoever stopped waiting needs no answer.
        drop(self.to.send(answer));
    }
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) node: Node,
    /// What the disk said when it failed; from then on nothing is tried.
    pub(super) broken: Option<String>,
}

impl Writer {
    /// Runs some verbs in one transaction and answers them.
    pub(super) fn run(&mut self, mut verbs: Vec<Box<dyn Verb>>) {
        if self.broken.is_none() {
            self.broken = transact(&self.database, &self.node, &mut verbs).err().map(|error| error.to_string());
        }
        for verb in verbs {
            verb.answer(self.broken.as_deref());
        }
    }
}

fn transact(database: &Database, node: &Node, verbs: &mut [Box<dyn Verb>]) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    // An acquisition reaches the disk before its answer, too: if the disk fails later, the spool holds batches under this
    // token, and the next start takes them only when the token is known.
    write.set_durability(Durability::Immediate)?;
    write.set_quick_repair(true);
    {
        let mut tables = Tables::open(&write)?;
        for verb in verbs {
            verb.run(&mut tables, node)?;
        }
    }
    write.commit()?;
    Ok(())
}

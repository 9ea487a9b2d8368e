//! Which nodes are alive on a shelf, and what stands between them and it.
//!
//! A node owns its players for one lease after each sign of life. When the store begins a new life, every node that is
//! alive has one lease to say what the store has forgotten, and before all of them have, nobody is given a player.

use super::{Fault, Life, Node, Owner, Renewal, Shelf};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// What a node's words to the store meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// None of them arrives, as behind a broken network, and each fails.
    Fails,
    /// They wait, as those of a stopped process do, and arrive late.
    Waits,
}

/// The signs of life of all nodes.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) lease: Option<Duration>,
    /// Which life of the store this is.
    pub(super) life: u64,
    /// When it began, if it is not the first.
    reborn: Option<Instant>,
    /// By id, the newest boot.
    signs: BTreeMap<String, Sign>,
    /// Boots that were killed: nothing they send arrives, and they get no answer.
    killed: BTreeSet<(String, u64)>,
    away: BTreeMap<String, Reach>,
    /// Somebody may be reached again.
    back: Arc<Notify>,
}

/// A node's last sign of life.
struct Sign {
    boot: u64,
    /// Until when it is alive; without a time, it has resigned.
    until: Option<Instant>,
    /// For which life of the store it has looked at everything it has.
    checked: u64,
}

impl Nodes {
    /// A new boot has nothing that it would have to look at.
    pub(super) fn sign_on(&mut self, node: &Node) {
        self.sign(node, self.life);
    }

    fn sign(&mut self, node: &Node, checked: u64) {
        let now = Instant::now();
        let until = Some(self.lease.map_or(now, |lease| later(now, lease)));
        self.signs.insert(node.id.clone(), Sign { boot: node.boot, until, checked });
    }

    pub(super) fn is_newest(&self, node: &Node) -> bool {
        self.signs.get(&node.id).is_none_or(|sign| sign.boot == node.boot)
    }

    pub(super) fn is_killed(&self, node: &Node) -> bool {
        self.killed.contains(&(node.id.clone(), node.boot))
    }

    pub(super) fn renew(&mut self, node: &Node, checked: Life) -> Renewal {
        if !self.is_newest(node) {
            return Renewal::Superseded;
        }
        let lapsed = !self.is_alive(&node.id);
        self.sign(node, checked.get());
        let life = Life::new(self.life);
        if lapsed { Renewal::Lapsed(life) } else { Renewal::Held(life) }
    }

    pub(super) fn resign(&mut self, node: &Node) {
        if self.is_newest(node) {
            self.signs.insert(node.id.clone(), Sign { boot: node.boot, until: None, checked: self.life });
        }
    }

    /// Whether an owner may still be serving its player.
    pub(super) fn serves(&self, owner: &Owner) -> bool {
        let newest = |sign: &Sign| owner.is_of(&Node { id: owner.node().to_owned(), boot: sign.boot });
        self.is_alive(owner.node()) && self.signs.get(owner.node()).is_none_or(newest)
    }

    /// Whether a node's lease runs.
    pub(super) fn is_alive(&self, id: &str) -> bool {
        match self.signs.get(id).map(|sign| sign.until) {
            Some(Some(until)) => self.lease.is_none() || Instant::now() < until,
            Some(None) => false,
            None => self.lease.is_none(),
        }
    }

    pub(super) fn may_be_taken_from(&self, id: &str) -> bool {
        let resigned = self.signs.get(id).is_some_and(|sign| sign.until.is_none());
        resigned || (!self.is_alive(id) && !self.is_time_to_reclaim())
    }

    /// Whether the store has begun to live anew so recently that live nodes may still be saying what it has forgotten.
    pub(super) fn is_time_to_reclaim(&self) -> bool {
        self.reborn.zip(self.lease).is_some_and(|(reborn, lease)| Instant::now() < later(reborn, lease))
    }

    /// Whether everybody but this node who could have something to say has looked.
    pub(super) fn is_settled(&self, node: &Node) -> bool {
        let Some(reborn) = self.reborn.filter(|_| self.is_time_to_reclaim()) else { return true };
        let silent = |sign: &Sign| sign.checked != self.life && sign.until.is_some_and(|until| until > reborn);
        self.signs.iter().all(|(id, sign)| *id == node.id || !silent(sign))
    }

    /// A new life. The signs of life that it has forgotten count until they can have been given again.
    pub(super) fn reborn(&mut self) {
        let now = Instant::now();
        self.life = self.life.saturating_add(1);
        self.reborn = Some(now);
        let Some(lease) = self.lease else { return };
        for sign in self.signs.values_mut() {
            sign.until = sign.until.map(|until| if now < until { until.max(later(now, lease)) } else { until });
        }
    }
}

fn later(instant: Instant, time: Duration) -> Instant {
    instant.checked_add(time).unwrap_or(instant)
}

impl Shelf {
    /// Kills one boot of a node, as kill -9 does: nothing it sends arrives any more, and it gets no answer.
    pub fn kill(&self, node: &Node) {
        let mut state = self.0.lock();
        state.nodes.killed.insert((node.id.clone(), node.boot));
        state.losses.died(node);
    }

    /// Puts something between a node and the store.
    pub fn isolate(&self, node: &str, reach: Reach) {
        self.0.lock().nodes.away.insert(node.to_owned(), reach);
    }

    /// Takes it away again.
    pub fn reunite(&self, node: &str) {
        let mut state = self.0.lock();
        state.nodes.away.remove(node);
        state.nodes.back.notify_waiters();
        state.posted.notify_waiters();
    }

    /// Whether a node's lease runs, as the store counts it.
    #[must_use]
    pub fn is_alive(&self, node: &str) -> bool {
        self.0.lock().nodes.is_alive(node)
    }

    /// Waits until a node's words arrive.
    pub(super) async fn reached_by(&self, node: &Node) -> Result<(), Fault> {
        loop {
            let back = self.0.lock().nodes.back.clone();
            let back = back.notified();
            tokio::pin!(back);
            back.as_mut().enable();
            let (killed, reach) = {
                let nodes = &self.0.lock().nodes;
                (nodes.is_killed(node), nodes.away.get(&node.id).copied())
            };
            match reach {
                _ if killed => return std::future::pending().await,
                None => return Ok(()),
                Some(Reach::Fails) => return Err(Fault::DropRequest),
                Some(Reach::Waits) => back.await,
            }
        }
    }
}

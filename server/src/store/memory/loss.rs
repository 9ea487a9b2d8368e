//! A shelf that loses its last writes, and what may be expected of those who wrote them.
//!
//! A node that lives through a loss sends again what it had acknowledged. Nobody can do so for a player
//! - whose writer has died,
//! - whom another node got to because the writer was silent for a lease,
//! - who paid for a hold that was lost, too, or that ended before the payment came again,
//! - of whom two nodes have lost writes, one behind the other: each sends its own again when it notices the loss, and the
//!   second cannot wait for the first, which may be gone;
//!
//! nor for whoever exchanged something with such a player, or took a gift from one whose writer was silent for a lease.
//! All others are healed.

use super::{Batch, Bytes, Life, Node, Owner, PlayerId, Revision, Row, Shelf, State, shop::Shop};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Reads from ledger entries with whom their player has exchanged something; the store itself does not look into them.
pub type Partners = fn(&Bytes) -> Vec<PlayerId>;

/// What one write replaced.
pub(super) struct Undo {
    by: Node,
    rows: Vec<(PlayerId, Option<Row>)>,
    shop: Arc<Shop>,
}

/// What was lost, and has not been written again.
#[derive(Default)]
pub(super) struct Losses {
    /// Who lost how far a player was.
    open: BTreeMap<PlayerId, (Node, Revision)>,
    /// Who took a player over in what was lost, and so kept an earlier owner from writing it.
    fences: BTreeMap<PlayerId, Node>,
    /// Players who had exchanged something in what was lost.
    together: Vec<BTreeSet<PlayerId>>,
    partners: Option<Partners>,
    /// Whose lost writes nobody can send again.
    hopeless: BTreeSet<PlayerId>,
    healed: usize,
}

impl Losses {
    /// Takes note of a write that was lost; whether another node has lost a later one of the same player.
    fn lost(&mut self, by: &Node, player: &PlayerId, was_at: Revision) -> bool {
        let (writer, far) = self.open.entry(player.clone()).or_insert_with(|| (by.clone(), was_at));
        *far = (*far).max(was_at);
        writer != by
    }

    /// Takes note of the partners of a player in what is lost between two states.
    fn tie(&mut self, player: &PlayerId, now: Option<&Row>, before: Option<&Row>) {
        let kept = before.map_or(0, |row| row.ledger.len());
        let lost = now.into_iter().flat_map(|row| row.ledger.iter().skip(kept));
        let partners = self.partners.unwrap_or(|_| Vec::new());
        let partners = lost.flat_map(|(_, entries)| partners(entries));
        self.together.push(std::iter::once(player.clone()).chain(partners).collect());
    }

    /// Nobody can heal this player any more.
    pub(super) fn give_up(&mut self, player: &PlayerId) {
        if self.fences.remove(player).is_some() {
            self.hopeless.insert(player.clone());
        }
        let mut open = vec![player.clone()];
        while let Some(player) = open.pop() {
            // Only what is lost now; a player that was healed has nothing to do with a later misfortune.
            if self.open.remove(&player).is_none() {
                continue;
            }
            let tied = self.together.iter().filter(|players| players.contains(&player)).flatten();
            open.extend(tied.filter(|tied| self.open.contains_key(*tied)).cloned());
            self.hopeless.insert(player);
        }
    }

    pub(super) fn died(&mut self, node: &Node) {
        for player in self.of(|by| by == node) {
            self.give_up(&player);
        }
    }

    /// The players whom such nodes have lost something of.
    fn of(&self, such: impl Fn(&Node) -> bool) -> Vec<PlayerId> {
        let writes = self.open.iter().map(|(player, (by, _))| (player, by));
        let all = writes.chain(&self.fences).filter(|(_, by)| such(by));
        all.map(|(player, _)| player.clone()).collect()
    }
}

impl State {
    /// Takes note of what is there before a write.
    pub(super) fn remember<'a>(&mut self, by: &Node, players: impl IntoIterator<Item = &'a PlayerId>) {
        let rows = players.into_iter().map(|player| (player.clone(), self.rows.get(player).cloned())).collect();
        self.undo.push(Undo { by: by.clone(), rows, shop: self.shop.clone() });
    }

    /// Takes note of all stocks as they were before a write that changed nothing else.
    pub(super) fn remember_shop(&mut self, by: &Node, shop: Arc<Shop>) {
        self.undo.push(Undo { by: by.clone(), rows: Vec::new(), shop });
    }

    /// Takes note of who waits for a gift of a player whose writer was silent for a lease, and of whoever pays for a hold that
    /// was lost: nobody makes that again.
    pub(super) fn refused(&mut self, batch: &Batch) {
        for write in batch.players.iter().filter(|write| !self.can_pay(write)).collect::<Vec<_>>() {
            self.losses.give_up(&write.player);
        }
        let wait = batch.players.iter().filter(|write| !self.has_all(write));
        for player in wait.map(|write| &write.player).collect::<Vec<_>>() {
            let losses = &self.losses;
            let tied = losses.together.iter().filter(|players| players.contains(player)).flatten();
            let mut writers = tied.filter_map(|player| losses.open.get(player));
            if writers.any(|(writer, _)| !self.nodes.is_alive(&writer.id)) {
                self.losses.give_up(player);
            }
        }
    }

    /// Takes note of what a write has healed, or made hopeless.
    pub(super) fn written<'a>(&mut self, by: &Node, players: impl IntoIterator<Item = &'a PlayerId>) {
        for player in players {
            match self.losses.fences.get(player) {
                Some(owner) if owner == by => drop(self.losses.fences.remove(player)),
                Some(_) => self.losses.give_up(player),
                None => {}
            }
            let Some((writer, far)) = self.losses.open.get(player) else { continue };
            if writer != by {
                self.losses.give_up(player);
            } else if self.rows.get(player).is_some_and(|row| row.revision >= *far) {
                self.losses.open.remove(player);
                self.losses.healed = self.losses.healed.saturating_add(1);
            }
        }
    }
}

impl Shelf {
    /// Says how to read ledger entries.
    pub fn set_partners(&self, partners: Partners) {
        self.0.lock().losses.partners = Some(partners);
    }

    /// Loses up to the last `count` writes, takeovers and releases, as a crashed store with lazy writes does, and lives on
    /// in another life. Returns whose they were.
    pub fn lose_last(&self, count: usize) -> Vec<PlayerId> {
        let mut state = self.0.lock();
        let state = &mut *state;
        if !state.broken_rules.hide_losses {
            state.nodes.reborn();
        }
        let owners: BTreeMap<PlayerId, Option<Owner>> =
            state.rows.iter().map(|(player, row)| (player.clone(), row.owner.clone())).collect();
        let (mut players, mut torn, mut last) = (Vec::new(), Vec::new(), BTreeMap::new());
        for Undo { by, rows, shop } in state.undo.split_off(state.undo.len().saturating_sub(count)).into_iter().rev() {
            state.shop = shop;
            let revision = |row: Option<&Row>| row.map_or(Revision::ZERO, |row| row.revision);
            for (player, before) in rows {
                state.losses.tie(&player, state.rows.get(&player), before.as_ref());
                let was_at = revision(state.rows.get(&player));
                if revision(before.as_ref()) < was_at && state.losses.lost(&by, &player, was_at) {
                    torn.push(player.clone());
                }
                match before {
                    Some(row) => state.rows.insert(player.clone(), row),
                    None => state.rows.remove(&player),
                };
                last.entry(player.clone()).or_insert_with(|| by.clone());
                players.push(player);
            }
        }
        let owner = |player: &PlayerId| state.rows.get(player).and_then(|row| row.owner.as_ref());
        last.retain(|player, _| {
            let before = owners.get(player).and_then(Option::as_ref);
            before.is_some() && before != owner(player)
        });
        state.losses.fences.append(&mut last);
        torn.extend(state.losses.of(|by| state.nodes.is_killed(by)));
        for player in &torn {
            state.losses.give_up(player);
        }
        players
    }

    /// How far a player was whose last writes were lost and can be sent again.
    #[must_use]
    pub fn lost_from(&self, player: &PlayerId) -> Option<Revision> {
        self.0.lock().losses.open.get(player).map(|(_, far)| *far)
    }

    /// Whether writes of this player were lost that nobody could send again.
    #[must_use]
    pub fn is_hopeless(&self, player: &PlayerId) -> bool {
        self.0.lock().losses.hopeless.contains(player)
    }

    /// How often a player has got back what was lost.
    #[must_use]
    pub fn healed(&self) -> usize {
        self.0.lock().losses.healed
    }

    /// The life of the store.
    #[must_use]
    pub fn life(&self) -> Life {
        Life::new(self.0.lock().nodes.life)
    }
}

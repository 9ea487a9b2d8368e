//! Joins and returns: what a welcome and the snapshot after it must hold for a player who was here before.

use super::{AskedAgain, Checker, Pending, Stage};
use crate::{expect::changes_things, fault::Fault, model::Mirror};
use holdall_protocol::{
    ids::Revision,
    message::{Snapshot, Welcome},
};
use std::mem;

impl Checker {
    pub(super) fn welcome(&mut self, welcome: &Welcome) {
        if self.stage != Stage::Offline {
            self.fault(Fault::Protocol("a second welcome on one connection".to_owned()));
        }
        if welcome.player != self.player {
            self.fault(Fault::BadWelcome(format!("it is for {}, not for {}", welcome.player, self.player)));
        }
        let at = self.mirror.as_ref().map(Mirror::revision);
        let same = self.incarnation == Some(welcome.incarnation);
        if let Some(at) = at {
            self.come_back(welcome, at, same);
        } else {
            self.first_seq = welcome.seq.next();
        }
        self.next_seq = welcome.seq.next();
        for pending in &mut self.pending {
            if pending.seq <= welcome.seq {
                let (after, upto, resumed) = (at.unwrap_or_default(), welcome.revision, welcome.resumed);
                // Cut again before its answer came: its effect may lie before what an earlier return has shown.
                let before = pending.asked_again;
                let after = before.map_or(after, |before| before.after);
                let resumed = resumed && before.is_none_or(|before| before.resumed);
                pending.asked_again = Some(AskedAgain { after, upto, resumed });
            } else {
                // It had no effect, so it is a new request.
                pending.seq = self.next_seq;
                pending.asked_again = None;
                self.next_seq = self.next_seq.next();
            }
        }
        self.shop.begin(&welcome.holds);
        let wrong = self.trades.welcomed(&welcome.trades);
        self.faults.extend(wrong);
        self.claimed.clear();
        self.behind = None;
        self.incarnation = Some(welcome.incarnation);
        self.catalog = Some(welcome.catalog.clone());
        self.durable = welcome.durability.ack != "applied";
        self.stage = if welcome.resumed {
            Stage::CatchingUp { to: welcome.revision }
        } else {
            Stage::AwaitingSnapshot { of: welcome.revision }
        };
        if welcome.resumed && !(same && at.is_some()) {
            self.fault(Fault::BadWelcome("resumed a mirror of another incarnation".to_owned()));
        }
    }

    /// What a welcome must hold for a player who was here before.
    fn come_back(&mut self, welcome: &Welcome, at: Revision, same: bool) {
        let asked = self.next_seq;
        if welcome.seq >= asked {
            self.fault(Fault::BadWelcome(format!("seq {} was never used, the next was {asked}", welcome.seq)));
        }
        let (revision, seq) = (welcome.revision, welcome.seq);
        if revision >= at && seq >= self.acked {
            return;
        }
        if self.durable || same {
            let acked = self.acked;
            self.fault(Fault::LostAckedEffect(format!(
                "seen up to revision {at} and request {acked}, welcomed at revision {revision} and request {seq}"
            )));
        } else {
            // Acknowledged before it was saved: the server may lose the end of it. The snapshot tells how much.
            self.tally.lost.add_all(&self.mirror.as_ref().map(Mirror::totals).unwrap_or_default());
            self.mirror = None;
        }
        self.acked = seq.min(self.acked);
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        let new = match Mirror::of(snapshot) {
            Ok(new) => new,
            Err(fault) => return self.fault(fault),
        };
        match self.stage {
            Stage::AwaitingSnapshot { of } => {
                if snapshot.revision != of {
                    self.fault(Fault::BadWelcome(format!("welcomed at {of}, shown {}", snapshot.revision)));
                }
                self.join(&new);
            }
            Stage::CatchingUp { .. } | Stage::Live => {
                if let Some(old) = &self.mirror
                    && !self.broken
                    && (new.revision() < old.revision()
                        || self.behind.as_ref().is_some_and(|(told, _)| new.revision() < *told))
                {
                    let have = self.behind.as_ref().map_or(old.revision(), |(told, _)| *told);
                    self.fault(Fault::Gap { have, told: new.revision() });
                }
            }
            Stage::Offline => self.fault(Fault::Protocol("a snapshot before the welcome".to_owned())),
        }
        self.adopt(new);
        self.stage = Stage::Live;
    }

    pub(super) fn adopt(&mut self, new: Mirror) {
        self.mirror = Some(new);
        self.broken = false;
        self.behind = None;
    }

    /// Compares the snapshot of a join with what is known, or begins the books with it.
    fn join(&mut self, new: &Mirror) {
        let trades = self.trades.may_have_settled();
        let Some(old) = &self.mirror else {
            if mem::replace(&mut self.began, true) {
                self.tally.lost.take_all(&new.totals());
            } else {
                self.tally.initial = new.totals();
            }
            return;
        };
        if self.broken || new.revision() < old.revision() {
            return;
        }
        let revisions = new.revision().get().saturating_sub(old.revision().get());
        let spent = |pending: &&Pending| pending.asked_again.is_some() && changes_things(&pending.action);
        let own = u64::try_from(self.pending.iter().filter(spent).count()).unwrap_or(u64::MAX);
        let gifts = self.gifts_announced.saturating_sub(self.gifts_seen);
        let explained = own.saturating_add(gifts).saturating_add(trades);
        if revisions == 0 {
            if let Err(fault) = old.same(new) {
                self.fault(fault);
            }
        } else if revisions > explained {
            self.fault(Fault::Unexplained { revisions, explained });
        }
    }
}

//! Terminal replies: whose they are, whether they did what was asked, and what goes into the books.

use super::{AskedAgain, Checker, Fate, Pending, Reply, Stage, trades::answers};
use crate::{
    expect::{Case, changes_things},
    fault::Fault,
    model::{Mirror, Step, Totals, units},
};
use holdall_protocol::{
    action::Action,
    code::Code,
    ids::{Revision, Seq},
    message::{Answer, Answered, Applied, Duplicate, Refused},
};

impl Checker {
    /// Finds the request a reply belongs to, and checks that its turn has come.
    fn take(&mut self, seq: Seq) -> Option<Pending> {
        let Some(place) = self.pending.iter().position(|pending| pending.seq == seq) else {
            let known = (self.first_seq..self.next_seq).contains(&seq);
            self.fault(if known { Fault::ReplyTwice(seq) } else { Fault::ReplyUnasked(seq) });
            return None;
        };
        // While catching up, only what took effect is shown; the refused are asked for again afterwards.
        if let (Stage::Live, Some(front), true) = (self.stage, self.pending.front(), place > 0) {
            let expected = front.seq;
            self.fault(Fault::OutOfOrder { came: seq, expected });
        }
        self.pending.remove(place)
    }

    pub(super) fn applied(&mut self, applied: &Applied) -> Option<Reply> {
        let Some(pending) = self.take(applied.seq) else {
            // Nobody waits for it, but it may still move the mirror.
            if self.mirror.as_ref().is_some_and(|mirror| applied.revision == mirror.revision().next()) {
                self.fault(Fault::DoubledEffect(format!("request {} again, as {}", applied.seq, applied.revision)));
                self.step(applied.revision, &applied.changes, applied.checksum);
            }
            return None;
        };
        match pending.asked_again.filter(|_| self.stage == Stage::Live) {
            Some(again) if applied.changes.is_empty() && !applied.collapsed => {
                self.nothing_changed(&pending, again, applied);
            }
            Some(again) if applied.revision > again.upto && !applied.collapsed => {
                self.fault(Fault::DoubledEffect(format!(
                    "request {} was spent at revision {} and took effect as {}",
                    applied.seq, again.upto, applied.revision
                )));
                self.step(applied.revision, &applied.changes, applied.checksum);
            }
            Some(again) => self.unseen(&pending, again, applied.revision, applied.overflow),
            None if applied.collapsed => {
                let gap = self.gap(applied.revision);
                self.suspect(applied.revision, gap);
                self.book_unseen(&pending, applied.overflow);
                self.acked = self.acked.max(applied.seq);
            }
            None => self.fresh(&pending, applied),
        }
        self.hold_told(&pending, applied.hold.as_deref());
        Some(Reply { action: pending.action, fate: Fate::Applied, stamp: pending.stamp })
    }

    fn nothing_changed(&mut self, pending: &Pending, again: AskedAgain, applied: &Applied) {
        if applied.revision > again.upto {
            self.suspect_reply(pending.seq, applied.revision);
        } else if pending.intent.known && !pending.intent.effect.is_empty() && applied.overflow.is_none() {
            let (wanted, seq) = (&pending.intent.effect, pending.seq);
            let fault = Fault::not_asked(seq, pending.action.name(), wanted, &Totals::default());
            self.fault(fault);
        }
    }

    fn fresh(&mut self, pending: &Pending, applied: &Applied) {
        // Setting something makes a revision in which no thing moves, and so do a hold and its release.
        let set = matches!(pending.action, Action::Settings(_) | Action::ShopHold(_) | Action::ShopRelease(_))
            && self.mirror.as_ref().is_some_and(|mirror| mirror.revision().next() == applied.revision);
        let step = if applied.changes.is_empty() && !set {
            if !self.at(pending.seq, applied.revision) {
                return;
            }
            if let Some(fault) = self.mirror.as_ref().and_then(|mirror| mirror.told(applied.checksum).err()) {
                self.broken = true;
                self.fault(fault);
                return;
            }
            Step::default()
        } else {
            self.acked = self.acked.max(applied.seq);
            let Some(step) = self.step(applied.revision, &applied.changes, applied.checksum) else {
                return self.book_unseen(pending, applied.overflow);
            };
            step
        };
        let overflow = applied.overflow.unwrap_or(0);
        let case = Case { seq: applied.seq, action: &pending.action, intent: &pending.intent, step: &step, overflow };
        if let Some(fault) = self.mirror.as_ref().and_then(|mirror| case.judge(mirror).err()) {
            self.fault(fault);
        }
        self.tally.applied(&pending.action, &step.effect);
    }

    /// Books a request that took effect while nobody was listening, and checks that it had a revision to do so.
    fn unseen(&mut self, pending: &Pending, again: AskedAgain, revision: Revision, overflow: Option<u64>) {
        let seq = pending.seq;
        if again.resumed || revision <= again.after || revision > again.upto {
            self.fault(Fault::LostAckedEffect(format!(
                "request {seq} is said to have made revision {revision}, but the mirror, whole from {} to {}, has not \
                 seen it",
                again.after,
                if again.resumed { again.upto } else { again.after }
            )));
        } else if !self.claimed.insert(revision) {
            self.fault(Fault::DoubledEffect(format!("revision {revision} is the effect of two requests")));
        }
        self.acked = self.acked.max(seq);
        self.tally.resolved_later = self.tally.resolved_later.saturating_add(1);
        self.book_unseen(pending, overflow);
    }

    fn book_unseen(&mut self, pending: &Pending, overflow: Option<u64>) {
        let mut effect = pending.intent.effect.clone();
        match &pending.action {
            Action::Sell(_) => self.tally.unseen_sale(&effect),
            Action::DevGrant(grant) => {
                if let (Some(id), Some(overflow)) = (grant.item.as_ref().or(grant.currency.as_ref()), overflow) {
                    effect.add(id, -i128::from(overflow));
                }
                self.tally.applied(&pending.action, &effect);
            }
            Action::Move(_) | Action::Sort(_) | Action::Equip(_) | Action::Unequip(_) => {}
            Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeOffer(_) | Action::TradeCancel(_) => {}
            Action::TradeAccept(_) | Action::Settings(_) => {}
            Action::ShopList(_) | Action::ShopHold(_) | Action::ShopRelease(_) => {}
            Action::ShopConfirm(_) if !pending.intent.known => self.tally.unseen_purchase(),
            Action::ShopConfirm(_) => self.tally.applied(&pending.action, &effect),
            Action::Use(_) | Action::Drop(_) | Action::Gift(_) => self.tally.applied(&pending.action, &effect),
            Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => {}
        }
    }

    pub(super) fn refused(&mut self, refused: &Refused) -> Option<Reply> {
        let pending = self.take(refused.seq)?;
        let (code, retry_after_ms) = (refused.code, refused.retry_after_ms);
        self.hold_refused(&pending.action, code);
        let mut fate = Fate::Refused { code, retry_after_ms };
        match (code, pending.asked_again) {
            (Code::Duplicate, Some(again)) => {
                let Duplicate { applied, revision } =
                    refused.duplicate.unwrap_or(Duplicate { applied: None, revision: None });
                fate = Fate::Duplicate { applied };
                self.duplicate(&pending, again, applied, revision);
            }
            (Code::Duplicate | Code::SeqReused | Code::SeqGap, _) => {
                let text = format!("request {} refused as {code}: {}", refused.seq, refused.message);
                self.fault(Fault::Protocol(text));
            }
            (_, Some(_)) => {}
            (_, None) => {
                self.at(refused.seq, refused.revision);
                self.refused_step(&pending.action, code);
            }
        }
        Some(Reply { action: pending.action, fate, stamp: pending.stamp })
    }

    fn duplicate(&mut self, pending: &Pending, again: AskedAgain, applied: Option<bool>, revision: Option<Revision>) {
        match (applied, revision) {
            (Some(true), Some(revision)) => {
                if matches!(&pending.action, Action::DevGrant(grant) if grant.partial == Some(true)) {
                    self.tally.uncertain(&pending.action, &pending.intent.effect);
                }
                self.unseen(pending, again, revision, None);
            }
            (Some(true), None) => self.fault(Fault::Protocol("an applied duplicate without its revision".to_owned())),
            (Some(false), _) => {}
            (None, _) if changes_things(&pending.action) => {
                self.tally.uncertain(&pending.action, &pending.intent.effect)
            }
            (None, _) => {}
        }
    }

    pub(super) fn answer(&mut self, answer: &Answer) -> Option<Reply> {
        let pending = self.take(answer.seq)?;
        let (seq, action, stamp) = (pending.seq, pending.action, pending.stamp);
        if let (Answered::Snapshot(snapshot), true) = (&answer.answer, self.broken) {
            match Mirror::of(snapshot) {
                Ok(new) => self.adopt(new),
                Err(fault) => self.fault(fault),
            }
        } else if pending.asked_again.is_none()
            && self.at(seq, answer.revision)
            && let Some(fault) = self.mirror.as_ref().and_then(|mirror| contradiction(mirror, seq, &action, answer))
        {
            self.fault(fault);
        }
        // One that was kept tells how the trade stood before the cut.
        if let (Answered::Trade(told), None) = (&answer.answer, pending.asked_again) {
            self.trade(told);
        }
        Some(Reply { action, fate: Fate::Answered, stamp })
    }
}

/// What an answer says that the mirror knows better.
fn contradiction(mirror: &Mirror, seq: Seq, action: &Action, answer: &Answer) -> Option<Fault> {
    let wrong = |what: String| Some(Fault::WrongAnswer { seq, what });
    match (&answer.answer, action) {
        (Answered::Snapshot(snapshot), Action::Resync(_)) => {
            mirror.same_as(snapshot).err().or_else(|| mirror.verify().err())
        }
        (Answered::Count(count), Action::Count(asked)) => {
            let have = mirror.count(&asked.item);
            if *count == have { None } else { wrong(format!("{count} of {}, the mirror has {have}", asked.item)) }
        }
        (Answered::Item(found), Action::Item(asked)) => {
            let same = found.places.iter().all(|filled| mirror.holds(filled));
            let told: u64 = found.places.iter().map(units).sum();
            if same && told == mirror.count(&asked.item) { None } else { wrong(format!("places of {}", asked.item)) }
        }
        (Answered::Stats(stats), Action::Stats(_)) => {
            let slots = mirror.bag_from(0).count();
            let units = mirror.stack_units();
            let same = usize::from(stats.used_slots) == slots && stats.item_count == units;
            if same { None } else { wrong(format!("{stats:?}, the mirror has {slots} slots and {units} units")) }
        }
        (Answered::Trade(told), _) if answers(told, action) => None,
        (Answered::Shop(_), Action::ShopList(_)) => None,
        (Answered::Snapshot(_) | Answered::Count(_) | Answered::Item(_), _)
        | (Answered::Stats(_) | Answered::Trade(_) | Answered::Shop(_), _) => {
            wrong(format!("an answer of another kind to {}", action.name()))
        }
    }
}

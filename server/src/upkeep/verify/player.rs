//! One player, looked at alone: whether the chain of entries is whole and leads from what is stored to where it begins,
//! and what of it concerns others.

use super::{
    exchange::{Half, Moved, add},
    fault::{Fault, Kind},
    gift::{self, Station},
};
use crate::{
    engine::{
        change::{Change, Content},
        player::Player,
    },
    ledger::{
        codec::Page,
        entry::Reason,
        line::{self, Account},
        past::{self, Book, Lost, Now, Opening, Past, Step, Things},
    },
    schema::{Chain, Stamp, waiting},
    store::{Found, Whole},
};
use holdall_protocol::ids::{InstanceId, ItemId, Place, PlayerId, ReservationId, Revision};
use uuid::Uuid;

/// What there is to know of a player.
#[derive(Debug, Clone)]
pub(super) struct Examined {
    pub(super) player: PlayerId,
    /// What is wrong with the player alone.
    pub(super) faults: Vec<Fault>,
    pub(super) entries: u64,
    pub(super) begin: Begin,
    /// The content step they are at.
    pub(super) content: u32,
    /// Their halves of exchanges.
    pub(super) halves: Vec<Half>,
    /// What they have to do with gifts.
    pub(super) gifts: Vec<(Uuid, Station)>,
    /// Holds that they paid for, each with the revision.
    pub(super) bought: Vec<(ReservationId, Revision)>,
    /// Where which stack is.
    pub(super) instances: Vec<(InstanceId, String)>,
    /// Units of each item.
    pub(super) sums: Sums,
}

/// Up to where a player's entries are no longer kept: nowhere, at revision 0, where all are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begin {
    pub(super) revision: Revision,
    /// When that was made, in milliseconds since 1970.
    pub(super) at: u64,
}

/// Units of each item that came into the world and left it, and that are there.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) minted: Vec<(ItemId, i128)>,
    pub(super) sunk: Vec<(ItemId, i128)>,
    pub(super) held: Vec<(ItemId, i128)>,
    pub(super) waiting: Vec<(ItemId, i128)>,
}

impl Examined {
    fn nothing(player: &PlayerId) -> Self {
        Self {
            player: player.clone(),
            faults: Vec::new(),
            entries: 0,
            begin: Begin::default(),
            content: 0,
            halves: Vec::new(),
            gifts: Vec::new(),
            bought: Vec::new(),
            instances: Vec::new(),
            sums: Sums::default(),
        }
    }

    /// Looks at all that a store has of a player.
    pub(super) fn of(chain: &'static Chain, player: &PlayerId, found: &Found) -> Self {
        let mut examined = Self::nothing(player);
        match found {
            Ok(None) => {}
            Ok(Some(whole)) => examined.look(chain, whole),
            Err(why) => examined.say(Fault::new(Kind::UnreadablePlayer, player, why)),
        }
        examined
    }

    fn say(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    fn look(&mut self, chain: &'static Chain, whole: &Whole) {
        let stamp = Stamp::stored(whole.stored.schema, whole.stored.readable_by);
        self.content = whole.stored.content;
        let Book { opening, pages, unreadable } = Book::read(chain, &whole.ledger);
        if unreadable.is_empty() && whole.stored.opened != opening.revision {
            let what = format!("the ledger begins there, and the player is said to begin at {}", whole.stored.opened);
            self.say(Fault::new(Kind::WrongBeginning, &self.player, what).at(opening.revision));
        }
        for (newest, error) in unreadable {
            let what = format!("what was written with this revision: {error}");
            self.say(Fault::new(Kind::UnreadableEntry, &self.player, what).at(newest));
        }
        self.entries = u64::try_from(pages.len()).unwrap_or(u64::MAX);
        self.begin = Begin { revision: opening.revision, at: opening.at };
        let bought = pages.iter().filter(|page| page.reason == Reason::Buy.as_str());
        self.bought.extend(bought.filter_map(|page| Some((page.hold?, page.revision))));
        let readable = self.values(chain, stamp, whole);
        self.inbox(chain, whole);
        self.chain(&pages, opening.revision, whole.stored.revision);
        self.count(&pages, &opening);
        let now = Now { revision: whole.stored.revision, stamp, places: &whole.stored.places };
        let mut proven = whole.stored.revision;
        if readable {
            proven = self.walk(Past::of(chain, now, opening, pages.clone()));
        }
        // Of what cannot be undone it is still known with whom it was.
        for page in pages.iter().filter(|page| page.revision <= proven) {
            self.concerns(page, None);
        }
    }

    /// Every stored value; whether all could be read.
    fn values(&mut self, chain: &Chain, stamp: Stamp, whole: &Whole) -> bool {
        let mut things = Vec::with_capacity(whole.stored.places.len());
        for (place, value) in &whole.stored.places {
            match past::read(chain, stamp, place, value) {
                Ok(thing) => things.push(thing),
                Err(error) => {
                    let fault = Fault::new(Kind::UnreadableValue, &self.player, error.to_string());
                    self.say(fault.at(whole.stored.revision));
                }
            }
        }
        for (place, content) in &things {
            match content {
                Content::Stack(stack) => {
                    self.instances.push((stack.instance, place.to_string()));
                    add(&mut self.sums.held, stack.item.clone(), stack.quantity.get().into());
                }
                Content::Amount(amount) => {
                    if let Place::Balance(currency) = place {
                        add(&mut self.sums.held, currency.clone(), i128::from(*amount));
                    }
                }
            }
            // One by one, so that one fault does not hide another; stacks in two places are looked for among all players.
            if let Err(broken) = Player::from_places([(place.clone(), content.clone())]) {
                let fault = Fault::new(Kind::ImpossibleValue, &self.player, format!("{place}: {broken}"));
                self.say(fault.at(whole.stored.revision));
            }
        }
        things.len() == whole.stored.places.len()
    }

    fn inbox(&mut self, chain: &Chain, whole: &Whole) {
        for (id, bytes) in &whole.stored.inbox {
            let gift = waiting::read(chain, bytes);
            if let Err(error) = &gift {
                let fault = Fault::new(Kind::UnreadableGift, &self.player, error.to_string());
                self.say(fault.about_gift(id.uuid()));
            }
            let gift = gift.ok();
            for stack in gift.iter().flat_map(|gift| &gift.stacks) {
                self.instances.push((stack.instance, format!("inbox, gift {id}")));
                add(&mut self.sums.waiting, stack.item.clone(), stack.quantity.get().into());
            }
            self.gifts.push((id.uuid(), gift::waits(&self.player, gift.as_ref())));
        }
    }

    /// Whether every revision has one entry, in order.
    fn chain(&mut self, pages: &[Page], begin: Revision, end: Revision) {
        let mut next = begin.next();
        for page in pages {
            if page.revision < next || page.revision > end {
                let what = format!("where revision {next} should be; the player is at {end}");
                self.say(Fault::new(Kind::SurplusEntry, &self.player, what).at(page.revision));
                continue;
            }
            self.missing(next, page.revision);
            next = page.revision.next();
        }
        self.missing(next, end.next());
    }

    /// Revisions from one on, and before another, that have no entry.
    fn missing(&mut self, from: Revision, until: Revision) {
        if from < until {
            let last = until.get().saturating_sub(1);
            let what =
                if from.get() == last { "it has no entry".to_owned() } else { format!("up to {last}: no entries") };
            self.say(Fault::new(Kind::MissingEntry, &self.player, what).at(from));
        }
    }

    /// What came into the world, and what left it. The shop's things come from nowhere, and nobody has the money again.
    fn count(&mut self, pages: &[Page], opening: &Opening) {
        for (from, to, item, quantity, _) in pages.iter().flat_map(|page| &page.lines) {
            let (from, to) = (Account::parse(from), Account::parse(to));
            if matches!(from, Some(Account::Mint | Account::Shop)) {
                add(&mut self.sums.minted, item.clone(), i128::from(*quantity));
            }
            if matches!(to, Some(Account::Sink | Account::Shop)) {
                add(&mut self.sums.sunk, item.clone(), i128::from(*quantity));
            }
        }
        for (place, content) in &opening.things {
            match (place, content) {
                (_, Content::Stack(stack)) => {
                    add(&mut self.sums.minted, stack.item.clone(), stack.quantity.get().into());
                }
                (Place::Balance(currency), Content::Amount(amount)) => {
                    add(&mut self.sums.minted, currency.clone(), i128::from(*amount));
                }
                (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) => {}
            }
        }
    }

    /// Undoes every entry, newest first, and answers the revision behind which nothing was undone.
    fn walk(&mut self, past: Result<Past, Lost>) -> Revision {
        let mut past = match past {
            Ok(past) => past,
            Err(lost) => return self.lost(&lost, Revision::new(u64::MAX)),
        };
        while let Some(undone) = past.next() {
            match undone {
                Ok(step) => self.step(&step),
                Err(lost) => return self.lost(&lost, past.revision()),
            }
        }
        self.beginning(past.things(), past.opening());
        past.opening().revision
    }

    fn lost(&mut self, lost: &Lost, at: Revision) -> Revision {
        match lost {
            // The chain has told of it.
            Lost::Torn { .. } => {}
            Lost::Unreadable { revision, error } => {
                self.say(Fault::new(Kind::UnreadableEntry, &self.player, error.to_string()).at(*revision));
            }
        }
        at
    }

    fn beginning(&mut self, things: &Things, opening: &Opening) {
        if *things == opening.things {
            return;
        }
        let places = things.keys().chain(opening.things.keys());
        let mut other: Vec<String> =
            places.filter(|place| things.get(*place) != opening.things.get(*place)).map(Place::to_string).collect();
        other.dedup();
        let what = format!("undoing every entry leaves something else in {}", other.join(" "));
        self.say(Fault::new(Kind::WrongBeginning, &self.player, what).at(opening.revision));
    }

    fn step(&mut self, step: &Step) {
        let Step { page, changes } = step;
        for Change { place, .. } in changes.list.iter().filter(|change| change.before == change.after) {
            let what = format!("{place} holds the same before and afterwards");
            self.say(Fault::new(Kind::EmptyChange, &self.player, what).at(page.revision));
        }
        self.lines(page, &changes.list);
        self.concerns(page, Some(&changes.list));
    }

    /// Whether an entry's lines are what its changes say.
    fn lines(&mut self, page: &Page, changes: &[Change]) {
        let (inlet, outlet) = accounts(&self.player, page);
        let stored_line = |line: line::Line| {
            (line.from.to_string(), line.to.to_string(), line.item, line.quantity, line.instances.into_vec())
        };
        let mut right: Vec<_> =
            line::lines(&self.player, changes, &inlet, &outlet).into_iter().map(stored_line).collect();
        // What is sent back goes from one inbox to another, through no place.
        let passes = |(from, to, ..): &&(String, String, ItemId, u64, Vec<InstanceId>)| {
            page.reason == Reason::InboxReturned.as_str()
                && *from == Account::Inbox(self.player.clone()).to_string()
                && matches!(Account::parse(to), Some(Account::Inbox(_)))
        };
        let mut stored: Vec<_> = page.lines.iter().filter(|line| !passes(line)).cloned().collect();
        right.sort_unstable();
        stored.sort_unstable();
        if right != stored {
            let shown = |lines: &[(String, String, ItemId, u64, Vec<InstanceId>)]| {
                let each = lines.iter().map(|(from, to, item, units, _)| format!("{units} {item} {from} → {to}"));
                let each: Vec<String> = each.collect();
                if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
            };
            let what = format!("its lines say {}; what changed says {}", shown(&stored), shown(&right));
            self.say(Fault::new(Kind::WrongLines, &self.player, what).at(page.revision));
        }
    }

    /// What an entry has to do with others.
    fn concerns(&mut self, page: &Page, changes: Option<&[Change]>) {
        let moved = changes.filter(|_| page.partner.is_some() || page.gift.is_some()).map(Moved::of);
        let grown = moved.as_ref().map(|moved| moved.grown.clone()).unwrap_or_default();
        self.gifts.extend(gift::stations(&self.player, page, &grown));
        let Some((partner, partner_revision)) = &page.partner else { return };
        match PlayerId::new(partner) {
            Ok(partner) => self.halves.push(Half {
                player: self.player.clone(),
                revision: page.revision,
                partner,
                partner_revision: *partner_revision,
                trade: page.trade,
                at: page.at,
                moved,
            }),
            Err(error) => {
                self.say(Fault::new(Kind::HalfExchange, &self.player, error.to_string()).at(page.revision));
            }
        }
    }
}

/// Where things come from and go to by an entry: what it says of its partner, its gift or its hold, else the mint and the sink.
fn accounts(player: &PlayerId, page: &Page) -> (Account, Account) {
    let partner = page.partner.as_ref().and_then(|(partner, _)| PlayerId::new(partner).ok());
    if let Some(partner) = partner {
        return (Account::Player(partner.clone()), Account::Player(partner));
    }
    if page.hold.is_some() {
        return (Account::Shop, Account::Shop);
    }
    if page.gift.is_none() {
        return (Account::Mint, Account::Sink);
    }
    let put_to = page.lines.iter().find_map(|(_, to, ..)| match Account::parse(to) {
        Some(Account::Inbox(owner)) if page.reason == Reason::Gift.as_str() => Some(owner),
        Some(Account::Inbox(_) | Account::Player(_) | Account::Shop | Account::Mint | Account::Sink) | None => None,
    });
    let inbox = Account::Inbox(put_to.unwrap_or_else(|| player.clone()));
    (inbox.clone(), inbox)
}

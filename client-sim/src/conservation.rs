//! The books: what every player began with, won and lost, against what is there at the end.
//!
//! Pure. A `checker` keeps one [`Tally`] a player; `scenario` adds them up and asks whether anything came from nowhere
//! or went nowhere. Gifts between the players counted cancel out once they have arrived. One that waits in an inbox is in
//! nobody's snapshot: whoever can look into the inboxes says what waits ([`Tally::waits`]), and without that a shortage no
//! larger than what was given and not seen to arrive is called uncertain and not broken.

use crate::{
    fault::Fault,
    model::{Content, Mirror, Totals},
};
use holdall_protocol::{
    action::Action,
    ids::{InstanceId, ItemId, PlayerId},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The known effects on one player, or on many. Losses are written as positive numbers.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// What the first snapshot held.
    pub initial: Totals,
    /// What grants made.
    pub granted: Totals,
    /// What sales brought.
    pub proceeds: Totals,
    /// What the server changed by itself.
    pub server: Totals,
    /// What was used up.
    pub used: Totals,
    /// What was thrown away.
    pub dropped: Totals,
    /// What was sold.
    pub sold: Totals,
    /// What a crash took where the server acknowledges before it saves.
    pub lost: Totals,
    /// What was given to others.
    pub given: Totals,
    /// What was seen to arrive of gifts.
    pub received: Totals,
    /// What is known to wait in inboxes.
    pub waiting: Totals,
    /// What came from the shop, and what was paid for it.
    pub bought: Totals,
    /// What the last snapshot held.
    pub found: Totals,
    /// Requests whose effect was learned from a later answer instead of a change.
    pub resolved_later: u64,
    /// Items of requests whose fate nobody can tell any more.
    uncertain: BTreeSet<ItemId>,
    /// What sales of so many of an item brought, as far as seen.
    prices: BTreeMap<(ItemId, i128), Totals>,
    /// Sales that took effect unseen: what they brought must be looked up in `prices`.
    unseen_sales: Vec<(ItemId, i128)>,
    /// Whether of some sale nobody can tell, and so neither of what it brought.
    uncertain_sales: bool,
    /// Likewise of some purchase.
    uncertain_purchases: bool,
}

impl Tally {
    /// Books the effect of one applied action.
    pub(crate) fn applied(&mut self, action: &Action, effect: &Totals) {
        match action {
            Action::Use(_) => self.used.take_all(effect),
            Action::Drop(_) => self.dropped.take_all(effect),
            Action::DevGrant(_) => self.granted.add_all(effect),
            Action::Sell(_) => self.sale(effect),
            Action::Gift(_) => self.given.take_all(effect),
            // A trade moves things to another player of the same books; the rest keeps them where they are.
            Action::Move(_) | Action::Sort(_) | Action::Equip(_) | Action::Unequip(_) => {}
            Action::TradeInvite(_) | Action::TradeAnswer(_) | Action::TradeOffer(_) | Action::TradeCancel(_) => {}
            Action::TradeAccept(_) | Action::Settings(_) => {}
            Action::ShopConfirm(_) => self.bought.add_all(effect),
            Action::ShopList(_) | Action::ShopHold(_) | Action::ShopRelease(_) => {}
            Action::Resync(_) | Action::Count(_) | Action::Item(_) | Action::Stats(_) => {}
        }
    }

    /// Books a sale whose proceeds nobody saw; `effect` holds only what was sold.
    pub(crate) fn unseen_sale(&mut self, effect: &Totals) {
        self.sold.take_all(effect);
        self.unseen_sales.extend(effect.iter().map(|(item, units)| (item.clone(), -units)));
    }

    /// Notes a purchase of which nobody can tell what it cost and brought.
    pub(crate) const fn unseen_purchase(&mut self) {
        self.uncertain_purchases = true;
    }

    /// Books what somebody who can look into the inboxes has found there.
    pub fn waits(&mut self, item: &ItemId, units: i128) {
        self.waiting.add(item, units);
    }

    /// Notes that nobody can tell how much there should be of an item.
    pub(crate) fn doubt(&mut self, item: &ItemId) {
        self.uncertain.insert(item.clone());
    }

    /// Notes that nobody can tell any more whether an action took effect, which would have been this one.
    pub(crate) fn uncertain(&mut self, action: &Action, effect: &Totals) {
        self.uncertain.extend(effect.iter().map(|(item, _)| item.clone()));
        self.uncertain_sales |= matches!(action, Action::Sell(_));
        self.uncertain_purchases |= matches!(action, Action::ShopConfirm(_));
    }

    fn sale(&mut self, effect: &Totals) {
        let (mut won, mut gone) = (Totals::default(), Totals::default());
        for (item, units) in effect.iter() {
            if units > 0 { won.add(item, units) } else { gone.add(item, -units) }
        }
        if let Some((item, units)) = gone.iter().next() {
            self.prices.insert((item.clone(), units), won.clone());
        }
        self.proceeds.add_all(&won);
        self.sold.add_all(&gone);
    }

    /// Adds another player's books to these.
    pub fn add(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.initial, &other.initial),
            (&mut self.granted, &other.granted),
            (&mut self.proceeds, &other.proceeds),
            (&mut self.server, &other.server),
            (&mut self.used, &other.used),
            (&mut self.dropped, &other.dropped),
            (&mut self.sold, &other.sold),
            (&mut self.lost, &other.lost),
            (&mut self.given, &other.given),
            (&mut self.received, &other.received),
            (&mut self.waiting, &other.waiting),
            (&mut self.bought, &other.bought),
            (&mut self.found, &other.found),
        ] {
            sum.add_all(more);
        }
        self.resolved_later += other.resolved_later;
        self.uncertain.extend(other.uncertain);
        self.prices.extend(other.prices);
        self.unseen_sales.extend(other.unseen_sales);
        self.uncertain_sales |= other.uncertain_sales;
        self.uncertain_purchases |= other.uncertain_purchases;
    }

    /// Closes the books: one account an item, and a fault for each that does not add up.
    #[must_use]
    pub fn close(mut self) -> (BTreeMap<String, Account>, Vec<Fault>) {
        self.price_unseen_sales();
        let mut accounts = BTreeMap::new();
        let mut faults = Vec::new();
        for item in self.items() {
            let account = self.account(&item);
            if account.state == State::Broken {
                let (expected, found) = (account.expected, account.found);
                faults.push(Fault::NotConserved { item: item.clone(), expected, found });
            }
            accounts.insert(item.to_string(), account);
        }
        (accounts, faults)
    }

    /// The same sale brings the same everywhere, so one that was seen tells of those that were not.
    fn price_unseen_sales(&mut self) {
        for sale in std::mem::take(&mut self.unseen_sales) {
            match self.prices.get(&sale) {
                Some(won) => self.proceeds.add_all(won),
                None => self.uncertain_sales = true,
            }
        }
        if self.uncertain_sales {
            let currencies = self.prices.values().flat_map(Totals::iter).map(|(currency, _)| currency.clone());
            self.uncertain.extend(currencies);
        }
    }

    fn items(&self) -> BTreeSet<ItemId> {
        [&self.initial, &self.granted, &self.proceeds, &self.server, &self.bought, &self.lost, &self.found]
            .into_iter()
            .chain([&self.used, &self.dropped, &self.sold])
            .flat_map(Totals::iter)
            .map(|(item, _)| item.clone())
            .collect()
    }

    /// Whether what these books are short of may be on its way out of an inbox.
    #[must_use]
    pub fn awaits_gifts(mut self) -> bool {
        self.price_unseen_sales();
        self.items().iter().any(|item| !self.uncertain.contains(item) && self.account(item).state == State::Uncertain)
    }

    fn account(&self, item: &ItemId) -> Account {
        let of = |totals: &Totals| totals.of(item);
        let won = of(&self.initial) + of(&self.granted) + of(&self.proceeds) + of(&self.server) + of(&self.bought);
        let expected = won - of(&self.used) - of(&self.dropped) - of(&self.sold) - of(&self.lost);
        let (found, waiting) = (of(&self.found), of(&self.waiting));
        let short = expected - found - waiting;
        let on_its_way = of(&self.given) - of(&self.received) - waiting;
        let state = match short {
            0 => State::Conserved,
            _ if self.uncertain_purchases => State::Uncertain,
            _ if self.uncertain.contains(item) || (1..=on_its_way).contains(&short) => State::Uncertain,
            _ => State::Broken,
        };
        Account {
            initial: of(&self.initial),
            granted: of(&self.granted),
            proceeds: of(&self.proceeds),
            server: of(&self.server),
            bought: of(&self.bought),
            used: of(&self.used),
            dropped: of(&self.dropped),
            sold: of(&self.sold),
            lost: of(&self.lost),
            waiting,
            expected,
            found,
            state,
        }
    }
}

/// Whether an account adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What is there is what the known effects come to.
    Conserved,
    /// It does not add up, but the fate of some request on this item could not be learned, or what is short may wait in
    /// an inbox.
    Uncertain,
    /// It does not add up.
    Broken,
}

impl State {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conserved => "conserved",
            Self::Uncertain => "uncertain",
            Self::Broken => "broken",
        }
    }
}

/// One item or currency over all players.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// In the first snapshots.
    pub initial: i128,
    /// Made by grants.
    pub granted: i128,
    /// Brought by sales.
    pub proceeds: i128,
    /// Changed by the server itself.
    pub server: i128,
    /// Come from the shop, less what was paid there.
    pub bought: i128,
    /// Used up.
    pub used: i128,
    /// Thrown away.
    pub dropped: i128,
    /// Sold.
    pub sold: i128,
    /// Taken by a crash that the server's promise allows.
    pub lost: i128,
    /// Known to wait in inboxes.
    pub waiting: i128,
    /// What all this comes to.
    pub expected: i128,
    /// In the last snapshots.
    #[serde(rename = "final")]
    pub found: i128,
    /// Whether the two agree.
    pub state: State,
}

/// Who holds which stack: no instance may be held twice, by whomever.
#[derive(Debug, Default)]
pub struct Holders(HashMap<InstanceId, PlayerId>);

impl Holders {
    /// Counts one player's stacks in.
    ///
    /// # Errors
    /// [`Fault::InstanceTwice`] for the first stack that somebody else holds too.
    pub fn add(&mut self, player: &PlayerId, mirror: &Mirror) -> Result<(), Fault> {
        for (_, content) in mirror.places() {
            if let Content::Stack(stack) = content
                && self.0.insert(stack.instance, player.clone()).is_some()
            {
                return Err(Fault::InstanceTwice(stack.instance));
            }
        }
        Ok(())
    }
}

//! What a bot does next: a weighted choice among the actions that its mirror makes possible.
//!
//! Called by `bot`. Names only what stands in the mirror; what may be used, worn, sold or given away it learns from
//! the catalogue, which the bots of one run ask for together. Never sends anything and never looks at a clock.

use crate::{
    busy::Busy,
    catalogue::Catalogue,
    checker::{Shop, Trades},
    goods::Goods,
    mix::Weights,
    model::{Content, Mirror},
    shopper::Shopper,
    trader::Trader,
};
use holdall_protocol::{
    action::{
        Action, Count, DevGrant, Drop, Equip, Gift, GiftItem, Item, Move, Quantity, Resync, Sell, ShopList, Sort,
        Stats, Target, Unequip, Use,
    },
    ids::{ItemId, Place, PlayerId, SlotId},
    message::{ItemDefinition, ShopEntry, Stack},
};
use rand::{
    Rng,
    distr::{Distribution, weighted::WeightedIndex},
    rngs::SmallRng,
    seq::IndexedRandom,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Drop,
    Use,
    Equip,
    Unequip,
    Move,
    Sort,
    Sell,
    Gift,
    Trade,
    Shop,
    Grant,
    Stats,
    Count,
    Item,
    Resync,
    Cut,
    Leave,
}

const KINDS: [Kind; 17] = [
    Kind::Drop,
    Kind::Use,
    Kind::Equip,
    Kind::Unequip,
    Kind::Move,
    Kind::Sort,
    Kind::Sell,
    Kind::Gift,
    Kind::Trade,
    Kind::Shop,
    Kind::Grant,
    Kind::Stats,
    Kind::Count,
    Kind::Item,
    Kind::Resync,
    Kind::Cut,
    Kind::Leave,
];

/// What a bot does next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    /// It asks for this.
    Ask(Action),
    /// It cuts its connection, with or without a last request under way.
    Cut(Option<Action>),
    /// It cuts its connection and stays away for a while.
    Leave,
}

/// A stack that a bot may name, and how many units of it are left to name.
struct Candidate<'a> {
    slot: u16,
    stack: &'a Stack,
    left: u32,
}

impl Candidate<'_> {
    fn few(&self, most: u32, rng: &mut SmallRng) -> Quantity {
        Quantity::new(u64::from(rng.random_range(1..=self.left.min(most).max(1))))
    }

    fn target(&self, rng: &mut SmallRng) -> Target {
        if rng.random_bool(0.75) {
            Target::Instance(self.stack.instance)
        } else {
            Target::Item(self.stack.item.clone())
        }
    }
}

/// Who is given something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gifts<'a> {
    /// Whoever it is.
    ToFriends,
    /// Only who reads nothing: everybody saves their gifts for that one, if there is one now.
    ToWhoHangs(Option<&'a PlayerId>),
}

/// What a bot sees when it chooses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// Its things.
    pub(crate) mirror: &'a Mirror,
    /// What is known of items.
    pub(crate) catalogue: &'a Catalogue,
    /// What is under way.
    pub(crate) busy: &'a Busy,
    /// Slots of its bag; 0 where nobody bounds them.
    pub(crate) max_slots: u16,
    /// Who it is.
    pub(crate) own: &'a PlayerId,
    /// Its trades.
    pub(crate) trades: &'a Trades,
    /// Its open holds.
    pub(crate) shop: &'a Shop,
    /// What is for sale.
    pub(crate) goods: &'a Goods,
    /// Another bot that has been in the game, picked at random.
    pub(crate) friend: Option<&'a PlayerId>,
    /// Whom everybody gives to.
    pub(crate) gifts: Gifts<'a>,
    /// Whether it may give: that is limited more strictly than other requests.
    pub(crate) may_give: bool,
    /// Whether it may invite to a trade: the same.
    pub(crate) may_invite: bool,
    /// Whether it may hold something in the shop: the same.
    pub(crate) may_hold: bool,
    /// Whether it may ask for its whole inventory: that is priced higher than other requests.
    pub(crate) may_resync: bool,
}

/// The weighted choice.
#[derive(Debug)]
pub(crate) struct Workload {
    choice: Option<WeightedIndex<u32>>,
}

impl Workload {
    /// A choice by these weights.
    pub(crate) fn new(weights: &Weights) -> Self {
        Self { choice: WeightedIndex::new(KINDS.map(|kind| weight(weights, kind))).ok() }
    }

    /// What comes next, `None` for a mix that does nothing.
    pub(crate) fn choose(&self, view: View<'_>, rng: &mut SmallRng) -> Option<Choice> {
        let choice = self.choice.as_ref()?;
        let mut cut = false;
        // Where the bag has nothing for one kind, another may do; a bot that can do nothing at all asks how it stands.
        for _ in 0..4 {
            let kind = KINDS.get(choice.sample(rng)).copied().unwrap_or(Kind::Stats);
            match kind {
                Kind::Leave => return Some(Choice::Leave),
                Kind::Cut => cut = true,
                _ => match view.build(kind, rng).or_else(|| view.top_up(kind, rng)) {
                    Some(action) if cut => return Some(Choice::Cut(Some(action))),
                    Some(action) => return Some(Choice::Ask(action)),
                    None => {}
                },
            }
        }
        Some(if cut { Choice::Cut(None) } else { Choice::Ask(Action::Stats(Stats {})) })
    }
}

/// Bag slots that are looked at before a bot decides that it has nothing of the kind.
const LOOKED_AT: usize = 48;

/// Lines in a gift to somebody who hangs. Each makes the delta longer, and fills the bag that has to take all of it: with this
/// many, neither the gifts nor the slots run out first.
const SUNDRIES_MAX: usize = 3;

/// The largest stack from which on many units of an item need few slots.
const ROOMY: u32 = 99;

/// What a bot that cannot pay tops up by.
const MONEY_AT_ONCE: u64 = 500;

impl View<'_> {
    fn build(&self, kind: Kind, rng: &mut SmallRng) -> Option<Action> {
        match kind {
            Kind::Drop => self.drop(rng),
            Kind::Use => {
                let found = self.find(rng, |_, definition| definition.kind == "consumable")?;
                Some(Action::Use(Use { target: found.target(rng) }))
            }
            Kind::Equip => self.equip(rng),
            Kind::Unequip => {
                let worn: Vec<&SlotId> = self.mirror.places().filter_map(|(place, _)| worn(place)).collect();
                worn.choose(rng).map(|slot| Action::Unequip(Unequip { slot: (*slot).clone() }))
            }
            Kind::Move => self.move_stack(rng),
            Kind::Sort => Some(Action::Sort(Sort {})),
            Kind::Sell => {
                let found = self.find(rng, |_, definition| definition.sellable)?;
                Some(Action::Sell(Sell { instance: found.stack.instance, quantity: found.few(3, rng) }))
            }
            Kind::Gift => self.gift(rng),
            Kind::Trade => self.trade(rng),
            Kind::Shop => self.visit(rng),
            Kind::Grant | Kind::Cut | Kind::Leave => None,
            Kind::Stats => Some(Action::Stats(Stats {})),
            Kind::Count => Some(Action::Count(Count { item: self.some_item(rng)? })),
            Kind::Item => Some(Action::Item(Item { item: self.some_item(rng)? })),
            Kind::Resync => self.may_resync.then_some(Action::Resync(Resync {})),
        }
    }

    fn drop(&self, rng: &mut SmallRng) -> Option<Action> {
        let found = self.find(rng, |_, definition| definition.kind != "quest")?;
        if self.is_crowded() {
            let quantity = Quantity::new(u64::from(found.left));
            return Some(Action::Drop(Drop { target: Target::Instance(found.stack.instance), quantity }));
        }
        let quantity = found.few(3, rng);
        Some(Action::Drop(Drop { target: found.target(rng), quantity }))
    }

    fn equip(&self, rng: &mut SmallRng) -> Option<Action> {
        let mut slots = Vec::new();
        let found = self.find(rng, |_, definition| {
            slots.clone_from(&definition.slots);
            !slots.is_empty()
        })?;
        let slot = if rng.random_bool(0.5) { slots.choose(rng).cloned() } else { None };
        Some(Action::Equip(Equip { instance: found.stack.instance, slot }))
    }

    fn move_stack(&self, rng: &mut SmallRng) -> Option<Action> {
        let (from, stack) = self.walk(rng).find(|(slot, stack)| self.busy.is_free(*slot, Some(stack)))?;
        let used = u16::try_from(self.mirror.bag_from(0).count()).unwrap_or(u16::MAX);
        let reach = used.saturating_add(8);
        let to = rng.random_range(0..if self.max_slots == 0 { reach } else { reach.min(self.max_slots) });
        let there = self.mirror.bag_from(to).next().filter(|(slot, _)| *slot == to).map(|(_, stack)| stack);
        if !self.busy.is_free(to, there) {
            return None;
        }
        let split = stack.quantity > 1 && there.is_none() && !self.is_crowded() && rng.random_bool(0.2);
        let quantity = split.then(|| Quantity::new(rng.random_range(1..u64::from(stack.quantity))));
        Some(Action::Move(Move { from, to, quantity }))
    }

    /// Makes room in a bag that may be too full for what waits in the inbox.
    pub(crate) fn make_room(&self, rng: &mut SmallRng) -> Option<Action> {
        if self.is_crowded() { self.drop(rng) } else { None }
    }

    fn trade(&self, rng: &mut SmallRng) -> Option<Action> {
        let tradeable = |id: &ItemId| self.catalogue.get(id).is_some_and(|definition| definition.tradeable);
        let free = |(slot, stack): (u16, &Stack)| {
            let left = self.busy.left(slot, stack);
            let fit = left > 0 && tradeable(&stack.item) && !self.mirror.is_frozen(&Place::Bag(slot));
            fit.then_some((stack.instance, left))
        };
        let stacks: Vec<_> = self.walk(rng).take(LOOKED_AT).filter_map(free).collect();
        let balance = |(place, content): (&Place, &Content)| match (place, content) {
            (Place::Balance(currency), Content::Amount(amount)) => Some((currency.clone(), *amount)),
            (Place::Bag(_) | Place::Equipment(_) | Place::Balance(_), _) => None,
        };
        let purse: Vec<_> =
            self.mirror.places().filter_map(balance).filter(|(currency, _)| tradeable(currency)).collect();
        let friend = self.friend.filter(|_| self.may_invite);
        Trader { own: self.own, trades: self.trades, stacks: &stacks, purse: &purse, friend }.next(rng)
    }

    /// The shop, once somebody has seen what it sells; and now and then the money for it.
    fn visit(&self, rng: &mut SmallRng) -> Option<Action> {
        if self.goods.claim() {
            return Some(Action::ShopList(ShopList {}));
        }
        let visit = |goods: &[ShopEntry]| {
            let broke =
                goods.iter().flat_map(|entry| &entry.price).find(|price| self.has(&price.currency) < price.amount);
            match broke {
                Some(price) if rng.random_ratio(1, 2) => self.money(&price.currency),
                Some(_) | None => {
                    let shopper = Shopper { shop: self.shop, goods, may_hold: self.may_hold };
                    shopper.next(|hold| self.busy.is_ending(hold), rng)
                }
            }
        };
        self.goods.look(visit)
    }

    fn has(&self, currency: &ItemId) -> u64 {
        match self.mirror.get(&Place::Balance(currency.clone())) {
            Some(Content::Amount(amount)) => *amount,
            Some(Content::Stack(_)) | None => 0,
        }
    }

    fn money(&self, currency: &ItemId) -> Option<Action> {
        let currency = Some(currency.clone()).filter(|_| self.catalogue.grants());
        let quantity = Quantity::new(MONEY_AT_ONCE);
        currency.is_some().then_some(Action::DevGrant(DevGrant { item: None, currency, quantity, partial: None }))
    }

    fn gift(&self, rng: &mut SmallRng) -> Option<Action> {
        let to = match self.gifts {
            Gifts::ToFriends => self.friend,
            Gifts::ToWhoHangs(to) => to,
        };
        let to = to.filter(|_| self.may_give)?.clone();
        if let Gifts::ToWhoHangs(_) = self.gifts {
            let items = self.sundries(rng);
            return (!items.is_empty()).then_some(Action::Gift(Gift { to, items }));
        }
        let mut items: Vec<GiftItem> = Vec::new();
        for _ in 0..if rng.random_bool(0.2) { 2 } else { 1 } {
            let found = self.find(rng, |_, definition| definition.tradeable)?;
            let instance = found.stack.instance;
            if items.iter().all(|line| line.instance != instance) {
                items.push(GiftItem { instance, quantity: found.few(2, rng) });
            }
        }
        Some(Action::Gift(Gift { to, items }))
    }

    /// A unit each of different things that stack, so that one bag has room for thousands of such gifts.
    fn sundries(&self, rng: &mut SmallRng) -> Vec<GiftItem> {
        let mut items: Vec<(&ItemId, GiftItem)> = Vec::new();
        for (slot, stack) in self.walk(rng).take(LOOKED_AT) {
            let pleases = |definition: &ItemDefinition| definition.tradeable && definition.max_stack >= ROOMY;
            let fit = self.busy.left(slot, stack) > 0
                && !self.mirror.is_frozen(&Place::Bag(slot))
                && items.iter().all(|(item, _)| **item != stack.item)
                && self.catalogue.get(&stack.item).is_some_and(|definition| pleases(&definition));
            if fit && items.len() < SUNDRIES_MAX {
                items.push((&stack.item, GiftItem { instance: stack.instance, quantity: Quantity::new(1) }));
            }
        }
        items.into_iter().map(|(_, line)| line).collect()
    }

    /// What makes an action of this kind possible the next time.
    fn top_up(&self, kind: Kind, rng: &mut SmallRng) -> Option<Action> {
        let wanted: fn(&ItemDefinition) -> bool = match kind {
            Kind::Use => |definition| definition.kind == "consumable",
            Kind::Equip | Kind::Unequip => |definition| !definition.slots.is_empty(),
            Kind::Sell => |definition| definition.sellable,
            // Whoever saves is not short of anything.
            Kind::Gift if matches!(self.gifts, Gifts::ToWhoHangs(None)) => return None,
            Kind::Drop | Kind::Move | Kind::Gift | Kind::Grant => |definition| definition.tradeable,
            // Who has nothing to do in a trade waits for the other one.
            Kind::Trade | Kind::Shop | Kind::Cut | Kind::Leave => return None,
            Kind::Sort | Kind::Stats | Kind::Count | Kind::Item | Kind::Resync => return None,
        };
        let definition = self.catalogue.top_up(wanted, rng)?;
        if self.is_crowded() && definition.kind != "currency" {
            return None;
        }
        let most = if definition.kind == "currency" { 500 } else { definition.max_stack.min(50) };
        let quantity = Quantity::new(rng.random_range(1..=u64::from(most.max(1))).max(u64::from(most / 2)));
        let partial = rng.random_bool(0.1).then_some(true);
        let id = definition.id.clone();
        let (item, currency) = if definition.kind == "currency" { (None, Some(id)) } else { (Some(id), None) };
        Some(Action::DevGrant(DevGrant { item, currency, quantity, partial }))
    }

    fn is_crowded(&self) -> bool {
        let bound = if self.max_slots == 0 { 200 } else { self.max_slots };
        self.mirror.bag_from(0).count() >= usize::from(bound) * 4 / 5
    }

    /// The first stack from a random slot on that can be dealt with and whose definition pleases.
    fn find(
        &self,
        rng: &mut SmallRng,
        mut pleases: impl FnMut(&Stack, &ItemDefinition) -> bool,
    ) -> Option<Candidate<'_>> {
        let candidates = self.walk(rng).take(LOOKED_AT).map(|(slot, stack)| {
            let left = self.busy.left(slot, stack);
            Candidate { slot, stack, left }
        });
        candidates.filter(|found| found.left > 0 && !self.mirror.is_frozen(&Place::Bag(found.slot))).find(|found| {
            self.catalogue.get(&found.stack.item).is_some_and(|definition| pleases(found.stack, &definition))
        })
    }

    fn any_stack(&self, rng: &mut SmallRng) -> Option<(u16, &Stack)> {
        self.walk(rng).next()
    }

    /// The whole bag, from a random slot on and around.
    fn walk(&self, rng: &mut SmallRng) -> impl Iterator<Item = (u16, &Stack)> {
        let used = u16::try_from(self.mirror.bag_from(0).count()).unwrap_or(u16::MAX);
        let from = rng.random_range(0..used.saturating_add(4));
        self.mirror.bag_from(from).chain(self.mirror.bag_from(0).take_while(move |(slot, _)| *slot < from))
    }

    fn some_item(&self, rng: &mut SmallRng) -> Option<ItemId> {
        let balance = self.mirror.places().find_map(|(place, _)| match place {
            Place::Balance(currency) => Some(currency.clone()),
            Place::Bag(_) | Place::Equipment(_) => None,
        });
        if rng.random_bool(0.2) && balance.is_some() {
            return balance;
        }
        self.any_stack(rng).map(|(_, stack)| stack.item.clone())
    }
}

/// The items a mirror holds whose definition nobody of the run has asked for yet.
pub(crate) fn unknown_items(mirror: &Mirror, catalogue: &Catalogue) -> Vec<ItemId> {
    let ids = mirror.places().filter_map(|(place, content)| match (place, content) {
        (_, Content::Stack(stack)) => Some(&stack.item),
        (Place::Balance(currency), Content::Amount(_)) => Some(currency),
        (Place::Bag(_) | Place::Equipment(_), Content::Amount(_)) => None,
    });
    ids.filter(|id| catalogue.claim(id)).cloned().collect()
}

const fn worn(place: &Place) -> Option<&SlotId> {
    match place {
        Place::Equipment(slot) => Some(slot),
        Place::Bag(_) | Place::Balance(_) => None,
    }
}

const fn weight(weights: &Weights, kind: Kind) -> u32 {
    match kind {
        Kind::Drop => weights.drop,
        Kind::Use => weights.use_one,
        Kind::Equip => weights.equip,
        Kind::Unequip => weights.unequip,
        Kind::Move => weights.move_stack,
        Kind::Sort => weights.sort,
        Kind::Sell => weights.sell,
        Kind::Gift => weights.gift,
        Kind::Trade => weights.trade,
        Kind::Shop => weights.shop,
        Kind::Grant => weights.grant,
        Kind::Stats => weights.stats,
        Kind::Count => weights.count,
        Kind::Item => weights.item,
        Kind::Resync => weights.resync,
        Kind::Cut => weights.cut,
        Kind::Leave => weights.leave,
    }
}

//! What a simulated client asks next: every action there is, of what it holds and of what it does not.

use super::{
    shop::{SKUS, sku},
    world::Repertoire,
};
use holdall_client_sim::{
    checker::{Shop, Trades},
    model::{Content, Mirror},
    trader::Trader,
};
use holdall_protocol::{
    action::{self, Action, Quantity, Target},
    ids::{InstanceId, ItemId, Place, PlayerId, ReservationId, SlotId},
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

/// What is granted: something to stack, to use, to wear and to pay with.
const GRANTED: [&str; 4] = ["ore", "health_potion", "iron_sword", "gold"];

/// Who asks, and what they know.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) own: &'a PlayerId,
    pub(super) mirror: &'a Mirror,
    pub(super) trades: &'a Trades,
    pub(super) shop: &'a Shop,
    pub(super) players: &'a [PlayerId],
    /// Those of them who are in the game at the same process.
    pub(super) near: &'a [PlayerId],
}

impl Asker<'_> {
    /// Whatever comes to mind: mostly what the day is for, and trades that wait more often than others.
    pub(super) fn choose(self, repertoire: Repertoire, random: &mut SmallRng) -> Action {
        let stacks = self.stacks();
        let waits = self.trades.pressing(self.own).is_some();
        let (trades, visits) = match (repertoire, waits) {
            (Repertoire::Narrow, _) => return self.choose_narrowly(random),
            (Repertoire::MarketDay, true) => (11, 1),
            (Repertoire::MarketDay, false) => (6, 1),
            (Repertoire::Wide, true) => (8, 2),
            (Repertoire::Wide, false) => (2, 2),
            (Repertoire::Shopping, _) => (1, 9),
        };
        if random.random_ratio(visits, 12) {
            return self.visit(random);
        }
        if random.random_ratio(trades, 12)
            && let Some(step) = self.trade(&stacks, random)
        {
            return step;
        }
        match stacks.choose(random) {
            Some((instance, have)) => self.of_a_stack(*instance, *have, random),
            None => grant(random),
        }
    }

    /// Of what comes to mind first. Another order of choices would make other runs of the same seeds.
    fn choose_narrowly(self, random: &mut SmallRng) -> Action {
        let stacks: Vec<_> = self.mirror.places().filter_map(|(_, content)| stack(content)).collect();
        let kind = random.random_range(0..12);
        let any = if stacks.is_empty() { None } else { Some(stacks[random.random_range(0..stacks.len())]) };
        match (kind, any) {
            (0..3, Some((instance, have))) => {
                let quantity = Quantity::new(random.random_range(1..=have).into());
                let to = self.players[random.random_range(0..self.players.len())].clone();
                Action::Gift(action::Gift { to, items: vec![action::GiftItem { instance, quantity }] })
            }
            (3..5, Some((instance, have))) => drop_of(instance, have, random),
            (5..8, Some(_)) => move_of(random),
            (8, _) => Action::Sort(action::Sort {}),
            (9, _) => Action::Resync(action::Resync {}),
            _ => {
                let item = GRANTED[random.random_range(0..GRANTED.len())];
                let quantity = Quantity::new(random.random_range(1..30));
                granted(item, quantity, None)
            }
        }
    }

    /// Whatever can be done in the shop, and some money for it.
    fn visit(self, random: &mut SmallRng) -> Action {
        let open: Vec<ReservationId> = self.shop.open().map(|hold| hold.reservation).collect();
        match (open.choose(random), random.random_range(0..20)) {
            (Some(reservation), 0..7) => Action::ShopConfirm(action::ShopConfirm { reservation: *reservation }),
            (Some(reservation), 7..10) => Action::ShopRelease(action::ShopRelease { reservation: *reservation }),
            (_, 10) => Action::ShopList(action::ShopList {}),
            (None, 0..4) | (_, 11..13) => {
                let money = if random.random_ratio(1, 4) { "gems" } else { "gold" };
                granted(money, Quantity::new(random.random_range(1..30)), None)
            }
            _ => {
                let sku = sku(SKUS.choose(random).expect("there are some"));
                let quantity = Quantity::new(random.random_range(1..5));
                let ttl_seconds = random.random_ratio(3, 4).then(|| Quantity::new(random.random_range(1..4)));
                Action::ShopHold(action::ShopHold { sku, quantity, ttl_seconds })
            }
        }
    }

    fn stacks(self) -> Vec<(InstanceId, u32)> {
        self.mirror.bag_from(0).map(|(_, stack)| (stack.instance, stack.quantity)).collect()
    }

    fn trade(self, stacks: &[(InstanceId, u32)], random: &mut SmallRng) -> Option<Action> {
        let balance = |(place, content): (&Place, &Content)| match (place, content) {
            (Place::Balance(currency), Content::Amount(amount)) => Some((currency.clone(), *amount)),
            (Place::Bag(_) | Place::Equipment(_) | Place::Balance(_), _) => None,
        };
        let purse: Vec<_> = self.mirror.places().filter_map(balance).collect();
        let known = if self.near.is_empty() || random.random_ratio(1, 8) { self.players } else { self.near };
        let friend = known.choose(random);
        Trader { own: self.own, trades: self.trades, stacks, purse: &purse, friend }.next(random)
    }

    fn of_a_stack(self, instance: InstanceId, have: u32, random: &mut SmallRng) -> Action {
        let some = Quantity::new(random.random_range(1..=have).into());
        match random.random_range(0..48) {
            0..12 => {
                let to = self.players.choose(random).expect("there are players").clone();
                Action::Gift(action::Gift { to, items: vec![action::GiftItem { instance, quantity: some }] })
            }
            12..18 => drop_of(instance, have, random),
            18..28 => move_of(random),
            28..30 => Action::Sell(action::Sell { instance, quantity: some }),
            30..32 => Action::Use(action::Use { target: Target::Instance(instance) }),
            32..34 => Action::Equip(action::Equip { instance, slot: None }),
            34 => Action::Unequip(action::Unequip { slot: SlotId::new("main_hand").expect("a slot") }),
            35 => {
                let mut mostly = || Some(random.random_ratio(4, 5));
                Action::Settings(action::Settings { gifts: mostly(), invites: mostly() })
            }
            36..39 => Action::Sort(action::Sort {}),
            39..41 => Action::Resync(action::Resync {}),
            41 => Action::Stats(action::Stats {}),
            _ => grant(random),
        }
    }
}

fn grant(random: &mut SmallRng) -> Action {
    let item = GRANTED.choose(random).expect("there are some");
    let quantity = Quantity::new(random.random_range(1..30));
    granted(item, quantity, random.random_ratio(1, 8).then_some(true))
}

fn granted(item: &str, quantity: Quantity, partial: Option<bool>) -> Action {
    let item = Some(ItemId::new(item).expect("an item id"));
    Action::DevGrant(action::DevGrant { item, currency: None, quantity, partial })
}

fn drop_of(instance: InstanceId, have: u32, random: &mut SmallRng) -> Action {
    let quantity = Quantity::new(random.random_range(1..=have.saturating_add(1)).into());
    Action::Drop(action::Drop { target: Target::Instance(instance), quantity })
}

fn move_of(random: &mut SmallRng) -> Action {
    Action::Move(action::Move {
        from: random.random_range(0..8),
        to: random.random_range(0..8),
        quantity: random.random::<bool>().then(|| Quantity::new(1)),
    })
}

const fn stack(content: &Content) -> Option<(InstanceId, u32)> {
    match content {
        Content::Stack(stack) => Some((stack.instance, stack.quantity)),
        Content::Amount(_) => None,
    }
}

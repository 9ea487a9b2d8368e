//! What a simulated client asks next: every action there is, of what it holds and of what it does not.

use holdall_client_sim::{
    checker::Trades,
    model::{Content, Mirror},
    trader::Trader,
};
use holdall_protocol::{
    action::{self, Action, Quantity, Target},
    ids::{InstanceId, ItemId, Place, PlayerId, SlotId},
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
    pub(super) players: &'a [PlayerId],
}

impl Asker<'_> {
    /// Whatever comes to mind; trades that wait come to mind more often.
    pub(super) fn choose(self, random: &mut SmallRng) -> Action {
        let stacks = self.stacks();
        let waits = self.trades.pressing(self.own).is_some();
        if random.random_ratio(if waits { 4 } else { 1 }, 6)
            && let Some(step) = self.trade(&stacks, random)
        {
            return step;
        }
        match stacks.choose(random) {
            Some((instance, have)) => self.of_a_stack(*instance, *have, random),
            None => grant(random),
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
        let friend = self.players.choose(random);
        Trader { own: self.own, trades: self.trades, stacks, purse: &purse, friend }.next(random)
    }

    fn of_a_stack(self, instance: InstanceId, have: u32, random: &mut SmallRng) -> Action {
        let some = Quantity::new(random.random_range(1..=have).into());
        match random.random_range(0..48) {
            0..12 => {
                let to = self.players.choose(random).expect("there are players").clone();
                Action::Gift(action::Gift { to, items: vec![action::GiftItem { instance, quantity: some }] })
            }
            12..18 => {
                let quantity = Quantity::new(random.random_range(1..=have.saturating_add(1)).into());
                Action::Drop(action::Drop { target: Target::Instance(instance), quantity })
            }
            18..28 => Action::Move(action::Move {
                from: random.random_range(0..8),
                to: random.random_range(0..8),
                quantity: random.random::<bool>().then(|| Quantity::new(1)),
            }),
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
    let item = Some(ItemId::new(GRANTED.choose(random).expect("there are some")).expect("an item id"));
    let quantity = Quantity::new(random.random_range(1..30));
    let partial = random.random_ratio(1, 8).then_some(true);
    Action::DevGrant(action::DevGrant { item, currency: None, quantity, partial })
}

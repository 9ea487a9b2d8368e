//! Two players, random actions, gifts and reloads: the engine and the naive model agree at every step, and nothing comes
//! from nowhere.

use super::{
    model::{self, Model, World},
    notation::assert_sound,
    world::{attributes, item, lowered, rules, slot},
};
use holdall_protocol::{
    action::Target,
    attribute::Attributes,
    ids::{AttributeKey, InstanceId, ItemId, Place},
};
use holdall_server::{
    catalog::Rules,
    engine::{
        action::Action,
        apply,
        change::{Changes, Content},
        exchange,
        moment::Moment,
        player::Player,
    },
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU32, NonZeroU64},
};
use uuid::Uuid;

/// One step. Stacks are named by their rank among all that the player has, so that most names mean something.
#[derive(Debug, Clone)]
enum Step {
    Grant { item: usize, quantity: u64, attributes: Option<usize>, partial: bool },
    Remove { target: Named, quantity: u32 },
    Move { from: u16, to: u16, quantity: Option<u32> },
    Sort,
    Use { target: Named },
    Drop { target: Named, quantity: u32 },
    Equip { stack: usize, slot: Option<usize> },
    Unequip { slot: usize },
    Sell { stack: usize, quantity: u32 },
    Attributes { target: Named, set: usize, remove: bool },
    Credit { item: usize, amount: u64 },
    Debit { item: usize, amount: u64 },
    Buy { item: usize, quantity: u64, price: BTreeMap<usize, u64> },
    Gift { lines: Vec<(usize, u32)> },
    Reload { rules: usize },
}

#[derive(Debug, Clone)]
enum Named {
    Item(usize),
    Stack(usize),
}

const ITEMS: [&str; 17] = [
    "ore",
    "coal",
    "old_coal",
    "gem",
    "potion",
    "tonic",
    "letter",
    "sword",
    "dagger",
    "greatsword",
    "shield",
    "ring",
    "helm",
    "gold",
    "crown",
    "old_crown",
    "relic",
];
const SLOTS: [&str; 6] = ["head", "main_hand", "off_hand", "ring_1", "ring_2", "nowhere"];
const ATTRIBUTES: [&str; 4] = ["", "a=1", "a=2,b=true", "a=1,b=text,c=9"];

fn all_rules() -> Vec<Rules> {
    let light = Rules { max_weight: 12_000, ..rules() };
    let small = Rules { max_slots: 2, gift_items_max: 1, attributes_max: 1, ..rules() };
    vec![rules(), light, small, lowered()]
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![(0..ITEMS.len()).prop_map(Named::Item), (0..8_usize).prop_map(Named::Stack)]
}

fn quantity() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1..6_u32, 1 => 1..30_u32, 1 => Just(99)]
}

/// Mostly in money.
fn price(items: std::ops::Range<usize>) -> impl Strategy<Value = BTreeMap<usize, u64>> {
    let money = ITEMS.iter().position(|id| *id == "gold").unwrap()..items.end;
    proptest::collection::btree_map(prop_oneof![5 => money, 1 => items], 1..9_u64, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let items = 0..ITEMS.len();
    prop_oneof![
        6 => (items.clone(), prop_oneof![1..6_u64, 1..250_u64], proptest::option::of(0..ATTRIBUTES.len()), any::<bool>())
            .prop_map(|(item, quantity, attributes, partial)| Step::Grant { item, quantity, attributes, partial }),
        1 => (named(), quantity()).prop_map(|(target, quantity)| Step::Remove { target, quantity }),
        6 => (0..8_u16, 0..8_u16, proptest::option::of(quantity()))
            .prop_map(|(from, to, quantity)| Step::Move { from, to, quantity }),
        1 => Just(Step::Sort),
        2 => named().prop_map(|target| Step::Use { target }),
        2 => (named(), quantity()).prop_map(|(target, quantity)| Step::Drop { target, quantity }),
        5 => (0..8_usize, proptest::option::of(0..SLOTS.len())).prop_map(|(stack, slot)| Step::Equip { stack, slot }),
        3 => (0..SLOTS.len()).prop_map(|slot| Step::Unequip { slot }),
        2 => (0..8_usize, quantity()).prop_map(|(stack, quantity)| Step::Sell { stack, quantity }),
        2 => (named(), 0..ATTRIBUTES.len(), any::<bool>())
            .prop_map(|(target, set, remove)| Step::Attributes { target, set, remove }),
        1 => (items.clone(), 1..9_u64).prop_map(|(item, amount)| Step::Credit { item, amount }),
        1 => (items.clone(), 1..9_u64).prop_map(|(item, amount)| Step::Debit { item, amount }),
        3 => (items.clone(), 1..30_u64, price(items)).prop_map(|(item, quantity, price)| Step::Buy { item, quantity, price }),
        4 => proptest::collection::vec((0..8_usize, quantity()), 0..5).prop_map(|lines| Step::Gift { lines }),
        1 => (0..4_usize).prop_map(|rules| Step::Reload { rules }),
    ]
}

/// Both players in both worlds.
struct Table {
    rules: Vec<Rules>,
    in_force: usize,
    players: [Player; 2],
    models: [Model; 2],
    /// Every id that ever arose.
    seen: BTreeSet<InstanceId>,
    minted: u128,
    random: SmallRng,
    now: u64,
}

impl Table {
    fn new(seed: u64) -> Self {
        Self {
            rules: all_rules(),
            in_force: 0,
            players: [Player::empty(), Player::empty()],
            models: Default::default(),
            seen: BTreeSet::new(),
            minted: 0,
            random: SmallRng::seed_from_u64(seed),
            now: 1_700_000_000_000,
        }
    }

    /// A player's stack by its rank.
    fn stack(&self, who: usize, rank: usize) -> InstanceId {
        let mut stacks = self.players[who].places().filter_map(|(_, content)| stack_id(&content));
        stacks.nth(rank).unwrap_or(InstanceId::new(Uuid::max()))
    }

    fn target(&self, who: usize, named: &Named) -> Target {
        match named {
            Named::Item(at) => Target::Item(item(ITEMS[*at])),
            Named::Stack(rank) => Target::Instance(self.stack(who, *rank)),
        }
    }

    fn action(&self, who: usize, step: &Step) -> Action {
        let some = |quantity: u32| NonZeroU32::new(quantity).unwrap();
        let amount = |amount: u64| NonZeroU64::new(amount).unwrap();
        match step {
            Step::Grant { item: at, quantity, attributes: with, partial } => Action::Grant {
                item: item(ITEMS[*at]),
                quantity: amount(*quantity),
                attributes: with.map(|with| attributes(ATTRIBUTES[with])),
                partial: *partial,
            },
            Step::Remove { target, quantity } => {
                Action::Remove { target: self.target(who, target), quantity: some(*quantity) }
            }
            Step::Move { from, to, quantity } => Action::Move { from: *from, to: *to, quantity: quantity.map(some) },
            Step::Sort => Action::Sort,
            Step::Use { target } => Action::Use { target: self.target(who, target) },
            Step::Drop { target, quantity } => {
                Action::Drop { target: self.target(who, target), quantity: some(*quantity) }
            }
            Step::Equip { stack, slot: into } => {
                Action::Equip { instance: self.stack(who, *stack), slot: into.map(|at| slot(SLOTS[at])) }
            }
            Step::Unequip { slot: at } => Action::Unequip { slot: slot(SLOTS[*at]) },
            Step::Sell { stack, quantity } => {
                Action::Sell { instance: self.stack(who, *stack), quantity: some(*quantity) }
            }
            Step::Attributes { target, set, remove } => {
                let set =
                    attributes(ATTRIBUTES[*set]).iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                let remove = if *remove { vec![AttributeKey::new("c").unwrap()] } else { Vec::new() };
                Action::SetAttributes { target: self.target(who, target), set, remove }
            }
            Step::Credit { item: at, amount: n } => Action::Credit { currency: item(ITEMS[*at]), amount: amount(*n) },
            Step::Debit { item: at, amount: n } => Action::Debit { currency: item(ITEMS[*at]), amount: amount(*n) },
            Step::Buy { item: at, quantity, price } => Action::Purchase {
                item: item(ITEMS[*at]),
                quantity: amount(*quantity),
                price: price.iter().map(|(at, n)| (item(ITEMS[*at]), amount(*n))).collect(),
            },
            Step::Gift { .. } | Step::Reload { .. } => panic!("no action of one player"),
        }
    }

    fn take(&mut self, who: usize, step: &Step) {
        self.now += 1;
        match step {
            Step::Reload { rules } => self.in_force = *rules,
            Step::Gift { lines } => self.give(who, lines),
            _ => self.act(who, &self.action(who, step)),
        }
        self.compare();
    }

    fn act(&mut self, who: usize, action: &Action) {
        let rules = self.rules[self.in_force].clone();
        let before = self.players[who].clone();
        let mut changes = Changes::default();
        let mut moment = Moment::new(self.now, &mut self.random);
        let answer = apply(&mut self.players[who], action, &rules, &mut moment, &mut changes);
        let answer = answer.map(|()| changes.overflow).map_err(|refusal| refusal.code());
        let mut world = World { rules: &rules, now: self.now, minted: &mut self.minted };
        let expected = self.models[who].apply(action, &mut world);
        assert_eq!(answer, expected, "{action:?} on {:?}", before.places().collect::<Vec<_>>());
        assert_sound(&before, &changes, &self.players[who], &rules);
    }

    fn give(&mut self, who: usize, lines: &[(usize, u32)]) {
        let rules = self.rules[self.in_force].clone();
        let line = |(rank, n): &(usize, u32)| (self.stack(who, *rank), NonZeroU32::new(*n).unwrap());
        let lines: Vec<(InstanceId, NonZeroU32)> = lines.iter().map(line).collect();
        let before = self.players.clone();
        let mut changes = <[Changes; 2]>::default();
        let (left, right) = self.players.split_at_mut(1);
        let (giver, receiver) = if who == 0 { (&mut left[0], &mut right[0]) } else { (&mut right[0], &mut left[0]) };
        let mut moment = Moment::new(self.now, &mut self.random);
        let answer = exchange::gift(giver, receiver, &lines, &rules, &mut moment, &mut changes);
        let answer = answer.map_err(|refusal| refusal.code());
        let (left, right) = self.models.split_at_mut(1);
        let (giver, receiver) = if who == 0 { (&mut left[0], &mut right[0]) } else { (&mut right[0], &mut left[0]) };
        let mut world = World { rules: &rules, now: self.now, minted: &mut self.minted };
        assert_eq!(answer, model::gift(giver, receiver, &lines, &mut world));
        assert_sound(&before[who], &changes[0], &self.players[who], &rules);
        assert_sound(&before[1 - who], &changes[1], &self.players[1 - who], &rules);
        assert_eq!(held(&before), held(&self.players), "a gift makes nothing and loses nothing");
    }

    /// Place by place the same. An id that is new on both sides is the engine's from here on.
    fn compare(&mut self) {
        let mut standing = BTreeSet::new();
        for (player, model) in self.players.iter().zip(&mut self.models) {
            for (place, content) in player.places() {
                let Some(id) = stack_id(&content) else { continue };
                assert!(standing.insert(id), "{id} stands twice");
                let there = match &place {
                    Place::Bag(slot) => model.bag.get_mut(slot),
                    Place::Equipment(slot) => model.worn.get_mut(slot),
                    Place::Balance(_) => None,
                };
                if let Some(there) = there.filter(|there| model::is_minted(there.instance)) {
                    assert!(self.seen.insert(id), "{id} is the id of something else");
                    there.instance = id;
                }
            }
            assert_eq!(player.places().collect::<Vec<_>>(), model.places());
        }
    }
}

fn stack_id(content: &Content) -> Option<InstanceId> {
    match content {
        Content::Stack(stack) => Some(stack.instance),
        Content::Amount(_) => None,
    }
}

/// Units by item and attributes, and balances, over all players.
fn held(players: &[Player]) -> BTreeMap<(ItemId, String), u64> {
    let mut held = BTreeMap::new();
    let known = |id: &ItemId| if id.as_str() == "old_coal" { item("coal") } else { id.clone() };
    for (place, content) in players.iter().flat_map(Player::places) {
        let (key, units) = match (content, place) {
            (Content::Stack(stack), _) => {
                ((known(&stack.item), format!("{:?}", stack.attributes)), u64::from(stack.quantity.get()))
            }
            (Content::Amount(amount), Place::Balance(id)) => ((id, format!("{:?}", Attributes::default())), amount),
            (Content::Amount(_), place) => panic!("{place} holds an amount"),
        };
        *held.entry(key).or_default() += units;
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_model_does(seed: u64, steps in proptest::collection::vec((0..2_usize, step()), 1..120)) {
        let mut table = Table::new(seed);
        for (who, step) in &steps {
            table.take(*who, step);
        }
    }
}

/// The same steps and seed give the same ids: a simulation can be played again.
#[test]
fn the_same_seed_gives_the_same_players() {
    let play = || {
        let mut table = Table::new(7);
        for (who, at) in [(0, 0), (0, 7), (1, 3), (0, 0)] {
            table.take(who, &Step::Grant { item: at, quantity: 120, attributes: None, partial: true });
        }
        table.take(0, &Step::Move { from: 0, to: 5, quantity: Some(3) });
        table.take(0, &Step::Gift { lines: vec![(0, 9)] });
        table.players.map(|player| player.places().collect::<Vec<_>>())
    };
    assert_eq!(play(), play());
}

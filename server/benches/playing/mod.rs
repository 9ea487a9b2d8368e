//! A player who does the same over and over, for whatever is measured of it.
//!
//! Stacks are so large that no run uses one up, and a move goes there and back, so that a bag keeps its size however long it
//! is measured.

use holdall_protocol::{
    action::Target,
    attribute::Attributes,
    ids::{InstanceId, ItemId, Place, SlotId},
    message::ItemDefinition,
};
use holdall_server::{
    catalog::{Catalog, Definition, Kind, Rarity, Rules, migrations::Migrations, shop::Shop},
    engine::{
        action::Action,
        apply,
        change::{Change, Changes, Content, Nature, Stack},
        moment::Moment,
        player::Player,
    },
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use std::{num::NonZeroU32, sync::Arc};
use uuid::Uuid;

/// What is done with a stack, in its slot, in a bag of so many of them.
pub(crate) type Actions = fn((u16, InstanceId), u16) -> Vec<Action>;

/// What players do most.
pub(crate) const HOT: [(&str, Actions); 5] = [
    ("use", |(_, instance), _| vec![Action::Use { target: Target::Instance(instance) }]),
    ("drop", |(_, instance), _| vec![Action::Drop { target: Target::Instance(instance), quantity: NonZeroU32::MIN }]),
    ("drop by item", |(slot, _), _| {
        vec![Action::Drop { target: Target::Item(item(slot % ITEMS)), quantity: NonZeroU32::MIN }]
    }),
    ("move", |(slot, _), free| {
        let [there, back] = [(slot, free), (free, slot)];
        [there, back].map(|(from, to)| Action::Move { from, to, quantity: None }).to_vec()
    }),
    ("swap", |(slot, _), stacks| vec![Action::Move { from: slot, to: (slot + 1) % stacks, quantity: None }]),
];

/// Different items in the catalogue, and so in a bag.
const ITEMS: u16 = 40;
const NOW: u64 = 1_700_000_000_000;

fn item(number: u16) -> ItemId {
    ItemId::new(&format!("potion_of_the_number_{number}")).expect("an id")
}

fn definition(number: u16) -> Definition {
    let wire = ItemDefinition {
        id: item(number),
        name: "Potion".into(),
        description: String::new(),
        kind: "consumable".into(),
        rarity: "common".into(),
        max_stack: u32::MAX,
        weight: 500,
        tradeable: true,
        sellable: true,
        base_value: 5,
        icon_url: String::new(),
        slots: Vec::new(),
        two_handed: false,
        attributes: Attributes::default(),
    };
    Definition {
        id: wire.id.clone(),
        renamed_from: Vec::new(),
        kind: Kind::Consumable,
        rarity: Rarity::Common,
        max_stack: NonZeroU32::MAX,
        weight: wire.weight,
        tradeable: true,
        sellable: true,
        base_value: wire.base_value,
        slots: Vec::new(),
        two_handed: false,
        nature: Nature::plain(wire.id.clone()),
        wire: Arc::new(wire),
    }
}

fn rules() -> Rules {
    let hand = |name| SlotId::new(name).expect("a slot");
    Rules {
        catalog: Catalog::new(1, String::new(), (0..ITEMS).map(definition).collect()),
        max_slots: 2_000,
        max_weight: 0,
        slots: Vec::new(),
        hands: [hand("main_hand"), hand("off_hand")],
        sell_rate: 500,
        sell_currency: item(0),
        attributes_max: 32,
        attribute_bytes_max: 1024,
        gift_items_max: 20,
        offer_lines_max: 16,
        kit: Vec::new(),
        migrations: Migrations::default(),
        shop: Shop::default(),
    }
}

/// A player with so many stacks, and which instance is in which slot.
fn player(stacks: u16) -> (Player, Vec<(u16, InstanceId)>) {
    let mut random = SmallRng::seed_from_u64(7);
    let filled = |slot: u16| (slot, InstanceId::new(Uuid::from_u128(random.random())));
    let filled: Vec<(u16, InstanceId)> = (0..stacks).map(filled).collect();
    let places = filled.iter().map(|(slot, instance)| {
        let stack = Stack {
            instance: *instance,
            nature: Nature::plain(item(slot % ITEMS)),
            quantity: NonZeroU32::MAX,
            acquired_at: NOW,
        };
        (Place::Bag(*slot), Content::Stack(stack))
    });
    (Player::from_places(places).expect("a player"), filled)
}

/// A player and what they do, over and over.
pub(crate) struct Playing {
    player: Player,
    actions: Vec<Action>,
    next: usize,
    rules: Rules,
    random: SmallRng,
    changes: Changes,
}

impl Playing {
    /// A player with so many stacks, who does this with each of them.
    pub(crate) fn new(stacks: u16, actions: Actions) -> Self {
        let (player, filled) = player(stacks);
        let actions: Vec<Action> = filled.into_iter().flat_map(|filled| actions(filled, stacks)).collect();
        Self {
            player,
            actions,
            next: 0,
            rules: rules(),
            random: SmallRng::seed_from_u64(7),
            changes: Changes::default(),
        }
    }

    /// Carries out the next action; what it changed.
    pub(crate) fn next(&mut self) -> &[Change] {
        self.changes.list.clear();
        let action = self.actions.get(self.next).expect("the next one lies within");
        self.next = self.next.wrapping_add(1) % self.actions.len();
        let mut moment = Moment::new(NOW, &mut self.random);
        apply(&mut self.player, action, &self.rules, &mut moment, &mut self.changes).expect("it is allowed");
        &self.changes.list
    }
}

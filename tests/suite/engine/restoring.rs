//! Setting a player back: what comes back, what goes, and that nobody ever has what another one has too.

use super::{
    notation::{action, assert_sound, instance, places, show},
    world::rules,
};
use holdall_protocol::ids::{InstanceId, ItemId, Place};
use holdall_server::{
    catalog::Rules,
    engine::{
        action::Action,
        apply,
        change::{Changes, Content},
        exchange::gift,
        moment::Moment,
        player::Player,
        restore::{Between, Since, Step, Things, Undo},
    },
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

/// Two players, and what has happened to the first one since the beginning.
struct Story {
    rules: Rules,
    random: SmallRng,
    player: Player,
    other: Player,
    since: Since,
}

impl Story {
    /// `player / other`, as they are in the beginning.
    fn begin(rules: Rules, both: &str) -> Self {
        let (player, other) = both.split_once(" / ").unwrap_or((both, "nothing"));
        let player = Player::from_places(places(player, "")).expect("a player");
        let other = Player::from_places(places(other, "r")).expect("a player");
        let since = Since { then: player.places().collect(), steps: Vec::new() };
        Self { rules, random: SmallRng::seed_from_u64(7), player, other, since }
    }

    /// An action of the first player, `give 0×5` (out of these slots) to the other, `get 0×5` from them, or `restore`.
    /// Whether it was done.
    fn happens(&mut self, what: &str) -> bool {
        let mut changes = Changes::default();
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        let mut moment = Moment::new(1000, &mut self.random);
        let (done, between) = match verb {
            "give" | "get" => {
                let mut both = <[Changes; 2]>::default();
                let (from, to) = if verb == "give" {
                    (&mut self.player, &mut self.other)
                } else {
                    (&mut self.other, &mut self.player)
                };
                let lines: Vec<_> = rest.split(' ').filter_map(|line| slot_line(from, line)).collect();
                let done = gift(from, to, &lines, &self.rules, &mut moment, &mut both).is_ok();
                let [gave, got] = both;
                changes = if verb == "give" { gave } else { got };
                (done, Between::Others)
            }
            "restore" => {
                let things = self.since.undone(&self.player, Undo::Own, &self.rules, &mut moment).expect("it fits");
                (self.act(&Action::Restore { things }, &mut changes), Between::Restored)
            }
            _ => (self.act(&action(what), &mut changes), Between::Nobody),
        };
        self.since.steps.push(Step { changes, between });
        done
    }

    fn act(&mut self, action: &Action, changes: &mut Changes) -> bool {
        let mut moment = Moment::new(1000, &mut self.random);
        apply(&mut self.player, action, &self.rules, &mut moment, changes).is_ok()
    }

    /// The first player set back to the beginning, by the engine's own action.
    fn restored(&self, undo: Undo) -> Player {
        let (mut random, mut changes) = (SmallRng::seed_from_u64(8), Changes::default());
        let mut moment = Moment::new(2000, &mut random);
        let things = self.since.undone(&self.player, undo, &self.rules, &mut moment).expect("it fits");
        let mut player = self.player.clone();
        let action = Action::Restore { things: things.clone() };
        apply(&mut player, &action, &self.rules, &mut moment, &mut changes).expect("it can be done");
        assert_sound(&self.player, &changes, &player, &self.rules);
        assert_eq!(player.places().collect::<Things>(), things, "exactly that");
        let here = instances(&player);
        let both: Vec<_> = here.intersection(&instances(&self.other)).copied().collect();
        assert!(both.is_empty(), "{both:?} would be in two hands");
        player
    }
}

fn slot_line(from: &Player, line: &str) -> Option<(InstanceId, NonZeroU32)> {
    let (slot, units) = line.split_once('×')?;
    let Some(Content::Stack(stack)) = from.at(&Place::Bag(slot.parse().ok()?)) else { return None };
    Some((stack.instance, units.parse().ok()?))
}

fn instances(player: &Player) -> BTreeSet<InstanceId> {
    let stack = |(_, content)| if let Content::Stack(stack) = content { Some(stack.instance) } else { None };
    player.places().filter_map(stack).collect()
}

/// Runs `then | what happened; what happened next | set back` rows. Behind a second bar, where it differs: set back with
/// all that others had a part in.
fn check(rows: &str) {
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let [then, happened, back, all @ ..] = parts.as_slice() else { panic!("three columns: {row}") };
        let mut story = Story::begin(rules(), then);
        for what in happened.split(';').map(str::trim).filter(|what| !what.is_empty()) {
            assert!(story.happens(what), "{what} is refused in the row\n    {row}");
        }
        assert_eq!(show(&story.restored(Undo::Own), ""), *back, "in the row\n    {row}");
        let all = all.first().unwrap_or(back);
        assert_eq!(show(&story.restored(Undo::All), ""), *all, "everything undone, in the row\n    {row}");
    }
}

#[test]
fn what_was_granted_goes_and_what_went_comes_back_under_its_own_id() {
    check(
        "
        0:ore×30                     |                                      | 0:ore×30
        0:ore×30                     | drop ore ×10                         | 0:ore×30
        0:ore×30                     | drop ore ×30                         | 0:ore×30
        3:sword                      | sell #3 ×1                           | 3:sword
        nothing                      | grant ore ×5                         | nothing
        0:ore×30                     | grant ore ×5; grant gem ×9           | 0:ore×30
        0:ore×30                     | drop ore ×30; grant ore ×12          | 0:ore×30
        0:helm{durability=80}        | set #0 {durability=1}; drop #0 ×1    | 0:helm{durability=80}
        0:helm{durability=80}        | set #0 {durability=1}                | 0:helm{durability=80}
        gold=50                      | credit gold ×7; debit gold ×30       | gold=50
        gold=50                      | debit gold ×50                       | gold=50
        nothing                      | credit gold ×7                       | nothing
        ",
    );
}

#[test]
fn everything_lies_where_it_lay() {
    check(
        "
        0:ore×30 1:gem×2             | move 0 5; move 1 0                   | 0:ore×30 1:gem×2
        0:ore×30 1:ore×30            | move 0 1                             | 0:ore×30 1:ore×30
        5:ore×3 0:gem                | sort                                 | 0:gem 5:ore×3
        0:ore×30                     | move 0 4 ×10; drop ore ×10           | 0:ore×30
        0:sword                      | equip #0                             | 0:sword
        main_hand:sword              | unequip main_hand; drop #main_hand ×1 | main_hand:sword
        main_hand:sword 0:dagger     | equip #0 main_hand                   | 0:dagger main_hand:sword
        0:ring×3                     | equip #0 ring_1                      | 0:ring×3
        ",
    );
}

#[test]
fn what_went_to_others_stays_with_them() {
    check(
        "
        0:sword 1:gem                | give 0×1; drop gem ×1                | 1:gem         | 0:sword#new 1:gem
        0:ore×30                     | give 0×10                            | 0:ore×20      | 0:ore×30
        0:ore×30                     | give 0×10; drop ore ×20              | 0:ore×20      | 0:ore×30
        0:ore×30                     | drop ore ×10; give 0×20              | 0:ore×10#new  | 0:ore×30#new
        0:ore×30                     | move 0 1 ×10; give 1×10              | 0:ore×20      | 0:ore×30
        0:ore×30 1:ore×30            | move 0 1; give 1×60                  | nothing       | 0:ore×30 1:ore×30#new
        0:ore×30 1:ore×30            | move 0 1; give 1×40                  | 0:ore×20      | 0:ore×30 1:ore×30
        0:ore×30                     | grant ore ×10; give 0×15             | 0:ore×15      | 0:ore×30
        0:ore×30                     | grant ore ×10; give 0×40             | nothing       | 0:ore×30#new
        0:ring×9                     | grant ring ×5; give 1×4              | 0:ring×9
        0:sword                      | grant sword ×1; give 1×1             | 0:sword
        0:sword                      | grant sword ×1; give 0×1             | nothing       | 0:sword#new
        0:sword                      | give 0×1; grant sword ×1             | nothing       | 0:sword#new
        0:sword                      | give 0×1; get 0×1                    | 0:sword
        0:sword                      | give 0×1; get 0×1; drop #0 ×1        | 0:sword
        0:sword                      | give 0×1; get 0×1; give 0×1          | nothing       | 0:sword#new
        ",
    );
}

#[test]
fn what_came_from_others_stays_here() {
    check(
        "
        nothing / 0:sword            | get 0×1                              | 0:sword#r0             | nothing
        nothing / 0:ore×9            | get 0×5                              | 0:ore×5#new            | nothing
        nothing / 0:sword            | get 0×1; drop #r0 ×1                 | 0:sword#r0             | nothing
        0:gem / 0:sword              | drop gem ×1; get 0×1                 | 0:gem 1:sword#r0       | 0:gem
        0:gem / 0:sword              | drop gem ×1; get 0×1; move 0 4       | 0:gem 4:sword#r0       | 0:gem
        0:gem 1:gem / 0:sword        | drop #0 ×1; get 0×1; equip #r0       | 0:gem 1:gem 2:sword#r0 | 0:gem 1:gem
        0:ore×5 / 0:ore×9            | get 0×9                              | 0:ore×14               | 0:ore×5
        0:ore×90 / 0:ore×50          | drop ore ×80; get 0×50               | 0:ore×99 1:ore×41#new  | 0:ore×90
        0:ore×90 / 0:ore×50          | drop ore ×90; get 0×50               | 0:ore×90 1:ore×50#r0   | 0:ore×90
        0:gem / 0:sword              | get 0×1; give 1×1                    | 0:gem                  | 0:gem
        0:ore×30 / 0:old_coal×9      | grant coal ×2; get 0×9; give 1×11    | 0:ore×30               | 0:ore×30
        ",
    );
}

#[test]
fn a_full_bag_is_no_reason_to_lose_anything() {
    check(
        "
        0:gem 1:gem 2:gem 3:gem 4:gem 5:gem / 0:sword 1:shield | drop #0 ×1; drop #1 ×1; get 0×1 1×1 | 0:gem 1:gem 2:gem 3:gem 4:gem 5:gem 6:sword#r0 7:shield#r1 | 0:gem 1:gem 2:gem 3:gem 4:gem 5:gem
        ",
    );
}

#[test]
fn what_fits_no_catalogue_comes_back_as_it_was() {
    check(
        "
        0:relic×7{a=1} 1:ore×400 shards=5 | remove #0 ×7; remove #1 ×400 | 0:relic×7{a=1} 1:ore×400 shards=5
        0:old_coal×5 1:coal×3             | move 0 1; give 1×6           | 0:old_coal×2 | 0:old_coal×5 1:coal×3
        ",
    );
}

#[test]
fn nothing_is_undone_twice() {
    check(
        "
        0:ore×30           | drop ore ×30; restore; give 0×30                  | nothing      | 0:ore×30#new
        0:ore×30           | drop ore ×30; restore; give 0×30; restore         | nothing      | 0:ore×30#new
        0:ore×30           | drop ore ×10; give 0×20; restore; give 0×10       | nothing      | 0:ore×30#new
        0:ore×30           | drop ore ×10; give 0×20; restore                  | 0:ore×10#new | 0:ore×30#new
        0:sword            | drop #0 ×1; restore; drop #0 ×1                   | 0:sword
        0:old_coal×9 1:coal×5 | sort; drop coal ×5; restore; give 1×2             | 0:old_coal×7 1:coal×5 | 0:old_coal×9 1:coal×5
        ",
    );
}

#[test]
fn a_balance_counts_what_passed_between_the_player_and_others() {
    let gold = |amount: u64| (amount > 0).then_some(Content::Amount(amount));
    let item = ItemId::new("gold").unwrap();
    for (steps, left) in [
        (&[(50, 70, Between::Others), (70, 10, Between::Nobody)][..], 70),
        (&[(50, 90, Between::Nobody), (90, 60, Between::Others)], 20),
        (&[(50, 90, Between::Nobody), (90, 10, Between::Others)], 0),
        (&[(50, 0, Between::Others), (0, 50, Between::Others)], 50),
    ] {
        let place = Place::Balance(item.clone());
        let step = |(before, after, between): &(u64, u64, Between)| {
            let (before, after) = (gold(*before), gold(*after));
            let list = vec![holdall_server::engine::change::Change { place: place.clone(), before, after }];
            Step { changes: Changes { list, overflow: 0 }, between: *between }
        };
        let then = Things::from([(place.clone(), Content::Amount(50))]);
        let since = Since { then: then.clone(), steps: steps.iter().map(step).collect() };
        let now = Player::from_places(steps.last().and_then(|(_, now, _)| gold(*now)).map(|now| (place.clone(), now)));
        let (now, rules, mut random) = (now.unwrap(), rules(), SmallRng::seed_from_u64(7));
        let mut undone = |undo| since.undone(&now, undo, &rules, &mut Moment::new(1, &mut random)).unwrap();
        assert_eq!(undone(Undo::Own).get(&place).cloned(), gold(left), "{steps:?}");
        assert_eq!(undone(Undo::All), then);
    }
}

#[test]
fn what_no_player_can_have_is_refused() {
    let twice = places("0:ore 1:ore#0", "").into_iter().collect();
    let mut player = Player::from_places(places("0:gem", "")).unwrap();
    let (before, mut changes, mut random) = (player.clone(), Changes::default(), SmallRng::seed_from_u64(7));
    let restore = Action::Restore { things: twice };
    apply(&mut player, &restore, &rules(), &mut Moment::new(1, &mut random), &mut changes).unwrap_err();
    assert_eq!(player.places().collect::<Vec<_>>(), before.places().collect::<Vec<_>>());
    assert_eq!(instance("0"), places("0:ore", "").first().map(|(_, content)| stack_of(content)).unwrap());
}

fn stack_of(content: &Content) -> InstanceId {
    match content {
        Content::Stack(stack) => stack.instance,
        Content::Amount(_) => panic!("a stack"),
    }
}

/// Units of each item, by its present id.
fn units(rules: &Rules, players: &[&Player]) -> BTreeMap<ItemId, u64> {
    let mut units = BTreeMap::new();
    for (_, content) in players.iter().flat_map(|player| player.places()) {
        if let Content::Stack(stack) = content {
            let id = rules.catalog.get(&stack.item).map_or(&stack.item, |definition| &definition.id).clone();
            *units.entry(id).or_default() += u64::from(stack.quantity.get());
        }
    }
    units
}

fn events() -> impl Strategy<Value = Vec<String>> {
    let slot = || 0..6_u16;
    let thing = || prop_oneof![Just("ore"), Just("coal"), Just("gem"), Just("sword")];
    let event = prop_oneof![
        2 => (thing(), 1..40_u32).prop_map(|(item, n)| format!("grant {item} ×{n}")),
        3 => (thing(), 1..20_u32).prop_map(|(item, n)| format!("drop {item} ×{n}")),
        3 => (slot(), slot(), 1..40_u32).prop_map(|(from, to, n)| format!("move {from} {to} ×{n}")),
        3 => (slot(), slot()).prop_map(|(from, to)| format!("move {from} {to}")),
        1 => Just("sort".to_owned()),
        4 => (slot(), 1..40_u32).prop_map(|(slot, n)| format!("give {slot}×{n}")),
        2 => (slot(), slot()).prop_map(|(one, other)| format!("give {one}×1 {other}×1")),
        4 => (slot(), 1..40_u32).prop_map(|(slot, n)| format!("get {slot}×{n}")),
        1 => Just("restore".to_owned()),
    ];
    proptest::collection::vec(event, 0..40)
}

proptest! {
    /// After a restore the two together have no more than they had then and was granted since, whatever happened, and
    /// without grants and earlier restores exactly what they had then, but for what the other one has lost.
    #[test]
    fn no_unit_is_ever_in_two_hands(events in events()) {
        let rules = Rules { max_slots: 30, ..rules() };
        let mut story = Story::begin(rules, "0:ore×90 1:old_coal×12 2:coal×9 3:gem×4 4:sword / 0:ore×50 1:coal×15 2:sword");
        let then = units(&story.rules, &[&story.player, &story.other]);
        let mut granted: BTreeMap<ItemId, u64> = BTreeMap::new();
        for event in &events {
            let before = units(&story.rules, &[&story.player]);
            if !story.happens(event) {
                continue;
            }
            if event.starts_with("grant") {
                for (item, now) in units(&story.rules, &[&story.player]) {
                    let had = before.get(&item).copied().unwrap_or(0);
                    *granted.entry(item).or_default() += now - had;
                }
            }
        }
        story.restored(Undo::All);
        let back = story.restored(Undo::Own);
        let now = units(&story.rules, &[&back, &story.other]);
        for (item, now) in &now {
            let most = then.get(item).copied().unwrap_or(0) + granted.get(item).copied().unwrap_or(0);
            prop_assert!(*now <= most, "{now} {item}, where there were {most} at most");
        }
        if granted.values().all(|units| *units == 0) {
            prop_assert_eq!(now, then, "nothing was made, so all that was dropped is back");
        }
    }
}

//! What is put up in a trade stays there, and settling exchanges all of it or nothing.

use super::{
    notation::{action, assert_sound, check, offering},
    world::{item, lowered, rules},
};
use holdall_protocol::{NUMBER_MAX, ids::ItemId};
use holdall_server::{
    catalog::Rules,
    engine::{
        action::Action,
        apply,
        change::{Changes, Content},
        exchange::settle,
        moment::Moment,
        offer::Offer,
        player::Player,
    },
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
};

#[test]
fn what_is_there_and_may_change_hands_can_be_put_up() {
    check(
        &rules(),
        "
        0:ore×5 gold=7           | offer #0×5 gold=7     | #0×5 gold=7
        0:ore×5 gold=7           | offer #0×2 gold=1     | #0×2 gold=1
        0:ore×5 1:gem            | offer #1×1 #0×1       | #1×1 #0×1
        0:ore×5 [#0×5]           | offer #0×3            | #0×3
        0:ore×5 [#0×5]           | offer                 | nothing
        old_crown=4 crown=3      | offer old_crown=7     | crown=7
        0:ore×5 1:gem [#0×5]     | offer #0×6            | insufficient_quantity
        0:ore×5                  | offer #9×1            | not_found
        0:ore×5                  | offer #0×2 #0×2       | invalid_quantity
        0:ore×5                  | offer #0×3 #0×3       | invalid_quantity
        gold=5                   | offer gold=2 gold=2   | invalid_quantity
        crown=5                  | offer crown=2 old_crown=2 | invalid_quantity
        head:helm                | offer #head×1         | not_found
        0:letter                 | offer #0×1            | not_tradeable
        0:tonic                  | offer #0×1            | not_tradeable
        gold=5                   | offer gold=6          | insufficient_funds
        gold=5                   | offer crown=1         | insufficient_funds
        0:ore                    | offer ore=1           | invalid_item
        0:ore                    | offer nothing_known=1 | invalid_item
        0:ore 1:gem 2:ring 3:sword gold=1 | offer #0×1 #1×1 #2×1 #3×1 gold=1 | limit_exceeded
        ",
    );
    check(
        &lowered(),
        "
        0:ore×5    | offer #0×1    | item_frozen
        0:potion×9 | offer #0×1    | item_frozen
        crown=5    | offer crown=1 | item_frozen
        ",
    );
}

#[test]
fn what_is_put_up_cannot_be_used_moved_or_parted_with() {
    check(
        &rules(),
        "
        0:potion×3 [#0×3]           | use #0            | item_locked
        0:potion×3 [#0×3]           | use potion        | item_locked
        0:ore×5 [#0×5]              | drop #0 ×1        | item_locked
        0:ore×5 [#0×5]              | drop ore ×1       | item_locked
        0:ore×5 [#0×5]              | sell #0 ×1        | item_locked
        0:ore×5 [#0×5]              | move 0 1          | item_locked
        0:ore×5 [#0×5]              | move 0 1 ×2       | item_locked
        0:ore×5 1:gem [#0×5]        | move 1 0          | item_locked
        0:ore×5 1:ore×5 [#0×5]      | move 0 1          | item_locked
        0:sword [#0×1]              | equip #0          | item_locked
        0:ore×5 [#0×5]              | remove #0 ×1      | item_locked
        0:ore×5 [#0×5]              | remove ore ×1     | item_locked
        0:ore×5 [#0×5]              | set #0 {a=1}      | item_locked
        0:ore×5 [#0×1]              | set ore {a=1}     | item_locked
        0:ore×5 / nothing           | gift #0×5         | nothing / 0:ore×5#0
        0:ore×5 [#0×5] / nothing    | gift #0×1         | item_locked
        gold=5 [gold=5]             | debit gold ×1     | insufficient_funds
        ",
    );
}

#[test]
fn what_is_not_put_up_stays_free() {
    check(
        &rules(),
        "
        0:potion×3 [#0×2]           | use #0            | 0:potion×2
        0:ore×5 [#0×3]              | drop #0 ×2        | 0:ore×3
        0:ore×5 [#0×3]              | drop #0 ×3        | item_locked
        0:ore×5 1:ore×5 [#1×5]      | drop ore ×5       | 1:ore×5
        0:ore×5 1:ore×5 [#1×4]      | drop ore ×6       | 1:ore×4
        0:ore×5 1:ore×5 [#1×4]      | drop ore ×7       | item_locked
        0:ore×5 1:ore×5 [#1×4]      | drop ore ×11      | insufficient_quantity
        0:potion 1:potion [#1×1]    | use potion        | 1:potion
        0:ore×5 [#0×3]              | sell #0 ×2        | 0:ore×3 gold=3
        0:ore×5 [#0×3]              | move 0 1 ×2       | 0:ore×3 1:ore×2#new
        0:ore×5 [#0×3]              | move 0 1 ×3       | item_locked
        0:ore×5 1:gem [#0×5]        | move 1 2          | 0:ore×5 2:gem#1
        0:ring×3 [#0×2]             | equip #0 ring_1   | 0:ring×2 ring_1:ring#new
        0:ore×5 [#0×3] / nothing    | gift #0×2         | 0:ore×3 / 0:ore×2#new
        0:ore×5 [#0×3] / nothing    | gift #0×3         | item_locked
        gold=5 [gold=3]             | debit gold ×2     | gold=3
        gold=5 [gold=3]             | debit gold ×3     | insufficient_funds
        crown=3 old_crown=4 [crown=5] | debit crown ×2  | crown=1 old_crown=4
        crown=3 old_crown=4 [crown=5] | debit crown ×3  | insufficient_funds
        ",
    );
}

#[test]
fn receiving_stays_possible() {
    check(
        &rules(),
        "
        0:ore×5 [#0×5]               | grant ore ×10     | 0:ore×15
        0:ore×5 1:ore×5 [#0×5]       | move 1 0          | 0:ore×10
        gold=5 [gold=5]              | credit gold ×2    | gold=7
        0:ore×5 / 0:ore×5 [#r0×5]    | gift #0×5         | nothing / 0:ore×10
        0:helm 1:sword [#1×1]        | equip #0          | 1:sword head:helm#0
        ",
    );
}

#[test]
fn sorting_goes_around_what_is_put_up() {
    check(
        &rules(),
        "
        0:ore×5 2:sword 4:gem [#0×5]           | sort | 0:ore×5 1:sword#2 2:gem#4
        0:ore×5 1:ore×5 2:ore×5 3:sword [#1×1] | sort | 0:sword#3 1:ore×5 2:ore×10#0
        3:gem 5:ore [#5×1]                     | sort | 0:gem#3 5:ore
        0:gem 1:ore [#0×1 #1×1]                | sort | 0:gem 1:ore
        5:ore 4:ore 3:ore 2:gem 1:gem 0:gem [#5×1 #0×1] | sort | 0:gem 1:gem×2 2:ore×2#3 5:ore
        ",
    );
}

#[test]
fn settling_exchanges_all_that_both_put_up() {
    check(
        &rules(),
        "
        0:ore×5 [#0×5] / gold=9 [gold=9]                     | settle | gold=9 / 0:ore×5#0
        0:ore×5@50 [#0×2] / gold=9 [gold=4]                  | settle | 0:ore×3@50 gold=4 / 0:ore×2#new@50 gold=5
        0:ore×5 [#0×5] / 3:gem [#r3×1]                       | settle | 0:gem#r3 / 0:ore×5#0
        0:ore×5 [#0×5] / nothing                             | settle | nothing / 0:ore×5#0
        0:ore×5 gold=2 [#0×1 gold=2] / 0:ore×9 1:gem [#r1×1] | settle | 0:ore×4 1:gem#r1 / 0:ore×10 gold=2
        gold=9 [gold=9] / gold=5 [gold=2]                    | settle | gold=2 / gold=12
        old_crown=4 crown=3 [crown=5] / 0:gem [#r0×1]        | settle | 0:gem#r0 old_crown=2 / crown=5
        0:sword [#0×1] / 0:sword [#r0×1]                     | settle | 0:sword#r0 / 0:sword#0
        0:ore×9{a=1} [#0×9] / 0:ore×9 [#r0×9]                | settle | 0:ore×9#r0 / 0:ore×9{a=1}#0
        ",
    );
}

#[test]
fn full_bags_swap() {
    check(
        &rules(),
        "
        0:sword 1:gem 2:gem 3:gem 4:gem 5:gem [#0×1] / 0:helm 1:gem 2:gem 3:gem 4:gem 5:gem [#r0×1] | settle | 0:helm#r0 1:gem 2:gem 3:gem 4:gem 5:gem / 0:sword#0 1:gem 2:gem 3:gem 4:gem 5:gem
        0:sword 1:gem 2:gem 3:gem 4:gem 5:gem [#0×1] / 0:ore×99 1:ore×99 2:gem 3:gem 4:gem 5:gem [#r0×99 #r1×1] | settle | one inventory_full
        0:ore×9 1:gem 2:gem 3:gem 4:gem 5:gem [#0×8] / 0:sword 1:gem 2:gem 3:gem 4:gem 5:gem [#r0×1] | settle | one inventory_full
        0:ore×9 [#0×9] / 0:sword 1:gem 2:gem 3:gem 4:gem 5:gem      | settle | other inventory_full
        ",
    );
    let heavy = Rules { max_weight: 10_000, ..rules() };
    check(
        &heavy,
        "
        0:ore×10 [#0×10] / 0:sword 1:greatsword [#r0×1 #r1×1]  | settle | 0:sword#r0 1:greatsword#r1 / 0:ore×10#0
        0:ore×10 [#0×10] / 0:sword 1:greatsword [#r0×1]        | settle | other weight_exceeded
        0:ore×9 [#0×1] / 0:sword [#r0×1]                       | settle | one weight_exceeded
        0:ore×50 [#0×5] / 0:coal [#r0×1]                       | settle | 0:ore×45 1:coal#r0 / 0:ore×5#new
        ",
    );
}

#[test]
fn a_wallet_that_would_overflow_is_refused() {
    let rich = NUMBER_MAX;
    check(
        &rules(),
        &format!(
            "
            gold=1 [gold=1] / 0:gem gold={rich} [#r0×1]         | settle | other insufficient_funds
            gold=2 [gold=2] / 0:gem gold={rich} [#r0×1 gold=1]  | settle | other insufficient_funds
            gold=1 [gold=1] / 0:gem gold={rich} [#r0×1 gold=2]  | settle | 0:gem#r0 gold=2 / gold={}
            ",
            rich - 1
        ),
    );
}

#[test]
fn a_trade_of_equals_that_changes_nothing_is_refused() {
    check(
        &rules(),
        "
        gold=5 [gold=2] / gold=9 [gold=2]       | settle | one invalid_quantity
        0:ore×5 [#0×2] / 0:ore×9 [#r0×2]        | settle | one invalid_quantity
        nothing / nothing                       | settle | one invalid_quantity
        ",
    );
}

#[test]
fn what_a_reload_took_the_right_of_is_not_exchanged() {
    let mut one = offering("0:ore×5 [#0×5]", "", &rules());
    let mut other = offering("crown=5 [crown=5]", "r", &rules());
    let mut changes = <[Changes; 2]>::default();
    let mut random = SmallRng::seed_from_u64(7);
    let refused = settle(&mut one, &mut other, &lowered(), &mut Moment::new(1000, &mut random), &mut changes);
    assert_eq!(refused.expect_err("ore is gone").refusal.code().as_str(), "item_frozen");
    assert_eq!((one.locked().items.len(), other.locked().currencies.len()), (1, 1), "the locks stay");
}

/// Something that a player does around a trade. Stacks are named by their rank.
#[derive(Debug, Clone)]
enum Step {
    Act(usize, &'static str),
    Take { who: usize, stack: usize, quantity: u32, how: u8 },
    Shift { who: usize, from: u16, to: u16, quantity: Option<u32> },
    PutUp { who: usize, items: Vec<(usize, u32)>, gold: u64 },
    Unlock(usize),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let act = proptest::sample::select(vec![
        "grant ore ×30",
        "grant potion ×4",
        "grant sword ×1",
        "credit gold ×9",
        "debit gold ×5",
        "drop ore ×20",
        "use potion",
        "sort",
        "unequip main_hand",
    ]);
    prop_oneof![
        4 => (0..2_usize, act).prop_map(|(who, act)| Step::Act(who, act)),
        3 => (0..2_usize, 0..6_usize, 1..40_u32, 0..4_u8)
            .prop_map(|(who, stack, quantity, how)| Step::Take { who, stack, quantity, how }),
        2 => (0..2_usize, 0..6_u16, 0..6_u16, proptest::option::of(1..20_u32))
            .prop_map(|(who, from, to, quantity)| Step::Shift { who, from, to, quantity }),
        4 => (0..2_usize, prop::collection::vec((0..6_usize, 1..30_u32), 0..3), 0..12_u64)
            .prop_map(|(who, items, gold)| Step::PutUp { who, items, gold }),
        1 => (0..2_usize).prop_map(Step::Unlock),
        3 => Just(Step::Settle),
    ]
}

fn totals(players: &[Player; 2]) -> BTreeMap<ItemId, u128> {
    let mut totals = BTreeMap::new();
    for (place, content) in players.iter().flat_map(Player::places) {
        let (item, units) = match content {
            Content::Stack(stack) => (stack.item.clone(), u128::from(stack.quantity.get())),
            Content::Amount(amount) => match place {
                holdall_protocol::ids::Place::Balance(currency) => (currency, u128::from(amount)),
                other => panic!("an amount at {other}"),
            },
        };
        *totals.entry(item).or_default() += units;
    }
    totals
}

fn stacks(player: &Player) -> Vec<holdall_server::engine::change::Stack> {
    let stack = |(_, content)| match content {
        Content::Stack(stack) => Some(stack),
        Content::Amount(_) => None,
    };
    player.places().filter_map(stack).collect()
}

fn action_of(step: &Step, players: &[Player; 2]) -> Option<(usize, Action)> {
    match step {
        Step::Act(who, text) => Some((*who, action(text))),
        Step::Take { who, stack, quantity, how } => {
            let stacks = stacks(&players[*who]);
            let instance = stacks.get(*stack)?.instance;
            let quantity = NonZeroU32::new(*quantity)?;
            let target = holdall_protocol::action::Target::Instance(instance);
            let action = match how {
                0 => Action::Drop { target, quantity },
                1 => Action::Sell { instance, quantity },
                2 => Action::Equip { instance, slot: None },
                _ => Action::Use { target },
            };
            Some((*who, action))
        }
        Step::Shift { who, from, to, quantity } => {
            Some((*who, Action::Move { from: *from, to: *to, quantity: quantity.and_then(NonZeroU32::new) }))
        }
        Step::PutUp { .. } | Step::Unlock(_) | Step::Settle => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_around_it_what_is_put_up_is_there_and_nothing_comes_from_nowhere(
        steps in prop::collection::vec(step(), 1..60),
        heavy in any::<bool>(),
    ) {
        let rules = Rules { max_weight: if heavy { 60_000 } else { 0 }, ..rules() };
        let mut players = [Player::empty(), Player::empty()];
        let mut random = SmallRng::seed_from_u64(7);
        let mut moment = Moment::new(1000, &mut random);
        for step in &steps {
            let before = players.clone();
            if let Some((who, action)) = action_of(step, &players) {
                let mut changes = Changes::default();
                let _ = apply(&mut players[who], &action, &rules, &mut moment, &mut changes);
                assert_sound(&before[who], &changes, &players[who], &rules);
                prop_assert_eq!(players[who].locked(), before[who].locked());
                continue;
            }
            match step {
                Step::PutUp { who, items, gold } => {
                    let have = stacks(&players[*who]);
                    let line = |(at, n): &(usize, u32)| Some((have.get(*at)?.instance, NonZeroU32::new(*n)?));
                    let currencies = NonZeroU64::new(*gold).map(|gold| (item("gold"), gold)).into_iter().collect();
                    let offer = Offer { items: items.iter().filter_map(line).collect(), currencies };
                    let _ = players[*who].lock(offer, &rules);
                }
                Step::Unlock(who) => players[*who].unlock(),
                Step::Settle => {
                    let [one, other] = &mut players;
                    let mut changes = <[Changes; 2]>::default();
                    let settled = settle(one, other, &rules, &mut moment, &mut changes);
                    prop_assert_eq!(totals(&before), totals(&players), "a trade makes and loses nothing");
                    assert_sound(&before[0], &changes[0], &players[0], &rules);
                    assert_sound(&before[1], &changes[1], &players[1], &rules);
                    prop_assert_eq!(settled.is_ok(), changes.iter().all(|changes| !changes.is_empty()));
                    let ids: Vec<_> = players.iter().flat_map(stacks).map(|stack| stack.instance).collect();
                    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
                    prop_assert_eq!(ids.len(), distinct.len(), "no instance stands in two places");
                }
                // A stack that is not there was named.
                Step::Act(..) | Step::Take { .. } | Step::Shift { .. } => {}
            }
            for player in &players {
                player.invariants().expect("what is put up is there");
            }
        }
    }
}

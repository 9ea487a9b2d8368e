//! Numbers as large as the types hold, and bags as large as any may be.

use super::{
    notation::{action, assert_sound, check, instance, places},
    world::{item, rules},
};
use holdall_protocol::{NUMBER_MAX, ids::Place};
use holdall_server::{
    catalog::Rules,
    engine::{
        apply,
        change::{Changes, Content, Nature, Stack},
        moment::Moment,
        player::Player,
    },
};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

#[test]
fn no_quantity_wraps() {
    check(
        &rules(),
        "
        0:anvil×4294967295 1:anvil×4294967295 | move 0 1                   | 0:anvil×4294967295#1 1:anvil×4294967295#0
        0:anvil×4294967295 1:anvil            | move 0 1                   | 0:anvil 1:anvil×4294967295
        0:anvil×4294967295                    | grant anvil ×1             | 0:anvil×4294967295 1:anvil#new@1000
        0:anvil×4294967294                    | grant anvil ×1             | 0:anvil×4294967295
        0:anvil×4294967295 / 0:anvil          | gift #0×4294967295         | nothing / 0:anvil×4294967295 1:anvil#0
        0:anvil×4294967295 1:anvil×4294967295 | drop anvil ×4294967295     | 0:anvil×4294967295
        0:ore×4294967295                      | grant ore ×1               | 0:ore×4294967295 1:ore#new@1000
        ",
    );
}

#[test]
fn the_heaviest_bag_is_told_in_bounds_and_kept_exactly() {
    let rules = Rules { max_slots: 10_000, max_weight: u64::MAX, ..rules() };
    let mut player = Player::from_places((0..10_000_u16).map(|slot| {
        let stack = Stack {
            instance: instance(&slot.to_string()),
            nature: Nature::plain(item("anvil")),
            quantity: NonZeroU32::MAX,
            acquired_at: 0,
        };
        (Place::Bag(slot), Content::Stack(stack))
    }))
    .unwrap();
    let stats = player.stats(&rules);
    assert_eq!((stats.weight, stats.total_value), (NUMBER_MAX, NUMBER_MAX));
    assert_eq!(stats.item_count, 10_000 * u64::from(u32::MAX));
    for (does, refused) in [("grant ore ×1", true), ("drop anvil ×4294967295", false), ("grant gem ×1", false)] {
        let before = player.clone();
        let (mut random, mut changes) = (SmallRng::seed_from_u64(7), Changes::default());
        let result = apply(&mut player, &action(does), &rules, &mut Moment::new(1, &mut random), &mut changes);
        assert_eq!(result.is_err(), refused, "{does}: {result:?}");
        assert_sound(&before, &changes, &player, &rules);
    }
}

#[test]
fn weight_is_exact_at_its_bound() {
    let rules = Rules { max_weight: 4_294_967_295_000_000_001, ..rules() };
    check(
        &rules,
        "
        0:anvil×4294967294 | grant anvil ×1 | 0:anvil×4294967295
        0:anvil×4294967295 | grant anvil ×1 | weight_exceeded
        0:anvil×4294967295 | grant gem ×1   | 0:anvil×4294967295 1:gem#new@1000
        ",
    );
}

/// Ten times what it takes on a slow machine: this guards against work that grows with the square of the bag.
#[test]
fn ten_thousand_slots_are_filled_sorted_and_emptied_at_once() {
    let rules = Rules { max_slots: 10_000, ..rules() };
    let mut player = Player::empty();
    let mut random = SmallRng::seed_from_u64(7);
    let started = Instant::now();
    let rounds = [
        "grant sword ×9999",
        "remove sword ×5000",
        "grant coal ×99980",
        "sort",
        "remove coal ×99980",
        "sort",
        "remove sword ×4999",
    ];
    for does in rounds {
        let before = player.clone();
        let mut changes = Changes::default();
        let mut moment = Moment::new(1, &mut random);
        apply(&mut player, &action(does), &rules, &mut moment, &mut changes).expect(does);
        assert_sound(&before, &changes, &player, &rules);
    }
    assert_eq!(places("nothing", "").len(), player.places().count());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

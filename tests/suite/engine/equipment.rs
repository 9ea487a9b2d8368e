use super::{notation::check, world::rules};
use holdall_server::catalog::Rules;

#[test]
fn one_unit_goes_into_an_allowed_slot() {
    check(
        &rules(),
        "
        0:helm            | equip #0           | head:helm#0
        0:helm            | equip #0 head      | head:helm#0
        0:helm            | equip #0 main_hand | slot_mismatch
        0:helm            | equip #0 nowhere   | slot_mismatch
        0:saddle          | equip #0           | slot_mismatch
        0:saddle          | equip #0 back      | slot_mismatch
        0:ore             | equip #0           | not_equippable
        0:ore             | equip #9           | not_found
        head:helm         | equip #head        | not_found
        0:ring×3{a=1}@50  | equip #0           | 0:ring×2{a=1}@50 ring_1:ring{a=1}#new@50
        0:ring×3 ring_1:ring | equip #0        | 0:ring×2 ring_1:ring ring_2:ring#new
        0:dagger          | equip #0           | off_hand:dagger#0
        0:dagger off_hand:shield | equip #0    | main_hand:dagger#0 off_hand:shield
        ",
    );
}

#[test]
fn what_was_there_goes_back_to_the_bag_or_nothing_happens() {
    check(
        &rules(),
        "
        0:helm head:helm                              | equip #0        | 0:helm#head head:helm#0
        3:helm head:helm                              | equip #3        | 3:helm#head head:helm#3
        0:dagger off_hand:shield main_hand:sword      | equip #0        | 0:shield#off_hand main_hand:sword off_hand:dagger#0
        1:ring×3 ring_1:ring{a=1} ring_2:ring         | equip #1        | 0:ring{a=1}#ring_1 1:ring×2 ring_1:ring#new ring_2:ring
        1:ring×3 ring_1:ring ring_2:ring              | equip #1        | 1:ring×3 ring_1:ring#new ring_2:ring
        1:ring×3 ring_1:ring@50 ring_2:ring           | equip #1        | 1:ring×3@50 ring_1:ring#new ring_2:ring
        1:ring×2{a=1} 0:ring ring_1:ring ring_2:ring  | equip #1        | 0:ring×2 1:ring{a=1} ring_1:ring{a=1}#new ring_2:ring
        ",
    );
    let full = Rules { max_slots: 2, ..rules() };
    check(
        &full,
        "
        0:ring×2 1:ore ring_1:ring{a=1} ring_2:ring | equip #0  | inventory_full
        0:ring 1:ore ring_1:ring{a=1} ring_2:ring   | equip #0  | 0:ring{a=1}#ring_1 1:ore ring_1:ring#0 ring_2:ring
        ",
    );
}

#[test]
fn two_handed_things_hold_both_hands() {
    check(
        &rules(),
        "
        0:greatsword                                    | equip #0           | main_hand:greatsword#0
        0:greatsword                                    | equip #0 off_hand  | slot_mismatch
        2:greatsword main_hand:sword                    | equip #2           | 2:sword#main_hand main_hand:greatsword#2
        2:greatsword off_hand:shield                    | equip #2           | 2:shield#off_hand main_hand:greatsword#2
        2:greatsword main_hand:sword off_hand:shield    | equip #2           | 0:shield#off_hand 2:sword#main_hand main_hand:greatsword#2
        2:greatsword main_hand:greatsword               | equip #2           | 2:greatsword#main_hand main_hand:greatsword#2
        2:shield main_hand:greatsword                   | equip #2           | 2:greatsword#main_hand off_hand:shield#2
        2:dagger main_hand:greatsword                   | equip #2           | 2:greatsword#main_hand off_hand:dagger#2
        2:dagger main_hand:greatsword                   | equip #2 off_hand  | 2:greatsword#main_hand off_hand:dagger#2
        2:sword main_hand:greatsword                    | equip #2           | 2:greatsword#main_hand main_hand:sword#2
        2:sword off_hand:shield                         | equip #2           | main_hand:sword#2 off_hand:shield
        ",
    );
    let full = Rules { max_slots: 1, ..rules() };
    check(
        &full,
        "
        0:greatsword main_hand:sword off_hand:shield    | equip #0           | inventory_full
        0:greatsword main_hand:sword                    | equip #0           | 0:sword#main_hand main_hand:greatsword#0
        ",
    );
}

#[test]
fn unequipping_needs_room_in_the_bag() {
    check(
        &rules(),
        "
        head:helm             | unequip head      | 0:helm#head
        0:ore head:helm       | unequip head      | 0:ore 1:helm#head
        3:ring×2@500 ring_1:ring | unequip ring_1 | 3:ring×3
        3:ring×10 ring_1:ring | unequip ring_1    | 0:ring#ring_1 3:ring×10
        head:helm             | unequip main_hand | not_found
        head:helm             | unequip nowhere   | not_found
        ",
    );
    let full = Rules { max_slots: 1, ..rules() };
    check(
        &full,
        "
        0:ore head:helm       | unequip head      | inventory_full
        0:ring ring_1:ring    | unequip ring_1    | 0:ring×2
        0:ring×10 ring_1:ring | unequip ring_1    | inventory_full
        ",
    );
}

#[test]
fn the_overweight_may_do_all_that_adds_no_weight() {
    let rules = Rules { max_weight: 1, ..rules() };
    check(
        &rules,
        "
        0:sword main_hand:sword off_hand:shield | equip #0 main_hand | 0:sword#main_hand main_hand:sword#0 off_hand:shield
        main_hand:sword                         | unequip main_hand  | 0:sword#main_hand
        0:ore×9                                 | move 0 1 ×3        | 0:ore×6 1:ore×3#new
        0:ore×9                                 | drop ore ×3        | 0:ore×6
        ",
    );
}

//! After a reload: ore is gone, potions stack to 5, letters became money and crowns no money, only four slots are left.

use super::{
    notation::{check, places},
    world::lowered,
};
use holdall_server::engine::player::Player;

#[test]
fn what_no_longer_fits_the_catalogue_can_only_be_moved_and_removed() {
    check(
        &lowered(),
        "
        0:ore×5              | move 0 3      | 3:ore×5#0
        0:ore×5              | move 0 3 ×5   | 3:ore×5#0
        0:ore×5              | move 0 3 ×2   | item_frozen
        0:ore×5 1:ore×5      | move 0 1      | 0:ore×5#1 1:ore×5#0
        0:ore×5 1:ore×5      | move 0 1 ×2   | item_frozen
        0:ore×5 1:gem        | move 0 1      | 0:gem#1 1:ore×5#0
        0:ore×5 1:gem        | move 1 0      | 0:gem#1 1:ore×5#0
        0:ore×5              | drop ore ×1   | item_frozen
        0:ore×5              | drop #0 ×1    | item_frozen
        0:ore×5              | use #0        | item_frozen
        0:ore×5              | use ore       | item_frozen
        0:ore×5              | sell #0 ×1    | item_frozen
        0:ore×5              | equip #0      | item_frozen
        0:ore×5              | set #0 {a=1}  | item_frozen
        0:ore×5              | set ore {a=1} | item_frozen
        0:ore×5              | grant ore ×1  | invalid_item
        0:ore×5              | remove #0 ×2  | 0:ore×3
        0:ore×5              | remove ore ×5 | nothing
        0:ore×5              | remove ore ×6 | insufficient_quantity
        0:ore×5 / nothing    | gift #0×1     | item_frozen
        0:letter             | drop #0 ×1    | item_frozen
        0:letter             | remove #0 ×1  | nothing
        ",
    );
}

#[test]
fn a_stack_over_a_lowered_cap_is_frozen_until_it_is_under_it() {
    check(
        &lowered(),
        "
        0:potion×9             | use #0            | item_frozen
        0:potion×9             | use potion        | item_frozen
        0:potion×9             | drop #0 ×1        | item_frozen
        0:potion×9             | move 0 1 ×1       | item_frozen
        0:potion×9             | grant potion ×1   | 0:potion×9 1:potion#new@1000
        0:potion×9 1:potion×2  | grant potion ×1   | 0:potion×9 1:potion×3
        0:potion×9 1:potion×2  | move 1 0          | 0:potion×2#1 1:potion×9#0
        0:potion×9 1:potion×2  | move 0 1          | 0:potion×2#1 1:potion×9#0
        0:potion×9 1:potion×2  | move 1 0 ×1       | item_frozen
        1:potion×9 0:potion×2  | use potion        | 0:potion 1:potion×9
        1:potion×9 0:potion×2  | drop potion ×2    | 1:potion×9
        1:potion×9 0:potion×2  | drop potion ×3    | insufficient_quantity
        1:potion×9 0:potion×2  | set potion {a=1}  | 0:potion×2{a=1} 1:potion×9
        1:potion×9 0:potion×2  | remove potion ×3  | 0:potion×2 1:potion×6
        0:potion×6             | remove #0 ×1      | 0:potion×5
        0:potion×5             | use #0            | 0:potion×4
        ",
    );
}

#[test]
fn sorting_moves_the_frozen_and_never_merges_them() {
    check(
        &lowered(),
        "
        0:ore×5 1:ore×5 2:gem              | sort | 0:gem#2 1:ore×5#0 2:ore×5#1
        0:potion×9@50 1:potion×2 3:potion×2 | sort | 0:potion×9@50 1:potion×4
        0:letter 1:letter                  | sort | 0:letter 1:letter
        0:letter 1:gem                     | sort | 0:gem#1 1:letter#0
        ",
    );
}

#[test]
fn worn_things_that_are_frozen_come_off_and_nothing_else() {
    check(
        &lowered(),
        "
        head:helm                | unequip head       | 0:helm#head
        head:helm 0:helm         | unequip head       | 0:helm 1:helm#head
        head:helm                | set #head {a=1}    | item_frozen
        head:helm                | remove #head ×1    | nothing
        0:helm                   | equip #0           | slot_mismatch
        main_hand:ore            | unequip main_hand  | 0:ore#main_hand
        0:ore main_hand:ore      | unequip main_hand  | 0:ore 1:ore#main_hand
        2:sword main_hand:ore off_hand:ore | equip #2 | 2:ore#main_hand main_hand:sword#2 off_hand:ore
        main_hand:potion×9       | unequip main_hand  | 0:potion×9#main_hand
        head:ring 0:ring         | unequip head       | 0:ring 1:ring#head
        ",
    );
}

#[test]
fn a_balance_of_what_is_no_money_cannot_be_spent_nor_grow() {
    check(
        &lowered(),
        "
        crown=5  | debit crown ×1    | item_frozen
        crown=5  | credit crown ×1   | item_frozen
        nothing  | credit crown ×1   | invalid_item
        relic=5  | debit relic ×1    | item_frozen
        relic=5  | credit relic ×1   | item_frozen
        letter=5 | debit letter ×1   | letter=4
        ",
    );
}

#[test]
fn the_frozen_are_told() {
    let text = "0:ore×5 1:potion×9 2:potion×5 3:letter 9:gem main_hand:sword head:ring crown=5 gold=5 relic=1";
    let player = Player::from_places(places(text, "")).unwrap();
    let told: Vec<String> = player.frozen(&lowered()).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["b:0", "b:1", "b:3", "e:head", "c:crown", "c:relic"]);
}

use super::{
    notation::{assert_sound, check, show},
    world::{item, rules},
};
use holdall_server::{
    catalog::Rules,
    engine::{born, moment::Moment, player::Player},
};
use rand::{SeedableRng, rngs::SmallRng};
use std::num::NonZeroU64;

#[test]
fn a_grant_fills_equal_stacks_from_the_lowest_slot_and_then_opens_slots() {
    check(
        &rules(),
        "
        nothing                     | grant ore ×5        | 0:ore×5#new@1000
        0:ore×30                    | grant ore ×5        | 0:ore×35
        0:ore×30@2000               | grant ore ×5        | 0:ore×35@1000
        1:ore×98 3:ore×97           | grant ore ×2        | 1:ore×99 3:ore×98
        1:ore×98 3:ore×97           | grant ore ×103      | 0:ore×99#new@1000 1:ore×99 2:ore#new@1000 3:ore×99
        0:ore×99                    | grant ore ×1        | 0:ore×99 1:ore#new@1000
        0:sword                     | grant sword ×2      | 0:sword 1:sword#new@1000 2:sword#new@1000
        0:ore{a=1}                  | grant ore ×5        | 0:ore{a=1} 1:ore×5#new@1000
        0:ore{a=1}                  | grant ore ×5 {a=1}  | 0:ore×6{a=1}
        0:ore{a=1}                  | grant ore ×5 {a=2}  | 0:ore{a=1} 1:ore×5{a=2}#new@1000
        nothing                     | grant helm ×1       | 0:helm{durability=80}#new@1000
        nothing                     | grant helm ×1 {a=1} | 0:helm{a=1}#new@1000
        head:ring×2                 | grant ring ×1       | 0:ring#new@1000 head:ring×2
        ",
    );
}

#[test]
fn a_grant_is_all_or_nothing_unless_it_is_partial() {
    let bag = "0:gem×4 1:gem×5 2:gem×5 3:gem×5 4:gem×5 5:gem×5";
    let full = "0:gem×5 1:gem×5 2:gem×5 3:gem×5 4:gem×5 5:gem×5";
    check(
        &rules(),
        &format!(
            "
            {bag}   | grant gem ×2                            | inventory_full
            {bag}   | grant gem ×1                            | {full}
            {bag}   | grant gem ×3 partial                    | {full} + 2 over
            {full}  | grant gem ×3 partial                    | {full} + 3 over
            {full}  | grant ore ×1                            | inventory_full
            {bag}   | grant gem ×18446744073709551615         | inventory_full
            {bag}   | grant gem ×18446744073709551615 partial | {full} + 18446744073709551614 over
            nothing | grant nonsense ×1                       | invalid_item
            nothing | grant nonsense ×1 partial               | invalid_item
            nothing | grant ore ×1 {{a=1,b=1,c=1,d=1}}        | invalid_attribute
            "
        ),
    );
}

#[test]
fn a_grant_takes_no_more_weight_than_may_be_carried() {
    let rules = Rules { max_weight: 10_000, ..rules() };
    check(
        &rules,
        "
        nothing                 | grant ore ×10           | 0:ore×10#new@1000
        nothing                 | grant ore ×11           | weight_exceeded
        nothing                 | grant ore ×11 partial   | 0:ore×10#new@1000 + 1 over
        0:ore×4 main_hand:sword | grant ore ×3            | 0:ore×7 main_hand:sword
        0:ore×4 main_hand:sword | grant ore ×4            | weight_exceeded
        0:ore×11                | grant ore ×1            | weight_exceeded
        0:ore×11                | grant ore ×1 partial    | 0:ore×11 + 1 over
        0:ore×11                | grant gem ×1            | 0:ore×11 1:gem#new@1000
        0:ore×11                | grant gold ×1           | 0:ore×11 gold=1
        nothing                 | grant anvil ×18446744073709551615 | weight_exceeded
        ",
    );
}

#[test]
fn money_goes_into_the_wallet() {
    check(
        &rules(),
        "
        nothing               | grant gold ×5                          | gold=5
        gold=5                | grant gold ×5                          | gold=10
        nothing               | grant gold ×9007199254740991           | gold=9007199254740991
        gold=1                | grant gold ×9007199254740991           | insufficient_funds
        gold=1                | grant gold ×9007199254740991 partial   | gold=9007199254740991 + 1 over
        gold=9007199254740991 | grant gold ×2 partial                  | gold=9007199254740991 + 2 over
        nothing               | grant gold ×5 {a=1}                    | invalid_attribute
        nothing               | credit gold ×5                         | gold=5
        gold=5 crown=3        | credit gold ×5                         | crown=3 gold=10
        gold=9007199254740991 | credit gold ×1                         | insufficient_funds
        gold=5                | credit gold ×18446744073709551615      | insufficient_funds
        nothing               | credit ore ×5                          | invalid_item
        nothing               | credit nonsense ×5                     | invalid_item
        gold=5                | debit gold ×3                          | gold=2
        gold=5                | debit gold ×5                          | nothing
        gold=5                | debit gold ×6                          | insufficient_funds
        nothing               | debit gold ×1                          | insufficient_funds
        nothing               | debit ore ×1                           | invalid_item
        nothing               | debit nonsense ×1                      | invalid_item
        ",
    );
}

#[test]
fn former_ids_are_the_same_item() {
    check(
        &rules(),
        "
        0:old_coal×5             | grant coal ×3     | 0:old_coal×8
        nothing                  | grant old_coal ×3 | 0:coal×3#new@1000
        0:coal×5 1:old_coal×5    | drop coal ×7      | 0:coal×3
        0:coal×5 1:old_coal×5    | drop old_coal ×7  | 0:coal×3
        0:old_coal×5 1:coal×5    | drop coal ×11     | insufficient_quantity
        0:old_coal×5 1:coal×5    | move 0 1          | 1:coal×10
        0:coal×15 1:old_coal×10  | sort              | 0:coal×20 1:old_coal×5
        old_crown=5              | debit crown ×3    | old_crown=2
        crown=5 old_crown=5      | debit crown ×7    | old_crown=3
        crown=5 old_crown=5      | debit crown ×11   | insufficient_funds
        old_crown=5              | credit crown ×3   | crown=3 old_crown=5
        ",
    );
    let rules = rules();
    let places = super::notation::places("0:coal×5 1:old_coal×6 2:ore old_crown=2 crown=3", "");
    let player = Player::from_places(places).unwrap();
    assert_eq!(player.count(&item("coal"), &rules), 11);
    assert_eq!(player.count(&item("old_coal"), &rules), 11);
    assert_eq!(player.count(&item("crown"), &rules), 5);
    assert_eq!(player.find(&item("coal"), &rules).len(), 2);
}

#[test]
fn a_player_is_born_with_the_kit_as_one_step_from_nothing() {
    let kit = [("ore", 120), ("gold", 50), ("helm", 1)];
    let kit = kit.map(|(id, quantity)| (item(id), NonZeroU64::new(quantity).unwrap())).to_vec();
    let rules = Rules { kit, ..rules() };
    let mut random = SmallRng::seed_from_u64(7);
    let (player, changes) = born(&rules, &mut Moment::new(1000, &mut random)).expect("the kit fits");
    assert_eq!(show(&player, ""), "0:ore×99#new@1000 1:ore×21#new@1000 2:helm{durability=80}#new@1000 gold=50");
    assert_sound(&Player::empty(), &changes, &player, &rules);

    let small = Rules { max_slots: 2, ..rules };
    let refusal = born(&small, &mut Moment::new(1000, &mut random)).expect_err("the kit needs three slots");
    assert_eq!(refusal.code().as_str(), "inventory_full");
}

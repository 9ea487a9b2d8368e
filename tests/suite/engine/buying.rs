use super::{
    notation::check,
    world::{lowered, rules},
};
use holdall_server::catalog::Rules;

#[test]
fn the_price_goes_and_what_was_bought_comes_new_out_of_the_catalogue() {
    check(
        &rules(),
        "
        gold=20                  | buy ore ×5 gold=10          | 0:ore×5#new@1000 gold=10
        gold=10                  | buy ore ×5 gold=10          | 0:ore×5#new@1000
        0:ore×5 gold=10          | buy ore ×5 gold=10          | 0:ore×10
        0:ore×95 gold=10         | buy ore ×5 gold=10          | 0:ore×99 1:ore#new@1000
        0:ore×5{a=1} gold=10     | buy ore ×5 gold=10          | 0:ore×5{a=1} 1:ore×5#new@1000
        gold=10                  | buy helm ×1 gold=10         | 0:helm{durability=80}#new@1000
        gold=5                   | buy sword ×2 gold=5         | 0:sword#new@1000 1:sword#new@1000
        crown=1 gold=10          | buy sword ×1 gold=4 crown=1 | 0:sword#new@1000 gold=6
        old_crown=3              | buy ore ×1 crown=2          | 0:ore#new@1000 old_crown=1
        crown=1 old_crown=3      | buy ore ×1 crown=2          | 0:ore#new@1000 old_crown=2
        nothing                  | buy ore ×3                  | 0:ore×3#new@1000
        gold=5                   | buy old_coal ×3 gold=1      | 0:coal×3#new@1000 gold=4
        ",
    );
}

#[test]
fn money_can_be_bought_too() {
    check(
        &rules(),
        "
        gold=5                | buy crown ×3 gold=5     | crown=3
        gold=5                | buy gold ×3 gold=5      | gold=3
        gold=5                | buy gold ×7 gold=5      | gold=7
        gold=5                | buy old_crown ×3 gold=1 | crown=3 gold=4
        gold=9007199254740991 | buy gold ×1             | insufficient_funds
        gold=9007199254740991 | buy gold ×1 gold=1      | gold=9007199254740991
        ",
    );
}

#[test]
fn a_purchase_is_refused_whole() {
    check(
        &rules(),
        "
        gold=9                                        | buy ore ×5 gold=10          | insufficient_funds
        nothing                                       | buy ore ×5 gold=10          | insufficient_funds
        gold=10                                       | buy sword ×1 gold=4 crown=1 | insufficient_funds
        crown=1 gold=3                                | buy sword ×1 crown=1 gold=4 | insufficient_funds
        gold=5                                        | buy nonsense ×1 gold=1      | invalid_item
        0:ore×5                                       | buy gem ×1 ore=1            | invalid_item
        gold=5                                        | buy gem ×1 nonsense=1       | invalid_item
        0:gem 1:gem 2:gem 3:gem 4:gem 5:gem gold=5    | buy ore ×1 gold=5           | inventory_full
        0:gem 1:gem 2:gem 3:gem 4:gem gold=5          | buy sword ×2 gold=5         | inventory_full
        0:ore×95 1:gem 2:gem 3:gem 4:gem 5:gem gold=5 | buy ore ×5 gold=5           | inventory_full
        gold=10 [gold=8]                              | buy ore ×1 gold=3           | insufficient_funds
        gold=10 [gold=8]                              | buy ore ×1 gold=2           | 0:ore#new@1000 gold=8
        ",
    );
}

#[test]
fn what_was_bought_weighs_as_anything() {
    let rules = Rules { max_weight: 10_000, ..rules() };
    check(
        &rules,
        "
        0:ore×9 gold=5   | buy ore ×1 gold=5  | 0:ore×10
        0:ore×9 gold=5   | buy ore ×2 gold=5  | weight_exceeded
        0:ore×50 gold=5  | buy gem ×1 gold=5  | 0:ore×50 1:gem#new@1000
        0:ore×50 gold=5  | buy crown ×1 gold=5 | 0:ore×50 crown=1
        ",
    );
}

#[test]
fn what_the_catalogue_no_longer_knows_as_it_was_buys_nothing() {
    check(
        &lowered(),
        "
        crown=5 | buy gem ×1 crown=2   | item_frozen
        gold=5  | buy ore ×1 gold=1    | invalid_item
        gold=5  | buy letter ×2 gold=1 | gold=4 letter=2
        ",
    );
}

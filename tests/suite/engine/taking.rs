use super::{
    notation::check,
    world::{item, rules},
};
use holdall_server::catalog::Rules;

#[test]
fn dropping_takes_from_the_highest_slot_or_from_the_named_stack() {
    check(
        &rules(),
        "
        0:ore×30             | drop ore ×10    | 0:ore×20
        0:ore×30             | drop ore ×30    | nothing
        0:ore×30             | drop ore ×31    | insufficient_quantity
        0:ore×5 3:ore×9      | drop ore ×10    | 0:ore×4
        0:ore×5 3:ore×9      | drop ore ×14    | nothing
        0:ore×5 3:ore×9      | drop ore ×15    | insufficient_quantity
        0:ore×5 3:ore{a=1}   | drop ore ×2     | 0:ore×4
        0:ore×5 3:ore×9      | drop #0 ×2      | 0:ore×3 3:ore×9
        0:ore×5 3:ore×9      | drop #0 ×6      | insufficient_quantity
        0:ore×5              | drop #9 ×1      | not_found
        0:ore×5              | drop gem ×1     | insufficient_quantity
        0:ore×5              | drop nonsense ×1 | invalid_item
        gold=5               | drop gold ×1    | invalid_item
        0:letter             | drop letter ×1  | not_droppable
        0:letter             | drop #0 ×1      | not_droppable
        nothing              | drop letter ×1  | not_droppable
        head:helm            | drop #head ×1   | not_found
        head:helm            | drop helm ×1    | insufficient_quantity
        ",
    );
}

#[test]
fn using_takes_one_unit_of_a_consumable() {
    check(
        &rules(),
        "
        0:potion×3          | use potion   | 0:potion×2
        0:potion×3          | use #0       | 0:potion×2
        0:potion            | use #0       | nothing
        0:potion×3 4:potion | use potion   | 0:potion×3
        0:ore               | use ore      | not_usable
        0:ore               | use #0       | not_usable
        0:ore               | use #9       | not_found
        nothing             | use potion   | insufficient_quantity
        nothing             | use nonsense | invalid_item
        nothing             | use gold     | not_usable
        head:potion         | use #head    | not_found
        head:potion         | use potion   | insufficient_quantity
        ",
    );
}

#[test]
fn removing_takes_anything_from_anywhere() {
    check(
        &rules(),
        "
        0:ore×5 3:ore×9    | remove ore ×10     | 0:ore×4
        0:ore×5            | remove ore ×6      | insufficient_quantity
        0:letter×2         | remove letter ×1   | 0:letter
        0:letter×2         | remove #0 ×2       | nothing
        head:helm          | remove #head ×1    | nothing
        head:helm          | remove #head ×2    | insufficient_quantity
        head:helm          | remove helm ×1     | insufficient_quantity
        head:relic         | remove relic ×1    | insufficient_quantity
        0:ore              | remove #9 ×1       | not_found
        0:ore              | remove nonsense ×1 | invalid_item
        gold=5             | remove gold ×1     | invalid_item
        ",
    );
}

#[test]
fn selling_pays_the_configured_share_rounded_down() {
    check(
        &rules(),
        "
        0:ore×10                       | sell #0 ×3  | 0:ore×7 gold=4
        0:ore×10 gold=1                | sell #0 ×10 | gold=16
        0:ore×10                       | sell #0 ×11 | insufficient_quantity
        0:coal×10                      | sell #0 ×1  | 0:coal×9
        0:coal×10                      | sell #0 ×2  | 0:coal×8 gold=1
        0:tonic                        | sell #0 ×1  | not_sellable
        0:letter                       | sell #0 ×1  | nothing
        0:ore                          | sell #9 ×1  | not_found
        head:helm                      | sell #head ×1 | not_found
        0:gem gold=9007199254740491    | sell #0 ×1  | gold=9007199254740991
        0:gem gold=9007199254740492    | sell #0 ×1  | insufficient_funds
        0:anvil×4294967295             | sell #0 ×4294967295 | insufficient_funds
        0:anvil×2                      | sell #0 ×2  | gold=9007199254740991
        ",
    );
    let wild = Rules { sell_rate: u64::MAX, ..rules() };
    check(&wild, "0:anvil×4294967295 | sell #0 ×4294967295 | insufficient_funds");
    let generous = Rules { sell_rate: 3000, sell_currency: item("crown"), ..rules() };
    check(&generous, "0:ore×10 old_crown=2 | sell #0 ×10 | crown=90 old_crown=2");
    let mean = Rules { sell_rate: 0, ..rules() };
    check(&mean, "0:ore×10 | sell #0 ×10 | nothing");
}

#[test]
fn attributes_are_set_changed_and_removed_within_bounds() {
    check(
        &rules(),
        "
        0:ore×5                    | set #0 {a=1}            | 0:ore×5{a=1}
        0:ore×5{a=1}               | set #0 {a=2}            | 0:ore×5{a=2}
        0:ore×5{a=1}               | set #0 {a=true,b=text}  | 0:ore×5{a=true,b=text}
        0:ore×5{a=1,b=2}           | set #0 {c=3} a          | 0:ore×5{b=2,c=3}
        0:ore×5{a=1}               | unset #0 a              | 0:ore×5
        0:ore×5{a=1}               | unset #0 b              | 0:ore×5{a=1}
        0:ore×5{a=1}               | set #0 {a=1}            | 0:ore×5{a=1}
        head:helm{durability=80}   | set #head {durability=79} | head:helm{durability=79}
        0:ore 2:ore{a=1} 3:gem     | set ore {a=1}           | 0:ore{a=1} 2:ore{a=1} 3:gem
        0:ring ring_1:ring         | set ring {a=1}          | 0:ring{a=1} ring_1:ring{a=1}
        0:ore{a=1,b=2,c=3}         | set #0 {d=4}            | invalid_attribute
        0:ore{a=1,b=2,c=3}         | set #0 {d=4} c          | 0:ore{a=1,b=2,d=4}
        0:ore 1:ore{a=1,b=2,c=3}   | set ore {d=4}           | invalid_attribute
        0:ore                      | set #0 {a=1,b=2,c=3,d=4} | invalid_attribute
        0:ore                      | set #0 {a=12345678901234567890123456789012345678x} | 0:ore{a=12345678901234567890123456789012345678x}
        0:ore                      | set #0 {a=123456789012345678901234567890123456789x} | invalid_attribute
        0:ore                      | set #0 {a=1} a          | invalid_attribute
        0:ore                      | set #9 {a=1}            | not_found
        0:ore                      | set gem {a=1}           | not_found
        0:ore                      | set nonsense {a=1}      | invalid_item
        ",
    );
}

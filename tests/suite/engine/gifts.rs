use super::{notation::check, world::rules};
use holdall_server::catalog::Rules;

#[test]
fn a_whole_stack_keeps_its_id_and_a_part_gets_a_new_one() {
    check(
        &rules(),
        "
        0:ore×5 / nothing               | gift #0×5       | nothing / 0:ore×5#0
        0:ore×5@50 / nothing            | gift #0×5       | nothing / 0:ore×5#0@50
        0:ore×5@50 / nothing            | gift #0×2       | 0:ore×3@50 / 0:ore×2#new@50
        0:ore×5 / 2:ore×5               | gift #0×5       | nothing / 2:ore×10
        0:ore×5@50 / 2:ore×5            | gift #0×2       | 0:ore×3@50 / 2:ore×7@50
        0:ore×9 / 2:ore×95              | gift #0×9       | nothing / 0:ore×5#0 2:ore×99
        0:ore×9 / 2:ore×95              | gift #0×8       | 0:ore / 0:ore×4#new 2:ore×99
        0:ore×9{a=1} / 2:ore×5          | gift #0×9       | nothing / 0:ore×9{a=1}#0 2:ore×5
        0:ore×5 1:gem / 0:sword         | gift #1×1 #0×5  | nothing / 0:sword 1:gem#1 2:ore×5#0
        0:ore×5 1:ore×5 / nothing       | gift #0×2 #1×5  | 0:ore×3 / 0:ore×7#new
        0:old_coal×5 / 0:coal×5         | gift #0×5       | nothing / 0:coal×10
        ",
    );
}

#[test]
fn a_gift_is_refused_whole() {
    check(
        &rules(),
        "
        0:ore×5 / nothing                 | gift #9×1             | not_found
        0:ore×5 / nothing                 | gift #0×6             | insufficient_quantity
        0:ore×5 1:gem / nothing           | gift #1×1 #0×6        | insufficient_quantity
        head:helm / nothing               | gift #head×1          | not_found
        0:letter / nothing                | gift #0×1             | not_tradeable
        0:tonic / nothing                 | gift #0×1             | not_tradeable
        0:ore 1:tonic / nothing           | gift #0×1 #1×1        | not_tradeable
        0:ore / nothing                   | gift                  | invalid_quantity
        0:ore×5 / nothing                 | gift #0×1 #0×1        | invalid_quantity
        0:ore 1:gem 2:ring 3:sword / nothing | gift #0×1 #1×1 #2×1 #3×1 | limit_exceeded
        0:ore / 0:gem 1:gem 2:gem 3:gem 4:gem 5:gem       | gift #0×1      | inventory_full
        0:ore 1:gem / 0:gem 1:gem 2:gem 3:gem 4:gem 5:gem | gift #1×1 #0×1 | inventory_full
        0:ore×9 / 0:ore×95 1:gem 2:gem 3:gem 4:gem 5:gem  | gift #0×5      | inventory_full
        ",
    );
}

#[test]
fn the_receivers_weight_counts_and_the_givers_does_not() {
    let rules = Rules { max_weight: 10_000, ..rules() };
    check(
        &rules,
        "
        0:ore×50 / nothing          | gift #0×10 | 0:ore×40 / 0:ore×10#new
        0:ore×50 / nothing          | gift #0×11 | weight_exceeded
        0:ore×50 / head:helm        | gift #0×8  | 0:ore×42 / 0:ore×8#new head:helm
        0:ore×50 / head:helm        | gift #0×9  | weight_exceeded
        0:gem 1:ore / 0:ore×50      | gift #0×1  | 1:ore / 0:ore×50 1:gem#0
        0:gem 1:ore / 0:ore×50      | gift #1×1  | weight_exceeded
        ",
    );
}

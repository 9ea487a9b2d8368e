use super::{notation::check, world::rules};
use holdall_server::catalog::Rules;

#[test]
fn a_stack_moves_whole_and_keeps_its_id() {
    check(
        &rules(),
        "
        0:ore×30          | move 0 3     | 3:ore×30#0
        0:ore×30          | move 0 3 ×30 | 3:ore×30#0
        0:ore×30          | move 0 0     | 0:ore×30
        0:ore×30          | move 0 0 ×5  | 0:ore×30
        0:ore×30          | move 0 0 ×31 | insufficient_quantity
        0:ore×30          | move 0 6     | not_found
        0:ore×30          | move 0 65535 | not_found
        0:ore×30          | move 1 0     | not_found
        0:ore×30          | move 1 1     | not_found
        0:ore×30          | move 0 3 ×31 | insufficient_quantity
        0:sword 1:ore×30  | move 0 1     | 0:ore×30#1 1:sword#0
        0:ore{a=1} 1:ore  | move 0 1     | 0:ore#1 1:ore{a=1}#0
        ",
    );
}

#[test]
fn part_of_a_stack_splits_off_or_merges_and_never_swaps() {
    check(
        &rules(),
        "
        0:ore×30{a=1}@50     | move 0 3 ×10 | 0:ore×20{a=1}@50 3:ore×10{a=1}#new@50
        0:ore×30 1:ore×30    | move 0 1 ×10 | 0:ore×20 1:ore×40
        0:ore×30@50 1:ore×30 | move 0 1 ×10 | 0:ore×20@50 1:ore×40@50
        0:ore×30 1:ore×90    | move 0 1 ×9  | 0:ore×21 1:ore×99
        0:ore×30 1:ore×90    | move 0 1 ×10 | inventory_full
        0:ore×30 1:ore{a=1}  | move 0 1 ×10 | inventory_full
        0:ore×30 1:sword     | move 0 1 ×10 | inventory_full
        ",
    );
}

#[test]
fn a_whole_stack_merges_as_much_as_fits_into_the_older_age() {
    check(
        &rules(),
        "
        0:ore×30 1:ore×30       | move 0 1     | 1:ore×60
        0:ore×30@50 1:ore×30    | move 0 1     | 1:ore×60@50
        0:ore×30 1:ore×30@50    | move 0 1     | 1:ore×60@50
        0:ore×30 1:ore×90       | move 0 1     | 0:ore×21 1:ore×99
        0:ore×30 1:ore×99       | move 0 1     | 0:ore×99#1 1:ore×30#0
        0:ore×99 1:ore×99       | move 0 1     | 0:ore×99#1 1:ore×99#0
        0:sword 1:sword         | move 0 1     | 0:sword#1 1:sword#0
        ",
    );
}

#[test]
fn sorting_merges_and_orders_by_kind_rarity_item_and_age() {
    check(
        &rules(),
        "
        nothing                             | sort | nothing
        0:ore×5                             | sort | 0:ore×5
        5:ore×5                             | sort | 0:ore×5#5
        0:letter 1:ore 2:potion 3:helm 4:sword 5:gem | sort | 0:sword#4 1:helm#3 2:potion 3:gem#5 4:ore#1 5:letter#0
        0:sword@9 1:sword@5 2:dagger@7      | sort | 0:dagger#2@7 1:sword@5 2:sword#0@9
        0:ore×60 1:ore×60                   | sort | 0:ore×99 1:ore×21
        0:ore×60 1:ore×60@50                | sort | 0:ore×99#1@50 1:ore×21#0
        0:ore×9@30 2:ore×9@20 4:ore×9@10    | sort | 0:ore×27#4@10
        0:ore×9 1:ore×9{a=1} 2:ore×9        | sort | 0:ore×18 1:ore×9{a=1}
        0:ore×9{a=1} 1:ore×9{a=t} 2:ore{a=1} 3:ore{a=true} 4:ore{b=1} 5:ore | sort | 0:ore×10{a=1} 1:ore×9{a=t} 2:ore{a=true}#3 3:ore{b=1}#4 4:ore#5
        ",
    );
}

#[test]
fn what_lies_beyond_a_lowered_bound_can_leave_and_nothing_enters_there() {
    let rules = Rules { max_slots: 3, ..rules() };
    check(
        &rules,
        "
        4:ore×5                        | move 4 0       | 0:ore×5#4
        4:ore×5                        | move 4 5       | not_found
        4:ore×5 0:ore×97               | move 4 0       | 0:ore×99 4:ore×3
        4:ore×5 0:sword                | move 4 0       | inventory_full
        4:ore×5 0:ore×99               | move 4 0       | inventory_full
        4:ore×5                        | move 4 0 ×2    | 0:ore×2#new 4:ore×3
        4:ore×5                        | grant ore ×1   | 0:ore#new@1000 4:ore×5
        4:ore×5                        | drop ore ×1    | 4:ore×4
        4:ring                         | equip #4       | ring_1:ring#4
        4:sword main_hand:sword off_hand:shield | equip #4 main_hand | 0:sword#main_hand main_hand:sword#4 off_hand:shield
        1:ore 4:sword                  | sort           | 0:sword#4 1:ore
        0:ore 1:gem 3:ore 4:sword      | sort           | 0:sword#4 1:gem 2:ore×2#0
        0:ore 1:gem 2:ring 3:ore 4:sword | sort         | 0:ring#2 1:gem 2:ore#0 3:ore 4:sword
        ",
    );
}

//! Content steps, row by row and against naive sums.

use super::{
    notation::{assert_sound, places, show},
    world::{item, lowered, rules},
};
use holdall_protocol::{
    NUMBER_MAX,
    attribute::{Integer, Value},
    ids::{AttributeKey, InstanceId, ItemId, Place, PlayerId},
};
use holdall_server::{
    catalog::{
        Rules,
        migrations::{Migrations, Of, Rate, Step, StepKind},
    },
    config::Settings,
    engine::{
        change::{Beyond, Content, Nature, Stack},
        migration::{Course, Taken, course},
        moment::Moment,
        player::Player,
    },
    ledger::line::{Account, lines},
};
use proptest::{collection::vec, prelude::*, sample::select};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

fn steps(text: &str, rules: &Rules) -> Migrations {
    let numbered = text.split(';').enumerate().map(|(n, step)| format!("[[step]]\nnumber = {}\n{step}\n", n + 1));
    let text: String = numbered.collect();
    Migrations::parse(&text, "migrations.toml", &Settings::default(), &rules.catalog)
        .unwrap_or_else(|faults| panic!("{faults}\nin\n{text}"))
}

fn take(player: &Player, steps: &[Step], rules: &Rules) -> Course {
    let mut random = SmallRng::seed_from_u64(7);
    course(player, steps, rules, &mut Moment::new(1000, &mut random))
}

/// Runs `player | step; step | player, or why a step cannot be taken` rows.
fn check(rules: &Rules, rows: &str) {
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let [before, text, expected] = parts.as_slice() else { panic!("three columns: {row}") };
        let before = Player::from_places(places(before, "")).expect("a player");
        let migrations = steps(text, rules);
        let happened = match take(&before, migrations.after(0).expect("from the first"), rules).outcome {
            Err(stuck) => format!("{}: {}", stuck.step.number, stuck.why.code().as_str()),
            Ok(changes) => {
                let mut after = before.clone();
                after.absorb(&changes);
                assert_sound(&before, &changes, &after, rules);
                show(&after, "")
            }
        };
        assert_eq!(&happened, expected, "in the row\n    {row}");
    }
}

#[test]
fn a_renamed_item_stays_in_its_place_and_keeps_its_id() {
    check(
        &rules(),
        r#"
        0:rock×5 3:rock×9{a=1} 4:gem | rename={from="rock",to="ore"}                          | 0:ore×5 3:ore×9{a=1} 4:gem
        0:rock×5 1:ore×5@50          | rename={from="rock",to="ore"}                          | 0:ore×5 1:ore×5@50
        head:cap{a=1}                | rename={from="cap",to="helm"}                          | head:helm{a=1}
        0:rock×5                     | rename={from="stone",to="ore"}                         | 0:rock×5
        nothing                      | rename={from="rock",to="ore"}                          | nothing
        old_coal=3                   | rename={from="old_coal",to="gold"}                     | gold=3
        coins=3 gold=4               | rename={from="coins",to="gold"}                        | gold=7
        0:rock×500                   | rename={from="rock",to="coal"}                         | 0:coal×500
        0:rock                       | rename={from="rock",to="stone"}; rename={from="stone",to="ore"} | 0:ore
        0:rock 1:ore                 | rename={from="ore",to="coal"}; rename={from="rock",to="ore"}    | 0:ore 1:coal
        0:a 1:b 2:c a=1 b=2 gold=3   | merge={from=["a","b"],to="gold"}                       | 0:gold 1:gold 2:c gold=6
        0:a×2 1:b×3 4:ore×4          | merge={from=["a","b"],to="ore"}                        | 0:ore×2 1:ore×3 4:ore×4
        coins=1 gold=9007199254740991 | rename={from="coins",to="gold"}                       | 1: insufficient_funds
        "#,
    );
}

#[test]
fn attributes_are_set_where_they_lack_renamed_and_dropped() {
    check(
        &rules(),
        r#"
        0:ore 1:gem{r=2} head:helm gold=3 | default_attribute={item="*",key="r",value=1}        | 0:ore{r=1} 1:gem{r=2} head:helm{r=1} gold=3
        0:unknown×3                       | default_attribute={item="*",key="r",value=true}     | 0:unknown×3{r=true}
        0:ore 1:gem                       | default_attribute={item="gem",key="r",value="x"}    | 0:ore 1:gem{r=x}
        0:ore{a=1,b=2,c=3}                | default_attribute={item="*",key="r",value=1}        | 1: invalid_attribute
        0:ore{a=1}                        | default_attribute={item="*",key="r",value="123456789012345678901234567890123456789"} | 1: invalid_attribute
        0:ore{a=1,b=2,c=3,d=4} 1:gem      | default_attribute={item="gem",key="r",value=1}      | 0:ore{a=1,b=2,c=3,d=4} 1:gem{r=1}
        0:ore{a=1,b=2,c=3,d=4}            | rename_attribute={item="*",from="a",to="e"}         | 0:ore{b=2,c=3,d=4,e=1}
        0:ore{a=1} 1:ore{b=2} head:helm{a=3} | rename_attribute={item="*",from="a",to="z"}      | 0:ore{z=1} 1:ore{b=2} head:helm{z=3}
        0:ore{a=1} 1:gem{a=1}             | rename_attribute={item="gem",from="a",to="z"}       | 0:ore{a=1} 1:gem{z=1}
        0:ore{a=1,z=1}                    | rename_attribute={item="*",from="a",to="z"}         | 1: invalid_attribute
        0:ore{a=1,b=2,c=3,d=4,e=5}        | drop_attribute={item="*",key="a"}                   | 0:ore{b=2,c=3,d=4,e=5}
        0:ore{a=1} 1:gem{a=1,b=2}         | drop_attribute={item="gem",key="a"}                 | 0:ore{a=1} 1:gem{b=2}
        0:ore                             | drop_attribute={item="*",key="a"}                   | 0:ore
        0:ore{a=1} | drop_attribute={item="*",key="a"}; default_attribute={item="*",key="a",value=1} | 0:ore{a=1}
        "#,
    );
}

#[test]
fn items_become_a_currency_and_what_makes_no_whole_stays() {
    check(
        &rules(),
        r#"
        0:coin×7 2:coin×5            | item_to_currency={item="coin",currency="gold"}                | gold=12
        0:coin×7 gold=5              | item_to_currency={item="coin",currency="gold",give=3}         | gold=26
        0:coin×7 2:coin×5            | item_to_currency={item="coin",currency="gold",take=5}         | 0:coin×2 gold=2
        0:coin×2 2:coin×7            | item_to_currency={item="coin",currency="gold",take=6,give=5}  | 0:coin×2 2:coin gold=5
        0:coin×4                     | item_to_currency={item="coin",currency="gold",take=5}         | 0:coin×4
        0:coin{a=1} head:coin        | item_to_currency={item="coin",currency="gold"}                | gold=2
        0:gem                        | item_to_currency={item="coin",currency="gold"}                | 0:gem
        0:coin×2 gold=9007199254740990 | item_to_currency={item="coin",currency="gold"}              | 1: insufficient_funds
        0:coin×4294967295            | item_to_currency={item="coin",currency="gold",give=9007199254740991} | 1: insufficient_funds
        "#,
    );
}

#[test]
fn a_currency_becomes_items_or_another_and_what_makes_no_whole_stays() {
    check(
        &rules(),
        r#"
        tokens=25                    | currency_to_item={currency="tokens",item="coal",take=10,give=3} | 0:coal×6#new@1000 tokens=5
        0:coal×18 tokens=5           | currency_to_item={currency="tokens",item="coal"}              | 0:coal×20 1:coal×3#new@1000
        tokens=2                     | currency_to_item={currency="tokens",item="helm"}              | 0:helm{durability=80}#new@1000 1:helm{durability=80}#new@1000
        tokens=9                     | currency_to_item={currency="tokens",item="coal",take=10}      | tokens=9
        nothing                      | currency_to_item={currency="tokens",item="coal"}              | nothing
        tokens=121                   | currency_to_item={currency="tokens",item="coal"}              | 1: inventory_full
        tokens=2                     | currency_to_item={currency="tokens",item="coal",give=9007199254740991} | 1: inventory_full
        silver=250 gold=1            | convert_currency={from="silver",to="gold",take=100}           | gold=3 silver=50
        silver=250                   | convert_currency={from="silver",to="gold",take=2,give=3}      | gold=375
        silver=99                    | convert_currency={from="silver",to="gold",take=100}           | silver=99
        silver=1 gold=9007199254740991 | convert_currency={from="silver",to="gold"}                  | 1: insufficient_funds
        silver=2                     | convert_currency={from="silver",to="gold",give=9007199254740991} | 1: insufficient_funds
        silver=9007199254740991      | convert_currency={from="silver",to="gold",take=9007199254740991,give=9007199254740991} | gold=9007199254740991
        "#,
    );
}

#[test]
fn what_no_longer_fits_the_catalogue_is_changed_by_its_name_and_stays_frozen() {
    check(
        &lowered(),
        r#"
        0:ore×5 1:potion×9 crown=4 | rename={from="nothing",to="gem"}                           | 0:ore×5 1:potion×9 crown=4
        0:stone×9                  | rename={from="stone",to="potion"}                          | 0:potion×9
        5:ore×5                    | rename={from="ore",to="gem"}                               | 5:gem×5
        crown=4                    | convert_currency={from="crown",to="gold",take=3}           | crown=1 gold=1
        "#,
    );
}

#[test]
fn each_step_tells_what_it_changes_up_to_the_one_that_cannot_be_taken() {
    let rules = rules();
    let player = Player::from_places(places("0:rock×5 1:gem head:helm silver=250 gold=1", "")).expect("a player");
    let migrations = steps(
        r#"rename={from="rock",to="ore"}; default_attribute={item="*",key="r",value=1};
        convert_currency={from="silver",to="gold",take=100}; drop_attribute={item="*",key="q"};
        item_to_currency={item="gem",currency="crown",give=9007199254740991}; drop_attribute={item="*",key="r"};
        rename={from="silver",to="crown"}"#,
        &rules,
    );
    let Course { taken, outcome } = take(&player, migrations.after(0).expect("from the first"), &rules);
    let told = |number, stacks, balances| Taken { number, stacks, balances };
    let until = [told(1, 1, 0), told(2, 3, 0), told(3, 0, 2), told(4, 0, 0), told(5, 1, 1), told(6, 2, 0)];
    assert_eq!(taken, until);
    let stuck = outcome.expect_err("crowns would pass their bound");
    assert_eq!(
        stuck.to_string(),
        "content step 7 (silver to crown) cannot be taken: the balance of crown would pass its bound"
    );
    let later = take(&player, migrations.after(4).expect("four were taken"), &rules).taken;
    assert_eq!(later.first(), Some(&told(5, 1, 1)), "only the steps that are left");
}

#[test]
fn a_player_takes_the_steps_behind_the_last_one_taken_or_is_told_why_not() {
    let step = |n| format!("[[step]]\nnumber = {n}\ndrop_attribute = {{ item = \"*\", key = \"a\" }}\n");
    let read = |text: &str| Migrations::parse(text, "m", &Settings::default(), &rules().catalog).expect("in order");
    let migrations = read(&[step(3), step(4), step(5)].concat());
    let numbers = |at| migrations.after(at).map(|steps| steps.iter().map(|step| step.number).collect::<Vec<_>>());
    assert_eq!(migrations.newest(), 5);
    assert_eq!(numbers(2), Ok(vec![3, 4, 5]));
    assert_eq!(numbers(4), Ok(vec![5]));
    assert_eq!(numbers(5), Ok(vec![]));
    let told = |at| numbers(at).expect_err("there is no way").to_string();
    assert_eq!(
        told(1),
        "content step 2 was never taken, and the migrations file begins with 3: put the older steps back"
    );
    assert_eq!(told(6), "content step 6 was taken, the newest in the migrations file is 5: use the newer file");
    let none = Migrations::default();
    assert_eq!((none.newest(), none.after(0)), (0, Ok(&[][..])));
    assert!(none.after(1).is_err());
}

const IDS: [&str; 6] = ["ore", "coal", "gold", "crown", "rock", "silver"];

fn id() -> impl Strategy<Value = ItemId> {
    select(&IDS[..]).prop_map(item)
}

fn rate() -> impl Strategy<Value = Rate> {
    let some = || prop_oneof![4 => 1..20_u64, 1 => 1..=NUMBER_MAX].prop_map(|n| NonZeroU64::new(n).expect("not zero"));
    (some(), some()).prop_map(|(take, give)| Rate { take, give })
}

fn two() -> impl Strategy<Value = (ItemId, ItemId)> {
    (id(), id()).prop_filter("two", |(one, other)| one != other)
}

fn kind() -> impl Strategy<Value = StepKind> {
    let key = || select(&["a", "b", "c"][..]).prop_map(|key| AttributeKey::new(key).expect("a key"));
    let of = || prop_oneof![Just(Of::Every), id().prop_map(Of::Item)];
    let value = Value::Integer(Integer::new(1).expect("small"));
    prop_oneof![
        two().prop_map(|(from, to)| StepKind::Rename { from: vec![from], to }),
        (of(), key()).prop_map(move |(of, key)| StepKind::DefaultAttribute { of, key, value: value.clone() }),
        (of(), key()).prop_map(|(of, key)| StepKind::DropAttribute { of, key }),
        (id(), select(&["gold", "crown"][..]), rate()).prop_map(|(id, currency, rate)| StepKind::ItemToCurrency {
            item: id,
            currency: item(currency),
            rate
        }),
        (id(), select(&["ore", "coal"][..]), rate()).prop_map(|(id, bought, rate)| StepKind::CurrencyToItem {
            currency: id,
            item: item(bought),
            rate
        }),
        (two(), rate()).prop_map(|((from, to), rate)| StepKind::ConvertCurrency { from, to, rate }),
    ]
}

fn player() -> impl Strategy<Value = Player> {
    let quantity = prop_oneof![4 => 1..40_u32, 1 => any::<u32>().prop_map(|n| n.max(1))];
    let amount = prop_oneof![4 => 1..400_u64, 1 => 1..=NUMBER_MAX];
    let bag = proptest::collection::btree_map(0..7_u16, (id(), quantity), 0..5);
    let wallet = proptest::collection::btree_map(id(), amount, 0..4);
    (bag, wallet).prop_map(|(bag, wallet)| {
        let stacks = bag.into_iter().map(|(slot, (item, quantity))| {
            let stack = Stack {
                instance: InstanceId::new(uuid::Uuid::from_u128(u128::from(slot) + 1)),
                nature: Arc::new(Nature {
                    item,
                    attributes: Default::default(),
                    beyond: Beyond::new(if slot % 3 == 0 { vec![0x91, 0xc2] } else { vec![] }),
                }),
                quantity: NonZeroU32::new(quantity).expect("not zero"),
                acquired_at: 100,
            };
            (Place::Bag(slot), Content::Stack(stack))
        });
        let balances = wallet.into_iter().map(|(id, amount)| (Place::Balance(id), Content::Amount(amount)));
        Player::from_places(stacks.chain(balances)).expect("a player")
    })
}

/// Units and coins by id, in stacks (true) and in balances.
type Sums = BTreeMap<(bool, ItemId), u128>;

fn sums(player: &Player) -> Sums {
    let mut sums = Sums::new();
    for (place, content) in player.places() {
        let (key, amount) = match (place, content) {
            (Place::Balance(currency), Content::Amount(amount)) => ((false, currency), u128::from(amount)),
            (_, Content::Stack(stack)) => ((true, stack.item.clone()), u128::from(stack.quantity.get())),
            (place, content) => panic!("{content:?} in {place}"),
        };
        *sums.entry(key).or_default() += amount;
    }
    sums
}

/// What a step does to the sums, and to nothing else.
fn naively(sums: &mut Sums, kind: &StepKind) {
    let mut exchange = |from: (bool, &ItemId), to: (bool, &ItemId), take: u64, give: u64| {
        let have = sums.entry((from.0, from.1.clone())).or_default();
        let times = *have / u128::from(take);
        *have -= times * u128::from(take);
        *sums.entry((to.0, to.1.clone())).or_default() += times * u128::from(give);
    };
    match kind {
        StepKind::Rename { from, to } => {
            for (stacks, id) in from.iter().flat_map(|id| [(true, id), (false, id)]) {
                exchange((stacks, id), (stacks, to), 1, 1);
            }
        }
        StepKind::ItemToCurrency { item, currency, rate } => {
            exchange((true, item), (false, currency), rate.take.get(), rate.give.get());
        }
        StepKind::CurrencyToItem { currency, item, rate } => {
            exchange((false, currency), (true, item), rate.take.get(), rate.give.get());
        }
        StepKind::ConvertCurrency { from, to, rate } => {
            exchange((false, from), (false, to), rate.take.get(), rate.give.get());
        }
        StepKind::DefaultAttribute { .. } | StepKind::RenameAttribute { .. } | StepKind::DropAttribute { .. } => {}
    }
    sums.retain(|_, sum| *sum > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn steps_conserve_what_they_do_not_exchange_and_the_books_say_the_rest(before in player(), kinds in vec(kind(), 0..6)) {
        let rules = rules();
        let steps: Vec<Step> = kinds.into_iter().zip(1..).map(|(kind, number)| Step { number, kind }).collect();
        let Course { taken, outcome } = take(&before, &steps, &rules);
        let Ok(changes) = outcome else {
            prop_assert!(taken.len() < steps.len());
            return Ok(());
        };
        prop_assert_eq!(taken.len(), steps.len());
        let mut after = before.clone();
        after.absorb(&changes);
        assert_sound(&before, &changes, &after, &rules);
        let mut expected = sums(&before);
        steps.iter().for_each(|step| naively(&mut expected, &step.kind));
        prop_assert_eq!(&sums(&after), &expected);

        let own = PlayerId::new("p").expect("a player id");
        let mut booked: BTreeMap<ItemId, i128> = BTreeMap::new();
        for line in lines(&own, &changes.list, &Account::Mint, &Account::Sink) {
            let signed = i128::from(line.quantity) * if line.from == Account::Mint { 1 } else { -1 };
            *booked.entry(line.item).or_default() += signed;
        }
        for id in IDS.map(item) {
            let have = |sums: &Sums| -> i128 {
                [true, false].map(|stacks| sums.get(&(stacks, id.clone())).copied().unwrap_or(0)).iter().sum::<u128>().try_into().expect("small")
            };
            let net = have(&expected) - have(&sums(&before));
            prop_assert_eq!(booked.get(&id).copied().unwrap_or(0), net, "the lines of {}", id);
        }
    }

    #[test]
    fn what_a_newer_build_wrote_stays_with_a_stack_that_stays(before in player(), kinds in vec(kind(), 1..6)) {
        let rules = rules();
        let steps: Vec<Step> = kinds.into_iter().zip(1..).map(|(kind, number)| Step { number, kind }).collect();
        let Ok(changes) = take(&before, &steps, &rules).outcome else { return Ok(()) };
        let mut after = before.clone();
        after.absorb(&changes);
        let kept = |player: &Player| -> BTreeMap<InstanceId, Beyond> {
            player.places().filter_map(|(_, content)| match content {
                Content::Stack(stack) => Some((stack.instance, stack.beyond.clone())),
                Content::Amount(_) => None,
            }).collect()
        };
        let before = kept(&before);
        for (instance, beyond) in kept(&after) {
            prop_assert_eq!(before.get(&instance).cloned().unwrap_or_default(), beyond);
        }
    }
}

//! Players and actions as text, and the one door through which every row goes.
//!
//! A player is `0:ore×30 head:helm{durability=80} gold=5`, or `nothing`. A stack's id is named after the place in which it
//! started, and written only where it stands elsewhere: `1:ore×30#0` in a result is the stack that was in slot 0. A minted
//! id is `#new`. A stack was acquired at 100 unless `@…` says otherwise; actions happen at 1000.

use super::world::{attributes, item, slot};
use holdall_protocol::{
    action::Target,
    attribute::{Attributes, Value},
    ids::{AttributeKey, InstanceId, Place},
};
use holdall_server::{
    catalog::Rules,
    engine::{
        action::Action,
        apply,
        change::{Changes, Content, Nature, Stack},
        exchange::{Side, gift, settle},
        moment::Moment,
        offer::Offer,
        player::Player,
        refusal::Refusal,
    },
};
use rand::{SeedableRng, rngs::SmallRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU32, NonZeroU64},
};
use uuid::Uuid;

/// The id of the stack that started under this name.
pub fn instance(name: &str) -> InstanceId {
    InstanceId::new(Uuid::from_u128(name.bytes().fold(0, |sum, byte| sum * 256 + u128::from(byte))))
}

fn name_of(instance: InstanceId) -> String {
    let bytes = instance.uuid().into_bytes();
    // A minted id begins with its time; a name leaves those bytes zero.
    if bytes[..6] != [0; 6] {
        return "new".into();
    }
    let text: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    String::from_utf8(text).expect("a name")
}

pub fn places(text: &str, side: &str) -> Vec<(Place, Content)> {
    text.split_whitespace().filter(|word| *word != "nothing").map(|word| content(word, side)).collect()
}

fn content(word: &str, side: &str) -> (Place, Content) {
    let Some((place, rest)) = word.split_once(':') else {
        let (currency, amount) = word.split_once('=').unwrap_or_else(|| panic!("not a place: {word}"));
        return (Place::Balance(item(currency)), Content::Amount(amount.parse().unwrap()));
    };
    let (rest, acquired_at) = rest.split_once('@').map_or((rest, 100), |(rest, at)| (rest, at.parse().unwrap()));
    let (rest, name) =
        rest.split_once('#').map_or((rest, format!("{side}{place}")), |(rest, name)| (rest, name.into()));
    let (rest, attributes) = braced(rest);
    let (id, quantity) = rest.split_once('×').unwrap_or((rest, "1"));
    let stack = Stack {
        instance: instance(&name),
        nature: Nature::with(item(id), attributes),
        quantity: quantity.parse().unwrap(),
        acquired_at,
    };
    let place = place.parse().map_or_else(|_| Place::Equipment(slot(place)), Place::Bag);
    (place, Content::Stack(stack))
}

fn braced(text: &str) -> (&str, Attributes) {
    text.split_once('{').map_or((text, Attributes::default()), |(before, inside)| {
        (before, attributes(inside.strip_suffix('}').expect("a closing brace")))
    })
}

pub fn show(player: &Player, side: &str) -> String {
    let shown: Vec<String> = player
        .places()
        .map(|(place, content)| {
            let place = place.to_string();
            let place = &place[2..];
            match content {
                Content::Amount(amount) => format!("{place}={amount}"),
                Content::Stack(stack) => show_stack(place, side, &stack),
            }
        })
        .collect();
    if shown.is_empty() { "nothing".into() } else { shown.join(" ") }
}

fn show_stack(place: &str, side: &str, stack: &Stack) -> String {
    let mut text = format!("{place}:{}", stack.item);
    if stack.quantity.get() > 1 {
        text += &format!("×{}", stack.quantity);
    }
    if !stack.attributes.is_empty() {
        let value = |value: &Value| match value {
            Value::Bool(yes) => yes.to_string(),
            Value::Integer(number) => number.get().to_string(),
            Value::Float(number) => number.get().to_string(),
            Value::String(text) => text.to_string(),
        };
        let pairs: Vec<String> = stack.attributes.iter().map(|(key, v)| format!("{key}={}", value(v))).collect();
        text += &format!("{{{}}}", pairs.join(","));
    }
    let name = name_of(stack.instance);
    if name != format!("{side}{place}") {
        text += &format!("#{name}");
    }
    if stack.acquired_at != 100 {
        text += &format!("@{}", stack.acquired_at);
    }
    text
}

fn target(word: &str) -> Target {
    word.strip_prefix('#').map_or_else(|| Target::Item(item(word)), |name| Target::Instance(instance(name)))
}

/// `drop ore ×10`, `drop #0 ×10`, `move 0 1 ×5`, `set #0 {a=1}`, `unset #0 a,b`, `buy ore ×5 gold=10 crown=1` …
pub fn action(text: &str) -> Action {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = words.iter().find_map(|word| word.strip_prefix('×')).map(|n| n.parse::<u64>().unwrap());
    let big = || NonZeroU64::new(number.expect("×n")).unwrap();
    let small = || NonZeroU32::try_from(big()).unwrap();
    let one = |at: usize| *words.get(at).unwrap_or_else(|| panic!("too short: {text}"));
    let named = |at: usize| instance(one(at).strip_prefix('#').expect("#name"));
    let given = || words.iter().find(|word| word.starts_with('{')).map(|word| braced(word).1);
    match one(0) {
        "grant" => Action::Grant {
            item: item(one(1)),
            quantity: big(),
            attributes: given(),
            partial: words.contains(&"partial"),
        },
        "remove" => Action::Remove { target: target(one(1)), quantity: small() },
        "move" => Action::Move {
            from: one(1).parse().unwrap(),
            to: one(2).parse().unwrap(),
            quantity: number.map(|_| small()),
        },
        "sort" => Action::Sort,
        "use" => Action::Use { target: target(one(1)) },
        "drop" => Action::Drop { target: target(one(1)), quantity: small() },
        "equip" => Action::Equip { instance: named(1), slot: words.get(2).map(|word| slot(word)) },
        "unequip" => Action::Unequip { slot: slot(one(1)) },
        "sell" => Action::Sell { instance: named(1), quantity: small() },
        "set" => {
            let pairs = given().expect("{…}").iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let remove = words.get(3).map_or_else(Vec::new, |keys| keys_of(keys));
            Action::SetAttributes { target: target(one(1)), set: pairs, remove }
        }
        "unset" => Action::SetAttributes { target: target(one(1)), set: Vec::new(), remove: keys_of(one(2)) },
        "credit" => Action::Credit { currency: item(one(1)), amount: big() },
        "debit" => Action::Debit { currency: item(one(1)), amount: big() },
        "buy" => {
            let price: Vec<&str> = words.iter().copied().filter(|word| word.contains('=')).collect();
            Action::Purchase { item: item(one(1)), quantity: big(), price: offer(&price.join(" ")).currencies }
        }
        other => panic!("no action {other}"),
    }
}

fn keys_of(text: &str) -> Vec<AttributeKey> {
    text.split(',').map(|key| AttributeKey::new(key).unwrap()).collect()
}

/// `#0×5 #1×2 gold=3`, as what somebody puts up.
pub fn offer(text: &str) -> Offer {
    let mut offer = Offer::default();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some((currency, amount)) => offer.currencies.push((item(currency), amount.parse().unwrap())),
            None => offer.items.extend(gifts(&format!("gift {word}"))),
        }
    }
    offer
}

/// `0:ore×5 gold=3 [#0×2 gold=1]`: a player, and what they have put up.
pub fn offering(text: &str, side: &str, rules: &Rules) -> Player {
    let (text, put_up) = text.split_once('[').unwrap_or((text, "]"));
    let mut player = Player::from_places(places(text, side)).expect("a player");
    let put_up = put_up.trim_end().strip_suffix(']').expect("a closing bracket");
    player.lock(offer(put_up), rules).expect("a row's offer can be made");
    player
}

/// `gift #0×5 #1×2`
fn gifts(text: &str) -> Vec<(InstanceId, NonZeroU32)> {
    let line = |word: &str| {
        let (name, quantity) = word.strip_prefix('#').unwrap().split_once('×').unwrap();
        (instance(name), quantity.parse().unwrap())
    };
    text.split_whitespace().skip(1).map(line).collect()
}

/// What must hold of changes whatever made them: each place once, a step each, and absorbing them makes the one of the
/// other. And of a player whatever happened: what is kept agrees with what is there.
pub fn assert_sound(before: &Player, changes: &Changes, after: &Player, rules: &Rules) {
    after.invariants().expect("the player is whole");
    let mut places: BTreeMap<Place, Content> = before.places().collect();
    let mut touched = BTreeSet::new();
    for change in &changes.list {
        assert!(touched.insert(change.place.clone()), "{} changes twice", change.place);
        assert_ne!(change.before, change.after, "a change that is none");
        let was = match &change.after {
            Some(content) => places.insert(change.place.clone(), content.clone()),
            None => places.remove(&change.place),
        };
        assert_eq!(was, change.before, "the change tells what was there");
    }
    assert_eq!(places, after.places().collect(), "the changes tell all that happened");
    let again = Player::from_places(after.places()).expect("what a player has can be loaded");
    assert_eq!(after.stats(rules), again.stats(rules), "the running sums are the sums");
}

/// Runs `player | action | result` rows; see the head of this file. A result is a player, `+ n over` for what a partial
/// grant could not place, or the code of the refusal, which also asserts that nothing changed. A gift has two players,
/// `giver / receiver`, and so
/// has `settle`. What stands in brackets behind a player is put up in a trade; `offer` puts up something else, and its
/// result is what is put up then.
pub fn check(rules: &Rules, rows: &str) {
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let [before, does, expected] = parts.as_slice() else { panic!("three columns: {row}") };
        let happened = match before.split_once(" / ") {
            Some(both) if *does == "settle" => exchange(rules, both),
            Some((giver, receiver)) => give(rules, giver, receiver, &gifts(does)),
            None if does.starts_with("offer") => put_up(rules, before, does),
            None => act(rules, before, &action(does)),
        };
        assert_eq!(&happened, expected, "in the row\n    {row}");
    }
}

fn act(rules: &Rules, before: &str, action: &Action) -> String {
    let before = offering(before, "", rules);
    let mut player = before.clone();
    let mut changes = Changes::default();
    let mut random = SmallRng::seed_from_u64(7);
    let result = apply(&mut player, action, rules, &mut Moment::new(1000, &mut random), &mut changes);
    assert_sound(&before, &changes, &player, rules);
    match result {
        Err(refusal) => refused(&refusal, &[&changes]),
        Ok(()) if changes.overflow > 0 => format!("{} + {} over", show(&player, ""), changes.overflow),
        Ok(()) => show(&player, ""),
    }
}

fn give(rules: &Rules, giver: &str, receiver: &str, lines: &[(InstanceId, NonZeroU32)]) -> String {
    let before = [(giver, ""), (receiver, "r")].map(|(text, side)| offering(text, side, rules));
    let [mut one, mut other] = before.clone();
    let mut changes = <[Changes; 2]>::default();
    let mut random = SmallRng::seed_from_u64(7);
    let result = gift(&mut one, &mut other, lines, rules, &mut Moment::new(1000, &mut random), &mut changes);
    assert_sound(&before[0], &changes[0], &one, rules);
    assert_sound(&before[1], &changes[1], &other, rules);
    match result {
        Err(refusal) => refused(&refusal, &[&changes[0], &changes[1]]),
        Ok(()) => format!("{} / {}", show(&one, ""), show(&other, "r")),
    }
}

/// Both are shown; a refusal also says whose things or bag it is about.
fn exchange(rules: &Rules, both: (&str, &str)) -> String {
    let before = [(both.0, ""), (both.1, "r")].map(|(text, side)| offering(text, side, rules));
    let [mut one, mut other] = before.clone();
    let mut changes = <[Changes; 2]>::default();
    let mut random = SmallRng::seed_from_u64(7);
    let result = settle(&mut one, &mut other, rules, &mut Moment::new(1000, &mut random), &mut changes);
    assert_sound(&before[0], &changes[0], &one, rules);
    assert_sound(&before[1], &changes[1], &other, rules);
    match result {
        Err(unfit) => {
            assert_eq!([one.locked(), other.locked()], before.each_ref().map(Player::locked), "the locks stay");
            let whose = if unfit.whose == Side::One { "one" } else { "other" };
            format!("{whose} {}", refused(&unfit.refusal, &[&changes[0], &changes[1]]))
        }
        Ok(()) => {
            assert!(one.locked().is_empty() && other.locked().is_empty(), "the locks are off");
            format!("{} / {}", show(&one, ""), show(&other, "r"))
        }
    }
}

fn put_up(rules: &Rules, before: &str, does: &str) -> String {
    let before = offering(before, "", rules);
    let mut player = before.clone();
    let result = player.lock(offer(does.strip_prefix("offer").expect("an offer")), rules);
    player.invariants().expect("what is put up is there");
    match result {
        Err(refusal) => {
            assert_eq!(player.locked(), before.locked(), "a refusal leaves the earlier offer");
            refused(&refusal, &[])
        }
        Ok(()) => {
            let Offer { items, currencies } = player.locked();
            let items = items.iter().map(|(instance, units)| format!("#{}×{units}", name_of(*instance)));
            let currencies = currencies.iter().map(|(currency, amount)| format!("{currency}={amount}"));
            let all: Vec<String> = items.chain(currencies).collect();
            if all.is_empty() { "nothing".into() } else { all.join(" ") }
        }
    }
}

fn refused(refusal: &Refusal, changes: &[&Changes]) -> String {
    assert!(changes.iter().all(|changes| **changes == Changes::default()), "a refusal changes nothing");
    assert!(!refusal.to_string().is_empty());
    refusal.code().as_str().into()
}

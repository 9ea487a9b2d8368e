use super::{
    notation::{instance, places},
    world::{item, lowered, rules},
};
use holdall_protocol::ids::Place;
use holdall_server::engine::{
    change::{Change, Changes, Content},
    player::{Broken, Player},
};

fn load(text: &str) -> Result<Player, Broken> {
    Player::from_places(places(text, ""))
}

fn the_changes(before: &str, after: &str) -> Changes {
    let first = |text| places(text, "").into_iter().next();
    let (before, after) = (first(before), first(after));
    let place = before.as_ref().or(after.as_ref()).expect("a place").0.clone();
    let content = |side: Option<(Place, Content)>| side.map(|(_, content)| content);
    Changes { list: vec![Change { place, before: content(before), after: content(after) }], overflow: 0 }
}

#[test]
fn a_record_that_is_no_player_is_refused() {
    assert_eq!(load("10000:ore").unwrap_err(), Broken::SlotBeyondBound(10_000));
    assert_eq!(load("0:ore 0:gem#x").unwrap_err(), Broken::PlaceTwice(Place::Bag(0)));
    assert_eq!(load("0:ore#x 1:ore#x").unwrap_err(), Broken::InstanceTwice(instance("x")));
    assert_eq!(load("0:ore#x head:ore#x").unwrap_err(), Broken::InstanceTwice(instance("x")));
    assert_eq!(load("head:ore#x 0:ore#x").unwrap_err(), Broken::InstanceTwice(instance("x")));
    let gold = Place::Balance(item("gold"));
    assert_eq!(load("gold=0").unwrap_err(), Broken::BadBalance(gold.clone()));
    assert_eq!(load("gold=9007199254740992").unwrap_err(), Broken::BadBalance(gold.clone()));
    assert_eq!(load("gold=1 gold=2").unwrap_err(), Broken::PlaceTwice(gold.clone()));
    let wrong = Player::from_places([(Place::Bag(0), Content::Amount(1))]);
    assert_eq!(wrong.unwrap_err(), Broken::WrongContent(Place::Bag(0)));
    let (_, stack) = places("0:ore", "").remove(0);
    assert_eq!(Player::from_places([(gold.clone(), stack)]).unwrap_err(), Broken::WrongContent(gold));
}

#[test]
fn places_come_in_one_order_whatever_they_were_loaded_in() {
    let order = ["0:gem", "3:ore", "70:ore#b", "9999:gem#c", "head:helm", "main_hand:sword", "crown=1", "gold=2"];
    let mut shuffled = order;
    shuffled.reverse();
    shuffled.swap(1, 4);
    let player = load(&shuffled.join(" ")).unwrap();
    assert_eq!(super::notation::show(&player, ""), order.join(" "));
    player.invariants().unwrap();
    for (place, content) in player.places() {
        assert_eq!(player.at(&place), Some(content));
    }
    assert_eq!(player.at(&Place::Bag(1)), None);
    assert_eq!(player.at(&Place::Bag(u16::MAX)), None);
}

#[test]
fn the_figures_follow_the_catalogue_in_force() {
    let player = load("0:ore×10 1:potion×2 4:relic×3 main_hand:sword gold=5").unwrap();
    let stats = player.stats(&rules());
    assert_eq!((stats.used_slots, stats.max_slots, stats.item_count), (3, 6, 16));
    assert_eq!((stats.weight, stats.max_weight, stats.total_value), (14_000, 0, 50));
    let after = player.stats(&lowered());
    assert_eq!((after.weight, after.total_value, after.item_count, after.max_slots), (4_000, 20, 16, 4));
    assert_eq!(player.count(&item("sword"), &rules()), 1);
    assert_eq!(player.count(&item("gold"), &rules()), 5);
    assert_eq!(player.count(&item("relic"), &rules()), 3);
    assert_eq!(player.count(&item("nonsense"), &rules()), 0);
}

#[test]
fn changes_are_absorbed_where_they_fit() {
    let mut player = load("0:ore×5 gold=5").unwrap();
    player.absorb(&the_changes("0:ore×5", "0:ore×4"));
    player.absorb(&the_changes("0:ore×4", "0:gem×4#0"));
    player.absorb(&the_changes("gold=5", ""));
    player.absorb(&the_changes("", "head:helm"));
    assert_eq!(super::notation::show(&player, ""), "0:gem×4 head:helm");
    player.invariants().unwrap();
}

#[test]
#[should_panic(expected = "does not hold what the change found")]
fn changes_of_another_player_are_a_bug() {
    load("0:ore×5").unwrap().absorb(&the_changes("0:ore×6", "0:ore×4"));
}

#[test]
#[should_panic(expected = "would stand in two slots")]
fn a_doubled_instance_is_a_bug() {
    load("0:ore×5").unwrap().absorb(&the_changes("", "1:ore#0"));
}

#[test]
#[should_panic(expected = "changes nothing")]
fn a_change_that_is_none_is_a_bug() {
    load("0:ore×5").unwrap().absorb(&the_changes("0:ore×5", "0:ore×5"));
}

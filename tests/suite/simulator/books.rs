//! The books of a whole population add up, or name what does not.

use super::scene::{Scene, balance, drop_of, instance, item, sell, stack};
use holdall_client_sim::{
    conservation::{Holders, State, Tally},
    fault::Fault,
};
use holdall_protocol::{
    action::{Action, Gift, GiftItem, Quantity},
    ids::PlayerId,
    message::ServerMessage,
};

fn together(tallies: impl IntoIterator<Item = Tally>) -> Tally {
    let mut all = Tally::default();
    tallies.into_iter().for_each(|tally| all.add(tally));
    all
}

#[test]
fn what_was_won_and_lost_explains_what_is_there() {
    let mut scene = Scene::usual();
    scene.dropped(1, 10);
    scene.ask(sell(0, 5));
    let changes = vec![scene.becomes(0, 15), scene.holds(balance("gold", 17))];
    let applied = scene.reply(2, changes);
    scene.hear(ServerMessage::Applied(applied));
    let (accounts, faults) = scene.honest().close();
    assert_eq!(faults, []);
    let (ore, gold) = (&accounts["ore"], &accounts["gold"]);
    assert_eq!((ore.initial, ore.dropped, ore.sold, ore.found), (30, 10, 5, 15));
    assert_eq!((gold.initial, gold.proceeds, gold.found), (10, 7, 17));
    assert!(accounts.values().all(|account| account.state == State::Conserved));
}

#[test]
fn a_gift_between_two_is_neither_won_nor_lost() {
    let mut giver = Scene::new([stack(4, "helm", 1)]);
    giver.becomes(4, 0);
    giver.revision += 1;
    giver.restart();
    giver.checker.announce_gifts(1);
    giver.welcome(0, false);
    giver.show();
    let mut receiver = Scene::new([]);
    let gift = receiver.gift(stack(4, "helm", 1));
    receiver.hear(ServerMessage::Delta(gift));
    let (_, faults) = together([giver.honest(), receiver.honest()]).close();
    assert_eq!(faults, []);
}

#[test]
fn what_was_given_and_has_not_arrived_is_awaited_and_nothing_else_is() {
    let given = |units| {
        let mut giver = Scene::usual();
        let items = vec![GiftItem { instance: instance(100), quantity: Quantity::new(units) }];
        giver.ask(Action::Gift(Gift { to: PlayerId::new("bot-2").unwrap(), items }));
        let changes = vec![giver.becomes(0, 30 - u32::try_from(units).unwrap())];
        let applied = giver.reply(1, changes);
        giver.hear(ServerMessage::Applied(applied));
        giver
    };
    let books = |scene: &Scene| scene.checker.books().expect("nothing is under way");
    let (giver, mut receiver) = (given(4), Scene::new([]));
    assert!(together([books(&giver), books(&receiver)]).awaits_gifts());
    let gift = receiver.gift(stack(4, "ore", 4));
    receiver.hear(ServerMessage::Delta(gift));
    assert!(!together([books(&giver), books(&receiver)]).awaits_gifts());
    let mut thief = Scene::new([]);
    let gift = thief.gift(stack(4, "ore", 5));
    thief.hear(ServerMessage::Delta(gift));
    assert!(!together([books(&giver), books(&thief)]).awaits_gifts(), "that is no shortage");
    thief.ask(drop_of(4, 1));
    assert!(thief.checker.books().is_none(), "a reply is still to come");
}

#[test]
fn what_comes_from_nowhere_or_goes_nowhere_is_found() {
    // A gift that nobody gave.
    let mut scene = Scene::usual();
    let gift = scene.gift(stack(4, "helm", 1));
    scene.hear(ServerMessage::Delta(gift));
    let (accounts, faults) = scene.honest().close();
    assert_eq!(faults, [Fault::NotConserved { item: item("helm"), expected: 0, found: 1 }]);
    assert_eq!(accounts["helm"].state, State::Broken);
    assert_eq!(accounts["ore"].state, State::Conserved);
}

/// A player who sold so many of slot 0 and heard of it.
fn sold(units: u32, gold: u64) -> Tally {
    let mut scene = Scene::usual();
    scene.ask(sell(0, units.into()));
    let changes = vec![scene.becomes(0, 30 - units), scene.holds(balance("gold", gold))];
    let applied = scene.reply(1, changes);
    scene.hear(ServerMessage::Applied(applied));
    scene.honest()
}

/// A player who sold so many of slot 0 during a cut, and only learned that it took effect.
fn sold_unseen(units: u32, gold: u64) -> Tally {
    let mut scene = Scene::usual();
    scene.ask(sell(0, units.into()));
    let changes = vec![scene.becomes(0, 30 - units), scene.holds(balance("gold", gold))];
    scene.reply(1, changes);
    scene.restart();
    scene.welcome(1, false);
    scene.show();
    scene.hear(scene.duplicate(1, Some(2)));
    scene.honest()
}

#[test]
fn a_sale_that_nobody_saw_is_priced_by_one_that_was_seen() {
    let (accounts, faults) = together([sold(5, 17), sold_unseen(5, 17)]).close();
    assert_eq!(faults, []);
    assert_eq!(accounts["gold"].state, State::Conserved);
    let (_, faults) = together([sold(5, 17), sold_unseen(5, 18)]).close();
    assert_eq!(faults, [Fault::NotConserved { item: item("gold"), expected: 34, found: 35 }]);
}

#[test]
fn a_sale_whose_price_nobody_knows_leaves_the_currency_open_but_not_the_item() {
    let (accounts, faults) = together([sold(5, 17), sold_unseen(4, 15)]).close();
    assert_eq!(faults, []);
    assert_eq!((accounts["gold"].state, accounts["ore"].state), (State::Uncertain, State::Conserved));
}

#[test]
fn a_request_whose_fate_nobody_knows_makes_its_item_uncertain_and_no_other() {
    let mut scene = Scene::usual();
    scene.ask(drop_of(0, 3));
    scene.drop_applied(1, 3);
    scene.restart();
    scene.welcome(1, false);
    scene.show();
    let mut forgotten = scene.refusal(1, holdall_protocol::code::Code::Duplicate);
    forgotten.duplicate = None;
    scene.hear(ServerMessage::Refused(forgotten));
    let (accounts, faults) = scene.honest().close();
    assert_eq!(faults, []);
    assert_eq!((accounts["ore"].state, accounts["potion"].state), (State::Uncertain, State::Conserved));
}

#[test]
fn a_sale_whose_fate_nobody_knows_leaves_what_it_brought_open_too() {
    let mut scene = Scene::usual();
    scene.ask(sell(0, 5));
    let changes = vec![scene.becomes(0, 25), scene.holds(balance("gold", 17))];
    scene.reply(1, changes);
    scene.restart();
    scene.welcome(1, false);
    scene.show();
    let mut forgotten = scene.refusal(1, holdall_protocol::code::Code::Duplicate);
    forgotten.duplicate = None;
    scene.hear(ServerMessage::Refused(forgotten));
    let (accounts, faults) = together([sold(5, 17), scene.honest()]).close();
    assert_eq!(faults, []);
    assert_eq!((accounts["ore"].state, accounts["gold"].state), (State::Uncertain, State::Uncertain));
}

#[test]
fn a_stack_that_two_players_hold_is_found() {
    let mut holders = Holders::default();
    let (one, other) = (Scene::usual(), Scene::new([stack(0, "ore", 1)]));
    let player = |name: &str| PlayerId::new(name).unwrap();
    holders.add(&player("bot-1"), one.checker.mirror().unwrap()).unwrap();
    let twice = holders.add(&player("bot-2"), other.checker.mirror().unwrap());
    assert_eq!(twice, Err(Fault::InstanceTwice(instance(100))));
}

//! What players have through a reload: nothing is destroyed, and what does not fit the catalogue is frozen until it does.

use super::{Files, ITEMS, with, without};
use holdall_harness::{
    client::{Client, drop_item, grant, item, stats},
    trade::{Traders, accept, offer},
};
use holdall_protocol::{
    action::{self, Action, Target},
    code::Code,
    frame::Subprotocol,
    ids::{Place, Revision},
    message::{Answered, Stats},
};
use holdall_server::replication::outbox::{Frame, Kind, Outbox};
use serde_json::json;

#[test]
fn of_reloads_that_nobody_reads_the_newest_is_kept() {
    let mut outbox = Outbox::new(Subprotocol::Json, 1_000);
    for version in 2..100 {
        outbox.push(Revision::ZERO, Kind::Reloaded, Frame::Encoded(version.to_string().into()));
    }
    let mut frames = Vec::new();
    outbox.take_ready(Revision::ZERO, &mut frames);
    assert!(matches!(&frames[..], [Frame::Encoded(frame)] if *frame == "99"), "{frames:?}");
}

async fn figures(client: &mut Client) -> Stats {
    match client.question(stats()).await {
        Answered::Stats(stats) => stats,
        other => panic!("no stats but {other:?}"),
    }
}

fn frozen(client: &Client) -> Vec<u16> {
    let bag = client.mirror().bag_from(0).map(|(slot, _)| slot);
    bag.filter(|slot| client.mirror().is_frozen(&Place::Bag(*slot))).collect()
}

#[tokio::test]
async fn a_removed_item_stays_frozen_and_thaws_when_it_is_defined_again() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let begun = anna.welcome().catalog.clone();
    anna.apply(grant("bread", 20)).await;
    anna.apply(grant("ore", 10)).await;
    let revision = anna.revision();

    files.items(&without("bread"));
    let report = files.reload().await;
    assert_eq!(report["items"]["removed"], json!(["bread"]));
    assert_eq!(report["freezing"], json!([{"item": "bread", "why": "removed", "players": 1, "stacks": 1}]));
    let told = anna.until_reloaded(2).await;
    assert_ne!(told.catalog.hash, begun.hash);
    assert_eq!((told.frozen, frozen(&anna)), (vec![Place::Bag(0)], vec![0]));
    assert_eq!((anna.revision(), anna.count("bread")), (revision, 20), "nothing of the player has changed");
    let eat = Action::Use(action::Use { target: Target::Item(item("bread")) });
    for refused in [eat.clone(), drop_item("bread", 1)] {
        assert_eq!(anna.refuse(refused).await.code, Code::ItemFrozen);
    }
    assert_eq!(anna.refuse(grant("bread", 1)).await.code, Code::InvalidItem);
    anna.apply(Action::Move(action::Move { from: 0, to: 7, quantity: None })).await;
    assert_eq!(figures(&mut anna).await.weight, 20_000, "what nothing defines weighs nothing");

    files.items(ITEMS);
    let report = files.reload().await;
    assert_eq!(report["thawing"], json!([{"item": "bread", "players": 1, "stacks": 1}]));
    let told = anna.until_reloaded(3).await;
    assert_eq!((told.catalog.hash, told.frozen), (begun.hash, Vec::new()), "the catalogue of the start, third in turn");
    assert_eq!(figures(&mut anna).await.weight, 40_000);
    anna.apply(eat).await;
    anna.apply(drop_item("bread", 19)).await;
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_stack_beyond_a_lowered_maximum_stays_whole_and_frozen() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 70)).await;
    let large = anna.stack("ore").1.instance;

    files.items(&with("max_stack = 50\nweight = 2\nbase_value = 3", "max_stack = 30\nweight = 2.5\nbase_value = 4"));
    let report = files.reload().await;
    assert_eq!(report["items"]["changed"], json!([{"item": "ore", "fields": ["max_stack", "weight", "base_value"]}]));
    assert_eq!(report["freezing"], json!([{"item": "ore", "why": "too_large", "players": 1, "stacks": 1}]));
    anna.until_reloaded(2).await;
    assert_eq!(frozen(&anna), [0], "fifty, where twenty are not");
    let now = figures(&mut anna).await;
    assert_eq!((now.item_count, now.weight, now.total_value), (70, 175_000, 280));
    // It neither grows nor shrinks, and what does fit is dealt with beside it.
    anna.apply(grant("ore", 30)).await;
    let taking = action::Drop { target: Target::Instance(large), quantity: action::Quantity::new(1) };
    assert_eq!(anna.refuse(Action::Drop(taking)).await.code, Code::ItemFrozen);
    anna.apply(Action::Sort(action::Sort {})).await;
    let mut stacks: Vec<u32> = anna.mirror().bag_from(0).map(|(_, stack)| stack.quantity).collect();
    stacks.sort_unstable();
    assert_eq!(stacks, [20, 30, 50]);
    assert_eq!(figures(&mut anna).await.weight, 250_000);

    files.items(ITEMS);
    files.reload().await;
    anna.until_reloaded(3).await;
    assert_eq!(frozen(&anna), [0_u16; 0]);
    assert_eq!(figures(&mut anna).await.weight, 200_000);
    anna.apply(drop_item("ore", 100)).await;
    assert_eq!(figures(&mut anna).await, Stats { used_slots: 0, weight: 0, item_count: 0, total_value: 0, ..now });
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn an_item_with_another_id_is_the_same_item() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", 10)).await;
    files.items(&with("id = \"ore\"", "id = \"iron_ore\"\nrenamed_from = [\"ore\"]"));
    let report = files.reload().await;
    assert_eq!(report["items"]["renamed"], json!([{"from": "ore", "to": "iron_ore"}]));
    assert_eq!((&report["items"]["added"], &report["items"]["removed"]), (&json!([]), &json!([])));
    anna.until_reloaded(2).await;
    assert_eq!((frozen(&anna), anna.count("ore")), (Vec::new(), 10), "what is kept is not rewritten");
    anna.apply(drop_item("iron_ore", 4)).await;
    anna.apply(grant("ore", 1)).await;
    let Answered::Count(all) = anna.question(Action::Count(action::Count { item: item("iron_ore") })).await else {
        panic!("a count")
    };
    assert_eq!((all, figures(&mut anna).await.weight), (7, 14_000));
    anna.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn who_comes_back_is_told_what_is_in_force_by_then() {
    let files = Files::new("");
    let server = files.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("bread", 5)).await;
    let away = anna.leave();
    files.items(&without("bread"));
    let report = files.reload().await;
    assert_eq!((&report["loaded_players"], &report["freezing"][0]["players"]), (&json!(1), &json!(1)));
    let mut anna = away.resume(server.game, Subprotocol::Json, "anna").await;
    assert_eq!((anna.welcome().catalog.version, json!(anna.welcome().catalog.hash)), (2, report["hash"].clone()));
    anna.compare().await;
    assert_eq!(frozen(&anna), [0]);
    let bert = Client::enter(server.game, "bert").await;
    assert_eq!((bert.welcome().catalog.version, bert.reloads.len()), (2, 0));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_trade_of_what_may_no_longer_change_hands_does_not_settle() {
    let files = Files::new("");
    let server = files.start().await;
    let mut traders = Traders::meet(server.game).await;
    let offers = traders.offer_both().await;
    traders.bert.step(accept(traders.trade, offers)).await;
    let bound = with("name = \"Ore\"", "name = \"Ore\"\ntradeable = false");
    for (version, (items, code)) in
        (2..).zip([(bound, Code::NotTradeable), (without("ore"), Code::ItemFrozen), (ITEMS.to_owned(), Code::NotFound)])
    {
        files.items(&items);
        files.reload().await;
        traders.anna.until_reloaded(version).await;
        traders.bert.until_reloaded(version).await;
        if items == ITEMS {
            break;
        }
        let refused = traders.anna.refuse(accept(traders.trade, offers)).await;
        assert_eq!(refused.code, code, "{}", refused.message);
        assert!(!Traders::exchanged(&traders.anna, &traders.bert));
        let ore = traders.anna.stack("ore").1.instance;
        let again = traders.anna.refuse(offer(traders.trade, &[(ore, 1)], &[])).await;
        assert_eq!(again.code, code, "nor is it put up again");
    }
    // The offers stood all the while, and so did Bert's accept.
    traders.anna.apply(accept(traders.trade, offers)).await;
    traders.bert.until_revision(traders.bert.revision() + 1).await;
    assert!(Traders::exchanged(&traders.anna, &traders.bert));
    assert_eq!(server.stop().await, Some(0));
}

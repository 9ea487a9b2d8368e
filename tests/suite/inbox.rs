//! Gifts to players who are not here: they wait in the inbox, and arrive exactly once.

mod crashes;
mod elsewhere;

use holdall_harness::{
    child::{Server, Site},
    client::{Client, drop_item, gift, grant, pay},
    command::holdall,
    trade,
};
use holdall_protocol::{
    action::{self, Action},
    code::Code,
    ids::PlayerId,
    message::{Cause, Delta, Settings},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Guards against hangs only.
const PATIENCE: Duration = Duration::from_secs(30);

fn id(text: &str) -> PlayerId {
    PlayerId::new(text).expect("a player id")
}

fn from_inbox(giver: &str) -> Cause {
    Cause::Inbox { from: id(giver), returned: false }
}

const fn settings(gifts: Option<bool>, invites: Option<bool>) -> Action {
    Action::Settings(action::Settings { gifts, invites })
}

/// A site whose players leave the memory at once.
pub(crate) fn site() -> Site {
    Site::new().knob("limits.linger_ms", 0)
}

/// A player who was here once and left.
pub(crate) async fn was_here(site: &Site, server: &Server, player: &str) {
    drop(Client::enter(server.game, player).await);
    until_gone(site, player).await;
}

/// Waits until nobody owns the player.
pub(crate) async fn until_gone(site: &Site, player: &str) {
    let gone = async {
        while !inspect(site, player).await["owner"].is_null() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the player leaves the memory");
}

/// A stored player, as the command line shows it.
async fn inspect(site: &Site, player: &str) -> Value {
    holdall(site.dir(), &["inspect", player, "--data-dir", "data", "--json"]).await.json()
}

/// The reasons of a player's ledger and what its lines say.
fn history(shown: &Value) -> Vec<(String, Vec<String>)> {
    let entries = shown["ledger"]["last"].as_array().expect("entries");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let line = |line: &Value| {
        format!("{} {} {}>{}", line["quantity"], text(&line["item"]), text(&line["from"]), text(&line["to"]))
    };
    let entry = |entry: &Value| {
        (text(&entry["reason"]), entry["lines"].as_array().expect("lines").iter().map(line).collect::<Vec<_>>())
    };
    entries.iter().map(entry).collect()
}

async fn next_delta(client: &mut Client) -> Delta {
    let told = client.deltas.len();
    while client.deltas.len() == told {
        client.message().await;
    }
    client.deltas.last().expect("one more than before").clone()
}

/// A giver with so much ore.
async fn giver(server: &Server, ore: u64) -> Client {
    let mut anna = Client::enter(server.game, "anna").await;
    anna.apply(grant("ore", ore)).await;
    anna
}

#[tokio::test]
async fn a_gift_to_a_player_who_is_offline_is_found_at_the_next_login() {
    let site = site();
    let server = site.start().await;
    was_here(&site, &server, "bert").await;
    let mut anna = giver(&server, 60).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 20)).await;
    anna.apply(grant("iron_sword", 1)).await;
    let (_, sword) = anna.stack("iron_sword");
    anna.apply(gift("bert", sword.instance, 1)).await;
    anna.compare().await;
    let waiting = inspect(&site, "bert").await;
    assert_eq!(waiting["inbox"].as_array().map(Vec::len), Some(2), "{waiting}");
    assert_eq!(waiting["inbox"][0]["from"], "anna");
    assert_eq!((&waiting["inbox"][0]["stacks"][0]["quantity"], &waiting["revision"]), (&json!(20), &json!(1)));
    let text = holdall(site.dir(), &["inspect", "bert", "--data-dir", "data"]).await;
    text.expect(0, &["inbox", "from anna", "ore ×20", "iron_sword ×1", "gifts on"]);

    let mut bert = Client::enter(server.game, "bert").await;
    bert.until_revision(3).await;
    assert!(bert.deltas.iter().all(|delta| delta.cause == from_inbox("anna")), "{:?}", bert.deltas);
    assert_eq!((bert.count("ore"), anna.count("ore")), (20, 40));
    assert_eq!(bert.stack("iron_sword").1, sword, "a whole stack keeps its id and age");
    assert_ne!(bert.stack("ore").1.instance, ore.instance, "a part is a new stack");
    bert.compare().await;
    drop(bert);
    until_gone(&site, "bert").await;
    let taken = inspect(&site, "bert").await;
    assert_eq!(taken["inbox"], json!([]));
    let line = |text: &str| vec![text.to_owned()];
    let expected = [
        ("inbox_taken".to_owned(), line("20 ore inbox:bert>player:bert")),
        ("inbox_taken".to_owned(), line("1 iron_sword inbox:bert>player:bert")),
    ];
    assert_eq!(history(&taken)[1..], expected);
    drop(anna);
    until_gone(&site, "anna").await;
    let given = history(&inspect(&site, "anna").await);
    assert!(given.contains(&("gift".to_owned(), line("20 ore player:anna>inbox:bert"))), "{given:?}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_full_bag_waits_and_is_served_when_something_leaves_it() {
    let site = site().knob("inventory.max_slots", 2);
    let server = site.start().await;
    let mut bert = Client::enter(server.game, "bert").await;
    for id in ["bread", "wood"] {
        bert.apply(grant(id, 1)).await;
    }
    drop(bert);
    until_gone(&site, "bert").await;
    let mut anna = giver(&server, 10).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 10)).await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.compare().await;
    assert_eq!(bert.count("ore"), 0, "there is no room");
    bert.apply(drop_item("wood", 1)).await;
    let told = next_delta(&mut bert).await;
    assert_eq!((told.cause, bert.count("ore")), (from_inbox("anna"), 10));
    bert.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_settled_trade_makes_room_for_what_waits() {
    let site = site().knob("inventory.max_slots", 1);
    let server = site.start().await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.apply(grant("wood", 5)).await;
    drop(bert);
    until_gone(&site, "bert").await;
    let mut anna = giver(&server, 10).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 10)).await;
    anna.apply(pay("gold", 3)).await;
    let mut bert = Client::enter(server.game, "bert").await;
    let trade = trade::open(&mut anna, &mut bert).await;
    let (_, wood) = bert.stack("wood");
    bert.step(trade::offer(trade, &[(wood.instance, 5)], &[])).await;
    anna.told().await;
    let revision = anna.step(trade::offer(trade, &[], &[("gold", 3)])).await.offer_revision;
    bert.told().await;
    bert.step(trade::accept(trade, revision)).await;
    anna.apply(trade::accept(trade, revision)).await;
    let causes = [next_delta(&mut bert).await.cause, next_delta(&mut bert).await.cause];
    assert_eq!(causes, [Cause::Trade { trade, with: id("anna") }, from_inbox("anna")]);
    assert_eq!((bert.count("wood"), bert.count("ore"), bert.count("gold")), (0, 10, 3));
    bert.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_given_is_refused_and_changes_nothing() {
    let site = site().knob("limits.inbox_max", 2);
    let server = site.start().await;
    was_here(&site, &server, "bert").await;
    let mut carl = Client::enter(server.game, "carl").await;
    carl.apply(settings(Some(false), None)).await;
    drop(carl);
    until_gone(&site, "carl").await;
    let mut anna = giver(&server, 10).await;
    anna.apply(grant("rusty_key", 1)).await;
    let ((_, ore), (_, key)) = (anna.stack("ore"), anna.stack("rusty_key"));
    let before = anna.revision();
    for (action, code) in [
        (gift("nobody", ore.instance, 1), Code::NotFound),
        (gift("carl", ore.instance, 1), Code::NotAccepting),
        (gift("bert", ore.instance, 11), Code::InsufficientQuantity),
        (gift("bert", key.instance, 1), Code::NotTradeable),
        (gift("bert", ore.instance, 0), Code::InvalidQuantity),
    ] {
        assert_eq!(anna.refuse(action.clone()).await.code, code, "{action:?}");
    }
    assert_eq!(anna.revision(), before);
    for _ in 0..2 {
        anna.apply(gift("bert", ore.instance, 1)).await;
    }
    assert_eq!(anna.refuse(gift("bert", ore.instance, 1)).await.code, Code::LimitExceeded);
    anna.compare().await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.until_revision(3).await;
    assert_eq!((anna.count("ore"), bert.count("ore")), (8, 2));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn what_a_player_has_set_is_told_kept_and_minded() {
    let site = site();
    let server = site.start().await;
    let mut anna = giver(&server, 10).await;
    let (_, ore) = anna.stack("ore");
    let mut bert = Client::enter(server.game, "bert").await;
    let everything = Settings { gifts: true, invites: true };
    assert_eq!(bert.welcome().settings, Some(everything));
    let same = bert.apply(settings(Some(true), None)).await;
    assert_eq!((same.revision.get(), same.changes.len()), (1, 0), "nothing to change");
    let set = bert.apply(settings(Some(false), Some(false))).await;
    assert_eq!((set.revision.get(), set.changes.len()), (2, 0), "a revision in which no thing moves");
    bert.compare().await;
    assert_eq!(anna.refuse(gift("bert", ore.instance, 1)).await.code, Code::NotAccepting, "while he is here");
    drop(bert);
    until_gone(&site, "bert").await;
    assert_eq!(anna.refuse(gift("bert", ore.instance, 1)).await.code, Code::NotAccepting, "and while he is not");
    let shown = inspect(&site, "bert").await;
    assert_eq!((&shown["takes_gifts"], &shown["takes_invites"]), (&json!(false), &json!(false)));
    assert_eq!(history(&shown)[1], ("settings".to_owned(), Vec::new()));
    let mut bert = Client::enter(server.game, "bert").await;
    assert_eq!(bert.welcome().settings, Some(Settings { gifts: false, invites: false }));
    bert.apply(settings(Some(true), None)).await;
    anna.apply(gift("bert", ore.instance, 1)).await;
    bert.until_revision(4).await;
    assert_eq!(bert.deltas[0].cause, Cause::Gift { from: id("anna") }, "straight into his hands");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_gift_that_waited_too_long_goes_back_and_then_waits_for_ever() {
    let site = site().knob("inventory.max_slots", 1).knob("limits.inbox_days", 0).knob("limits.inbox_max", 1);
    let server = site.start().await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.apply(grant("bread", 1)).await;
    drop(bert);
    until_gone(&site, "bert").await;
    let mut anna = giver(&server, 7).await;
    let (_, ore) = anna.stack("ore");
    anna.apply(gift("bert", ore.instance, 7)).await;
    anna.apply(grant("wood", 1)).await;
    // Both bags are full: bert's login sends it back, and anna has no room either.
    let mut bert = Client::enter(server.game, "bert").await;
    bert.until_revision(3).await;
    // Where it was quicker than the welcome, the snapshot was the first to tell.
    for told in &bert.deltas {
        assert_eq!((&told.cause, told.changes.len()), (&Cause::InboxReturned { to: id("anna") }, 0));
    }
    assert_eq!(bert.count("ore"), 0);
    bert.compare().await;
    let shown = until_waiting(&site, "anna", 1).await;
    assert_eq!((&shown["inbox"][0]["from"], &shown["inbox"][0]["returned"]), (&json!("bert"), &json!(true)));
    let sent_back = ("inbox_returned".to_owned(), vec!["7 ore inbox:bert>inbox:anna".to_owned()]);
    drop(bert);
    until_gone(&site, "bert").await;
    assert_eq!(history(&inspect(&site, "bert").await).last(), Some(&sent_back));
    anna.apply(drop_item("wood", 1)).await;
    let told = next_delta(&mut anna).await;
    assert_eq!((told.cause, anna.count("ore")), (Cause::Inbox { from: id("bert"), returned: true }, 7));
    assert_eq!(anna.stack("ore").1.instance, ore.instance, "still the same stack");
    assert_eq!(server.stop().await, Some(0));
}

/// Waits until so many gifts wait for a player.
async fn until_waiting(site: &Site, player: &str, gifts: usize) -> Value {
    let waiting = async {
        loop {
            let shown = inspect(site, player).await;
            if shown["inbox"].as_array().map(Vec::len) == Some(gifts) {
                return shown;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("they come to wait")
}

#[tokio::test]
async fn replies_around_a_gift_that_asks_the_store_keep_their_order() {
    let site = site();
    let server = site.start().await;
    was_here(&site, &server, "bert").await;
    let mut anna = giver(&server, 100).await;
    let (_, ore) = anna.stack("ore");
    let mix = |n: u64| match n % 3 {
        0 => gift("bert", ore.instance, 1),
        1 => drop_item("ore", 1),
        _ => gift("nobody", ore.instance, 1),
    };
    let last = anna.send_all((0..90).map(mix)).await;
    for seq in last - 89..=last {
        anna.reply(seq).await;
    }
    assert_eq!(anna.count("ore"), 40);
    anna.compare().await;
    let mut bert = Client::enter(server.game, "bert").await;
    bert.until_revision(31).await;
    assert_eq!(bert.count("ore"), 30);
    assert_eq!(server.stop().await, Some(0));
}

//! Live trades over real sockets: what both agreed to changes hands whole and once, and however a trade ends, nothing
//! stays locked and both know.

mod elsewhere;
mod endings;
mod moments;
mod refusals;

use holdall_harness::{
    child::Site,
    client::{Client, gift, grant, item, pay},
    trade::{Traders, accept, cancel, decline, invite, offer, open, settings, take},
};
use holdall_protocol::{
    code::Code,
    ids::PlayerId,
    message::{Cause, TradeStage},
};

#[tokio::test]
async fn both_put_up_both_accept_and_everything_changes_hands() {
    let site = Site::new();
    let server = site.start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let whole = traders.anna.stack("iron_sword").1;
    let ore = traders.anna.stack("ore").1.instance;
    // Anna adds a sword to it, whole.
    let seen = traders.anna.step(offer(traders.trade, &[(ore, 20), (whole.instance, 1)], &[])).await;
    assert_eq!(seen.offer_revision, revision + 1);
    let told = traders.bert.told().await;
    assert_eq!(told.theirs, seen.yours, "each is shown what the other puts up");
    assert_eq!(told.theirs.items[1].item, item("iron_sword"));
    let waiting = traders.bert.step(accept(traders.trade, seen.offer_revision)).await;
    assert!(waiting.yours.accepted && !waiting.theirs.accepted);
    assert!(traders.anna.told().await.theirs.accepted);
    let applied = traders.anna.apply(accept(traders.trade, seen.offer_revision)).await;
    assert!(!applied.changes.is_empty());
    traders.anna.told_settled(traders.trade).await;
    traders.bert.told_settled(traders.trade).await;
    let Traders { mut anna, mut bert, trade } = traders;
    let [delta] = bert.deltas.as_slice() else { panic!("one delta: {:?}", bert.deltas) };
    assert_eq!(delta.cause, Cause::Trade { trade, with: PlayerId::new("anna").unwrap() });
    assert!(Traders::exchanged(&anna, &bert));
    assert_eq!(bert.stack("iron_sword").1.instance, whole.instance, "a whole stack keeps its id");
    assert_ne!(bert.stack("ore").1.instance, ore, "a part gets one of its own");
    anna.compare().await;
    bert.compare().await;
    Traders::expect_free(&mut anna, &mut bert).await;
    server.kill().await;
    let server = site.start().await;
    let (anna, bert) = (Client::enter(server.game, "anna").await, Client::enter(server.game, "bert").await);
    assert!(Traders::exchanged(&anna, &bert), "what was acknowledged survives");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn full_bags_trade_what_only_fits_because_of_the_swap() {
    let server = Site::new().knob("inventory.max_slots", 1).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("iron_sword", 1)).await;
    bert.apply(grant("ore", 99)).await;
    let trade = open(&mut anna, &mut bert).await;
    let (sword, ore) = (anna.stack("iron_sword").1.instance, bert.stack("ore").1.instance);
    anna.step(offer(trade, &[(sword, 1)], &[])).await;
    bert.step(offer(trade, &[(ore, 98)], &[])).await;
    anna.step(accept(trade, 2)).await;
    let refused = bert.refuse(accept(trade, 2)).await;
    assert_eq!(refused.code, Code::InventoryFull, "one ore stays in the way of the sword");
    assert_eq!((anna.count("iron_sword"), bert.count("ore")), (1, 99));
    bert.step(offer(trade, &[(ore, 99)], &[])).await;
    anna.step(accept(trade, 3)).await;
    bert.apply(accept(trade, 3)).await;
    anna.until_revision(3).await;
    assert_eq!((anna.count("ore"), bert.count("iron_sword")), (99, 1));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn receiving_stays_possible_while_trading() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let mut carl = Client::enter(server.game, "carl").await;
    carl.apply(grant("ore", 9)).await;
    carl.apply(gift("anna", carl.stack("ore").1.instance, 9)).await;
    traders.anna.apply(grant("ore", 1)).await;
    traders.bert.apply(pay("gold", 5)).await;
    assert_eq!((traders.anna.count("ore"), traders.bert.count("gold")), (40, 105));
    traders.settle(revision).await;
    let Traders { anna, bert, .. } = &traders;
    assert_eq!([anna.count("ore"), anna.count("gold"), bert.count("ore"), bert.count("gold")], [20, 60, 20, 45]);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_changed_offer_clears_both_accepts_and_an_old_one_is_not_taken() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let seen = traders.offer_both().await;
    let Traders { anna, bert, trade } = &mut traders;
    // Bert looks at 20 ore; Anna leaves one of them; Bert's accept was for the 20.
    let ore = anna.stack("ore").1.instance;
    let changed = anna.step(offer(*trade, &[(ore, 1)], &[])).await;
    assert_eq!(bert.refuse(accept(*trade, seen)).await.code, Code::TradeChanged);
    assert_eq!(bert.refuse(accept(*trade, changed.offer_revision + 1)).await.code, Code::TradeChanged);
    // An accept that came before the change does not count after it.
    bert.told().await;
    bert.step(accept(*trade, changed.offer_revision)).await;
    assert!(anna.told().await.theirs.accepted);
    let again = anna.step(offer(*trade, &[(ore, 2)], &[])).await;
    assert!(!again.theirs.accepted && !bert.told().await.yours.accepted);
    let waits = anna.step(accept(*trade, again.offer_revision)).await;
    assert_eq!((waits.stage, waits.yours.accepted), (TradeStage::Open, true));
    assert!(!Traders::exchanged(anna, bert));
    bert.apply(accept(*trade, again.offer_revision)).await;
    assert_eq!((bert.count("ore"), bert.count("gold")), (2, 40));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn an_unanswered_invite_locks_nobody() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    let mut carl = Client::enter(server.game, "carl").await;
    anna.apply(grant("ore", 5)).await;
    let invited = anna.step(invite("bert")).await;
    let other = carl.step(invite("bert")).await;
    assert_eq!((bert.told().await.trade, bert.told().await.trade), (invited.trade, other.trade));
    anna.apply(gift("bert", anna.stack("ore").1.instance, 5)).await;
    // Both invites stand; the one that is taken opens, and the other one can only be declined now.
    bert.step(take(other.trade)).await;
    assert_eq!(bert.refuse(take(invited.trade)).await.code, Code::PlayerBusy);
    assert_eq!(anna.refuse(invite("carl")).await.code, Code::PlayerBusy);
    bert.step(decline(invited.trade)).await;
    anna.told_end(invited.trade, holdall_protocol::message::TradeEnd::Declined).await;
    carl.told().await;
    carl.step(cancel(other.trade)).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn gifts_and_invites_can_be_switched_off() {
    let server = Site::new().start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    anna.apply(grant("ore", 5)).await;
    let ore = anna.stack("ore").1.instance;
    bert.apply(settings(Some(false), Some(false))).await;
    assert_eq!(anna.refuse(gift("bert", ore, 1)).await.code, Code::NotAccepting);
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::NotAccepting);
    let on = bert.apply(settings(Some(true), None)).await;
    assert_eq!(bert.apply(settings(None, None)).await.revision, on.revision, "nothing to change");
    anna.apply(gift("bert", ore, 1)).await;
    assert_eq!(anna.refuse(invite("bert")).await.code, Code::NotAccepting);
    bert.apply(settings(None, Some(true))).await;
    anna.step(invite("bert")).await;
    assert_eq!(server.stop().await, Some(0));
}

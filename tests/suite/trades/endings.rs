//! Every way in which a trade ends without an exchange: both are told why, and nothing stays locked.

use holdall_harness::{
    child::Site,
    client::{Client, Heard, grant},
    redis::Redis,
    trade::{Traders, accept, cancel, decline, invite, offer, open, take},
};
use holdall_protocol::{
    close::Close,
    code::Code,
    frame::Subprotocol,
    message::{ServerMessage, TradeEnd, TradeStage},
};

#[tokio::test]
async fn either_cancels() {
    let server = Site::new().start().await;
    let Traders { mut anna, mut bert, mut trade } = Traders::meet(server.game).await;
    for annas_turn in [true, false] {
        let ore = anna.stack("ore").1.instance;
        anna.step(offer(trade, &[(ore, 20)], &[])).await;
        bert.told().await;
        bert.step(accept(trade, 1)).await;
        anna.told().await;
        let (one, other) = if annas_turn { (&mut anna, &mut bert) } else { (&mut bert, &mut anna) };
        let ended = one.step(cancel(trade)).await;
        assert_eq!((ended.stage, ended.why), (TradeStage::Closed, Some(TradeEnd::Cancelled)));
        other.told_end(trade, TradeEnd::Cancelled).await;
        assert_eq!(one.refuse(accept(trade, 1)).await.code, Code::TradeClosed);
        Traders::expect_free(&mut anna, &mut bert).await;
        trade = open(&mut anna, &mut bert).await;
    }
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn an_invite_is_declined_taken_back_or_expires() {
    let server = Site::new().knob("limits.invite_expiry_ms", 300).start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    let declined = anna.step(invite("bert")).await.trade;
    bert.told().await;
    bert.step(decline(declined)).await;
    anna.told_end(declined, TradeEnd::Declined).await;
    let taken_back = anna.step(invite("bert")).await.trade;
    bert.told().await;
    anna.step(cancel(taken_back)).await;
    bert.told_end(taken_back, TradeEnd::Cancelled).await;
    let forgotten = anna.step(invite("bert")).await.trade;
    bert.told().await;
    anna.told_end(forgotten, TradeEnd::Expired).await;
    bert.told_end(forgotten, TradeEnd::Expired).await;
    assert_eq!(bert.refuse(take(forgotten)).await.code, Code::TradeClosed);
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_trade_in_which_nothing_changes_expires() {
    let server = Site::new().knob("limits.trade_expiry_ms", 500).start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let Traders { mut anna, mut bert, trade } = traders;
    bert.step(accept(trade, revision)).await;
    anna.told().await;
    anna.told_end(trade, TradeEnd::Expired).await;
    bert.told_end(trade, TradeEnd::Expired).await;
    assert_eq!(anna.refuse(accept(trade, revision)).await.code, Code::TradeClosed, "too late by a moment");
    assert!(!Traders::exchanged(&anna, &bert));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_disconnect_keeps_it_until_the_linger_ends() {
    let server = Site::new().knob("limits.linger_ms", 200).start().await;
    let mut traders = Traders::meet(server.game).await;
    traders.offer_both().await;
    let Traders { anna, mut bert, trade } = traders;
    drop(anna);
    bert.told_end(trade, TradeEnd::Disconnected).await;
    let mut anna = Client::enter(server.game, "anna").await;
    assert!(anna.welcome().trades.is_empty());
    assert!(!Traders::exchanged(&anna, &bert));
    Traders::expect_free(&mut anna, &mut bert).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_stop_of_the_server_closes_it() {
    let site = Site::new();
    let server = site.start().await;
    let mut traders = Traders::meet(server.game).await;
    traders.offer_both().await;
    let Traders { mut anna, mut bert, trade } = traders;
    server.ask_to_stop();
    for client in [&mut anna, &mut bert] {
        let (messages, end) = client.rest().await;
        assert!(matches!(end, Heard::Close(Close::Restart, _)), "{end:?}");
        let [ServerMessage::Trade(told)] = messages.as_slice() else { panic!("its end: {messages:?}") };
        assert_eq!((told.trade, told.stage, told.why), (trade, TradeStage::Closed, Some(TradeEnd::Stopped)));
    }
    drop((anna, bert));
    assert_eq!(server.stopped().await, Some(0));
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    assert!(!Traders::exchanged(&anna, &bert));
    Traders::expect_free(&mut anna, &mut bert).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_login_at_another_server_takes_the_player_out_of_it() {
    let redis = Redis::run().await;
    let site = || Site::new().on(&redis.url()).knob("store.lease_ms", 600_000);
    let (one, other) = (site(), site());
    let (here, there) = (one.start().await, other.start().await);
    let mut traders = Traders::meet(here.game).await;
    let revision = traders.offer_both().await;
    let Traders { mut anna, mut bert, trade } = traders;
    bert.step(accept(trade, revision)).await;
    // Handed over as soon as Anna has been here for a second.
    let mut moved = Client::enter(there.game, "anna").await;
    anna.expect_close(Close::Replaced).await;
    bert.told_end(trade, TradeEnd::Lost).await;
    assert_eq!(bert.refuse(accept(trade, revision)).await.code, Code::TradeClosed);
    assert!(!Traders::exchanged(&moved, &bert));
    assert!(moved.welcome().trades.is_empty());
    assert_eq!(moved.refuse(invite("bert")).await.code, Code::PlayerElsewhere, "he is at the other server");
    moved.apply(grant("ore", 1)).await;
    moved.compare().await;
    bert.compare().await;
    drop((anna, moved));
    let mut carl = Client::join(here.game, Subprotocol::Json, "carl").await;
    Traders::expect_free(&mut bert, &mut carl).await;
    assert_eq!((here.stop().await, there.stop().await), (Some(0), Some(0)));
}

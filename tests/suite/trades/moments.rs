//! Trades cut off at every moment: both have exchanged or neither has, each accept counts once, nothing stays locked.

use holdall_harness::{
    child::Site,
    client::Client,
    trade::{Traders, accept, cancel, invite, offer},
};
use holdall_protocol::{
    code::Code,
    frame::Subprotocol,
    message::{Cause, ServerMessage, TradeStage},
};

#[tokio::test]
async fn a_resume_finds_the_trade_as_it_is() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let Traders { anna, mut bert, trade } = traders;
    let away = anna.leave();
    let changed = bert.step(offer(trade, &[], &[("gold", 50)])).await;
    assert_eq!(changed.offer_revision, revision + 1, "a trade waits for who comes back");
    let mut carl = Client::enter(server.game, "carl").await;
    assert_eq!(carl.refuse(invite("anna")).await.code, Code::PlayerBusy);
    let mut anna = away.resume(server.game, Subprotocol::Msgpack, "anna").await;
    let [told] = anna.welcome().trades.as_slice() else { panic!("one trade: {:?}", anna.welcome().trades) };
    assert_eq!((told.trade, told.stage, told.offer_revision), (trade, TradeStage::Open, changed.offer_revision));
    assert_eq!((&told.theirs, told.yours.items.len()), (&changed.yours, 1));
    // A newer login on the same server goes on with it too.
    let mut again = Client::join(server.game, Subprotocol::Json, "anna").await;
    assert_eq!(again.welcome().trades, anna.welcome().trades);
    anna.expect_close(holdall_protocol::close::Close::Replaced).await;
    again.step(accept(trade, changed.offer_revision)).await;
    bert.apply(accept(trade, changed.offer_revision)).await;
    again.told_settled(trade).await;
    assert_eq!((again.count("gold"), bert.count("gold")), (50, 50));
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn who_has_accepted_and_gone_finds_the_exchange_when_coming_back() {
    let server = Site::new().start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    traders.bert.step(accept(traders.trade, revision)).await;
    traders.anna.told().await;
    let Traders { mut anna, bert, trade } = traders;
    let away = bert.leave();
    anna.apply(accept(trade, revision)).await;
    anna.told_settled(trade).await;
    let mut bert = away.resume(server.game, Subprotocol::Json, "bert").await;
    assert!(bert.welcome().trades.is_empty());
    let newest = bert.welcome().revision.get();
    bert.until_revision(newest).await;
    assert!(matches!(&bert.deltas[..], [delta] if matches!(delta.cause, Cause::Trade { .. })));
    assert!(Traders::exchanged(&anna, &bert));
    bert.compare().await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn an_accept_that_is_sent_again_gets_the_same_answer() {
    let site = Site::new();
    let server = site.start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    let applied = traders.settle(revision).await;
    let Traders { mut anna, bert, trade } = traders;
    anna.send_as(applied.seq.get(), accept(trade, revision)).await;
    assert_eq!(anna.reply(applied.seq.get()).await, ServerMessage::Applied(applied.clone()));
    assert_eq!(anna.refuse(accept(trade, revision)).await.code, Code::TradeClosed, "a second accept");
    assert!(Traders::exchanged(&anna, &bert));
    drop((anna, bert));
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    anna.send_as(applied.seq.get(), accept(trade, revision)).await;
    let ServerMessage::Refused(refused) = anna.reply(applied.seq.get()).await else { panic!("it was answered before") };
    let fate = refused.duplicate.expect("its fate");
    assert_eq!((refused.code, fate.applied, fate.revision), (Code::Duplicate, Some(true), Some(applied.revision)));
    assert_eq!(anna.refuse(accept(trade, revision)).await.code, Code::TradeNotFound, "trades end with their server");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_crash_before_the_last_accept_exchanges_nothing() {
    let site = Site::new();
    let server = site.start().await;
    let mut traders = Traders::meet(server.game).await;
    let revision = traders.offer_both().await;
    traders.bert.step(accept(traders.trade, revision)).await;
    let Traders { anna, bert, .. } = traders;
    drop((anna, bert));
    server.kill().await;
    let server = site.start().await;
    let mut anna = Client::enter(server.game, "anna").await;
    let mut bert = Client::enter(server.game, "bert").await;
    assert!(!Traders::exchanged(&anna, &bert));
    assert!(anna.welcome().trades.is_empty() && bert.welcome().trades.is_empty());
    Traders::expect_free(&mut anna, &mut bert).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_crash_while_it_settles_exchanges_both_or_neither() {
    let site = Site::new();
    let mut exchanged = [0, 0];
    for round in 0..8 {
        let server = site.start().await;
        let names = [format!("anna-{round}"), format!("bert-{round}")];
        let mut traders = Traders::meet_as(server.game, &names).await;
        let revision = traders.offer_both().await;
        traders.bert.step(accept(traders.trade, revision)).await;
        let seq = traders.anna.send(accept(traders.trade, revision)).await;
        // From at once to after the answer.
        let answered = round % 4 == 3;
        if answered {
            assert!(matches!(traders.anna.reply(seq).await, ServerMessage::Applied(_)));
        } else {
            tokio::time::sleep(std::time::Duration::from_micros(700 * round)).await;
        }
        server.kill().await;
        drop(traders);
        let server = site.start().await;
        let mut anna = Client::enter(server.game, &names[0]).await;
        let mut bert = Client::enter(server.game, &names[1]).await;
        let both = Traders::exchanged(&anna, &bert);
        assert!(both || !answered, "what was acknowledged is there");
        assert_eq!(anna.welcome().seq.get() >= seq, both, "the number is spent with its effect");
        exchanged[usize::from(both)] += 1;
        Traders::expect_free(&mut anna, &mut bert).await;
        assert_eq!(server.stop().await, Some(0));
    }
    println!("neither, both: {exchanged:?}");
}

#[tokio::test]
async fn both_accept_and_one_cancels_at_the_same_time() {
    let server = Site::new().start().await;
    let mut ended = [0, 0];
    for round in 0..30 {
        let names = [format!("anna-{round}"), format!("bert-{round}")];
        let mut traders = Traders::meet_as(server.game, &names).await;
        let revision = traders.offer_both().await;
        let Traders { anna, bert, trade } = &mut traders;
        anna.step(accept(*trade, revision)).await;
        bert.told().await;
        // On two connections: whichever is first.
        let (accepted, cancelled) = tokio::join!(bert.ask(accept(*trade, revision)), anna.ask(cancel(*trade)));
        let settled = match (&accepted, &cancelled) {
            (ServerMessage::Applied(_), ServerMessage::Refused(no)) => {
                assert_eq!(no.code, Code::TradeClosed);
                true
            }
            (ServerMessage::Refused(no), ServerMessage::Answer(_)) => {
                assert_eq!(no.code, Code::TradeClosed);
                false
            }
            other => panic!("both or neither: {other:?}"),
        };
        assert_eq!(Traders::exchanged(anna, bert), settled);
        ended[usize::from(settled)] += 1;
    }
    println!("cancelled, settled: {ended:?}");
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_connection_that_breaks_around_its_accept_is_told_when_it_comes_back() {
    let server = Site::new().start().await;
    for round in 0..10 {
        let names = [format!("anna-{round}"), format!("bert-{round}")];
        let mut traders = Traders::meet_as(server.game, &names).await;
        let revision = traders.offer_both().await;
        let Traders { mut anna, mut bert, trade } = traders;
        bert.step(accept(trade, revision)).await;
        anna.told().await;
        let seq = anna.send(accept(trade, revision)).await;
        let away = anna.leave();
        let mut anna = away.resume(server.game, Subprotocol::Msgpack, &names[0]).await;
        // Whether or not it was heard before the cut: the same number, once.
        anna.send_as(seq, accept(trade, revision)).await;
        while anna.count("gold") == 0 {
            anna.message().await;
        }
        bert.told_settled(trade).await;
        assert!(Traders::exchanged(&anna, &bert));
        bert.compare().await;
    }
    assert_eq!(server.stop().await, Some(0));
}
